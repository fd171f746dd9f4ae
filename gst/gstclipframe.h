/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/video/video.h>

#include "image/clip-image.h"

G_BEGIN_DECLS

#define GST_CLIP_VIDEO_FORMATS                                                                     \
  "{ RGB, BGR, RGBx, xRGB, BGRx, xBGR, RGBA, ARGB, BGRA, ABGR, GRAY8, NV12, NV21, I420, YV12, "     \
  "YUY2, UYVY, Y42B, Y444 }"

/**
 * gst_clip_frame_from_video:
 * @video: a mapped frame, which must stay mapped while @frame is used
 *
 * Returns: FALSE when the format is not one of GST_CLIP_VIDEO_FORMATS
 */
gboolean gst_clip_frame_from_video (const GstVideoFrame *video, ClipFrame *frame);

G_END_DECLS
