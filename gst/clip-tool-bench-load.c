/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gst-clip-1.0 bench --load: how long a model takes from its files onto the device, and what memory it leaves. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clip-tool.h"
#include "model/clip-model.h"

#define ROUNDS 5
#define PHASES 5

typedef struct {
  const char *name;
  gsize resident, files; /* files: of it, pages of files, most of them the compiler's code */
} Phase;

typedef struct {
  double cold, warm; /* seconds; the cold one reads the files from the disk */
  double text_step;  /* the longest piece of loading the text encoder: for so long a frame may wait for it */
  gsize packed;      /* bytes of the model's buffers on the device */
  gsize resident;    /* of the whole process with the model, as the kernel counts it */
  gsize peak;        /* of that, through all phases */
  Phase phases[PHASES];
  guint n_phases;
} Load;

/* Returns: a line of /proc/self/status, as "VmRSS", in bytes; 0 where there is none */
static gsize
status_bytes (const char *name)
{
  g_autofree char *text = NULL;
  if (!g_file_get_contents ("/proc/self/status", &text, NULL, NULL))
    return 0;
  const char *line = strstr (text, name);
  return line ? (gsize) g_ascii_strtoull (line + strlen (name) + 1, NULL, 10) * 1024 : 0;
}

static void
note_phase (Load *load, const char *name)
{
  g_return_if_fail (load->n_phases < PHASES);
  const Phase phase = { name, status_bytes ("VmRSS"), status_bytes ("RssFile") };
  load->phases[load->n_phases++] = phase;
  /* the kernel brings its mark up to date now and then only */
  load->peak = MAX (load->peak, MAX (status_bytes ("VmHWM"), phase.resident));
}

static void
forget_file (const char *path)
{
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return;
  posix_fadvise (fd, 0, 0, POSIX_FADV_DONTNEED);
  close (fd);
}

/* The page cache gives up the model's files; a kernel that does not obey makes the cold time a warm one */
static void
forget_files (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;
  if (!dir)
    forget_file (path);
  while (dir && (name = g_dir_read_name (dir))) {
    g_autofree char *file = g_build_filename (path, name, NULL);
    forget_file (file);
  }
}

static gboolean
load_text (ClipModel *model, ClipQueue *queue, double *longest, GError **error)
{
  gboolean more = TRUE;
  *longest = 0;
  while (more) {
    const gint64 start = g_get_monotonic_time ();
    if (!clip_model_load_text_step (model, &more, error) || !clip_queue_finish (queue, error))
      return FALSE;
    *longest = MAX (*longest, (double) (g_get_monotonic_time () - start) / G_USEC_PER_SEC);
  }
  return TRUE;
}

/* (transfer full) (nullable) */
static ClipModel *
load_once (ClipQueue *queue, const char *path, double *elapsed, double *text_step, GError **error)
{
  const gint64 start = g_get_monotonic_time ();
  ClipModel *model = clip_model_load (queue, path, tool_options.precision, error);
  if (model && !load_text (model, queue, text_step, error))
    g_clear_pointer (&model, clip_model_free);
  *elapsed = (double) (g_get_monotonic_time () - start) / G_USEC_PER_SEC;
  return model;
}

static int
compare_doubles (gconstpointer a, gconstpointer b)
{
  const double x = *(const double *) a, y = *(const double *) b;
  return x < y ? -1 : x > y;
}

static gboolean
encode_picture (ClipModel *model, ClipQueue *queue, GError **error)
{
  const ClipModelConfig *config = clip_model_get_config (model);
  const gsize size = (gsize) 3 * config->image_size * config->image_size * sizeof (float);
  g_autofree float *black = g_malloc0 (size), *embedding = g_new (float, config->embed_dim);
  g_autoptr (ClipBuffer) pixels = clip_buffer_new (clip_queue_get_device (queue), size, error);
  return pixels && clip_buffer_write (pixels, queue, 0, black, size, error)
         && clip_model_encode_pixels (model, pixels, 1, embedding, NULL, error);
}

/* The first load is not timed: it builds kernels and may choose the matrix products. Memory is counted after it, before
 * the allocator has anything of an earlier load to give */
static gboolean
measure_memory (ClipQueue *queue, const char *path, Load *load, GError **error)
{
  ClipDevice *device = clip_queue_get_device (queue);
  const gsize buffers = clip_device_get_allocated (device);
  double longest;
  note_phase (load, "device");
  g_autoptr (ClipModel) model = clip_model_load (queue, path, tool_options.precision, error);
  if (!model || !clip_queue_finish (queue, error))
    return FALSE;
  note_phase (load, "image encoder");
  if (!load_text (model, queue, &longest, error))
    return FALSE;
  load->packed = clip_device_get_allocated (device) - buffers;
  note_phase (load, "text encoder");
  load->resident = load->phases[load->n_phases - 1].resident;
  if (!encode_picture (model, queue, error))
    return FALSE;
  note_phase (load, "first picture");
  clip_model_drop_text (model);
  note_phase (load, "text encoder dropped");
  return TRUE;
}

static gboolean
measure (ClipQueue *queue, const char *path, Load *load, GError **error)
{
  double warm[ROUNDS], steps[ROUNDS], step;
  if (!measure_memory (queue, path, load, error))
    return FALSE;
  forget_files (path);
  g_autoptr (ClipModel) model = load_once (queue, path, &load->cold, &step, error);
  if (!model)
    return FALSE;
  for (guint i = 0; i < ROUNDS; i++) {
    g_clear_pointer (&model, clip_model_free);
    model = load_once (queue, path, &warm[i], &steps[i], error);
    if (!model)
      return FALSE;
  }
  qsort (warm, ROUNDS, sizeof *warm, compare_doubles);
  load->warm = warm[ROUNDS / 2];
  qsort (steps, ROUNDS, sizeof *steps, compare_doubles);
  load->text_step = steps[ROUNDS / 2];
  return TRUE;
}

static void
print_phases (const Load *load)
{
  puts ("  resident after");
  for (guint i = 0; i < load->n_phases; i++)
    printf ("    %-21s%8.1f MB, %.1f of it files'\n", load->phases[i].name, (double) load->phases[i].resident / 1e6,
        (double) load->phases[i].files / 1e6);
  printf ("  at most                %8.1f MB, %.2f times the weights\n", (double) load->peak / 1e6,
      (double) load->peak / (double) load->packed);
}

static void
append_phases (GString *out, const Load *load)
{
  g_string_append_printf (out, ",\"peak_bytes\":%" G_GSIZE_FORMAT ",\"phases\":[", load->peak);
  for (guint i = 0; i < load->n_phases; i++)
    g_string_append_printf (out, "%s{\"after\":\"%s\",\"resident_bytes\":%" G_GSIZE_FORMAT ",\"file_bytes\":%" G_GSIZE_FORMAT "}",
        i ? "," : "", load->phases[i].name, load->phases[i].resident, load->phases[i].files);
  g_string_append_c (out, ']');
}

gboolean
tool_bench_load (ClipQueue *queue, const char *path, GError **error)
{
  Load load = { 0 };
  if (!measure (queue, path, &load, error))
    return FALSE;
  if (!tool_options.json) {
    printf ("load %s\n  from disk   %8.3f s\n  from cache  %8.3f s (median of %d)\n"
            "  longest step   %8.3f s of the text encoder\n"
            "  weights on the device  %8.1f MB\n  resident               %8.1f MB, %.2f times the weights\n",
        path, load.cold, load.warm, ROUNDS, load.text_step, (double) load.packed / 1e6, (double) load.resident / 1e6,
        (double) load.resident / (double) load.packed);
    print_phases (&load);
    return TRUE;
  }
  g_autoptr (GString) out = g_string_new ("{\"model\":");
  tool_json_string (out, path);
  g_string_append (out, ",\"cold_seconds\":");
  tool_json_float (out, load.cold);
  g_string_append (out, ",\"warm_seconds\":");
  tool_json_float (out, load.warm);
  g_string_append (out, ",\"text_step_seconds\":");
  tool_json_float (out, load.text_step);
  g_string_append_printf (out,
      ",\"device_bytes\":%" G_GSIZE_FORMAT ",\"resident_bytes\":%" G_GSIZE_FORMAT, load.packed, load.resident);
  append_phases (out, &load);
  puts (g_string_append (out, "}")->str);
  return TRUE;
}
