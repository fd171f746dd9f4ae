/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of the elements share: frames in, results out. */
#pragma once

#include <gst/check/gstcheck.h>
#include <gst/check/gstharness.h>

/** (transfer full): of a stream that is not live */
GstHarness *new_harness (const char *launch, const char *caps);
/** (transfer full): a frame of one value in every byte */
GstBuffer *new_frame (const char *caps, guint8 value, GstClockTime pts);
/** (transfer full) */
char *caps_of (const char *format, guint width, guint height);
/** (transfer full): the harness wraps what it parses in a bin */
GstElement *classifier_of (GstHarness *h);

/** Puts @structure (transfer full) into a GstValueArray */
void append_structure (GValue *array, GstStructure *structure);
/** How many objects the buffer's GstClipMeta has, and the nth */
guint count_objects (GstBuffer *buffer);
const GstStructure *nth_object (GstBuffer *buffer, guint n);
/** The only object */
const GstStructure *object_of (GstBuffer *buffer);
guint serial_of (GstBuffer *buffer);
gdouble label_double (const GstStructure *object, guint index, const char *field);
gboolean is_inferred (const GstStructure *object);
guint64 age_of (const GstStructure *object);

/** (transfer full) (nullable): the first message of @type that is on the bus or comes within a second */
GstMessage *wait_message (GstBus *bus, GstMessageType type);
