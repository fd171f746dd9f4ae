// SPDX-License-Identifier: LGPL-2.1-or-later
// Which elements of a row a work-item takes, included by kernels whose rows are shared by the work-items of dimension 0:
// on CPU devices by one, on others by many, neighbours of which take neighbours.
// Option: -DSHARED=0|1, whether there are several.

#if SHARED
#define FIRST get_global_id (0)
#define STEP get_global_size (0)
#else // and the compiler sees that a row is one run of memory
#define FIRST 0
#define STEP 1
#endif
