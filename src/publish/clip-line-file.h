/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "clip-disk.h"
#include "clip-transport.h"

G_BEGIN_DECLS

/**
 * ClipLineFileSettings:
 * @rotate_size: bytes after which the file is put aside; 0: never
 * @rotate_interval: the same after a time, in microseconds
 * @max_files: how many files put aside are kept; 0: all
 * @sync_interval: microseconds
 */
typedef struct {
  const char *path;
  guint64 rotate_size;
  gint64 rotate_interval;
  guint max_files;
  ClipSync sync;
  gint64 sync_interval;
} ClipLineFileSettings;

/**
 * clip_line_file_new: (transfer full): appends lines to a file that only this process writes
 *
 * A last line that a crash has cut is removed when the file is opened. A full or old file is renamed, with the UTC time
 * in front of its suffix: labels.jsonl to labels-20260131T120000.000000Z.jsonl.
 */
ClipTransport *clip_line_file_new (const ClipLineFileSettings *settings);

G_END_DECLS
