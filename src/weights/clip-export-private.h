/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "weights/clip-export.h"
#include "weights/clip-weights-private.h"

G_BEGIN_DECLS

typedef enum { CLIP_LAYOUT_HF, CLIP_LAYOUT_OPENCLIP } ClipLayout;

/** clip_export_layout: the one that can express the model */
ClipLayout clip_export_layout (const ClipModelConfig *config);
/** clip_export_config: writes the JSON files of the layout */
gboolean clip_export_config (
    const ClipModelConfig *config, ClipLayout layout, const char *directory, ClipDtype dtype, GError **error);

G_END_DECLS
