/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstclipframe.h"

static const struct {
  GstVideoFormat gst;
  ClipFormat clip;
} formats[] = {
  { GST_VIDEO_FORMAT_RGB, CLIP_FORMAT_RGB },
  { GST_VIDEO_FORMAT_BGR, CLIP_FORMAT_BGR },
  { GST_VIDEO_FORMAT_RGBx, CLIP_FORMAT_RGBX },
  { GST_VIDEO_FORMAT_xRGB, CLIP_FORMAT_XRGB },
  { GST_VIDEO_FORMAT_BGRx, CLIP_FORMAT_BGRX },
  { GST_VIDEO_FORMAT_xBGR, CLIP_FORMAT_XBGR },
  { GST_VIDEO_FORMAT_RGBA, CLIP_FORMAT_RGBA },
  { GST_VIDEO_FORMAT_ARGB, CLIP_FORMAT_ARGB },
  { GST_VIDEO_FORMAT_BGRA, CLIP_FORMAT_BGRA },
  { GST_VIDEO_FORMAT_ABGR, CLIP_FORMAT_ABGR },
  { GST_VIDEO_FORMAT_GRAY8, CLIP_FORMAT_GRAY8 },
  { GST_VIDEO_FORMAT_NV12, CLIP_FORMAT_NV12 },
  { GST_VIDEO_FORMAT_NV21, CLIP_FORMAT_NV21 },
  { GST_VIDEO_FORMAT_I420, CLIP_FORMAT_I420 },
  { GST_VIDEO_FORMAT_YV12, CLIP_FORMAT_YV12 },
  { GST_VIDEO_FORMAT_YUY2, CLIP_FORMAT_YUY2 },
  { GST_VIDEO_FORMAT_UYVY, CLIP_FORMAT_UYVY },
  { GST_VIDEO_FORMAT_Y42B, CLIP_FORMAT_Y42B },
  { GST_VIDEO_FORMAT_Y444, CLIP_FORMAT_Y444 },
};

static gboolean
find_format (GstVideoFormat gst, ClipFormat *clip)
{
  for (guint i = 0; i < G_N_ELEMENTS (formats); i++) {
    if (formats[i].gst == gst) {
      *clip = formats[i].clip;
      return TRUE;
    }
  }
  return FALSE;
}

static void
set_color (const GstVideoInfo *info, ClipFrame *frame)
{
  gdouble kr = 0.299, kb = 0.114;
  gst_video_color_matrix_get_Kr_Kb (info->colorimetry.matrix, &kr, &kb);
  frame->kr = (float) kr;
  frame->kb = (float) kb;
  /* gray is taken as it is, unless the caps say that it is limited */
  frame->full_range = GST_VIDEO_INFO_IS_YUV (info)
                          ? info->colorimetry.range == GST_VIDEO_COLOR_RANGE_0_255
                          : info->colorimetry.range != GST_VIDEO_COLOR_RANGE_16_235;
  if (info->chroma_site & GST_VIDEO_CHROMA_SITE_H_COSITED)
    frame->chroma_site |= CLIP_CHROMA_LEFT_X;
  if (info->chroma_site & GST_VIDEO_CHROMA_SITE_V_COSITED)
    frame->chroma_site |= CLIP_CHROMA_TOP_Y;
}

gboolean
gst_clip_frame_from_video (const GstVideoFrame *video, ClipFrame *frame)
{
  const GstVideoInfo *info = &video->info;
  *frame = (ClipFrame){ 0 };
  if (!find_format (GST_VIDEO_INFO_FORMAT (info), &frame->format))
    return FALSE;
  frame->width = GST_VIDEO_FRAME_WIDTH (video);
  frame->height = GST_VIDEO_FRAME_HEIGHT (video);
  for (guint i = 0; i < GST_VIDEO_FRAME_N_PLANES (video) && i < 3; i++) {
    gint stride = GST_VIDEO_FRAME_PLANE_STRIDE (video, i);
    if (stride <= 0)
      return FALSE;
    frame->planes[i] = GST_VIDEO_FRAME_PLANE_DATA (video, i);
    frame->strides[i] = (gsize) stride;
  }
  set_color (info, frame);
  frame->use_alpha = GST_VIDEO_INFO_HAS_ALPHA (info);
  return TRUE;
}
