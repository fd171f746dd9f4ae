/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <gst/gst.h>

#include "gstclipclassify.h"
#ifdef HAVE_SQLITE
#include "gstclipindex.h"
#endif
#include "gstclipjson.h"
#include "gstclipmeta.h"
#include "gstclipoverlay.h"
#include "gstclippublish.h"

static gboolean
plugin_init (GstPlugin *plugin)
{
  gst_clip_meta_register ();
#ifdef HAVE_SQLITE
  if (!gst_element_register (plugin, "clipindex", GST_RANK_NONE, GST_TYPE_CLIP_INDEX))
    return FALSE;
#endif
  return gst_element_register (plugin, "clipclassify", GST_RANK_NONE, GST_TYPE_CLIP_CLASSIFY)
         && gst_element_register (plugin, "clipoverlay", GST_RANK_NONE, GST_TYPE_CLIP_OVERLAY)
         && gst_element_register (plugin, "clipjson", GST_RANK_NONE, GST_TYPE_CLIP_JSON)
         && gst_element_register (plugin, "clippublish", GST_RANK_NONE, GST_TYPE_CLIP_PUBLISH);
}

GST_PLUGIN_DEFINE (GST_VERSION_MAJOR, GST_VERSION_MINOR, clip, "Labels video with sentences, by CLIP", plugin_init,
    VERSION, "LGPL", PACKAGE, "CLIP for GStreamer")
