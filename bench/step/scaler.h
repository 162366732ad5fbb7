/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_SCALER_H
#define VB_STEP_SCALER_H

/* torch.amp.GradScaler, which training in fp16 has: the loss is multiplied by a scale so that small
 * gradients are not lost; they are divided by it before the step, which is left out where one is
 * not finite. Source: torch/amp/grad_scaler.py; what is alive when is its Python names'. */

#include "model/graph.h"
#include "step/tape.h"

/* Undefined where there is none yet, or none at all. */
struct vb_scaler {
    bool is_on;
    struct vb_variable scale, steps; /* made with the first loss, there for good */
    struct vb_variable found;        /* since gradients were unscaled, until the scale's update */
};

/* scaler.scale(loss): held; the loss itself, held once more, where the scaler is off. */
struct vb_variable vb_scale_loss(struct vb_tape *tape, struct vb_scaler *scaler,
                                 struct vb_variable loss);

/* scaler.unscale_(optimizer): all gradients; `found` is there after. */
void vb_unscale_gradients(struct vb_tape *tape, struct vb_scaler *scaler,
                          const struct vb_graph *graph);

/* scaler.update(), after the step. */
void vb_update_scale(struct vb_tape *tape, struct vb_scaler *scaler);

#endif
