/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstclipmeta.h"

/* The result belongs to the picture as a whole: it stays through copies, scaling and colour conversion. */
static gboolean
transform (GstBuffer *to, GstCustomMeta *meta, GstBuffer *from, GQuark type, gpointer data, gpointer user_data)
{
  gst_clip_meta_set (to, gst_structure_copy (gst_custom_meta_get_structure (meta)));
  return TRUE;
}

void
gst_clip_meta_register (void)
{
  static const gchar *tags[] = { NULL };
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
