/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_FORWARD_H
#define VB_STEP_FORWARD_H

/* The model's forward pass on a tape: the graph's operators in order, and Python's hold on each
 * value for as long as the graph says. */

#include "model/graph.h"
#include "step/tape.h"

/* `storages`: one tensor of the program a parameter and buffer; counts of batches are replaced
 * where PyTorch does not count in place. `image` stays the caller's. `predictions`: one a level,
 * and of an end-to-end head as many more of its one-to-one branches; held. VB_E_SYSTEM: no host
 * memory. */
VB_CHECKED enum vb_status vb_forward(struct vb_tape *tape, const struct vb_graph *graph,
                                     uint32_t *storages, struct vb_variable image,
                                     struct vb_variable *predictions, struct vb_error *err);

#endif
