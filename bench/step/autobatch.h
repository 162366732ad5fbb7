/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_AUTOBATCH_H
#define VB_STEP_AUTOBATCH_H

/* AutoBatch's whole profile as one program, walked once: the model, the AMP check, a copy of the
 * model, then each batch size. Marks say where what is reserved is read. */

#include "model/description.h"
#include "step/builder.h"

/* `graph` is the model's at any batch; `description` is what it was expanded from.
 * `capacity_bytes`: of the device, which decides what sizes are tried. All lives in the arena.
 * VB_E_INPUT: the recipe's version has no AutoBatch, or the model is a classifier. */
VB_CHECKED enum vb_status vb_autobatch_build(const struct vb_graph *graph,
                                             const struct vb_description *description,
                                             const struct vb_point *point,
                                             const struct vb_recipe *recipe,
                                             uint64_t capacity_bytes, struct vb_arena *arena,
                                             struct vb_program *out, struct vb_error *err);

#endif
