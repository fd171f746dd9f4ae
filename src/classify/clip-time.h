/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/** CLIP_TIME_NONE: a time in nanoseconds that is not known */
#define CLIP_TIME_NONE G_MAXUINT64
