/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parameters of CLBlast's products that can be tuned. */
#pragma once

#include "device/clip-device.h"

G_BEGIN_DECLS

/** ClipGemmFamily: what CLBlast tunes on its own */
typedef enum {
  CLIP_GEMM_XGEMM,   /* the kernel of large products, of whole tiles */
  CLIP_GEMM_DIRECT,  /* that of small ones, of any shape */
  CLIP_GEMM_ROUTINE, /* which of them: XGEMM_MIN_INDIRECT_SIZE: a product is large from M N K = its cube on */
  CLIP_GEMM_FAMILIES
} ClipGemmFamily;

#define CLIP_GEMM_MAX_PARAMETERS 16
#define CLIP_GEMM_MAX_THRESHOLD 16384

/** ClipGemmSet: the value of each parameter of a family, in the order of its names */
typedef struct {
  guint values[CLIP_GEMM_MAX_PARAMETERS];
} ClipGemmSet;

/** clip_gemm_family_get_name: as CLBlast calls it: "Xgemm", "XgemmDirect", "GemmRoutine" */
const char *clip_gemm_family_get_name (ClipGemmFamily family);
guint clip_gemm_family_get_size (ClipGemmFamily family);
/** clip_gemm_family_get_parameter: the name of the parameter at @index */
const char *clip_gemm_family_get_parameter (ClipGemmFamily family, guint index);
/** clip_gemm_family_get_choices: (array length=count) (transfer none): the values that it may have; NULL for ROUTINE's */
const guint *clip_gemm_family_get_choices (ClipGemmFamily family, guint index, guint *count);

/**
 * clip_gemm_set_check: whether CLBlast's kernels are right with @set
 *
 * Each value must be one that its parameter may have, and together they must cut the tiles into whole vectors and
 * work-items, as CLBlast's tuner demands (src/tuning/kernels/xgemm.hpp and xgemm_direct.hpp there).
 */
gboolean clip_gemm_set_check (ClipGemmFamily family, const ClipGemmSet *set, GError **error);

/** clip_gemm_set_fits: whether @device has the work-items, the local memory and, by a guess, the registers */
gboolean clip_gemm_set_fits (ClipGemmFamily family, const ClipGemmSet *set, ClipDevice *device);

/** clip_gemm_set_apply: makes CLBlast use @set for products in fp32 on @device, from now on and in this process */
gboolean clip_gemm_set_apply (ClipGemmFamily family, const ClipGemmSet *set, ClipDevice *device, GError **error);

G_END_DECLS
