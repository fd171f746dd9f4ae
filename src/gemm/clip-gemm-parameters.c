/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-gemm-parameters.h"

#include <clblast_c.h>

typedef struct {
  const char *name;
  guint count, choices[5];
} Parameter;

/* in the order of names that CLBlast's database has */
enum { GEMMK, KREG, KWG, KWI, MDIMA, MDIMC, MWG, NDIMB, NDIMC, NWG, SA, SB, STRM, STRN, VWM, VWN, N_XGEMM };
static const Parameter xgemm[N_XGEMM] = { { "GEMMK", 2, { 0, 1 } }, { "KREG", 5, { 1, 2, 4, 8, 16 } },
  { "KWG", 3, { 1, 16, 32 } }, { "KWI", 2, { 1, 2 } }, { "MDIMA", 5, { 2, 4, 8, 16, 32 } },
  { "MDIMC", 5, { 2, 4, 8, 16, 32 } }, { "MWG", 5, { 8, 16, 32, 64, 128 } }, { "NDIMB", 5, { 2, 4, 8, 16, 32 } },
  { "NDIMC", 5, { 2, 4, 8, 16, 32 } }, { "NWG", 5, { 8, 16, 32, 64, 128 } }, { "SA", 2, { 0, 1 } },
  { "SB", 2, { 0, 1 } }, { "STRM", 2, { 0, 1 } }, { "STRN", 2, { 0, 1 } }, { "VWM", 4, { 1, 2, 4, 8 } },
  { "VWN", 4, { 1, 2, 4, 8 } } };

enum { KWID, MDIMAD, MDIMCD, NDIMBD, NDIMCD, PADA, PADB, VWMD, VWND, WGD, N_DIRECT };
static const Parameter direct[N_DIRECT] = { { "KWID", 3, { 2, 8, 16 } }, { "MDIMAD", 3, { 8, 16, 32 } },
  { "MDIMCD", 3, { 8, 16, 32 } }, { "NDIMBD", 3, { 8, 16, 32 } }, { "NDIMCD", 3, { 8, 16, 32 } },
  { "PADA", 2, { 0, 1 } }, { "PADB", 2, { 0, 1 } }, { "VWMD", 4, { 1, 2, 4, 8 } }, { "VWND", 4, { 1, 2, 4, 8 } },
  { "WGD", 4, { 8, 16, 32, 64 } } };

static const Parameter routine[1] = { { "XGEMM_MIN_INDIRECT_SIZE", 0, { 0 } } };

static const struct {
  const char *name;
  guint size;
  const Parameter *parameters;
} families[CLIP_GEMM_FAMILIES]
    = { { "Xgemm", N_XGEMM, xgemm }, { "XgemmDirect", N_DIRECT, direct }, { "GemmRoutine", 1, routine } };

/* more results than a work-item has registers for */
#define MAX_RESULTS 128

const char *
clip_gemm_family_get_name (ClipGemmFamily family)
{
  return families[family].name;
}

guint
clip_gemm_family_get_size (ClipGemmFamily family)
{
  return families[family].size;
}

const char *
clip_gemm_family_get_parameter (ClipGemmFamily family, guint index)
{
  return families[family].parameters[index].name;
}

const guint *
clip_gemm_family_get_choices (ClipGemmFamily family, guint index, guint *count)
{
  const Parameter *parameter = &families[family].parameters[index];
  *count = parameter->count;
  return parameter->count > 0 ? parameter->choices : NULL;
}

static gboolean
is_choice (const Parameter *parameter, guint value)
{
  if (parameter->count == 0)
    return value >= 1 && value <= CLIP_GEMM_MAX_THRESHOLD;
  for (guint i = 0; i < parameter->count; i++) {
    if (parameter->choices[i] == value)
      return TRUE;
  }
  return FALSE;
}

/* A tile's side is cut into work-items, and those into vectors */
static gboolean
is_whole (guint side, guint items, guint vector)
{
  return side % (items * vector) == 0;
}

/* A tile is loaded by all work-items, @items of them side by side: its depth is cut into what they take at once */
static gboolean
loads_whole (guint depth, guint m_items, guint n_items, guint items)
{
  const guint at_once = m_items * n_items / items;
  return at_once > 0 && m_items * n_items % items == 0 && depth % at_once == 0;
}

static gboolean
check_xgemm (const guint *v)
{
  if (!is_whole (v[MWG], v[MDIMC], v[VWM]) || !is_whole (v[MWG], v[MDIMA], v[VWM])
      || !is_whole (v[NWG], v[NDIMC], v[VWN]) || !is_whole (v[NWG], v[NDIMB], v[VWN]))
    return FALSE;
  /* kernel 1 is wrong with other than square tiles up to CLBlast 1.6.2 (its pull request 543) */
  if (v[GEMMK] == 1)
    return v[MWG] == v[NWG] && v[KWG] == 1 && v[KWI] == 1 && v[MDIMA] == v[MDIMC] && v[NDIMB] == v[NDIMC]
           && v[KREG] % v[VWN] == 0 && !v[SA] && !v[SB] && !v[STRM] && !v[STRN];
  return v[KREG] == 1 && v[KWI] == 2 && v[KWG] % v[KWI] == 0 && MIN (v[MDIMC], v[NDIMC]) >= 8
         && MIN (v[MDIMA], v[NDIMB]) >= 8 && loads_whole (v[KWG], v[MDIMC], v[NDIMC], v[MDIMA])
         && loads_whole (v[KWG], v[MDIMC], v[NDIMC], v[NDIMB]);
}

static gboolean
check_direct (const guint *v)
{
  return v[WGD] % v[KWID] == 0 && is_whole (v[WGD], v[MDIMCD], v[VWMD]) && is_whole (v[WGD], v[MDIMAD], v[VWMD])
         && is_whole (v[WGD], v[NDIMCD], v[VWND]) && is_whole (v[WGD], v[NDIMBD], v[VWND])
         && loads_whole (v[WGD], v[MDIMCD], v[NDIMCD], v[MDIMAD])
         && loads_whole (v[WGD], v[MDIMCD], v[NDIMCD], v[NDIMBD]);
}

gboolean
clip_gemm_set_check (ClipGemmFamily family, const ClipGemmSet *set, GError **error)
{
  for (guint i = 0; i < families[family].size; i++) {
    if (is_choice (&families[family].parameters[i], set->values[i]))
      continue;
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_TUNING, "%s's %s is %u, which it cannot be", families[family].name,
        families[family].parameters[i].name, set->values[i]);
    return FALSE;
  }
  if (family == CLIP_GEMM_ROUTINE || (family == CLIP_GEMM_XGEMM ? check_xgemm : check_direct) (set->values))
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_TUNING, "the values of %s do not go together", families[family].name);
  return FALSE;
}

gboolean
clip_gemm_set_fits (ClipGemmFamily family, const ClipGemmSet *set, ClipDevice *device)
{
  const guint *v = set->values;
  cl_ulong local = 0, needed = 0;
  gsize most = 0;
  guint items = 1, results = 1;
  if (family == CLIP_GEMM_XGEMM) {
    items = v[MDIMC] * v[NDIMC];
    results = v[MWG] * v[NWG] / items;
    needed = sizeof (float) * v[KWG] * (v[SA] * v[MWG] + v[SB] * v[NWG]);
  } else if (family == CLIP_GEMM_DIRECT) {
    items = v[MDIMCD] * v[NDIMCD];
    results = v[WGD] * v[WGD] / items;
    needed = sizeof (float) * v[WGD] * (2 * v[WGD] + v[PADA] + v[PADB]);
  }
  clGetDeviceInfo (clip_device_get_id (device), CL_DEVICE_LOCAL_MEM_SIZE, sizeof local, &local, NULL);
  clGetDeviceInfo (clip_device_get_id (device), CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof most, &most, NULL);
  return items <= most && needed <= local && results <= MAX_RESULTS;
}

gboolean
clip_gemm_set_apply (ClipGemmFamily family, const ClipGemmSet *set, ClipDevice *device, GError **error)
{
  const char *names[CLIP_GEMM_MAX_PARAMETERS];
  size_t values[CLIP_GEMM_MAX_PARAMETERS];
  for (guint i = 0; i < families[family].size; i++) {
    names[i] = families[family].parameters[i].name;
    values[i] = set->values[i];
  }
  CLBlastStatusCode code = CLBlastOverrideParameters (
      clip_device_get_id (device), families[family].name, CLBlastPrecisionSingle, families[family].size, names, values);
  if (code == CLBlastSuccess)
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_DEVICE,
      "CLBlast refuses the parameters of %s with status %d; another version than this program was built for?",
      families[family].name, code);
  return FALSE;
}
