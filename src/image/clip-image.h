/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Video frame -> normalised tensor, with Pillow's arithmetic (up to 12) and torchvision's crop. */
#pragma once

#include "device/clip-device.h"
#include "weights/clip-weights.h"

G_BEGIN_DECLS

typedef enum {
  CLIP_FORMAT_RGB, CLIP_FORMAT_BGR,
  CLIP_FORMAT_RGBX, CLIP_FORMAT_XRGB, CLIP_FORMAT_BGRX, CLIP_FORMAT_XBGR,
  CLIP_FORMAT_RGBA, CLIP_FORMAT_ARGB, CLIP_FORMAT_BGRA, CLIP_FORMAT_ABGR,
  CLIP_FORMAT_GRAY8,
  CLIP_FORMAT_NV12, CLIP_FORMAT_NV21, CLIP_FORMAT_I420, CLIP_FORMAT_YV12, /* planes in file order */
  CLIP_FORMAT_YUY2, CLIP_FORMAT_UYVY, CLIP_FORMAT_Y42B, CLIP_FORMAT_Y444,
} ClipFormat;

/** ClipChromaSite: where a chroma sample lies, per axis: between two luma samples, or on the even one */
typedef enum {
  CLIP_CHROMA_CENTER_X = 0, CLIP_CHROMA_LEFT_X = 1,
  CLIP_CHROMA_CENTER_Y = 0, CLIP_CHROMA_TOP_Y = 2,
} ClipChromaSite;

/** ClipRect: in pixels */
typedef struct { guint x, y, width, height; } ClipRect;

/** ClipFrame: a picture in host memory, not owned. Strides in bytes, may exceed the row, never negative. */
typedef struct {
  ClipFormat format;
  guint width, height; /* 1..16384 */
  const guint8 *planes[3];
  gsize strides[3];
  float kr, kb; /* luma coefficients of YUV, e.g. 0.299 0.114 */
  gboolean full_range; /* YUV and GRAY8: 0..255; else 16..235. A frame of gray is full range */
  guint chroma_site; /* ClipChromaSite flags; 4:2:0 and 4:2:2 */
  gboolean use_alpha; /* RGBA etc.: resize premultiplied, drop alpha after, as openai/CLIP does with PNG;
                         FALSE: alpha is ignored */
  ClipRect crop; /* the part that is the picture; width 0: all of it */
} ClipFrame;

/**
 * ClipPreprocessor:
 *
 * Keeps filter coefficients and device buffers for the last frame size; grows them when it changes.
 * For the thread of its queue.
 */
typedef struct _ClipPreprocessor ClipPreprocessor;

ClipPreprocessor *clip_preprocessor_new (ClipQueue *queue, const ClipPreprocessConfig *config,
    GError **error);
void clip_preprocessor_free (ClipPreprocessor *preprocessor);

/**
 * clip_preprocessor_run:
 * @dst: float32 [*,3,size,size]; the picture goes to item @index
 *
 * (x / 255 - mean) / std after 8-bit resampling. Enqueues; the frame's memory is free again on return.
 */
gboolean clip_preprocessor_run (ClipPreprocessor *preprocessor, const ClipFrame *frame,
    ClipBuffer *dst, guint index, GError **error);

/**
 * clip_preprocessor_run_rgb:
 * @rgb: (array): size*size*3 bytes, receives the 8-bit picture before normalisation. Blocks.
 */
gboolean clip_preprocessor_run_rgb (ClipPreprocessor *preprocessor, const ClipFrame *frame,
    guint8 *rgb, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipPreprocessor, clip_preprocessor_free)

G_END_DECLS
