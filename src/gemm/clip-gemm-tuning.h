/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CLBlast's parameters of a device, as `gst-clip-1.0 tune` found and stored them. */
#pragma once

#include "clip-gemm-parameters.h"

G_BEGIN_DECLS

/** ClipGemmTuning: @sets of the families that it @has; CLBlast's own are best for the others */
typedef struct {
  gboolean has[CLIP_GEMM_FAMILIES];
  ClipGemmSet sets[CLIP_GEMM_FAMILIES];
} ClipGemmTuning;

/**
 * clip_gemm_tuning_get_path: (transfer full): of @device's file
 *
 * It lies in the user's data, $XDG_DATA_HOME/gst-clip/tuned, and not in the cache: it took minutes of a user's time,
 * and nothing would find it again. Its name has the device with its driver, and the version of CLBlast.
 */
char *clip_gemm_tuning_get_path (ClipDevice *device);

/**
 * clip_gemm_tuning_load:
 * @digest: (out) (optional) (transfer full): of the file, or ""
 *
 * No file is no error: then @tuning has nothing. A file that is not of this device or version, or has a parameter that
 * is unknown, missing or out of its range, is one: CLIP_ERROR_TUNING, which names it.
 */
gboolean clip_gemm_tuning_load (ClipDevice *device, ClipGemmTuning *tuning, char **digest, GError **error);

/** clip_gemm_tuning_prepare: makes the folder; an error where a file cannot be stored there */
gboolean clip_gemm_tuning_prepare (ClipDevice *device, GError **error);

/** clip_gemm_tuning_save: the file appears complete or not at all. Without any set it is removed */
gboolean clip_gemm_tuning_save (ClipDevice *device, const ClipGemmTuning *tuning, GError **error);

/**
 * clip_gemm_tuning_use:
 *
 * The first call for a device in a process gives CLBlast what is stored, and warns where that cannot be used; then its
 * own parameters stay. Thread-safe.
 *
 * Returns: (transfer none): the stored file's digest, "" where none is used
 */
const char *clip_gemm_tuning_use (ClipDevice *device);

/** clip_gemm_tuning_skip: clip_gemm_tuning_use() will do nothing for @device: for who measures parameters */
void clip_gemm_tuning_skip (ClipDevice *device);

G_END_DECLS
