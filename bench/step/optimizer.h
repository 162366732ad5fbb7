/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_OPTIMIZER_H
#define VB_STEP_OPTIMIZER_H

/* What happens between two backward passes: clip the gradients, step, forget them, update the
 * average. Source: torch-memory.md, part A, 4.5 (the foreach forms); part B, 4. */

#include "model/graph.h"
#include "record/point.h"
#include "step/tape.h"

/* The optimizer's state: tensors of the program, VB_NONE before the first step. */
struct vb_optimizer_state {
    uint32_t *first;  /* momentum, or the mean of the gradients */
    uint32_t *second; /* Adam's: of their squares */
};

void vb_clip_gradients(struct vb_tape *tape, const struct vb_graph *graph);

/* Parameter groups in Ultralytics' order: biases, weights that decay, norms. */
void vb_optimizer_step(struct vb_tape *tape, const struct vb_graph *graph,
                       enum vb_optimizer optimizer, struct vb_optimizer_state *state);

/* SGD with momentum and PyTorch's defaults: one group in the order of the parameters, no decay, so
 * nothing is made but the momentum. */
void vb_plain_sgd_step(struct vb_tape *tape, const struct vb_graph *graph,
                       struct vb_optimizer_state *state);

/* optimizer.zero_grad(): forgets the gradients, or fills them with 0, as its version does. */
void vb_zero_gradients(struct vb_tape *tape, const struct vb_graph *graph);

/* The exponential moving average of every float parameter and buffer: one product at a time. */
void vb_update_average(struct vb_tape *tape, const struct vb_graph *graph);

#endif
