/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-error.h"

G_DEFINE_QUARK (clip-error-quark, clip_error)
