/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each picture is a function of the place, x and y from 0 to 1, and the channel; its value is from
 * 0 to 1 or cut. */
#include "clip-probe-pictures.h"

#include <math.h>

#define SHAPES 7
#define OCTAVES 5

typedef float (*Paint) (float x, float y, guint channel);

/* 0 to 1, without a pattern */
static float
scatter (guint x, guint y, guint seed)
{
  guint32 h = x * 374761393u + y * 668265263u + seed * 2246822519u;
  h = (h ^ (h >> 13)) * 1274126177u;
  h = (h ^ (h >> 15)) * 2246822519u;
  return (float)((h >> 8) & 0xffff) / 65535.0f;
}

static float
mix (float a, float b, float t)
{
  return a + (b - a) * t * t * (3.0f - 2.0f * t);
}

/* Values on a lattice of @cells a side, smoothly joined */
static float
smooth (float x, float y, guint cells, guint seed)
{
  guint i = (guint)(x * cells), j = (guint)(y * cells);
  float u = x * cells - i, v = y * cells - j;
  return mix (mix (scatter (i, j, seed), scatter (i + 1, j, seed), u),
      mix (scatter (i, j + 1, seed), scatter (i + 1, j + 1, seed), u), v);
}

static float
field (float x, float y, guint channel)
{
  return smooth (x, y, 3, channel);
}

static float
gradient (float x, float y, guint channel)
{
  return channel == 0 ? x : channel == 1 ? y : 1.0f - 0.5f * (x + y);
}

/* Discs and boxes, the later ones in front */
static float
shapes (float x, float y, guint channel)
{
  float value = 0.85f - 0.1f * channel;
  for (guint i = 0; i < SHAPES; i++) {
    float dx = fabsf (x - scatter (i, 0, 11)), dy = fabsf (y - scatter (i, 1, 11));
    float radius = 0.06f + 0.16f * scatter (i, 2, 11);
    if (i % 2 ? MAX (dx, dy) < radius : dx * dx + dy * dy < radius * radius)
      value = scatter (i, channel + 3, 11);
  }
  return value;
}

static float
stripes (float x, float y, guint channel)
{
  float wave = sinf (80.0f * x + (25.0f + 8.0f * channel) * y);
  return 0.5f + (y < 0.5f ? 0.45f * wave : wave > 0.0f ? 0.35f : -0.35f);
}

static float
noise (float x, float y, guint channel)
{
  return scatter ((guint)(x * 4096.0f), (guint)(y * 4096.0f), channel + 21);
}

/* Half the strength for twice the fineness, as in photographs (Field 1987) */
static float
clouds (float x, float y, guint channel)
{
  float sum = 0.0f, strength = 0.5f;
  for (guint i = 0; i < OCTAVES; i++, strength *= 0.5f)
    sum += strength * smooth (x, y, 4u << i, 31 + i + (i > 1 ? 0 : 7 * channel));
  return sum;
}

static float
scene (float x, float y, guint channel)
{
  return shapes (x, y, channel) * (0.3f + 0.9f * clouds (y, x, 0))
         + 0.1f * (noise (x, y, 0) - 0.5f);
}

static float
lamp (float x, float y, guint channel)
{
  float dx = x - 0.3f, dy = y - 0.6f;
  return 0.03f * clouds (x, y, 0) + expf (-60.0f * (dx * dx + dy * dy)) * (1.0f - 0.2f * channel);
}

static const Paint paints[CLIP_PROBE_PICTURES]
    = { field, gradient, shapes, stripes, noise, clouds, scene, lamp };

void
clip_probe_draw (guint index, const ClipPreprocessConfig *config, float *pixels)
{
  const guint size = config->size;
  for (guint channel = 0; channel < 3; channel++) {
    for (guint i = 0; i < size * size; i++) {
      float value = paints[index]((i % size + 0.5f) / size, (i / size + 0.5f) / size, channel);
      *pixels++ = (CLAMP (value, 0.0f, 1.0f) - config->mean[channel]) / config->std[channel];
    }
  }
}
