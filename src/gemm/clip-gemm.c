/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What both backends of ClipLinear share: checks, and which of them to take. */
#include "clip-gemm-private.h"
#include "device/clip-profile.h"

#include <string.h>

ClipLinear *
clip_linear_new_with_backend (const ClipLinearBackend *backend, ClipQueue *queue, const float *weight,
    const float *bias, guint n, guint k, GError **error)
{
  g_autoptr (ClipLinear) linear = g_new0 (ClipLinear, 1);
  linear->backend = backend;
  linear->n = n;
  linear->k = k;
  linear->has_bias = bias != NULL;
  if (!backend->pack (linear, queue, weight, bias, error))
    return NULL;
  return g_steal_pointer (&linear);
}

/* A shorter sum is packed and finished for longer than it is summed */
#define REDUCED_MIN_K 64

ClipLinear *
clip_linear_new (ClipQueue *queue, ClipPrecision precision, const float *weight, const float *bias, guint n, guint k,
    guint typical_m, GError **error)
{
  g_return_val_if_fail (queue && weight && n > 0 && k > 0 && precision != CLIP_PRECISION_AUTO, NULL);
  if (precision != CLIP_PRECISION_FP32 && k >= REDUCED_MIN_K) {
    const ClipLinearBackend *reduced = clip_linear_choose_dot (queue, precision, error);
    return reduced ? clip_linear_new_with_backend (reduced, queue, weight, bias, n, k, error) : NULL;
  }
  const char *forced = g_getenv ("GST_CLIP_GEMM");
  if (!forced || !*forced)
    return clip_linear_choose (queue, weight, bias, n, k, MAX (typical_m, 1), error);
  const ClipLinearBackend *backends[] = { &clip_linear_panel, &clip_linear_clblast };
  for (guint i = 0; i < G_N_ELEMENTS (backends); i++) {
    if (strcmp (forced, backends[i]->name) == 0)
      return clip_linear_new_with_backend (backends[i], queue, weight, bias, n, k, error);
  }
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_DEVICE,
      "GST_CLIP_GEMM is '%s', expected 'panel' or 'clblast', or unset to let measurement decide", forced);
  return NULL;
}

void
clip_linear_free (ClipLinear *linear)
{
  if (!linear)
    return;
  g_clear_pointer (&linear->weight, clip_buffer_unref);
  g_clear_pointer (&linear->bias, clip_buffer_unref);
  g_clear_pointer (&linear->scale, clip_buffer_unref);
  g_clear_pointer (&linear->sums, clip_buffer_unref);
  g_free (linear);
}

const char *
clip_linear_get_backend (ClipLinear *linear)
{
  return linear->backend->name;
}

static gboolean
fits (ClipBuffer *buffer, gsize offset, guint rows, guint stride, guint columns)
{
  gsize end = offset + (gsize) (rows - 1) * stride + columns;
  return columns <= stride && end <= clip_buffer_get_size (buffer) / sizeof (float);
}

static gboolean
run (ClipLinear *linear, ClipQueue *queue, const ClipLinearCall *call, GError **error)
{
  clip_queue_set_label (queue, 2.0 * call->m * linear->n * linear->k, "%s %ux%ux%u",
      call->height ? "3x3 convolution" : "product", call->m, linear->n, linear->k);
  gboolean ok = linear->backend->run (linear, queue, call, error);
  clip_queue_set_label (queue, 0, NULL);
  return ok;
}

gboolean
clip_linear_run (ClipLinear *linear, ClipQueue *queue, guint m, ClipBuffer *a, gsize a_offset, guint lda,
    ClipActivation activation, ClipBuffer *residual, ClipBuffer *c, gsize c_offset, guint ldc, GError **error)
{
  if (m == 0)
    return TRUE;
  g_return_val_if_fail (a != c && fits (a, a_offset, m, lda, linear->k), FALSE);
  g_return_val_if_fail (fits (c, c_offset, m, ldc, linear->n), FALSE);
  g_return_val_if_fail (!residual || fits (residual, c_offset, m, ldc, linear->n), FALSE);
  const ClipLinearCall call = { m, a, a_offset, lda, activation, residual, c, c_offset, ldc, FALSE, FALSE, NULL, 0, 0 };
  return run (linear, queue, &call, error);
}

gboolean
clip_linear_can_normalise (ClipLinear *linear)
{
  return linear->backend->precision != CLIP_PRECISION_FP32 || linear->backend == &clip_linear_panel;
}

gboolean
clip_linear_run_normalised (ClipLinear *linear, ClipQueue *queue, guint m, ClipBuffer *x, ClipBuffer *gamma,
    ClipBuffer *beta, float eps, ClipActivation activation, ClipBuffer *c, gboolean pack, GError **error)
{
  if (m == 0)
    return TRUE;
  g_return_val_if_fail (clip_linear_can_normalise (linear) && x != c, FALSE);
  g_return_val_if_fail (fits (x, 0, m, linear->k, linear->k) && fits (c, 0, m, linear->n, linear->n), FALSE);
  g_return_val_if_fail (fits (gamma, 0, 1, linear->k, linear->k) && fits (beta, 0, 1, linear->k, linear->k), FALSE);
  const ClipLinearNorm norm = { gamma, beta, eps };
  const ClipLinearCall call = { m, x, 0, linear->k, activation, NULL, c, 0, linear->n, FALSE, pack, &norm, 0, 0 };
  return run (linear, queue, &call, error);
}

/* what a block of the next product's K takes, and a multiple of a panel */
#define PACKED_N 32

gboolean
clip_linear_can_pack (ClipLinear *linear, ClipLinear *next)
{
  ClipPrecision precision = linear->backend->precision;
  gboolean packs = precision == CLIP_PRECISION_BF16 || precision == CLIP_PRECISION_FP16 || linear->backend == &clip_linear_panel;
  return packs && next->backend == linear->backend && linear->n % PACKED_N == 0 && next->k == linear->n;
}

gboolean
clip_linear_run_packed (ClipLinear *linear, ClipQueue *queue, guint m, ClipBuffer *a, ClipBuffer *residual,
    ClipBuffer *c, GError **error)
{
  if (m == 0)
    return TRUE;
  g_return_val_if_fail (a != c && fits (c, 0, m, linear->n, linear->n), FALSE);
  const ClipLinearCall call
      = { m, a, 0, linear->k, CLIP_ACTIVATION_NONE, residual, c, 0, linear->n, TRUE, FALSE, NULL, 0, 0 };
  return run (linear, queue, &call, error);
}

gboolean
clip_linear_run_conv3 (ClipLinear *linear, ClipQueue *queue, guint batch, guint height, guint width,
    ClipBuffer *a, ClipActivation activation, ClipBuffer *c, GError **error)
{
  guint m = batch * height * width, channels = linear->k / 9;
  if (m == 0)
    return TRUE;
  g_return_val_if_fail (a != c && linear->k == 9 * channels, FALSE);
  g_return_val_if_fail (fits (a, 0, m, channels, channels) && fits (c, 0, m, linear->n, linear->n), FALSE);
  const ClipLinearCall call = { m, a, 0, channels, activation, NULL, c, 0, linear->n, FALSE, FALSE, NULL, height, width };
  return run (linear, queue, &call, error);
}
