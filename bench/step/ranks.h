/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_RANKS_H
#define VB_STEP_RANKS_H

/* What a point may ask of several GPUs. */

#include "record/point.h"
#include "step/recipe.h"

/* VB_E_INPUT: the batch cannot be shared so, or what is asked goes with one strategy alone.
 * VB_E_UNSUPPORTED: the workload is for one GPU. */
VB_CHECKED enum vb_status vb_check_ranks(const struct vb_point *point, struct vb_error *err);

/* VB_E_UNSUPPORTED: that trainer has no such strategy. */
VB_CHECKED enum vb_status vb_check_strategy(const struct vb_point *point, enum vb_family family,
                                            struct vb_error *err);

#endif
