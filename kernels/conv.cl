// SPDX-License-Identifier: LGPL-2.1-or-later
// What surrounds the products of a ModifiedResNet (openai/CLIP model.py). Activations are [batch,height,width,
// channels], so that a 1x1 convolution is a product of [pixels,channels] as they lie.

#include "shared.cl"

// y[(b, oy, ox)][(c, dy, dx)] = pixels[b][c][2 oy + dy - 1][2 ox + dx - 1], 0 beyond the border.
// pixels [items,3,size,size], y [batch*side*side, 27]. A work-item is an output row.
__kernel void im2col_pixels (
    __global const float *pixels, const int first, const int size, __global float *y)
{
  const int ox = get_global_id (0), line = get_global_id (1); // (b, oy)
  const int side = get_global_size (0);
  const int b = line / side, oy = line - b * side;
  __global const float *from = pixels + (ulong) (first + b) * 3 * size * size;
  __global float *to = y + ((ulong) line * side + ox) * 27;
  for (int c = 0; c < 3; c++, from += (ulong) size * size) {
    for (int dy = 0; dy < 3; dy++) {
      const int iy = 2 * oy + dy - 1;
      for (int dx = 0; dx < 3; dx++) {
        const int ix = 2 * ox + dx - 1;
        const int inside = iy >= 0 && iy < size && ix >= 0 && ix < size;
        *to++ = inside ? from[(ulong) iy * size + ix] : 0.0f;
      }
    }
  }
}

// y[r][(dy, dx, c)] = x at the pixel first + r, moved by (dy - 1, dx - 1), 0 beyond the border of its item.
// x [batch,height,width,channels], y [rows, 9*channels]. The channels of one tap are a row that is shared.
__kernel void im2col (__global const float *x, const int height, const int width, const int channels,
    const ulong first, __global float *y)
{
  const int tap = get_global_id (1), dy = tap / 3 - 1, dx = tap % 3 - 1;
  const ulong row = get_global_id (2), pixel = first + row;
  const int px = pixel % width + dx, py = pixel / width % height + dy;
  const int inside = py >= 0 && py < height && px >= 0 && px < width;
  __global const float *from = x + (long) (pixel + (long) dy * width + dx) * channels;
  __global float *to = y + (row * 9 + tap) * channels;
  for (int c = FIRST; c < channels; c += STEP)
    to[c] = inside ? from[c] : 0.0f;
}

// y[b][oy][ox][c] = mean of x[b][2 oy .. 2 oy + 1][2 ox .. 2 ox + 1][c]. The
// channels of an output pixel are a row that is shared.
__kernel void avgpool (__global const float *restrict x, const int height, const int width,
    const int channels, __global float *restrict y)
{
  const int ox = get_global_id (1), line = get_global_id (2), lines = height / 2; // (b, oy)
  const ulong b = line / lines, oy = line % lines, stride = (ulong) width * channels;
  __global const float *a = x + (b * height + 2 * oy) * stride + 2 * (ulong) ox * channels;
  __global float *to = y + ((ulong) line * get_global_size (1) + ox) * channels;
  for (int c = FIRST; c < channels; c += STEP)
    to[c] = 0.25f * (a[c] + a[c + channels] + a[c + stride] + a[c + stride + channels]);
}
