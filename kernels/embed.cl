// SPDX-License-Identifier: LGPL-2.1-or-later
// What goes in and out of a transformer.

#include "shared.cl"

// y[(b, py, px)][(c, dy, dx)] = pixels[b][c][py * patch + dy][px * patch + dx]; the row that is shared is a line of a
// patch here. pixels [batch,3,size,size], y [batch*side*side, 3*patch*patch]
__kernel void patches (__global const float *pixels, const int size, const int patch, __global float *y)
{
  const int line = get_global_id (1); // (c, dy)
  const ulong row = get_global_id (2); // (b, py, px)
  const int side = size / patch;
  const int c = line / patch, dy = line % patch;
  const ulong b = row / (side * side);
  const int py = row / side % side, px = row % side;
  __global const float *from = pixels + ((b * 3 + c) * size + py * patch + dy) * size + px * patch;
  __global float *to = y + (row * 3 * patch + line) * patch;
  for (int i = FIRST; i < patch; i += STEP)
    to[i] = from[i];
}

// y[b][t] = (t == 0 ? class_embedding : patches[b][t - 1]) + positions[t]; without a class token t starts at 0
__kernel void embed_image (__global const float *patches, __global const float *class_embedding,
    __global const float *positions, const int n, const int width, const int has_class, __global float *y)
{
  const ulong t = get_global_id (1), b = get_global_id (2);
  const ulong tokens = n + has_class;
  __global const float *from
      = has_class && t == 0 ? class_embedding : patches + (b * n + t - has_class) * width;
  __global const float *position = positions + t * width;
  __global float *to = y + (b * tokens + t) * width;
  for (int i = FIRST; i < width; i += STEP)
    to[i] = from[i] + position[i];
}

// y[b][t] = table[ids[b][t]] + positions[t]
__kernel void embed_text (__global const int *ids, __global const float *table, __global const float *positions,
    const int length, const int width, __global float *y)
{
  const ulong t = get_global_id (1), b = get_global_id (2);
  __global const float *from = table + (ulong) ids[b * length + t] * width;
  __global const float *position = positions + t * width;
  __global float *to = y + (b * length + t) * width;
  for (int i = FIRST; i < width; i += STEP)
    to[i] = from[i] + position[i];
}

// y[r] = x[rows[r]]
__kernel void gather_rows (
    __global const float *x, __global const int *rows, const int width, __global float *y)
{
  const ulong r = get_global_id (1);
  __global const float *from = x + (ulong) rows[r] * width;
  for (int i = FIRST; i < width; i += STEP)
    y[r * width + i] = from[i];
}
