/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_COALESCE_H
#define VB_STEP_COALESCE_H

/* Several tensors as one flat one, for a broadcast or a sum over GPUs; parts of such a tensor. */

#include "step/tape.h"

struct vb_builder;

/* The part of a flat tensor that begins at an element, of that shape: not held. */
struct vb_variable vb_part_of(const struct vb_variable *flat, uint64_t place,
                              const struct vb_shape *shape);

/* Broadcasts `n` of the model's parameters and buffers from the `first` on: chunks of 250 MiB are
 * copied together, two of them at a time under way, and back. Source: PyTorch,
 * torch/csrc/distributed/c10d/comm.cpp, broadcast_coalesced(). */
void vb_broadcast_tensors(struct vb_builder *self, uint32_t first, uint32_t n);

#endif
