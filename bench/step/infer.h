/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_INFER_H
#define VB_STEP_INFER_H

/* A forward pass without gradients, its predictions decoded to boxes and scores: what validation
 * and the AMP check run. */

#include "step/builder.h"

/* `storages`: one tensor of the program a parameter of the graph. `images` stays the caller's.
 * `predictions`: one a level, as training gives them, held; `*decoded`: [N,anchors,classes+5] or
 * [N,4+classes,anchors], or of an end-to-end head at most 300 boxes [N,k,6], held. VB_E_SYSTEM: no
 * host memory. */
VB_CHECKED enum vb_status vb_infer(struct vb_tape *tape, const struct vb_graph *graph,
                                   uint32_t *storages, struct vb_variable images,
                                   struct vb_variable *predictions, struct vb_variable *decoded,
                                   struct vb_error *err);

#endif
