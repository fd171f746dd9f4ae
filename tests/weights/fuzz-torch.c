/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libFuzzer entry: any bytes as a torch archive, as its zip directory, and as a pickle alone.
 * Run: fuzz-torch -max_total_time=60 CORPUS-DIRECTORY */
#include "fuzz-touch.h"
#include "weights/clip-pickle.h"
#include "weights/clip-torch.h"
#include "weights/clip-zip.h"

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

static void
use_members (GHashTable *members)
{
  GHashTableIter iter;
  gpointer member;
  g_hash_table_iter_init (&iter, members);
  while (g_hash_table_iter_next (&iter, NULL, &member)) {
    g_autoptr (GBytes) bytes = clip_zip_unpack (member, 1u << 20, NULL);
    volatile guint8 sum G_GNUC_UNUSED = 0;
    gsize length = 0;
    const guint8 *data = bytes ? g_bytes_get_data (bytes, &length) : NULL;
    if (length)
      sum += data[0] + data[length - 1];
  }
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  g_autoptr (ClipTensorFile) file = clip_torch_parse (data, size, "fuzz", NULL);
  g_autoptr (GHashTable) members = clip_zip_read (data, size, NULL);
  clip_pickle_free (clip_pickle_read (data, size, NULL));
  if (file)
    touch_tensors (file);
  if (members)
    use_members (members);
  return 0;
}
