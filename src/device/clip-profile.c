/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-profile-private.h"

#include <stdarg.h>

typedef struct {
  ClipProfileRow *row;
  cl_event event;
} Command;

struct _ClipProfile {
  GPtrArray *rows;   /* ClipProfileRow */
  GArray *commands;  /* Command */
  char *label;       /* of the kernels to come */
  double operations; /* of the next one */
  gboolean is_begun; /* the label has had its first command: the others belong to the same call */
};

void
clip_profile_row_free (ClipProfileRow *row)
{
  g_free (row->kernel);
  g_free (row->label);
  g_free (row);
}

static void
command_clear (gpointer command)
{
  clReleaseEvent (((Command *) command)->event);
}

static GPtrArray *
new_rows (void)
{
  return g_ptr_array_new_with_free_func ((GDestroyNotify) clip_profile_row_free);
}

ClipProfile *
clip_profile_new (void)
{
  ClipProfile *profile = g_new0 (ClipProfile, 1);
  profile->rows = new_rows ();
  profile->commands = g_array_new (FALSE, FALSE, sizeof (Command));
  g_array_set_clear_func (profile->commands, command_clear);
  profile->label = g_strdup ("");
  return profile;
}

void
clip_profile_free (ClipProfile *profile)
{
  g_array_unref (profile->commands);
  g_ptr_array_unref (profile->rows);
  g_free (profile->label);
  g_free (profile);
}

void
clip_profile_set_label (ClipProfile *profile, double operations, char *label)
{
  g_free (profile->label);
  profile->label = label;
  profile->operations = operations;
  profile->is_begun = FALSE;
}

static ClipProfileRow *
find_row (ClipProfile *profile, const char *kernel)
{
  for (guint i = 0; i < profile->rows->len; i++) {
    ClipProfileRow *row = profile->rows->pdata[i];
    if (g_str_equal (row->kernel, kernel) && g_str_equal (row->label, profile->label))
      return row;
  }
  ClipProfileRow *row = g_new0 (ClipProfileRow, 1);
  row->kernel = g_strdup (kernel);
  row->label = g_strdup (profile->label);
  g_ptr_array_add (profile->rows, row);
  return row;
}

void
clip_profile_add (ClipProfile *profile, const char *command, cl_event event)
{
  ClipProfileRow *row = find_row (profile, command);
  const Command added = { row, event };
  row->count += !profile->is_begun;
  row->operations += profile->operations;
  profile->operations = 0;
  profile->is_begun = profile->label[0] != '\0';
  g_array_append_val (profile->commands, added);
}

void
clip_profile_add_kernel (ClipProfile *profile, cl_kernel kernel, cl_event event)
{
  char name[64] = "?";
  clGetKernelInfo (kernel, CL_KERNEL_FUNCTION_NAME, sizeof name, name, NULL);
  clip_profile_add (profile, name, event);
}

GPtrArray *
clip_profile_take (ClipProfile *profile, GError **error)
{
  cl_int code = CL_SUCCESS;
  for (guint i = 0; i < profile->commands->len && code == CL_SUCCESS; i++) {
    const Command *command = &g_array_index (profile->commands, Command, i);
    cl_ulong start = 0, end = 0;
    code = clGetEventProfilingInfo (command->event, CL_PROFILING_COMMAND_START, sizeof start, &start, NULL);
    if (code == CL_SUCCESS)
      code = clGetEventProfilingInfo (command->event, CL_PROFILING_COMMAND_END, sizeof end, &end, NULL);
    command->row->nanoseconds += end > start ? end - start : 0;
  }
  g_array_set_size (profile->commands, 0);
  g_autoptr (GPtrArray) rows = g_steal_pointer (&profile->rows);
  profile->rows = new_rows ();
  if (code == CL_SUCCESS)
    return g_steal_pointer (&rows);
  clip_cl_error (error, code, "reading the times of the commands");
  return NULL;
}
