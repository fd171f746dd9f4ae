/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How CLBlast wants the matrices.
 *
 * For a small product CLBlast takes its "direct" kernel, which reads any layout. For others it has two kernels (GEMMK),
 * which read matrices of whole tiles, dense and in one order alone; a matrix that is not so is copied, padded and
 * transposed at every call, and the result copied back (its Xgemm routine, NoTempBuffer). For C = A W^T with PyTorch's
 * W[N,K] kernel 0 would copy all three. Hence W lies in memory as [K,N], padded to whole tiles, and
 *  - kernel 0 computes C^T = W A^T in column-major order ("swapped"): W and C are as it wants them, and A is transposed.
 *    That cannot be avoided as A is the result of another operation; kernels/gemm-arrange.cl does it;
 *  - kernel 1 computes C = A W in row-major order: all three are as it wants them.
 * Where M or K is not a multiple of a tile, A is padded on the way, and the product goes to memory of whole tiles, from
 * where the epilogue takes it. CLBlast then enqueues one kernel, always.
 *
 * Which kernel and which tiles, CLBlast tells nobody; but it says how much temporary memory a product needs (half a
 * microsecond), and that is none exactly where nothing is copied. So it is asked. */
#include "clip-gemm-clblast-private.h"
#include "clip-gemm-parameters.h"
#include "device/clip-profile.h"

/* a product of that size is larger than CLIP_GEMM_MAX_THRESHOLD, so it never takes the direct kernel; a multiple of any
 * tile */
#define LARGE (1u << 15)
#define MAX_TILE 1024
#define TILE 16 /* of kernels/gemm-arrange.cl */

gboolean
clip_clblast_is_bare (const ClipClblastLayout *layout, ClipQueue *queue, const ClipClblastProduct *p)
{
  cl_command_queue cl = clip_queue_get_cl (queue);
  CLBlastTranspose transpose = p->a_transposed ? CLBlastTransposeYes : CLBlastTransposeNo;
  gsize bytes = 0;
  CLBlastStatusCode code = layout->swapped
      ? CLBlastSGemmTempBufferSize (CLBlastLayoutColMajor, CLBlastTransposeNo, transpose, p->n, p->m, p->k, 0, p->ldw,
          p->a_offset, p->lda, p->c_offset, p->ldc, &cl, &bytes)
      : CLBlastSGemmTempBufferSize (CLBlastLayoutRowMajor, transpose, CLBlastTransposeNo, p->m, p->n, p->k, p->a_offset,
          p->lda, 0, p->ldw, p->c_offset, p->ldc, &cl, &bytes);
  return code == CLBlastSuccess && bytes == 0;
}

/* a dense product in the very layout */
static gboolean
is_ideal (const ClipClblastLayout *layout, ClipQueue *queue, guint m, guint n, guint k)
{
  const ClipClblastProduct product = { .m = m, .n = n, .k = k, .lda = layout->swapped ? m : k,
    .a_transposed = layout->swapped, .ldw = n, .ldc = n };
  return clip_clblast_is_bare (layout, queue, &product);
}

/* The tile divides LARGE and LARGE + tile, and none of smaller powers of two that are added */
static guint
find_tile (const ClipClblastLayout *layout, ClipQueue *queue, guint is_m, guint is_n, guint is_k)
{
  guint tile = 1;
  while (tile < MAX_TILE && !is_ideal (layout, queue, LARGE + is_m * tile, LARGE + is_n * tile, LARGE + is_k * tile))
    tile *= 2;
  return tile;
}

void
clip_clblast_find_layout (ClipQueue *queue, ClipClblastLayout *layout)
{
  *layout = (ClipClblastLayout){ FALSE, 1, 1, 1 };
  if (!is_ideal (layout, queue, LARGE, LARGE, LARGE)) {
    layout->swapped = TRUE;
    if (!is_ideal (layout, queue, LARGE, LARGE, LARGE))
      return; /* tiles of no power of two: CLBlast pads */
  }
  layout->tile_m = find_tile (layout, queue, 1, 0, 0);
  layout->tile_n = find_tile (layout, queue, 0, 1, 0);
  layout->tile_k = find_tile (layout, queue, 0, 0, 1);
}

/* With an offset A is always copied, but for the direct kernel */
guint
clip_clblast_find_threshold (ClipQueue *queue)
{
  const ClipClblastLayout layout = { FALSE, 1, 1, 1 };
  guint below = 0, threshold = CLIP_GEMM_MAX_THRESHOLD;
  while (threshold - below > 1) {
    const guint middle = (below + threshold) / 2;
    const ClipClblastProduct product = { .m = middle, .n = middle, .k = middle, .a_offset = 1, .lda = middle,
      .ldw = middle, .ldc = middle };
    *(clip_clblast_is_bare (&layout, queue, &product) ? &below : &threshold) = middle;
  }
  return threshold;
}

gboolean
clip_clblast_multiply (
    const ClipClblastLayout *layout, ClipQueue *queue, const ClipClblastProduct *p, GError **error)
{
  cl_command_queue cl = clip_queue_get_cl (queue);
  CLBlastTranspose transpose = p->a_transposed ? CLBlastTransposeYes : CLBlastTransposeNo;
  cl_mem a = clip_buffer_get_mem (p->a), w = clip_buffer_get_mem (p->w), c = clip_buffer_get_mem (p->c);
  cl_event event = NULL, *wanted = clip_queue_is_profiled (queue) ? &event : NULL;
  CLBlastStatusCode code = layout->swapped
      ? CLBlastSgemm (CLBlastLayoutColMajor, CLBlastTransposeNo, transpose, p->n, p->m, p->k, 1.0f, w, 0, p->ldw, a,
          p->a_offset, p->lda, 0.0f, c, p->c_offset, p->ldc, &cl, wanted)
      : CLBlastSgemm (CLBlastLayoutRowMajor, transpose, CLBlastTransposeNo, p->m, p->n, p->k, 1.0f, a, p->a_offset,
          p->lda, w, 0, p->ldw, 0.0f, c, p->c_offset, p->ldc, &cl, wanted);
  if (event)
    clip_queue_add_event (queue, "clblast", event);
  if (code == CLBlastSuccess)
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_DEVICE,
      "CLBlast failed with status %d on [%u,%u] x [%u,%u]; GST_CLIP_GEMM=panel avoids it", code, p->m, p->k, p->k, p->n);
  return FALSE;
}

gboolean
clip_clblast_arrange (const ClipClblastLayout *layout, ClipQueue *queue, ClipClblastProduct *p, guint m, guint k,
    ClipBuffer *to, GError **error)
{
  cl_kernel kernel = clip_queue_get_kernel (
      queue, "gemm-arrange", layout->swapped ? "arrange_columns" : "arrange_rows", NULL, error);
  if (!kernel)
    return FALSE;
  cl_ulong a_offset = p->a_offset;
  cl_uint lda = p->lda, rows = p->m, columns = p->k, mp = m, kp = k;
  const gsize global[2] = { clip_clblast_round_up (k, TILE), clip_clblast_round_up (m, TILE) }, local[2] = { TILE, TILE };
  if (!clip_kernel_set_args (kernel, error, CLIP_ARG_BUFFER (p->a), CLIP_ARG (a_offset), CLIP_ARG (lda), CLIP_ARG (rows),
          CLIP_ARG (columns), CLIP_ARG_BUFFER (to), CLIP_ARG (mp), CLIP_ARG (kp), CLIP_ARGS_END)
      || !clip_queue_run (queue, kernel, 2, global, local, error))
    return FALSE;
  p->a = to;
  p->a_offset = 0;
  p->a_transposed = layout->swapped;
  p->lda = layout->swapped ? m : k;
  p->m = m;
  p->k = k;
  return TRUE;
}
