/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-error.h"

G_DEFINE_QUARK (clip-error-quark, clip_error)

gboolean
clip_model_error (GError **error, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  g_autofree char *message = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error_literal (error, CLIP_ERROR, CLIP_ERROR_MODEL, message);
  return FALSE;
}
