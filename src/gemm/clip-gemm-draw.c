/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-gemm-draw.h"

#include <math.h>

#define MAX_DRAWS 200000 /* some in ten thousand are valid */
#define MAX_CHANGES 3

struct _ClipGemmDraw {
  ClipDevice *device;
  ClipGemmFamily family;
  GRand *rand;
  GHashTable *given; /* values as text */
};

ClipGemmDraw *
clip_gemm_draw_new (ClipDevice *device)
{
  ClipGemmDraw *draw = g_new0 (ClipGemmDraw, 1);
  draw->device = clip_device_ref (device);
  draw->rand = g_rand_new_with_seed (1);
  draw->given = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  return draw;
}

void
clip_gemm_draw_free (ClipGemmDraw *draw)
{
  g_rand_free (draw->rand);
  g_hash_table_unref (draw->given);
  clip_device_unref (draw->device);
  g_free (draw);
}

void
clip_gemm_draw_begin (ClipGemmDraw *draw, ClipGemmFamily family)
{
  draw->family = family;
  g_hash_table_remove_all (draw->given);
}

static void
draw_value (ClipGemmDraw *draw, ClipGemmSet *set, guint at)
{
  guint count;
  const guint *choices = clip_gemm_family_get_choices (draw->family, at, &count);
  set->values[at] = choices[g_rand_int_range (draw->rand, 0, (gint32) count)];
}

static void
draw_all (ClipGemmDraw *draw, ClipGemmSet *set)
{
  for (guint i = 0; i < clip_gemm_family_get_size (draw->family); i++)
    draw_value (draw, set, i);
}

static void
draw_some (ClipGemmDraw *draw, ClipGemmSet *set)
{
  const gint32 changes = g_rand_int_range (draw->rand, 1, MAX_CHANGES + 1);
  const gint32 size = (gint32) clip_gemm_family_get_size (draw->family);
  for (gint32 i = 0; i < changes; i++)
    draw_value (draw, set, (guint) g_rand_int_range (draw->rand, 0, size));
}

gboolean
clip_gemm_draw_add (ClipGemmDraw *draw, const ClipGemmSet *set)
{
  if (!clip_gemm_set_check (draw->family, set, NULL) || !clip_gemm_set_fits (draw->family, set, draw->device))
    return FALSE;
  GString *key = g_string_new (NULL);
  for (guint i = 0; i < clip_gemm_family_get_size (draw->family); i++)
    g_string_append_printf (key, "%u ", set->values[i]);
  return g_hash_table_add (draw->given, g_string_free (key, FALSE));
}

gboolean
clip_gemm_draw_next (ClipGemmDraw *draw, const ClipGemmSet *near, ClipGemmSet *set)
{
  for (guint i = 0; i < MAX_DRAWS; i++) {
    if (near) {
      *set = *near;
      draw_some (draw, set);
    } else
      draw_all (draw, set);
    if (clip_gemm_draw_add (draw, set))
      return TRUE;
  }
  return FALSE;
}
