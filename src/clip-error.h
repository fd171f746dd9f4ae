/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * ClipError:
 * @CLIP_ERROR_NO_DEVICE: no OpenCL platform, or no device that fits the selector
 * @CLIP_ERROR_DEVICE: an OpenCL call failed, out of device memory included
 * @CLIP_ERROR_MODEL: weights or configuration are missing, broken or disagree
 * @CLIP_ERROR_TOKENIZER: vocabulary files are missing or broken
 * @CLIP_ERROR_PROMPT: a prompt, template or prompts file cannot be used
 * @CLIP_ERROR_IMAGE: a frame's format or size cannot be used
 * @CLIP_ERROR_INDEX: a store of what was seen cannot be read or written
 * @CLIP_ERROR_AWAY: a broker takes nothing now
 * @CLIP_ERROR_REFUSED: a broker or a disk takes nothing until somebody changes a setting, a permission, or makes room
 * @CLIP_ERROR_MESSAGE: a message can never be sent
 * @CLIP_ERROR_TUNING: parameters of the matrix products cannot be read, used or stored
 */
typedef enum {
  CLIP_ERROR_NO_DEVICE,
  CLIP_ERROR_DEVICE,
  CLIP_ERROR_MODEL,
  CLIP_ERROR_TOKENIZER,
  CLIP_ERROR_PROMPT,
  CLIP_ERROR_IMAGE,
  CLIP_ERROR_INDEX,
  CLIP_ERROR_AWAY,
  CLIP_ERROR_REFUSED,
  CLIP_ERROR_MESSAGE,
  CLIP_ERROR_TUNING,
} ClipError;

#define CLIP_ERROR (clip_error_quark ())
GQuark clip_error_quark (void);

/** clip_model_error: sets CLIP_ERROR_MODEL with a message. Returns: FALSE */
gboolean clip_model_error (GError **error, const char *format, ...) G_GNUC_PRINTF (2, 3);

G_END_DECLS
