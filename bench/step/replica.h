/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_REPLICA_H
#define VB_STEP_REPLICA_H

/* DataParallel: one process, the model on its first GPU, and for each forward and backward pass a
 * copy of it on every other. The batch is cut over the GPUs, predictions are gathered on the first,
 * where the loss and its gradient are; the copies' gradients are summed there. So the first GPU
 * has all that training on one has, but for other GPUs' shares of the activations. Its program is
 * rank 0's; a copy's has nothing but what a batch does to it. Source: torch-memory.md, part A, 2.5;
 * PyTorch 2.4, torch/nn/parallel/data_parallel.py, replicate.py, comm.py, _functions.py.
 */

#include "step/tape.h"

struct vb_builder;

/* Rank 0: parameters and buffers are sent to the others, its share of the batch goes through the
 * model, all predictions are gathered: held, of the whole batch. Statuses as vb_run_forward() has
 * them. */
VB_CHECKED enum vb_status
vb_parallel_forward(struct vb_builder *self, struct vb_variable *predictions, struct vb_error *err);

/* Rank 0, around the backward pass: gradients from before are put aside, and are added to once the
 * copies' are summed. NULL: no host memory. */
struct vb_variable *vb_put_gradients_aside(struct vb_builder *self);
void vb_sum_gradients(struct vb_builder *self, const struct vb_variable *before);

/* Another rank: all of a batch. */
VB_CHECKED enum vb_status vb_replica_batch(struct vb_builder *self, struct vb_error *err);

#endif
