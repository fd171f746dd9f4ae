// SPDX-License-Identifier: LGPL-2.1-or-later
// Video frame -> 8-bit RGB resampled as Pillow up to 12 does -> normalised planes.
//
//   preprocess_rows    frame -> lines[CHANNELS][rows][pitch]: conversion to RGB, horizontal pass
//   preprocess_tensor  lines -> float dst[3][size][size]: vertical pass, table look-up
//   preprocess_rgb     lines -> uchar rgb[size][size][3]: vertical pass
//
// Both passes: out = clip8 ((2^21 + sum w[t] * in[first + t]) >> 22), w in units of 2^-22.
// All arithmetic is integer, so every device gives the same bits.
//
// A work-group makes one row (or a part of it, where local memory is short); its work-items share
// the row converted to planar bytes in local memory. Loops step by the local size, which may be 1.
// Reads may pass the end of a row by up to 15 pixels: the host leaves slack behind the last one.
//
// Options: CHANNELS 1 (gray), 3, or 4 (premultiplied RGBA); a pixel of packed RGB, or the luma, is a
// little-endian word of PIXEL_BYTES with components at bit R_AT, G_AT, B_AT, A_AT, or Y_AT;
// CHROMA_BYTES (only YUV): the distance of two chroma samples, at bit U_AT and V_AT of such a word;
// SUB_X 1 where chroma has half the width. VEC: taps of the horizontal pass taken at a time.

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_ (a, b)

// 16 bytes as ints: component AT of the words I, I + 1, ... of N bytes from P
#define LOAD16_1(p, i, at) convert_int16 (vload16 (0, (p) + (i)))
#define LOAD16_2(p, i, at) \
  convert_int16 ((vload16 (0, (__global const ushort *) (p) + (i)) >> (ushort) (at)) & (ushort) 255)
#define LOAD16_4(p, i, at) as_int16 ((vload16 (0, (__global const uint *) (p) + (i)) >> (uint) (at)) & 255u)
#define BYTE3(p, i, at, k) (p)[3 * ((i) + (k)) + (at) / 8]
#define LOAD16_3(p, i, at) \
  (int16) (BYTE3 (p, i, at, 0), BYTE3 (p, i, at, 1), BYTE3 (p, i, at, 2), BYTE3 (p, i, at, 3), \
      BYTE3 (p, i, at, 4), BYTE3 (p, i, at, 5), BYTE3 (p, i, at, 6), BYTE3 (p, i, at, 7), \
      BYTE3 (p, i, at, 8), BYTE3 (p, i, at, 9), BYTE3 (p, i, at, 10), BYTE3 (p, i, at, 11), \
      BYTE3 (p, i, at, 12), BYTE3 (p, i, at, 13), BYTE3 (p, i, at, 14), BYTE3 (p, i, at, 15))

// one byte at bit AT of the word at P + I
#define BYTE(p, i, at) (p)[(i) + (at) / 8]
#define EDGE 16 // so that vectors of a line are aligned

#define OUTPUTS 4
#define WEIGHT_BITS 22
#define COLOR_BITS 21

// the host's RowParams
typedef struct {
  int x0, x_end, y0, pitch; // columns and first row of the uploaded part of the frame, bytes a row
  int u_offset, v_offset, chroma_pitch, chroma_x0, chroma_y0; // the same of chroma
  int chroma_width, chroma_height; // of the whole frame
  int sub_y, top_y, left_x;
  int y_scale, y_bias, r_v, g_u, g_v, b_u; // units of 2^-21; chroma in 1/16
  int first_row, rows, lines_pitch, left, width, taps, chunk; // columns left .. left + width - 1 are made
  int row_pitch, chroma_line; // of the local arrays
} RowParams;

#ifdef CHROMA_BYTES
// Chroma of frame row Y, in quarters: column FROM + i at line[EDGE + i], for i = -1 .. TO - FROM + 1;
// edges repeat.
static void chroma_rows (__global const uchar *frame, const RowParams p, const int y, const int from,
    const int to, __local short *line)
{
  int near = y, far = y, near_part = 4, far_part = 0;
  if (p.sub_y) {
    near = y >> 1;
    far = clamp ((y & 1) || p.top_y ? near + (y & 1) : near - 1, 0, p.chroma_height - 1);
    near_part = p.top_y ? 2 : 3;
    far_part = 4 - near_part;
  }
  const int count = min (to + 1, p.chroma_width - 1) - from + 1, before = from > 0 ? -1 : 0;
  const size_t a = (size_t) (near - p.chroma_y0) * p.chroma_pitch + (from - p.chroma_x0) * CHROMA_BYTES;
  const size_t b = (size_t) (far - p.chroma_y0) * p.chroma_pitch + (from - p.chroma_x0) * CHROMA_BYTES;
  __global const uchar *u = frame + p.u_offset, *v = frame + p.v_offset;
  __local short *to_u = line + EDGE, *to_v = to_u + p.chroma_line;
  for (int i = 16 * (int) get_local_id (0); i < count; i += 16 * (int) get_local_size (0)) {
    *(__local short16 *) (to_u + i) = convert_short16 (JOIN (LOAD16_, CHROMA_BYTES) (u + a, i, U_AT) * near_part
                                                       + JOIN (LOAD16_, CHROMA_BYTES) (u + b, i, U_AT) * far_part);
    *(__local short16 *) (to_v + i) = convert_short16 (JOIN (LOAD16_, CHROMA_BYTES) (v + a, i, V_AT) * near_part
                                                       + JOIN (LOAD16_, CHROMA_BYTES) (v + b, i, V_AT) * far_part);
  }
  barrier (CLK_LOCAL_MEM_FENCE);
  if (get_local_id (0) == 0) {
    const int at = before * CHROMA_BYTES, last = to - from;
    to_u[-1] = BYTE (u + a, at, U_AT) * near_part + BYTE (u + b, at, U_AT) * far_part;
    to_v[-1] = BYTE (v + a, at, V_AT) * near_part + BYTE (v + b, at, V_AT) * far_part;
    if (to == p.chroma_width - 1) {
      to_u[last + 1] = to_u[last];
      to_v[last + 1] = to_v[last];
    }
  }
  barrier (CLK_LOCAL_MEM_FENCE);
}

// 16 samples, in sixteenths around zero, for the pixels X .. X + 15 of a line that begins at an even pixel
static int16 chroma_at (__local const short *line, const int x, const int left_x)
{
#if SUB_X
  const short8 left = vload8 (0, line + EDGE + x / 2 - 1), near = vload8 (0, line + EDGE + x / 2),
               right = vload8 (0, line + EDGE + x / 2 + 1);
  const short8 even = left_x ? near * (short) 4 : near * (short) 3 + left;
  const short8 odd = left_x ? near * (short) 2 + right * (short) 2 : near * (short) 3 + right;
  short16 both;
  both.even = even;
  both.odd = odd;
  return convert_int16 (both) - 2048;
#else
  return convert_int16 (vload16 (0, line + EDGE + x)) * 4 - 2048;
#endif
}
#endif

#if CHANNELS == 4
// Pillow's MULDIV255
static int16 premultiply (const int16 value, const int16 alpha)
{
  const int16 t = value * alpha + 128;
  return ((t >> 8) + t) >> 8;
}
#endif

static uchar16 to_byte (const int16 v)
{
  return convert_uchar16 (clamp (v, 0, 255));
}

// Pixels FROM .. FROM + COUNT - 1 (frame columns) of one row, to planar bytes.
static void convert_row (__global const uchar *frame, const RowParams p, const int y, const int from,
    const int count, __local uchar *row, __local short *chroma)
{
  __global const uchar *pixels
      = frame + (size_t) (y - p.y0) * p.pitch + (size_t) (from - p.x0) * PIXEL_BYTES;
#ifdef CHROMA_BYTES
  chroma_rows (frame, p, y, from >> SUB_X, (from + count - 1) >> SUB_X, chroma);
#endif
  for (int x = 16 * (int) get_local_id (0); x < count; x += 16 * (int) get_local_size (0)) {
#ifdef Y_AT
    const int16 luma = JOIN (LOAD16_, PIXEL_BYTES) (pixels, x, Y_AT) * p.y_scale + p.y_bias;
#ifdef CHROMA_BYTES
    const int16 u = chroma_at (chroma, x, p.left_x), v = chroma_at (chroma + p.chroma_line, x, p.left_x);
    *(__local uchar16 *) (row + x) = to_byte ((luma + v * p.r_v) >> COLOR_BITS);
    *(__local uchar16 *) (row + p.row_pitch + x) = to_byte ((luma + u * p.g_u + v * p.g_v) >> COLOR_BITS);
    *(__local uchar16 *) (row + 2 * p.row_pitch + x) = to_byte ((luma + u * p.b_u) >> COLOR_BITS);
#else
    *(__local uchar16 *) (row + x) = to_byte (luma >> COLOR_BITS);
#endif
#else
    int16 r = JOIN (LOAD16_, PIXEL_BYTES) (pixels, x, R_AT);
    int16 g = JOIN (LOAD16_, PIXEL_BYTES) (pixels, x, G_AT);
    int16 b = JOIN (LOAD16_, PIXEL_BYTES) (pixels, x, B_AT);
#if CHANNELS == 4
    const int16 a = JOIN (LOAD16_, PIXEL_BYTES) (pixels, x, A_AT);
    r = premultiply (r, a);
    g = premultiply (g, a);
    b = premultiply (b, a);
    *(__local uchar16 *) (row + 3 * p.row_pitch + x) = convert_uchar16 (a);
#endif
    *(__local uchar16 *) (row + x) = convert_uchar16 (r);
    *(__local uchar16 *) (row + p.row_pitch + x) = convert_uchar16 (g);
    *(__local uchar16 *) (row + 2 * p.row_pitch + x) = convert_uchar16 (b);
#endif
  }
  barrier (CLK_LOCAL_MEM_FENCE);
}

#define INT JOIN (int, VEC)
#define VLOAD JOIN (vload, VEC)
#define CONVERT JOIN (convert_int, VEC)
#if VEC == 4
#define SUM4(v) (v)
#elif VEC == 8
#define SUM4(v) ((v).lo + (v).hi)
#else
#define SUM4(v) ((v).lo.lo + (v).lo.hi + (v).hi.lo + (v).hi.hi)
#endif

// the sums of four neighbouring outputs, all of each vector's parts added up
static int4 weighted4 (__local const uchar *in, __global const int *first, __global const int *weights, const int taps)
{
  __local const uchar *in0 = in + first[0], *in1 = in + first[1], *in2 = in + first[2], *in3 = in + first[3];
  INT sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
  for (int t = 0; t < taps; t += VEC) {
    sum0 += VLOAD (0, weights + t) * CONVERT (VLOAD (0, in0 + t));
    sum1 += VLOAD (0, weights + taps + t) * CONVERT (VLOAD (0, in1 + t));
    sum2 += VLOAD (0, weights + 2 * taps + t) * CONVERT (VLOAD (0, in2 + t));
    sum3 += VLOAD (0, weights + 3 * taps + t) * CONVERT (VLOAD (0, in3 + t));
  }
  const int4 a = SUM4 (sum0), b = SUM4 (sum1), c = SUM4 (sum2), d = SUM4 (sum3);
  const int4 ab = (int4) (a.s0, b.s0, a.s1, b.s1) + (int4) (a.s2, b.s2, a.s3, b.s3);
  const int4 cd = (int4) (c.s0, d.s0, c.s1, d.s1) + (int4) (c.s2, d.s2, c.s3, d.s3);
  return (int4) (ab.lo, cd.lo) + (int4) (ab.hi, cd.hi);
}

// global (rows * local size, chunks); coefficients: first[width], then weights[width][taps],
// width and chunk multiples of OUTPUTS, which a work-item makes at a time (the host adds columns that
// nobody reads); taps a multiple of VEC, filled up with zero weights
__kernel void preprocess_rows (__global const uchar *restrict frame, __global const int *restrict first,
    __global const int *restrict weights, __global uchar *restrict lines, const RowParams p,
    __local uchar16 *row16, __local short16 *chroma)
{
  __local uchar *row = (__local uchar *) row16; // declared as vectors for their alignment
  const int line = (int) get_group_id (0), begin = (int) get_group_id (1) * p.chunk;
  const int end = min (begin + p.chunk, p.width);
  // of an even column, for chroma; first[] grows, the weights end within the frame or are zero
  const int from = first[begin] & ~1;
  const int count = min (first[end - 1] + p.taps, p.x_end) - from;
  convert_row (frame, p, p.first_row + line, from, count, row, (__local short *) chroma);
  for (int x = begin + OUTPUTS * (int) get_local_id (0); x < end; x += OUTPUTS * (int) get_local_size (0)) {
    for (int c = 0; c < CHANNELS; c++) {
      const int4 sum = weighted4 (row + c * p.row_pitch - from, first + x, weights + (size_t) x * p.taps, p.taps);
      __global uchar *out = lines + ((size_t) c * p.rows + line) * p.lines_pitch + p.left + x;
      *(__global uchar4 *) out = convert_uchar4 (clamp ((sum + (1 << (WEIGHT_BITS - 1))) >> WEIGHT_BITS, 0, 255));
    }
  }
}

// the host's ColumnParams
typedef struct {
  int size, left, top, width, height; // the picture lies at left, top of size x size; the rest is black
  int first_row, rows, lines_pitch, lines_left, taps;
} ColumnParams;

// 16 pixels of plane C at column X of LINES, vertical pass for output row Y
static int16 column16 (__global const uchar *lines, __global const int *first, __global const int *weights,
    const ColumnParams p, const int c, const int y, const int x)
{
  __global const uchar *in
      = lines + ((size_t) c * p.rows + (first[y] - p.first_row)) * p.lines_pitch + p.lines_left - p.left + x;
  __global const int *w = weights + (size_t) y * p.taps;
  // taps behind the last row have weight zero
  const int taps = min (p.taps, p.first_row + p.rows - first[y]);
  int16 sum = 1 << (WEIGHT_BITS - 1);
  for (int t = 0; t < taps; t++)
    sum += w[t] * convert_int16 (vload16 (0, in + (size_t) t * p.lines_pitch));
  return clamp (sum >> WEIGHT_BITS, 0, 255);
}

#if CHANNELS == 4
// Pillow's RGBa -> RGBA: clip8 (255 * value / alpha), as integers; the half keeps the quotient of
// floats off the integers, so that an inexact division truncates the same
static int16 unpremultiply (const int16 value, const int16 alpha)
{
  const int16 divided
      = min (convert_int16 ((convert_float16 (value * 255) + 0.5f) / convert_float16 (max (alpha, 1))), 255);
  return select (divided, value, alpha == 0 || alpha == 255);
}
#endif

// RGB of the 16 pixels at X, Y of the output
static void pixels16 (__global const uchar *lines, __global const int *first, __global const int *weights,
    const ColumnParams p, const int x, const int y, int16 *rgb)
{
  const int row = y - p.top;
  rgb[0] = rgb[1] = rgb[2] = 0;
  if (row < 0 || row >= p.height)
    return;
  rgb[0] = column16 (lines, first, weights, p, 0, row, x);
#if CHANNELS == 1
  rgb[1] = rgb[2] = rgb[0];
#else
  rgb[1] = column16 (lines, first, weights, p, 1, row, x);
  rgb[2] = column16 (lines, first, weights, p, 2, row, x);
#endif
#if CHANNELS == 4
  const int16 alpha = column16 (lines, first, weights, p, 3, row, x);
  for (int c = 0; c < 3; c++)
    rgb[c] = unpremultiply (rgb[c], alpha);
#endif
  const int16 column = x + (int16) (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  for (int c = 0; c < 3; c++)
    rgb[c] &= column >= p.left && column < p.left + p.width;
}

// global (ceil (size / 16), size); table[3][256] holds (i / 255 - mean) / std, made by the host
// so that no device's division or fused multiply-add shows
__kernel void preprocess_tensor (__global const uchar *restrict lines, __global const int *restrict first,
    __global const int *restrict weights, __global const float *restrict table, __global float *restrict dst,
    const ColumnParams p, const int item)
{
  const int x = 16 * (int) get_global_id (0), y = (int) get_global_id (1);
  const int count = min (16, p.size - x);
  int16 rgb[3];
  pixels16 (lines, first, weights, p, x, y, rgb);
  for (int c = 0; c < 3; c++) {
    __global float *out = dst + (((size_t) item * 3 + c) * p.size + y) * p.size + x;
    int values[16];
    vstore16 (rgb[c], 0, values);
    for (int i = 0; i < count; i++)
      out[i] = table[256 * c + values[i]];
  }
}

__kernel void preprocess_rgb (__global const uchar *restrict lines, __global const int *restrict first,
    __global const int *restrict weights, __global uchar *restrict dst, const ColumnParams p)
{
  const int x = 16 * (int) get_global_id (0), y = (int) get_global_id (1);
  const int count = min (16, p.size - x);
  int16 rgb[3];
  pixels16 (lines, first, weights, p, x, y, rgb);
  for (int c = 0; c < 3; c++) {
    int values[16];
    vstore16 (rgb[c], 0, values);
    for (int i = 0; i < count; i++)
      dst[((size_t) y * p.size + x + i) * 3 + c] = (uchar) values[i];
  }
}
