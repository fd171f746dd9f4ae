/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/base/gstbasetransform.h>

G_BEGIN_DECLS

#define GST_TYPE_CLIP_INDEX (gst_clip_index_get_type ())
G_DECLARE_FINAL_TYPE (GstClipIndex, gst_clip_index, GST, CLIP_INDEX, GstBaseTransform)

G_END_DECLS
