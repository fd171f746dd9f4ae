/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "clip-gemm.h"

G_BEGIN_DECLS

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
  guint height, width; /* 0; or a 3x3 convolution over items of that size, with lda channels */
} ClipLinearCall;

typedef struct {
  const char *name;
  /* fills linear->weight and linear->bias; bias may be NULL */
  gboolean (*pack) (ClipLinear *linear, ClipQueue *queue, const float *weight, const float *bias,
      GError **error);
  gboolean (*run) (ClipLinear *linear, ClipQueue *queue, const ClipLinearCall *call, GError **error);
} ClipLinearBackend;

struct _ClipLinear {
  const ClipLinearBackend *backend;
  guint n, k;
  gboolean has_bias;
  ClipBuffer *weight, *bias; /* bias is zeros when there is none */
};

extern const ClipLinearBackend clip_linear_panel;
extern const ClipLinearBackend clip_linear_clblast;

/** clip_linear_new_with_backend: as clip_linear_new() without the choice */
ClipLinear *clip_linear_new_with_backend (const ClipLinearBackend *backend, ClipQueue *queue,
    const float *weight, const float *bias, guint n, guint k, GError **error);

/** clip_linear_choose: measures on the first use of a shape class, and remembers */
ClipLinear *clip_linear_choose (ClipQueue *queue, const float *weight, const float *bias, guint n,
    guint k, guint typical_m, GError **error);

/** clip_linear_class_name: (transfer full): the shape class, the name of an entry in the cache */
char *clip_linear_class_name (ClipDevice *device, guint m, guint n, guint k);

/** clip_linear_measure_peak: GFLOP/s of fused multiply-adds in registers alone, -1 on error */
double clip_linear_measure_peak (ClipQueue *queue, GError **error);

G_END_DECLS
