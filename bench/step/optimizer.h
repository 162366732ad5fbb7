/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_OPTIMIZER_H
#define VB_STEP_OPTIMIZER_H

/* What happens between two backward passes: clip the gradients, step, forget them, update the
 * average. Parameters, gradients and what is kept of each are seen flat: they lie alike. Source:
 * torch-memory.md, part A, 4.5 (the foreach forms); part B, 4. The numbers are the defaults of
 * YOLOv5 and ultralytics (hyp.scratch-low.yaml, default.yaml), Adam's rate what these advise for
 * it; no schedule changes the rates. */

#include "model/graph.h"
#include "record/point.h"
#include "step/tape.h"

/* The optimizer's state: tensors of the program, VB_NONE before the first step. */
struct vb_optimizer_state {
    uint32_t *first;  /* momentum, or the mean of the gradients */
    uint32_t *second; /* Adam's: of their squares */
};

/* What is trained. */
struct vb_trained {
    const struct vb_graph *graph;
    const uint32_t *storages; /* of its parameters and buffers */
    const struct vb_optimizer_state *state;
    struct vb_variable found; /* not 0: gradients are not finite and no step is taken; undefined
                               * where nobody looks */
    const bool *is_own;       /* parameters that are stepped here, for others are elsewhere; NULL:
                               * all */
};

void vb_clip_gradients(struct vb_tape *tape, const struct vb_graph *graph);

/* Parameter groups in Ultralytics' order: biases, weights that decay, norms. */
void vb_optimizer_step(struct vb_tape *tape, const struct vb_trained *trained,
                       enum vb_optimizer optimizer);

/* SGD with momentum alone, as PyTorch's tutorials call it: one group in the order of the
 * parameters, no decay, so nothing is made but the momentum. */
void vb_plain_sgd_step(struct vb_tape *tape, const struct vb_trained *trained);

/* optimizer.zero_grad(): forgets the gradients, or fills them with 0, as its version does. */
void vb_zero_gradients(struct vb_tape *tape, const struct vb_graph *graph);

/* The exponential moving average of every float parameter and buffer, which lies in `average`: one
 * product at a time. */
void vb_update_average(struct vb_tape *tape, const struct vb_trained *trained,
                       const uint32_t *average);

#endif
