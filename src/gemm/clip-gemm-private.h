/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "clip-gemm.h"

G_BEGIN_DECLS

typedef struct {
  ClipBuffer *gamma, *beta;
  float eps;
} ClipLinearNorm;

typedef struct {
  guint m;
  ClipBuffer *a;
  gsize a_offset;
  guint lda;
  ClipActivation activation;
  ClipBuffer *residual; /* (nullable) */
  ClipBuffer *c;
  gsize c_offset;
  guint ldc;
  gboolean a_packed, c_packed; /* as the backend packs A, see clip_linear_can_pack() */
  const ClipLinearNorm *norm;  /* (nullable): A is normalised first, see clip_linear_can_normalise() */
  guint height, width; /* 0; or a 3x3 convolution over items of that size, with lda channels */
} ClipLinearCall;

/** ClipDotLevel: how the products of reduced precision are computed */
typedef enum {
  CLIP_DOT_PORTABLE, /* in OpenCL C alone */
  CLIP_DOT_VECTOR,   /* dot product instructions on vectors: AVX512_BF16, AVX512_VNNI, AVX_VNNI */
  CLIP_DOT_MATRIX,   /* on matrices: AMX */
} ClipDotLevel;

typedef struct {
  const char *name;
  /* fills linear->weight and linear->bias; bias may be NULL */
  gboolean (*pack) (ClipLinear *linear, ClipQueue *queue, const float *weight, const float *bias,
      GError **error);
  gboolean (*run) (ClipLinear *linear, ClipQueue *queue, const ClipLinearCall *call, GError **error);
  ClipPrecision precision;
  ClipDotLevel level; /* of a reduced precision */
} ClipLinearBackend;

struct _ClipLinear {
  const ClipLinearBackend *backend;
  guint n, k;
  gboolean has_bias;
  ClipBuffer *weight, *bias; /* bias is zeros when there is none */
  ClipBuffer *scale, *sums;  /* of each output, for a reduced precision; else NULL */
};

extern const ClipLinearBackend clip_linear_panel;
extern const ClipLinearBackend clip_linear_clblast;
extern const ClipLinearBackend clip_linear_winograd; /* 3x3 convolutions of whole vectors of channels, nothing else */
extern const ClipLinearBackend clip_linear_dot[2][3]; /* bf16 and int8; by level */

/** clip_linear_new_with_backend: as clip_linear_new() without the choice */
ClipLinear *clip_linear_new_with_backend (const ClipLinearBackend *backend, ClipQueue *queue,
    const float *weight, const float *bias, guint n, guint k, GError **error);

/** clip_dot_get_level: the most that the processor can do and GST_CLIP_DOT (portable, vector, matrix) allows */
ClipDotLevel clip_dot_get_level (ClipDevice *device, ClipPrecision precision);
/** clip_dot_is_vex: 8 bits on vectors of 8: with AVX_VNNI's encoding */
gboolean clip_dot_is_vex (ClipDevice *device);
/** clip_dot_find: the backend of the highest level that works on the queue's device */
const ClipLinearBackend *clip_dot_find (ClipQueue *queue, ClipPrecision precision, GError **error);
/** clip_dot_get_blocks: 64-byte blocks of a row of K */
guint clip_dot_get_blocks (ClipPrecision precision, guint k);
/** clip_dot_pack: fills weight, bias, scale and sums; @width: floats in a vector */
gboolean clip_dot_pack (ClipLinear *linear, ClipQueue *queue, guint width, const float *weight, const float *bias,
    GError **error);

/** clip_linear_choose_dot: clip_dot_find() once per device and process */
const ClipLinearBackend *clip_linear_choose_dot (ClipQueue *queue, ClipPrecision precision, GError **error);

/** clip_linear_choose: measures on the first use of a shape class, and remembers */
ClipLinear *clip_linear_choose (ClipQueue *queue, const float *weight, const float *bias, guint n,
    guint k, guint typical_m, GError **error);

/** clip_linear_class_name: (transfer full): the shape class, the name of an entry in the cache */
char *clip_linear_class_name (ClipDevice *device, guint m, guint n, guint k);

G_END_DECLS
