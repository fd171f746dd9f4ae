/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/base/gstbasetransform.h>

G_BEGIN_DECLS

#define GST_TYPE_CLIP_JSON (gst_clip_json_get_type ())
G_DECLARE_FINAL_TYPE (GstClipJson, gst_clip_json, GST, CLIP_JSON, GstBaseTransform)

G_END_DECLS
