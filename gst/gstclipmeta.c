/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstclipmeta.h"

#include <gst/video/video.h>

static guint
scale_field (const GstStructure *object, const char *field, gint from, gint to)
{
  guint value = 0;
  gst_structure_get_uint (object, field, &value);
  return (guint) gst_util_uint64_scale_int (value, to, MAX (from, 1));
}

/* GStreamer scales its own regions in the same way, so that both still agree. */
static void
scale_object (GstStructure *object, const GstVideoInfo *from, const GstVideoInfo *to)
{
  guint w = scale_field (object, "w", from->width, to->width), h = scale_field (object, "h", from->height, to->height);
  gst_structure_set (object, "x", G_TYPE_UINT, scale_field (object, "x", from->width, to->width), "y", G_TYPE_UINT,
      scale_field (object, "y", from->height, to->height), "w", G_TYPE_UINT, MAX (w, 1), "h", G_TYPE_UINT, MAX (h, 1),
      NULL);
}

static void
scale_objects (GstStructure *fields, const GstVideoInfo *from, const GstVideoInfo *to)
{
  GValue scaled = G_VALUE_INIT;
  const GValue *objects = gst_structure_get_value (fields, "objects");
  g_value_init (&scaled, GST_TYPE_ARRAY);
  for (guint i = 0; objects && i < gst_value_array_get_size (objects); i++) {
    GstStructure *object = gst_structure_copy (gst_value_get_structure (gst_value_array_get_value (objects, i)));
    scale_object (object, from, to);
    gst_clip_meta_append (&scaled, object);
  }
  gst_structure_take_value (fields, "objects", &scaled);
}

/* Copies and scales; after any other change of the picture the regions would be wrong. */
static gboolean
transform (GstBuffer *to, GstCustomMeta *meta, GstBuffer *from, GQuark type, gpointer data, gpointer user_data)
{
  const GstVideoMetaTransform *scale = GST_VIDEO_META_TRANSFORM_IS_SCALE (type) ? data : NULL;
  if (!scale && !GST_META_TRANSFORM_IS_COPY (type))
    return FALSE;
  GstStructure *fields = gst_structure_copy (gst_custom_meta_get_structure (meta));
  if (scale && (scale->in_info->width != scale->out_info->width || scale->in_info->height != scale->out_info->height))
    scale_objects (fields, scale->in_info, scale->out_info);
  gst_clip_meta_set (to, fields);
  return TRUE;
}

void
gst_clip_meta_register (void)
{
  /* those of GStreamer's own regions: an element that turns or cuts the picture and knows nothing of us drops it */
  static const gchar *tags[]
      = { GST_META_TAG_VIDEO_STR, GST_META_TAG_VIDEO_ORIENTATION_STR, GST_META_TAG_VIDEO_SIZE_STR, NULL };
  static gsize once = 0;
  if (g_once_init_enter (&once)) {
    gst_meta_register_custom (GST_CLIP_META_NAME, tags, transform, NULL, NULL);
    g_once_init_leave (&once, 1);
  }
}

void
gst_clip_meta_append (GValue *array, GstStructure *structure)
{
  GValue value = G_VALUE_INIT;
  g_value_init (&value, GST_TYPE_STRUCTURE);
  g_value_take_boxed (&value, structure);
  gst_value_array_append_and_take_value (array, &value);
}

GstStructure *
gst_clip_meta_new (const char *model, guint serial, gdouble logit_scale, GValue *objects)
{
  GstStructure *fields = gst_structure_new (GST_CLIP_META_NAME, "model", G_TYPE_STRING, model, "prompts-serial",
      G_TYPE_UINT, serial, "logit-scale", G_TYPE_DOUBLE, logit_scale, NULL);
  gst_structure_take_value (fields, "objects", objects);
  return fields;
}

static gboolean
copy_field (GQuark field, const GValue *value, gpointer structure)
{
  gst_structure_id_set_value (structure, field, value);
  return TRUE;
}

void
gst_clip_meta_set (GstBuffer *buffer, GstStructure *fields)
{
  GstCustomMeta *meta = gst_buffer_get_custom_meta (buffer, GST_CLIP_META_NAME);
  if (!meta)
    meta = gst_buffer_add_custom_meta (buffer, GST_CLIP_META_NAME);
  GstStructure *structure = gst_custom_meta_get_structure (meta);
  gst_structure_remove_all_fields (structure);
  gst_structure_foreach (fields, copy_field, structure);
  gst_structure_free (fields);
}

const GstStructure *
gst_clip_meta_get (GstBuffer *buffer)
{
  GstCustomMeta *meta = gst_buffer_get_custom_meta (buffer, GST_CLIP_META_NAME);
  return meta ? gst_custom_meta_get_structure (meta) : NULL;
}

const GValue *
gst_clip_meta_get_objects (const GstStructure *meta)
{
  return meta ? gst_structure_get_value (meta, "objects") : NULL;
}

guint
gst_clip_meta_count (const GValue *array)
{
  return array && GST_VALUE_HOLDS_ARRAY (array) ? gst_value_array_get_size (array) : 0;
}

const GstStructure *
gst_clip_meta_nth (const GValue *array, guint n)
{
  const GValue *value = n < gst_clip_meta_count (array) ? gst_value_array_get_value (array, n) : NULL;
  return value && GST_VALUE_HOLDS_STRUCTURE (value) ? gst_value_get_structure (value) : NULL;
}

const GstStructure *
gst_clip_meta_get_top (const GstStructure *object, guint n)
{
  const GValue *top = gst_structure_get_value (object, "top");
  const GValue *id = n < gst_clip_meta_count (top) ? gst_value_array_get_value (top, n) : NULL;
  return id && G_VALUE_HOLDS_UINT (id) ? gst_clip_meta_nth (gst_structure_get_value (object, "labels"), g_value_get_uint (id))
                                       : NULL;
}
