/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What torch.save and torch.jit.save write: a zip archive of a pickle and of raw storages. Untrusted input. */
#pragma once

#include "weights/clip-tensor-file.h"

G_BEGIN_DECLS

/** clip_torch_detect_file: whether a regular file begins as a zip archive or a pickle does */
gboolean clip_torch_detect_file (const char *path);

/**
 * clip_torch_open:
 *
 * Maps the file; each tensor of the state dictionary, or of the TorchScript module, gets its dotted name. The dictionary
 * may stand under "state_dict", and its names may all begin with "module.", as training programs leave them.
 * Files of torch before 1.6 are an error.
 */
ClipTensorFile *clip_torch_open (const char *path, GError **error);

/** clip_torch_parse: the same of bytes in memory, which must outlive the result; @name is for messages */
ClipTensorFile *clip_torch_parse (const guint8 *data, gsize length, const char *name, GError **error);

G_END_DECLS
