/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "clip-profile.h"

/** ClipProfile: the commands of a queue that is profiled */
typedef struct _ClipProfile ClipProfile;

ClipProfile *clip_profile_new (void);
void clip_profile_free (ClipProfile *profile);
/** clip_profile_set_label: @label: (transfer full) */
void clip_profile_set_label (ClipProfile *profile, double operations, char *label);
/** clip_profile_add: @event: (transfer full) */
void clip_profile_add (ClipProfile *profile, const char *command, cl_event event);
void clip_profile_add_kernel (ClipProfile *profile, cl_kernel kernel, cl_event event);
/** clip_profile_take: as clip_queue_take_profile(); the commands have ended */
GPtrArray *clip_profile_take (ClipProfile *profile, GError **error);
