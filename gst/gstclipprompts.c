/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstclipprompts.h"

#include <gio/gio.h>

GST_DEBUG_CATEGORY_EXTERN (gst_clip_classify_debug);
#define GST_CAT_DEFAULT gst_clip_classify_debug

/* Reference-counted, because an encoding that is on its way outlives a stop. */
struct _GstClipPrompts {
  gatomicrefcount refs;
  GWeakRef element;
  GMutex lock; /* guards what follows */
  char *text, *file, *templates;
  gboolean truncate;
  ClipEngine *engine;        /* while started */
  GCancellable *cancellable; /* of the newest request */
  ClipEncodedPrompts *current;
  guint serial;
};

typedef struct {
  GstClipPrompts *prompts;
  GCancellable *cancellable;
} Request;

GstClipPrompts *
gst_clip_prompts_new (GstElement *element)
{
  GstClipPrompts *p = g_new0 (GstClipPrompts, 1);
  g_atomic_ref_count_init (&p->refs);
  g_weak_ref_init (&p->element, element);
  g_mutex_init (&p->lock);
  return p;
}

static void
prompts_unref (GstClipPrompts *p)
{
  if (!g_atomic_ref_count_dec (&p->refs))
    return;
  g_weak_ref_clear (&p->element);
  g_mutex_clear (&p->lock);
  g_clear_pointer (&p->current, clip_encoded_prompts_unref);
  g_clear_object (&p->cancellable);
  g_free (p->text);
  g_free (p->file);
  g_free (p->templates);
  g_free (p);
}

void
gst_clip_prompts_free (GstClipPrompts *p)
{
  gst_clip_prompts_stop (p);
  prompts_unref (p);
}

static void
request_free (gpointer data)
{
  Request *request = data;
  prompts_unref (request->prompts);
  g_object_unref (request->cancellable);
  g_free (request);
}

static void
warn (GstClipPrompts *p, const char *what, const char *why)
{
  g_autoptr (GstElement) element = g_weak_ref_get (&p->element);
  if (element)
    GST_ELEMENT_WARNING (element, RESOURCE, SETTINGS, ("%s", what), ("%s", why));
}

/* Call with the lock held. */
static ClipPromptSet *
parse (const GstClipPrompts *p, GError **error)
{
  if (p->file && *p->file)
    return clip_prompt_set_load (p->file, error);
  if (p->text && *p->text)
    return clip_prompt_set_parse (p->text, error);
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_PROMPT,
      "no prompts are set; name what to look for, for example prompts=\"a dog;a cat\", or a prompts-file");
  return NULL;
}

/* Call with the lock held. */
static void
accept (GstClipPrompts *p, ClipEncodedPrompts *encoded)
{
  g_clear_pointer (&p->current, clip_encoded_prompts_unref);
  p->current = clip_encoded_prompts_ref (encoded);
  p->serial++;
}

static void
warn_truncated (GstClipPrompts *p, const ClipEncodedPrompts *encoded)
{
  if (encoded->truncated == 0)
    return;
  g_autofree char *what
      = g_strdup_printf ("%u prompts were too long for the model and were cut.", encoded->truncated);
  warn (p, what, "truncate-prompts is true");
}

/* On the engine's worker. */
static void
encoded (ClipEncodedPrompts *result, const GError *error, gpointer data)
{
  Request *request = data;
  GstClipPrompts *p = request->prompts;
  if (error) {
    if (!g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
      warn (p, "The new prompts cannot be used; the old ones stay.", error->message);
    return;
  }
  g_mutex_lock (&p->lock);
  gboolean newest = !g_cancellable_is_cancelled (request->cancellable) && p->engine;
  if (newest)
    accept (p, result);
  g_mutex_unlock (&p->lock);
  if (!newest)
    return;
  g_autoptr (GstElement) element = g_weak_ref_get (&p->element);
  GST_INFO_OBJECT (element, "prompts changed: %u labels", clip_prompt_set_get_size (result->set));
  warn_truncated (p, result);
}

/* Encodes what is set now, in the background. A set that fails leaves the old one. */
static void
refresh (GstClipPrompts *p)
{
  g_autoptr (GError) error = NULL;
  g_mutex_lock (&p->lock);
  if (!p->engine) {
    g_mutex_unlock (&p->lock);
    return;
  }
  if (p->cancellable)
    g_cancellable_cancel (p->cancellable);
  g_clear_object (&p->cancellable);
  g_autoptr (ClipPromptSet) set = parse (p, &error);
  g_auto (GStrv) templates = set ? clip_templates_load (p->templates, &error) : NULL;
  if (templates) {
    Request *request = g_new0 (Request, 1);
    p->cancellable = g_cancellable_new ();
    g_atomic_ref_count_inc (&p->refs);
    request->prompts = p;
    request->cancellable = g_object_ref (p->cancellable);
    clip_engine_encode_prompts_async (
        p->engine, set, templates, p->truncate, p->cancellable, encoded, request, request_free);
  }
  g_mutex_unlock (&p->lock);
  if (error)
    warn (p, "The new prompts cannot be used; the old ones stay.", error->message);
}

static void
replace (GstClipPrompts *p, char **field, const char *value, char **other)
{
  g_mutex_lock (&p->lock);
  g_free (*field);
  *field = g_strdup (value);
  if (other)
    g_clear_pointer (other, g_free);
  g_mutex_unlock (&p->lock);
  refresh (p);
}

void
gst_clip_prompts_set_text (GstClipPrompts *p, const char *text)
{
  replace (p, &p->text, text, &p->file);
}

void
gst_clip_prompts_set_file (GstClipPrompts *p, const char *path)
{
  replace (p, &p->file, path, &p->text);
}

void
gst_clip_prompts_set_templates (GstClipPrompts *p, const char *templates)
{
  replace (p, &p->templates, templates, NULL);
}

void
gst_clip_prompts_set_truncate (GstClipPrompts *p, gboolean truncate)
{
  g_mutex_lock (&p->lock);
  p->truncate = truncate;
  g_mutex_unlock (&p->lock);
  refresh (p);
}

static char *
dup_field (GstClipPrompts *p, char **field)
{
  g_mutex_lock (&p->lock);
  char *copy = g_strdup (*field);
  g_mutex_unlock (&p->lock);
  return copy;
}

char *
gst_clip_prompts_dup_text (GstClipPrompts *p)
{
  return dup_field (p, &p->text);
}

char *
gst_clip_prompts_dup_file (GstClipPrompts *p)
{
  return dup_field (p, &p->file);
}

char *
gst_clip_prompts_dup_templates (GstClipPrompts *p)
{
  return dup_field (p, &p->templates);
}

gboolean
gst_clip_prompts_get_truncate (GstClipPrompts *p)
{
  g_mutex_lock (&p->lock);
  gboolean truncate = p->truncate;
  g_mutex_unlock (&p->lock);
  return truncate;
}

gboolean
gst_clip_prompts_start (GstClipPrompts *p, ClipEngine *engine, GError **error)
{
  g_mutex_lock (&p->lock);
  g_autoptr (ClipPromptSet) set = parse (p, error);
  g_auto (GStrv) templates = set ? clip_templates_load (p->templates, error) : NULL;
  gboolean truncate = p->truncate;
  g_mutex_unlock (&p->lock);
  if (!templates)
    return FALSE;
  g_autoptr (ClipEncodedPrompts) first
      = clip_engine_encode_prompts (engine, set, templates, truncate, error);
  if (!first)
    return FALSE;
  g_mutex_lock (&p->lock);
  p->engine = clip_engine_ref (engine);
  accept (p, first);
  g_mutex_unlock (&p->lock);
  warn_truncated (p, first);
  return TRUE;
}

void
gst_clip_prompts_stop (GstClipPrompts *p)
{
  g_mutex_lock (&p->lock);
  g_autoptr (ClipEngine) engine = g_steal_pointer (&p->engine);
  if (p->cancellable)
    g_cancellable_cancel (p->cancellable);
  g_clear_object (&p->cancellable);
  g_clear_pointer (&p->current, clip_encoded_prompts_unref);
  g_mutex_unlock (&p->lock);
}

ClipEncodedPrompts *
gst_clip_prompts_get (GstClipPrompts *p, guint *serial)
{
  g_mutex_lock (&p->lock);
  ClipEncodedPrompts *current = p->current ? clip_encoded_prompts_ref (p->current) : NULL;
  *serial = p->serial;
  g_mutex_unlock (&p->lock);
  return current;
}
