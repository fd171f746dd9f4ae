/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-resnet.h"

#include "clip-attnpool.h"
#include "clip-conv.h"
#include "ops/clip-ops.h"

/* Activations of a part of a batch, about */
#define PART_BYTES (96u << 20)

/* Stages of reduced precision; the others stay fp32. The attention pool's scores are products of large sums, and the
 * last stages' rounding errors turn its choice of pixels: with all stages in bf16 the cosine with fp32 falls to 0.998 on
 * a ResNet of random weights, with two it is 0.9999. */
#define REDUCED_STAGES 2

typedef struct {
  guint in, channels; /* out: 4 channels */
  guint stride;       /* 1 or 2 */
  ClipLinear *conv1, *conv2, *conv3;
  ClipLinear *downsample; /* NULL after the first of a stage */
} Bottleneck;

struct _ClipResnet {
  guint image_size, width, embed_dim;
  ClipLinear *stem[3];
  Bottleneck *blocks;
  guint n_blocks;
  guint stage_blocks[CLIP_RESNET_STAGES];
  ClipAttnpool *pool;
  ClipBuffer *out; /* [out_size,embed_dim] */
  guint out_size;
};

static guint
stem_side (const ClipResnet *r)
{
  return (r->image_size + 1) / 2;
}

static gboolean
load_stem (ClipResnet *r, ClipQueue *queue, ClipWeights *weights, ClipPrecision precision, GError **error)
{
  /* all that follows is made of what the first convolutions see */
  ClipPrecision p = precision == CLIP_PRECISION_INT8 ? CLIP_PRECISION_BF16 : precision;
  guint w = r->width, rows = stem_side (r) * stem_side (r);
  return (r->stem[0] = clip_load_conv (queue, weights, p, CLIP_CONV_PIXELS, w / 2, 3, rows, error,
              "vision.stem.conv1"))
         && (r->stem[1] = clip_load_conv (queue, weights, p, CLIP_CONV_3X3, w / 2, w / 2, rows, error,
                 "vision.stem.conv2"))
         && (r->stem[2] = clip_load_conv (queue, weights, p, CLIP_CONV_3X3, w, w / 2, rows, error,
                 "vision.stem.conv3"));
}

static gboolean
load_block (Bottleneck *b, ClipQueue *queue, ClipWeights *weights, ClipPrecision p, guint rows, const char *name,
    GError **error)
{
  guint c = b->channels, out_rows = rows / (b->stride * b->stride);
  return (b->conv1
             = clip_load_conv (queue, weights, p, CLIP_CONV_1X1, c, b->in, rows, error, "%s.conv1", name))
         && (b->conv2
             = clip_load_conv (queue, weights, p, CLIP_CONV_3X3, c, c, rows, error, "%s.conv2", name))
         && (b->conv3 = clip_load_conv (
                 queue, weights, p, CLIP_CONV_1X1, 4 * c, c, out_rows, error, "%s.conv3", name))
         && (b->in == 4 * c
             || (b->downsample = clip_load_conv (
                     queue, weights, p, CLIP_CONV_1X1, 4 * c, b->in, out_rows, error, "%s.downsample", name)));
}

static gboolean
load_blocks (ClipResnet *r, ClipQueue *queue, ClipWeights *weights, ClipPrecision precision, GError **error)
{
  guint in = r->width, side = stem_side (r) / 2, index = 0;
  for (guint s = 0; s < CLIP_RESNET_STAGES; s++) {
    for (guint i = 0; i < r->stage_blocks[s]; i++) {
      Bottleneck *b = &r->blocks[index++];
      g_autofree char *name = g_strdup_printf ("vision.stages.%u.%u", s, i);
      *b = (Bottleneck){ .in = in, .channels = r->width << s, .stride = s > 0 && i == 0 ? 2 : 1 };
      if (!load_block (b, queue, weights, s < REDUCED_STAGES ? precision : CLIP_PRECISION_FP32, side * side, name, error))
        return FALSE;
      in = 4 * b->channels;
      side /= b->stride;
    }
  }
  if (side == r->image_size / 32)
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
      "a ResNet turns pictures of %u pixels into %u, and its attention pool has positions for %u; expected a "
      "multiple of 32",
      r->image_size, side, r->image_size / 32);
  return FALSE;
}

ClipResnet *
clip_resnet_load (ClipQueue *queue, ClipWeights *weights, ClipPrecision precision, GError **error)
{
  const ClipModelConfig *config = clip_weights_get_config (weights);
  g_autoptr (ClipResnet) r = g_new0 (ClipResnet, 1);
  r->image_size = config->image_size;
  r->width = config->vision.width;
  r->embed_dim = config->embed_dim;
  for (guint s = 0; s < CLIP_RESNET_STAGES; s++) {
    r->stage_blocks[s] = config->stage_blocks[s];
    r->n_blocks += r->stage_blocks[s];
  }
  r->blocks = g_new0 (Bottleneck, r->n_blocks);
  if (!load_stem (r, queue, weights, precision, error) || !load_blocks (r, queue, weights, precision, error)
      || !(r->pool = clip_attnpool_load (queue, weights, error)))
    return NULL;
  return g_steal_pointer (&r);
}

static void
block_clear (Bottleneck *b)
{
  g_clear_pointer (&b->conv1, clip_linear_free);
  g_clear_pointer (&b->conv2, clip_linear_free);
  g_clear_pointer (&b->conv3, clip_linear_free);
  g_clear_pointer (&b->downsample, clip_linear_free);
}

void
clip_resnet_free (ClipResnet *r)
{
  for (guint i = 0; i < G_N_ELEMENTS (r->stem); i++)
    g_clear_pointer (&r->stem[i], clip_linear_free);
  for (guint i = 0; i < r->n_blocks; i++)
    block_clear (&r->blocks[i]);
  g_free (r->blocks);
  g_clear_pointer (&r->pool, clip_attnpool_free);
  g_clear_pointer (&r->out, clip_buffer_unref);
  g_free (r);
}

const char *
clip_resnet_get_gemm_backend (ClipResnet *r)
{
  return clip_linear_get_backend (r->blocks[0].conv3);
}

typedef struct {
  gsize x, qkv, hidden;
} Floats;

/* Of one item. The largest activations are the stem's last and the blocks' outputs of the first stage,
 * W (size/2)^2 all; what is between the convolutions of a stem or block has half of it at most. */
static Floats
item_floats (const ClipResnet *r)
{
  gsize pixels = (gsize) stem_side (r) * stem_side (r), half = pixels * r->width / 2;
  Floats f;
  clip_attnpool_scratch (r->pool, &f.x, &f.qkv);
  f.x = MAX (f.x, 2 * half);
  f.qkv = MAX (f.qkv, half);
  f.hidden = MAX (MAX (half, 27 * pixels), 32 * r->width);
  return f;
}

static guint
items_of_part (const ClipResnet *r, guint n)
{
  Floats f = item_floats (r);
  gsize bytes = (2 * f.x + f.qkv + f.hidden) * sizeof (float);
  return (guint) CLAMP (PART_BYTES / bytes, 1, n);
}

static gboolean
reserve (ClipResnet *r, ClipScratch *s, ClipQueue *queue, guint n, guint part, GError **error)
{
  ClipDevice *device = clip_queue_get_device (queue);
  Floats f = item_floats (r);
  if (n > r->out_size) {
    g_clear_pointer (&r->out, clip_buffer_unref);
    r->out_size = 0;
    r->out = clip_buffer_new (device, (gsize) n * r->embed_dim * sizeof (float), error);
    if (!r->out)
      return FALSE;
    r->out_size = n;
  }
  return clip_scratch_reserve (s, device, part * f.x, part * f.qkv, part * f.hidden, error);
}

/* pixels -> x [n*side*side, W], side = size / 4 */
static gboolean
run_stem (ClipResnet *r, ClipQueue *q, ClipScratch *s, ClipBuffer *pixels, guint first, guint n,
    const ClipTrace *trace, GError **error)
{
  guint w = r->width, side = stem_side (r), rows = n * side * side;
  return clip_op_im2col_pixels (q, pixels, first, n, r->image_size, s->hidden, error)
         && clip_linear_run (
             r->stem[0], q, rows, s->hidden, 0, 27, CLIP_ACTIVATION_RELU, NULL, s->qkv, 0, w / 2, error)
         && clip_trace (trace, q, s->qkv, rows, w / 2, error, "vision.stem.conv1")
         && clip_linear_run_conv3 (
             r->stem[1], q, n, side, side, s->qkv, CLIP_ACTIVATION_RELU, s->hidden, error)
         && clip_trace (trace, q, s->hidden, rows, w / 2, error, "vision.stem.conv2")
         && clip_linear_run_conv3 (
             r->stem[2], q, n, side, side, s->hidden, CLIP_ACTIVATION_RELU, s->norm, error)
         && clip_trace (trace, q, s->norm, rows, w, error, "vision.stem.conv3")
         && clip_op_avgpool (q, s->norm, n, side, side, w, s->x, error)
         && clip_trace (trace, q, s->x, n * (side / 2) * (side / 2), w, error, "vision.stem");
}

/* The bottleneck's way to its last convolution: x -> *mid [n*out*out, channels], out = side / stride */
static gboolean
run_inner (const Bottleneck *b, ClipQueue *q, ClipScratch *s, ClipBuffer *x, guint n, guint side, ClipBuffer **mid,
    GError **error)
{
  guint c = b->channels;
  *mid = b->stride == 2 ? s->qkv : s->hidden;
  return clip_linear_run (
             b->conv1, q, n * side * side, x, 0, b->in, CLIP_ACTIVATION_RELU, NULL, s->qkv, 0, c, error)
         && clip_linear_run_conv3 (
             b->conv2, q, n, side, side, s->qkv, CLIP_ACTIVATION_RELU, s->hidden, error)
         && (b->stride == 1 || clip_op_avgpool (q, s->hidden, n, side, side, c, s->qkv, error));
}

/* x -> y, the shortcut of a block that changes the size */
static gboolean
run_downsample (const Bottleneck *b, ClipQueue *q, ClipScratch *s, ClipBuffer *x, guint n, guint side, ClipBuffer *y,
    GError **error)
{
  guint out = side / b->stride;
  ClipBuffer *from = b->stride == 2 ? s->hidden : x; /* hidden is spent: its pool is in qkv */
  return (b->stride == 1 || clip_op_avgpool (q, x, n, side, side, b->in, from, error))
         && clip_linear_run (b->downsample, q, n * out * out, from, 0, b->in, CLIP_ACTIVATION_NONE, NULL, y,
             0, 4 * b->channels, error);
}

/* *x -> *x, relu (conv3 (mid) + shortcut) where the shortcut stands: in x itself, or in the other buffer */
static gboolean
run_block (const Bottleneck *b, ClipQueue *q, ClipScratch *s, ClipBuffer **x, guint n, guint side, GError **error)
{
  guint out = side / b->stride;
  ClipBuffer *mid, *to = !b->downsample ? *x : *x == s->x ? s->norm : s->x;
  if (!run_inner (b, q, s, *x, n, side, &mid, error)
      || (b->downsample && !run_downsample (b, q, s, *x, n, side, to, error)))
    return FALSE;
  *x = to;
  return clip_linear_run (b->conv3, q, n * out * out, mid, 0, b->channels, CLIP_ACTIVATION_SUM_RELU, to, to, 0,
      4 * b->channels, error);
}

static gboolean
run_blocks (ClipResnet *r, ClipQueue *q, ClipScratch *s, guint n, const ClipTrace *trace, ClipBuffer **x,
    GError **error)
{
  const Bottleneck *b = r->blocks;
  guint side = stem_side (r) / 2;
  *x = s->x;
  for (guint stage = 0; stage < CLIP_RESNET_STAGES; stage++) {
    for (guint i = 0; i < r->stage_blocks[stage]; i++, b++) {
      if (!run_block (b, q, s, x, n, side, error))
        return FALSE;
      side /= b->stride;
      if (!clip_trace (trace, q, *x, n * side * side, 4 * b->channels, error, "vision.layer%u.%u", stage + 1, i))
        return FALSE;
    }
  }
  return TRUE;
}

gboolean
clip_resnet_run (ClipResnet *r, ClipQueue *q, ClipScratch *s, ClipBuffer *pixels, guint n, const ClipTrace *trace,
    ClipBuffer **out, GError **error)
{
  guint part = items_of_part (r, n);
  *out = NULL;
  if (!reserve (r, s, q, n, part, error))
    return FALSE;
  for (guint first = 0; first < n; first += part) {
    guint count = MIN (part, n - first);
    gsize offset = (gsize) first * r->embed_dim;
    ClipBuffer *x;
    if (!run_stem (r, q, s, pixels, first, count, trace, error)
        || !run_blocks (r, q, s, count, trace, &x, error)
        || !clip_attnpool_run (r->pool, q, s, x, count, r->out, offset, error))
      return FALSE;
  }
  *out = r->out;
  return clip_trace (trace, q, r->out, n, r->embed_dim, error, "vision.pooled");
}
