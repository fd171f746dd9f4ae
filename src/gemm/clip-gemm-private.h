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
  CLIP_DOT_MATRIX,   /* on matrices: AMX, NVIDIA's tensor cores */
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

/**
 * ClipClblastLayout: of the CLBlast backend, see clip-gemm-clblast-layout.c
 * @swapped: computed as C^T = W A^T in column-major order
 * @tile_m, @tile_n, @tile_k: matrices of their multiples are not copied
 */
typedef struct {
  gboolean swapped;
  guint tile_m, tile_n, tile_k;
} ClipClblastLayout;

struct _ClipLinear {
  const ClipLinearBackend *backend;
  guint n, k;
  gboolean has_bias;
  ClipBuffer *weight, *bias; /* bias is zeros when there is none */
  ClipBuffer *scale, *sums;  /* of each output, for a reduced precision; else NULL */
  ClipClblastLayout layout;  /* of the CLBlast backend */
};

extern const ClipLinearBackend clip_linear_panel;
extern const ClipLinearBackend clip_linear_clblast;
extern const ClipLinearBackend clip_linear_winograd; /* 3x3 convolutions of whole vectors of channels, nothing else */
extern const ClipLinearBackend clip_linear_dot[2][3]; /* for CPU devices: bf16 and int8; by level */

/** clip_half_get: for other devices: of fp16 or bf16, PORTABLE or MATRIX */
const ClipLinearBackend *clip_half_get (ClipPrecision precision, ClipDotLevel level);
/** clip_half_find: the backend of the highest level that works on the queue's device: a product whose result is known
 * is tried first */
const ClipLinearBackend *clip_half_find (ClipQueue *queue, ClipPrecision precision, GError **error);

/** ClipLinearProduct: what a backend does with rows of A as they lie */
typedef gboolean (*ClipLinearProduct) (ClipLinear *linear, ClipQueue *queue, const ClipLinearCall *call, GError **error);
/** clip_linear_run_gathered: a 3x3 convolution through the queue's scratch memory, which @product must leave alone */
gboolean clip_linear_run_gathered (ClipLinear *linear, ClipQueue *queue, const ClipLinearCall *call,
    ClipLinearProduct product, GError **error);

/** clip_linear_new_with_backend: as clip_linear_new() without the choice */
ClipLinear *clip_linear_new_with_backend (const ClipLinearBackend *backend, ClipQueue *queue,
    const float *weight, const float *bias, guint n, guint k, GError **error);

/** clip_dot_get_level: the most that the device can do and GST_CLIP_DOT (portable, vector, matrix) allows */
ClipDotLevel clip_dot_get_level (ClipDevice *device, ClipPrecision precision);
/** clip_dot_is_vex: 8 bits on vectors of 8: with AVX_VNNI's encoding */
gboolean clip_dot_is_vex (ClipDevice *device);
/** clip_dot_find: the backend of the highest level that works on the queue's device */
const ClipLinearBackend *clip_dot_find (ClipQueue *queue, ClipPrecision precision, GError **error);
/** clip_dot_get_blocks: 64-byte blocks of a row of K */
guint clip_dot_get_blocks (ClipPrecision precision, guint k);
/** clip_dot_to_bf16: to the nearest, ties to even */
guint16 clip_dot_to_bf16 (float value);
/** clip_dot_pack: fills weight, bias, scale and sums; @width: floats in a vector */
gboolean clip_dot_pack (ClipLinear *linear, ClipQueue *queue, guint width, const float *weight, const float *bias,
    GError **error);

/** clip_linear_choose_dot: clip_dot_find() or clip_half_find() once per device and process */
const ClipLinearBackend *clip_linear_choose_dot (ClipQueue *queue, ClipPrecision precision, GError **error);

/** clip_linear_choose_cpu: the one backend of a CPU device in fp32; measures on the first use, and remembers */
const ClipLinearBackend *clip_linear_choose_cpu (ClipQueue *queue, GError **error);

/** clip_linear_choose: measures on the first use of a shape class, and remembers */
ClipLinear *clip_linear_choose (ClipQueue *queue, const float *weight, const float *bias, guint n,
    guint k, guint typical_m, GError **error);

/** clip_linear_class_name: (transfer full): the shape class, the name of an entry in the cache */
char *clip_linear_class_name (ClipDevice *device, guint m, guint n, guint k);

G_END_DECLS
