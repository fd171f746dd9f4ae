// SPDX-License-Identifier: LGPL-2.1-or-later
// C[M,N] = act (A[M,K] * W[N,K]^T + bias[N]) + residual[M,N] for devices whose work-groups share local memory: factors
// of 16 bits, sums in fp32.
//
// A work-group of four warps of 32 work-items computes BM x BN values, each warp a quarter. Steps of K = 32 go through
// two buffers of local memory: while one is multiplied the next comes from global memory into registers. The warp
// works on blocks of 16 x 8 values as the tensor cores do (PTX ISA, mma.m16n8k16, "Matrix Fragments"): with
// g = lane / 4 and t = lane % 4, a work-item owns of each block the rows g and g + 8 in the columns 2 t and 2 t + 1.
// The instruction wants of A and W the values 2 t, 2 t + 1, 2 t + 8 and 2 t + 9 of K, but a sum does not mind the order:
// here they are 8 t .. 8 t + 3, and the next instruction's 8 t + 4 .. 8 t + 7, so that a work-item reads 16 bytes at
// once, and eight neighbours read 128 in a row: no two on the same bank.
//
// W lies as w[K / 32][N up to a multiple of 128][32], zeros beyond N and K; bias as long.
// Options: -DBM, -DBN, multiples of 32; -DBF16=0|1; -DHOW: how blocks are multiplied:
#define PORTABLE 0 // in OpenCL C
#define TENSOR 1   // by NVIDIA's tensor cores, compute capability 8.0 and up
#define EMULATED 2 // the same fragments, multiplied as the PTX ISA says: for tests
// -DA: what A is:
#define PACKED 0 // 16 bits, dense, K a multiple of 8
#define VECTORS 1 // fp32, offset, stride and K multiples of 4
#define FLOATS 2
// -DC_PACKED=0|1: C is written as the next product's packed A; -DSPLIT=0|1: nothing but sums over a part of K are
// written, [part, M, N up to a multiple of 128], which gemm_half_sum puts together.
#define ITEMS 128
#define STEP 32
#define WM (BM / 2)
#define WN (BN / 2)
#define MI (WM / 16)
#define NI (WN / 8)
#define A_CHUNKS (BM * 4 / ITEMS) // of 8 values, that a work-item carries
#define W_CHUNKS (BN * 4 / ITEMS)
#define PAD 128

typedef float2 vec;
typedef int2 ivec;
#define AS_VEC as_float2
#define AS_INT as_int2
#include "gemm-activate.cl"

#if HOW == EMULATED
#define UNROLL // each block has barriers
#define REGISTERS 6 // of a work-item that others read, behind the tile
#define EXTRA (ITEMS * REGISTERS / 4)
#else
#define UNROLL _Pragma ("unroll")
#define EXTRA 0
#endif

// Two values rounded to 16 bits, to the nearest, ties to even
static uint round_pair (const float2 x)
{
  uint bits;
#if HOW == TENSOR && BF16
  __asm__ ("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(x.y), "f"(x.x));
#elif HOW == TENSOR
  __asm__ ("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(x.y), "f"(x.x));
#elif BF16
  const uint2 u = as_uint2 (x), rounded = (u + 0x7fffu + (u >> 16 & 1u)) >> 16;
  const uint2 v = select (rounded, u >> 16 | 64u, (u & 0x7fffffffu) > 0x7f800000u);
  bits = v.x | v.y << 16;
#else
  vstore_half2_rte (x, 0, (half *) &bits);
#endif
  return bits;
}

#if HOW != TENSOR
static float2 widen_pair (const uint bits)
{
#if BF16
  return as_float2 ((uint2) (bits << 16, bits & 0xffff0000u));
#else
  return vload_half2 (0, (const half *) &bits);
#endif
}
#endif

// Where the inputs are, and what part of them this work-group takes
typedef struct {
  uint m, k, columns; // columns of W with its padding
  uint row, column;   // first of the tile
  __global const char *a;
  ulong lda; // in values
  __global const uint4 *w;
} Input;

// What is on its way from global to local memory
typedef struct {
#if A == PACKED
  uint4 a[A_CHUNKS];
#else
  float8 a[A_CHUNKS];
#endif
  uint4 w[W_CHUNKS];
} Stage;

#if A == PACKED
static uint4 fetch_a (const Input *in, const uint row, const uint k)
{
  return k < in->k ? *(__global const uint4 *) (in->a + 2 * (row * in->lda + k)) : (uint4) 0u;
}

static uint4 round_a (const uint4 x)
{
  return x;
}
#else
static float8 fetch_a (const Input *in, const uint row, const uint k)
{
  __global const float *from = (__global const float *) in->a + row * in->lda + k;
  float8 x = 0.0f;
#if A == VECTORS
  if (k < in->k)
    x.lo = *(__global const float4 *) from;
  if (k + 4 < in->k)
    x.hi = *(__global const float4 *) (from + 4);
#else
  x.s0 = k < in->k ? from[0] : 0.0f;
  x.s1 = k + 1 < in->k ? from[1] : 0.0f;
  x.s2 = k + 2 < in->k ? from[2] : 0.0f;
  x.s3 = k + 3 < in->k ? from[3] : 0.0f;
  x.s4 = k + 4 < in->k ? from[4] : 0.0f;
  x.s5 = k + 5 < in->k ? from[5] : 0.0f;
  x.s6 = k + 6 < in->k ? from[6] : 0.0f;
  x.s7 = k + 7 < in->k ? from[7] : 0.0f;
#endif
  return x;
}

static uint4 round_a (const float8 x)
{
  return (uint4) (round_pair (x.s01), round_pair (x.s23), round_pair (x.s45), round_pair (x.s67));
}
#endif

// Rows past the last one repeat it: what comes of them is not stored.
static void fetch (const Input *in, const uint step, Stage *stage)
{
  const uint item = get_local_id (0);
  __global const uint4 *w = in->w + ((ulong) step * in->columns + in->column) * (STEP / 8);
  _Pragma ("unroll") for (int i = 0; i < A_CHUNKS; i++) {
    const uint chunk = item + i * ITEMS;
    stage->a[i] = fetch_a (in, min (in->row + chunk / 4, in->m - 1), step * STEP + chunk % 4 * 8);
  }
  _Pragma ("unroll") for (int i = 0; i < W_CHUNKS; i++)
    stage->w[i] = w[item + i * ITEMS];
}

static void put (const Stage *stage, __local uint4 *tile)
{
  const uint item = get_local_id (0);
  _Pragma ("unroll") for (int i = 0; i < A_CHUNKS; i++)
    tile[item + i * ITEMS] = round_a (stage->a[i]);
  _Pragma ("unroll") for (int i = 0; i < W_CHUNKS; i++)
    tile[BM * 4 + item + i * ITEMS] = stage->w[i];
}

// The first row or column of this work-item's warp in the tile, and its place in a block
#define WARP (get_local_id (0) / 32)
#define WARP_ROW (WARP / 2 * WM)
#define WARP_COLUMN (WARP % 2 * WN)
#define G (get_local_id (0) % 32 / 4)
#define T (get_local_id (0) % 4)

#if HOW == TENSOR
#if BF16
#define MMA "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"
#else
#define MMA "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32"
#endif
// a block's c += a w: of A rows g and g + 8, low and high columns; of W the same of column g
#define MULTIPLY_BLOCK(c, a0, a1, a2, a3, w0, w1, tile) \
  __asm__ volatile (MMA " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};" \
                    : "+f"((c)[0]), "+f"((c)[1]), "+f"((c)[2]), "+f"((c)[3]) \
                    : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(w0), "r"(w1))
#elif HOW == EMULATED
#define MULTIPLY_BLOCK multiply_block
static void multiply_block (float *c, const uint a0, const uint a1, const uint a2, const uint a3, const uint w0,
    const uint w1, __local uint4 *tile)
{
  __local uint *exchange = (__local uint *) (tile + (BM + BN) * 4);
  __local uint *own = exchange + get_local_id (0) * REGISTERS, *warp = exchange + WARP * 32 * REGISTERS;
  barrier (CLK_LOCAL_MEM_FENCE);
  own[0] = a0, own[1] = a1, own[2] = a2, own[3] = a3, own[4] = w0, own[5] = w1;
  barrier (CLK_LOCAL_MEM_FENCE);
  for (uint i = 0; i < 4; i++) {
    const uint row = G + i / 2 * 8, column = 2 * T + i % 2;
    for (uint k = 0; k < 16; k += 2) {
      // A[row][k]: of lane (row % 8, k % 8 / 2), register 2 (k / 8) + row / 8. W[k][column]: of lane
      // (column, k % 8 / 2), register k / 8
      const float2 a = widen_pair (warp[(row % 8 * 4 + k % 8 / 2) * REGISTERS + 2 * (k / 8) + row / 8]);
      const float2 w = widen_pair (warp[(column * 4 + k % 8 / 2) * REGISTERS + 4 + k / 8]);
      c[i] = fma (a.x, w.x, fma (a.y, w.y, c[i]));
    }
  }
}
#endif

#if HOW == PORTABLE
typedef struct {
  float2 x, y, z, w;
} Eight;

static Eight widen (const uint4 bits)
{
  const Eight e = { widen_pair (bits.x), widen_pair (bits.y), widen_pair (bits.z), widen_pair (bits.w) };
  return e;
}

static void add_product (float *c, const Eight *a, const Eight *w)
{
  *c = fma (a->x.x, w->x.x, *c);
  *c = fma (a->x.y, w->x.y, *c);
  *c = fma (a->y.x, w->y.x, *c);
  *c = fma (a->y.y, w->y.y, *c);
  *c = fma (a->z.x, w->z.x, *c);
  *c = fma (a->z.y, w->z.y, *c);
  *c = fma (a->w.x, w->w.x, *c);
  *c = fma (a->w.y, w->w.y, *c);
}

static void multiply (__local uint4 *tile, float *c)
{
  __local const uint4 *a = tile + (WARP_ROW + G) * 4, *w = tile + (BM + WARP_COLUMN + 2 * T) * 4;
  for (int chunk = 0; chunk < 4; chunk++) {
    Eight rows[2 * MI];
    _Pragma ("unroll") for (int i = 0; i < 2 * MI; i++)
      rows[i] = widen (a[i * 8 * 4 + chunk]);
    _Pragma ("unroll") for (int j = 0; j < 2 * NI; j++) {
      const Eight column = widen (w[(j / 2 * 8 + j % 2) * 4 + chunk]);
      _Pragma ("unroll") for (int i = 0; i < 2 * MI; i++)
        add_product (c + ((i / 2 * NI + j / 2) * 4 + i % 2 * 2 + j % 2), &rows[i], &column);
    }
  }
}
#else
static void multiply (__local uint4 *tile, float *c)
{
  __local const uint4 *a = tile + (WARP_ROW + G) * 4 + T, *w = tile + (BM + WARP_COLUMN + G) * 4 + T;
  uint4 rows[2 * MI];
  _Pragma ("unroll") for (int i = 0; i < 2 * MI; i++)
    rows[i] = a[i * 8 * 4];
  UNROLL for (int j = 0; j < NI; j++) {
    const uint4 column = w[j * 8 * 4];
    UNROLL for (int i = 0; i < MI; i++)
      MULTIPLY_BLOCK (c + (i * NI + j) * 4, rows[2 * i].x, rows[2 * i + 1].x, rows[2 * i].y, rows[2 * i + 1].y,
          column.x, column.y, tile);
    UNROLL for (int i = 0; i < MI; i++)
      MULTIPLY_BLOCK (c + (i * NI + j) * 4, rows[2 * i].z, rows[2 * i + 1].z, rows[2 * i].w, rows[2 * i + 1].w,
          column.z, column.w, tile);
  }
}
#endif

// What comes after the sums
typedef struct {
  uint m, n;
  __global const float *bias;
  int activation, add;
  __global const float *residual; // may be c
  __global float *c;
  ulong ldc;
} End;

// C[row][column] and its neighbour; `column` is even
static void finish (const End *end, const uint row, const uint column, const float2 sum)
{
  const ulong at = row * end->ldc + column;
  const int two = column + 1 < end->n;
  float2 x = activate (sum + *(__global const float2 *) (end->bias + column), end->activation);
#if C_PACKED
  ((__global uint *) end->c)[at / 2] = round_pair (x);
#else
  if (end->add) {
    x.x += end->residual[at];
    x.y += two ? end->residual[at + 1] : 0.0f;
  }
  if (end->activation == 5) // comes after the residual
    x = select (x, (float2) 0.0f, x < 0.0f);
  end->c[at] = x.x;
  if (two)
    end->c[at + 1] = x.y;
#endif
}

// Sixteen rows of each warp at a time go through local memory, so that neighbours store side by side, and the end of
// a value is in the code once a block of rows and not once a value.
#define PITCH (WN + 8) // no two rows of a block on the same bank
static void store (const End *end, const uint columns, const uint row, const uint column, const float *c,
    __local float *memory)
{
  __local float *own = memory + WARP * 16 * PITCH;
  _Pragma ("unroll") for (int i = 0; i < MI; i++) {
    barrier (CLK_LOCAL_MEM_FENCE);
    _Pragma ("unroll") for (int j = 0; j < 2 * NI; j++) {
      __local float *to = own + (j % 2 * 8 + G) * PITCH + j / 2 * 8 + 2 * T;
      to[0] = c[(i * NI + j / 2) * 4 + j % 2 * 2];
      to[1] = c[(i * NI + j / 2) * 4 + j % 2 * 2 + 1];
    }
    barrier (CLK_LOCAL_MEM_FENCE);
    for (uint p = get_local_id (0) % 32; p < 16 * WN / 2; p += 32) {
      const uint r = row + WARP_ROW + i * 16 + p / (WN / 2), n = p % (WN / 2) * 2;
      const float2 sum = vload2 (0, own + p / (WN / 2) * PITCH + n);
      if (r < end->m && column + WARP_COLUMN + n < end->n) {
#if SPLIT
        *(__global float2 *) (end->c + ((ulong) get_group_id (2) * end->m + r) * columns + column + WARP_COLUMN + n) = sum;
#else
        finish (end, r, column + WARP_COLUMN + n, sum);
#endif
      }
    }
  }
}

// Work-groups: [tiles of M, tiles of N, parts of K, each of `per_part` steps]
__kernel __attribute__ ((reqd_work_group_size (ITEMS, 1, 1))) void gemm_half (const uint m, const uint n, const uint k,
    const uint per_part, __global const char *a, const ulong a_offset, const uint lda, __global const uint4 *w,
    __global const float *bias, const int activation, const int add, __global const float *residual,
    __global float *c, const ulong c_offset, const uint ldc)
{
  __local uint4 tiles[2][(BM + BN) * 4 + EXTRA];
  const uint columns = (n + PAD - 1) / PAD * PAD, first = get_group_id (2) * per_part;
  const uint steps = min (per_part, (k + STEP - 1) / STEP - first);
  const Input in = { m, k, columns, get_group_id (0) * BM, get_group_id (1) * BN,
    a + a_offset * (A == PACKED ? 2 : 4), lda, w };
  const End end = { m, n, bias, activation, add, residual + c_offset, c + c_offset, ldc };
  float sums[MI * NI * 4];
  Stage stage;
  _Pragma ("unroll") for (int i = 0; i < MI * NI * 4; i++)
    sums[i] = 0.0f;
  fetch (&in, first, &stage);
  put (&stage, tiles[0]);
  barrier (CLK_LOCAL_MEM_FENCE);
  for (uint step = 0; step < steps; step++) {
    if (step + 1 < steps)
      fetch (&in, first + step + 1, &stage);
    multiply (tiles[step % 2], sums);
    if (step + 1 < steps)
      put (&stage, tiles[(step + 1) % 2]);
    barrier (CLK_LOCAL_MEM_FENCE);
  }
  store (&end, columns, in.row, in.column, sums, (__local float *) tiles);
}

// The sum over `parts` of what gemm_half wrote with -DSPLIT=1. A work-item is two neighbours of a row.
__kernel void gemm_half_sum (const uint m, const uint n, const uint parts, __global const float *sums,
    const ulong sums_offset, __global const float *bias, const int activation, const int add,
    __global const float *residual, __global float *c, const ulong c_offset, const uint ldc)
{
  const uint column = 2 * get_global_id (0), row = get_global_id (1), columns = (n + PAD - 1) / PAD * PAD;
  const End end = { m, n, bias, activation, add, residual + c_offset, c + c_offset, ldc };
  float2 sum = 0.0f;
  for (uint part = 0; part < parts; part++)
    sum += *(__global const float2 *) (sums + sums_offset + ((ulong) part * m + row) * columns + column);
  finish (&end, row, column, sum);
}
