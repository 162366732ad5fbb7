/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_REDUCER_H
#define VB_STEP_REDUCER_H

/* DistributedDataParallel in one of its processes: what is broadcast when the model is wrapped and
 * before each forward pass, and the buckets in which gradients are averaged. What NCCL holds is
 * outside the pool and not here. Nothing is emitted where a point has one GPU.
 *
 * Buckets are there from the wrapping on. Each gradient is copied into its bucket when it arrives,
 * and back when all are averaged; or, as a view of the bucket, takes its own place there. Once the
 * order of arrival is known the buckets are made anew in that order. That is, at the next forward
 * pass: the old ones go before the new ones are made, but for those that gradients are views of.
 * With a static graph the first pass copies all at its end, and its outputs are cloned. Source:
 * torch-memory.md, part A, 2.5; PyTorch 2.4, torch/csrc/distributed/c10d/reducer.cpp,
 * torch/nn/parallel/distributed.py.
 */

#include "step/bucket.h"
#include "step/tape.h"

struct vb_builder;

/* How a trainer wraps: with PyTorch's defaults; static_graph, where PyTorch takes that;
 * find_unused_parameters, whose buckets stay as they are. */
enum vb_reducing { VB_REDUCES_PLAIN, VB_REDUCES_STATIC, VB_REDUCES_UNUSED };

struct vb_reducer {
    bool is_on;
    enum vb_reducing kind;
    uint32_t *bucket_of; /* of each parameter; VB_NONE: frozen */
    uint64_t *place_of;  /* in it, in elements */
    uint32_t n_buckets;
    struct vb_variable *buckets;
    struct vb_sized *sizes;      /* scratch, as large as parameters and buffers are many */
    uint32_t *numbers, *trained; /* likewise; parameters with a gradient, as registered */
    uint32_t n_trained;
    uint32_t *arrival; /* parameters in the order in which their gradients came */
    uint32_t n_arrived;
    uint32_t n_forwards;
    bool is_rebuilt;
};

/* The model is wrapped: its tensors broadcast, its buckets made. */
void vb_reducer_begin(struct vb_builder *self);

/* Before the model's forward pass: buckets are made anew, buffers broadcast. */
void vb_reducer_before(struct vb_builder *self);

/* What the wrapped model gives in place of its predictions. */
void vb_reducer_after(struct vb_builder *self, struct vb_variable *predictions);

/* At the end of a backward pass. */
void vb_reducer_end(struct vb_builder *self);

/* Whether the buckets are those that they stay. */
bool vb_reducer_is_settled(const struct vb_builder *self);

#endif
