/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The preprocessor: copies what the crop needs of a frame, runs kernels/preprocess.cl. */
#include "clip-image-private.h"
#include "device/clip-profile.h"

#include <string.h>

#define OUTPUTS 4 /* as in the kernels: columns that a work-item makes at a time */
#define EDGE 16 /* as in the kernels */
#define SLACK 256 /* kernels read vectors of pixels past the end of a row */
#define LOCAL_CPU (256 * 1024)
#define LOCAL_GPU (32 * 1024) /* leaves room for several work-groups on a compute unit */

/* RowParams of kernels/preprocess.cl */
typedef struct {
  cl_int x0, x_end, y0, pitch;
  cl_int u_offset, v_offset, chroma_pitch, chroma_x0, chroma_y0, chroma_width, chroma_height;
  cl_int sub_y, top_y, left_x;
  ClipColor color;
  cl_int first_row, rows, lines_pitch, left, width, taps, chunk;
  cl_int row_pitch, chroma_line;
} RowParams;

/* ColumnParams of kernels/preprocess.cl */
typedef struct {
  cl_int size, left, top, width, height;
  cl_int first_row, rows, lines_pitch, lines_left, taps;
} ColumnParams;

struct _ClipPreprocessor {
  ClipQueue *queue;
  ClipPreprocessConfig config;
  ClipBuffer *table; /* float [3][256]: normalised values */
  /* of the last crop */
  ClipRect crop;
  guint vec;
  ClipGeometry geometry;
  ClipAxis x, y;
  ClipBuffer *x_first, *x_weights, *y_first, *y_weights;
  /* grown on demand */
  ClipBuffer *frame, *lines, *rgb;
};

/* (x / 255 - mean) / std in single precision, rounded after each step, as torch does it */
static gboolean
upload_table (ClipPreprocessor *self, GError **error)
{
  float table[3][256];
  for (guint c = 0; c < 3; c++) {
    for (guint i = 0; i < 256; i++) {
      float x = (float) i / 255.0f;
      table[c][i] = (x - self->config.mean[c]) / self->config.std[c];
    }
  }
  self->table = clip_buffer_new (clip_queue_get_device (self->queue), sizeof table, error);
  return self->table && clip_buffer_write (self->table, self->queue, 0, table, sizeof table, error);
}

static gboolean
config_is_valid (const ClipPreprocessConfig *config, GError **error)
{
  gboolean valid = config->size >= 1 && config->size <= 8192;
  for (guint c = 0; c < 3; c++)
    valid = valid && config->std[c] > 0;
  if (!valid)
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
        "preprocessing: size %u, std %g %g %g; expected a size of 1 to 8192 and a positive std",
        config->size, config->std[0], config->std[1], config->std[2]);
  return valid;
}

ClipPreprocessor *
clip_preprocessor_new (ClipQueue *queue, const ClipPreprocessConfig *config, GError **error)
{
  if (!config_is_valid (config, error))
    return NULL;
  g_autoptr (ClipPreprocessor) self = g_new0 (ClipPreprocessor, 1);
  self->queue = clip_queue_ref (queue);
  self->config = *config;
  return upload_table (self, error) ? g_steal_pointer (&self) : NULL;
}

void
clip_preprocessor_free (ClipPreprocessor *self)
{
  clip_axis_clear (&self->x);
  clip_axis_clear (&self->y);
  ClipBuffer *buffers[] = { self->table, self->x_first, self->x_weights, self->y_first, self->y_weights,
    self->frame, self->lines, self->rgb };
  for (guint i = 0; i < G_N_ELEMENTS (buffers); i++)
    g_clear_pointer (&buffers[i], clip_buffer_unref);
  clip_queue_unref (self->queue);
  g_free (self);
}

static gboolean
grow (ClipPreprocessor *self, ClipBuffer **buffer, gsize size, GError **error)
{
  if (*buffer && clip_buffer_get_size (*buffer) >= size)
    return TRUE;
  g_clear_pointer (buffer, clip_buffer_unref);
  *buffer = clip_buffer_new (clip_queue_get_device (self->queue), size, error);
  return *buffer != NULL;
}

static gboolean
upload_axis (ClipPreprocessor *self, const ClipAxis *axis, ClipBuffer **first, ClipBuffer **weights,
    GError **error)
{
  gsize first_size = axis->count * sizeof (gint), weights_size = first_size * axis->taps;
  return grow (self, first, first_size, error) && grow (self, weights, weights_size, error)
      && clip_buffer_write (*first, self->queue, 0, axis->first, first_size, error)
      && clip_buffer_write (*weights, self->queue, 0, axis->weights, weights_size, error);
}

/* taps that the horizontal pass takes at a time: so many that few are zeros to fill up the last vector */
static guint
vector_of_taps (const ClipPreprocessor *self, guint width)
{
  double support = self->config.filter == CLIP_FILTER_BICUBIC ? 2.0 : 1.0;
  if (width <= self->geometry.width)
    return 4;
  guint taps = (guint) (2 * support * width / self->geometry.width) + 1;
  return (taps - 1) % 16 < 8 ? 8 : 16;
}

/* The filter sees the crop alone, the kernels the frame's coordinates */
static void
shift (ClipAxis *axis, guint origin)
{
  for (guint i = 0; i < axis->count; i++)
    axis->first[i] += (gint) origin;
  axis->from += origin;
  axis->to += origin;
}

static gboolean
set_crop (ClipPreprocessor *self, const ClipRect *crop, GError **error)
{
  if (memcmp (crop, &self->crop, sizeof *crop) == 0)
    return TRUE;
  ClipGeometry *g = &self->geometry;
  self->crop = (ClipRect){ 0 };
  clip_axis_clear (&self->x);
  clip_axis_clear (&self->y);
  clip_geometry_init (g, &self->config, crop->width, crop->height);
  self->vec = vector_of_taps (self, crop->width);
  clip_axis_init (
      &self->x, self->config.filter, crop->width, g->width, g->crop_x, g->out_width, OUTPUTS, self->vec);
  clip_axis_init (&self->y, self->config.filter, crop->height, g->height, g->crop_y, g->out_height, 1, 1);
  shift (&self->x, crop->x);
  shift (&self->y, crop->y);
  if (!upload_axis (self, &self->x, &self->x_first, &self->x_weights, error)
      || !upload_axis (self, &self->y, &self->y_first, &self->y_weights, error))
    return FALSE;
  self->crop = *crop;
  return TRUE;
}

static gboolean
upload_part (
    ClipPreprocessor *self, const ClipFrame *frame, const ClipPart *part, gboolean wait, GError **error)
{
  const gsize host_origin[] = { part->x_bytes, part->y, 0 }, origin[] = { part->offset, 0, 0 },
              region[] = { part->bytes, part->rows, 1 };
  gsize stride = frame->strides[part->plane];
  cl_event event = NULL;
  cl_int code = clEnqueueWriteBufferRect (clip_queue_get_cl (self->queue), clip_buffer_get_mem (self->frame),
      wait, origin, host_origin, region, part->pitch, 0, stride, 0, frame->planes[part->plane], 0, NULL,
      clip_queue_is_profiled (self->queue) ? &event : NULL);
  if (event)
    clip_queue_add_event (self->queue, "upload", event);
  return code == CL_SUCCESS || clip_cl_error (error, code, "copying a frame to the device");
}

/* Returns when the frame's memory is free again; the queue is in order, so the last copy tells */
static gboolean
upload (ClipPreprocessor *self, const ClipFrame *frame, const ClipPart *parts, guint count, gsize size,
    GError **error)
{
  if (!grow (self, &self->frame, size + SLACK, error))
    return FALSE;
  for (guint i = 0; i < count; i++) {
    if (!upload_part (self, frame, &parts[i], i + 1 == count, error)) {
      clip_queue_finish (self->queue, NULL);
      return FALSE;
    }
  }
  return TRUE;
}

static void
set_chroma (RowParams *p, const ClipFrame *frame, const ClipFormatInfo *info, const ClipPart *parts)
{
  const ClipPart *u = &parts[info->u_plane], *v = &parts[info->v_plane];
  p->u_offset = (cl_int) u->offset;
  p->v_offset = (cl_int) v->offset;
  p->chroma_pitch = (cl_int) u->pitch;
  p->chroma_x0 = (cl_int) (u->plane == 0 ? u->x / 2 : u->x);
  p->chroma_y0 = (cl_int) u->y;
  p->chroma_width = (cl_int) ((frame->width + info->sub_x) >> info->sub_x);
  p->chroma_height = (cl_int) ((frame->height + info->sub_y) >> info->sub_y);
  p->sub_y = (cl_int) info->sub_y;
  p->left_x = (frame->chroma_site & CLIP_CHROMA_LEFT_X) != 0;
  p->top_y = (frame->chroma_site & CLIP_CHROMA_TOP_Y) != 0;
}

/* bytes of local memory for a row's planar pixels, and for its two lines of chroma */
static gsize
local_bytes (ClipPreprocessor *self, const ClipFormatInfo *info, guint channels, RowParams *p)
{
  gint longest = 0;
  for (guint begin = 0; begin < self->x.count; begin += (guint) p->chunk) {
    guint last = MIN (begin + (guint) p->chunk, self->x.count) - 1;
    longest = MAX (longest, self->x.first[last] + p->taps - (self->x.first[begin] & ~1));
  }
  p->row_pitch = (longest + 15) & ~15;
  p->chroma_line = info->chroma_bytes ? ((p->row_pitch >> info->sub_x) + 2 * EDGE + 15) & ~15 : 0;
  return (gsize) p->row_pitch * channels + (gsize) p->chroma_line * 2 * sizeof (cl_short);
}

/* Splits a row until its part fits local memory */
static gboolean
choose_chunk (
    ClipPreprocessor *self, const ClipFormatInfo *info, guint channels, RowParams *p, GError **error)
{
  ClipDevice *device = clip_queue_get_device (self->queue);
  cl_ulong available = 0;
  clGetDeviceInfo (clip_device_get_id (device), CL_DEVICE_LOCAL_MEM_SIZE, sizeof available, &available, NULL);
  gsize wanted = MIN (available, clip_device_is_cpu (device) ? LOCAL_CPU : LOCAL_GPU);
  p->chunk = (cl_int) self->x.count;
  gsize bytes = local_bytes (self, info, channels, p);
  while (bytes > wanted && p->chunk > OUTPUTS) {
    p->chunk = (p->chunk / 2 + OUTPUTS - 1) & ~(OUTPUTS - 1);
    bytes = local_bytes (self, info, channels, p);
  }
  if (bytes <= available)
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_IMAGE,
      "frame: reducing %u pixels to %u needs %" G_GSIZE_FORMAT " bytes of local memory, %s has %" G_GUINT64_FORMAT
      "; scale it before", self->crop.width, self->geometry.width, bytes, clip_device_get_name (device),
      (guint64) available);
  return FALSE;
}

static cl_kernel
get_kernel (ClipPreprocessor *self, const ClipFormatInfo *info, guint channels, const char *name, GError **error)
{
  g_autofree char *options
      = g_strdup_printf ("-DCHANNELS=%u -DVEC=%u %s", channels, self->vec, info->options);
  return clip_queue_get_kernel (self->queue, "preprocess", name, options, error);
}

static gboolean
run_rows (ClipPreprocessor *self, const ClipFormatInfo *info, guint channels, RowParams *p, GError **error)
{
  cl_kernel kernel = get_kernel (self, info, channels, "preprocess_rows", error);
  if (!kernel || !choose_chunk (self, info, channels, p, error)
      || !grow (self, &self->lines, (gsize) channels * p->rows * p->lines_pitch + SLACK, error))
    return FALSE;
  gsize row_bytes = (gsize) p->row_pitch * channels;
  gsize chroma_bytes = MAX (1, (gsize) p->chroma_line * 2) * sizeof (cl_short);
  gsize items = clip_device_is_cpu (clip_queue_get_device (self->queue)) ? 1 : 64;
  const gsize local[] = { items, 1 };
  const gsize global[] = { (gsize) p->rows * items, (gsize) ((p->width + p->chunk - 1) / p->chunk) };
  return clip_kernel_set_args (kernel, error, CLIP_ARG_BUFFER (self->frame), CLIP_ARG_BUFFER (self->x_first),
             CLIP_ARG_BUFFER (self->x_weights), CLIP_ARG_BUFFER (self->lines), CLIP_ARG (*p), row_bytes, NULL,
             chroma_bytes, NULL, CLIP_ARGS_END)
      && clip_queue_run (self->queue, kernel, 2, global, local, error);
}

static RowParams
row_params (ClipPreprocessor *self, const ClipFrame *frame, const ClipFormatInfo *info, const ClipPart *parts)
{
  RowParams p = {
    .x0 = (cl_int) parts[0].x,
    .x_end = (cl_int) self->x.to,
    .y0 = (cl_int) parts[0].y,
    .pitch = (cl_int) parts[0].pitch,
    .first_row = (cl_int) self->y.from,
    .rows = (cl_int) (self->y.to - self->y.from),
    .lines_pitch = (cl_int) ((self->geometry.left + self->config.size + 2 * OUTPUTS + 15) & ~15u),
    .left = (cl_int) ((self->geometry.left + OUTPUTS - 1) & ~(OUTPUTS - 1u)),
    .width = (cl_int) self->x.count,
    .taps = (cl_int) self->x.taps,
  };
  if (info->chroma_bytes)
    set_chroma (&p, frame, info, parts);
  if (info->chroma_bytes || info->gray)
    clip_color_init (&p.color, frame);
  return p;
}

static ColumnParams
column_params (ClipPreprocessor *self, const RowParams *rows)
{
  const ClipGeometry *g = &self->geometry;
  return (ColumnParams){ (cl_int) self->config.size, (cl_int) g->left, (cl_int) g->top, (cl_int) g->out_width,
    (cl_int) g->out_height, rows->first_row, rows->rows, rows->lines_pitch, rows->left, (cl_int) self->y.taps };
}

static guint
count_channels (ClipPreprocessor *self, const ClipFrame *frame, const ClipFormatInfo *info)
{
  if (info->gray)
    return 1;
  /* Pillow premultiplies only where it resamples */
  gboolean resampled
      = self->geometry.width != self->crop.width || self->geometry.height != self->crop.height;
  return info->alpha && frame->use_alpha && resampled ? 4 : 3;
}

/* Runs the second pass: @rgb, or else item @index of @dst */
static gboolean
run_columns (ClipPreprocessor *self, cl_kernel kernel, const ColumnParams *p, ClipBuffer *dst, ClipBuffer *rgb,
    guint index, GError **error)
{
  const gsize global[] = { (gsize) (p->size + 15) / 16, (gsize) p->size };
  const gsize one_row[] = { global[0], 1 };
  /* a CPU takes a row at a time; elsewhere the driver knows better */
  const gsize *local = clip_device_is_cpu (clip_queue_get_device (self->queue)) ? one_row : NULL;
  cl_int item = (cl_int) index;
  gboolean set;
  if (rgb)
    set = clip_kernel_set_args (kernel, error, CLIP_ARG_BUFFER (self->lines), CLIP_ARG_BUFFER (self->y_first),
        CLIP_ARG_BUFFER (self->y_weights), CLIP_ARG_BUFFER (rgb), CLIP_ARG (*p), CLIP_ARGS_END);
  else
    set = clip_kernel_set_args (kernel, error, CLIP_ARG_BUFFER (self->lines), CLIP_ARG_BUFFER (self->y_first),
        CLIP_ARG_BUFFER (self->y_weights), CLIP_ARG_BUFFER (self->table), CLIP_ARG_BUFFER (dst), CLIP_ARG (*p),
        CLIP_ARG (item), CLIP_ARGS_END);
  return set && clip_queue_run (self->queue, kernel, 2, global, local, error);
}

static gboolean
process (ClipPreprocessor *self, const ClipFrame *frame, ClipBuffer *dst, ClipBuffer *rgb, guint index,
    GError **error)
{
  const ClipFormatInfo *info = clip_frame_check (frame, error);
  const ClipRect all = { 0, 0, frame->width, frame->height };
  if (!info || !set_crop (self, frame->crop.width ? &frame->crop : &all, error))
    return FALSE;
  ClipPart parts[3];
  gsize size;
  guint count
      = clip_frame_parts (frame, info, self->x.from, self->x.to, self->y.from, self->y.to, parts, &size);
  guint channels = count_channels (self, frame, info);
  RowParams rows = row_params (self, frame, info, parts);
  ColumnParams columns = column_params (self, &rows);
  cl_kernel kernel
      = get_kernel (self, info, channels, rgb ? "preprocess_rgb" : "preprocess_tensor", error);
  return kernel && upload (self, frame, parts, count, size, error)
      && run_rows (self, info, channels, &rows, error)
      && run_columns (self, kernel, &columns, dst, rgb, index, error);
}

gboolean
clip_preprocessor_run (
    ClipPreprocessor *self, const ClipFrame *frame, ClipBuffer *dst, guint index, GError **error)
{
  gsize item = (gsize) 3 * self->config.size * self->config.size * sizeof (float);
  g_return_val_if_fail (clip_buffer_get_size (dst) / item > index, FALSE);
  return process (self, frame, dst, NULL, index, error);
}

gboolean
clip_preprocessor_run_rgb (ClipPreprocessor *self, const ClipFrame *frame, guint8 *rgb, GError **error)
{
  gsize size = (gsize) 3 * self->config.size * self->config.size;
  return grow (self, &self->rgb, size, error) && process (self, frame, NULL, self->rgb, 0, error)
      && clip_buffer_read (self->rgb, self->queue, 0, rgb, size, error);
}
