/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_BUCKET_H
#define VB_STEP_BUCKET_H

/* How lists of tensors are put together into larger ones, as PyTorch does it before it sends them
 * anywhere. Only sizes are looked at; nothing is allocated. A bucket has tensors of one type. */

#include <stddef.h>

#include "step/program.h"

struct vb_sized {
    uint64_t bytes;
    enum vb_dtype dtype;
};

/* Fills one bucket after the other until it holds its limit or more: so one may be larger than its
 * limit by all but a byte of its last tensor. The first bucket of a type has the first limit, ...
 * and from the last limit on all have that. Buckets are numbered by their first tensor, which is
 * the order in which PyTorch sorts them; where all are of one type also that in which they are
 * full. Gives how many there are; `bucket_of` [n] which each tensor is in. Source: PyTorch,
 * torch/csrc/distributed/c10d/reducer.cpp, compute_bucket_assignment_by_size(); the same with one
 * limit: torch/csrc/utils/tensor_flatten.cpp, take_tensors(). */
uint32_t vb_fill_buckets(const struct vb_sized *tensors, uint32_t n, const uint64_t *limits,
                         uint32_t n_limits, uint32_t *bucket_of);

/* Puts tensors together as long as they do not exceed the limit; one that does alone is alone.
 * Numbers and result as above. Source: PyTorch, torch/_utils.py, _take_tensors(). */
uint32_t vb_pack_buckets(const struct vb_sized *tensors, uint32_t n, uint64_t limit,
                         uint32_t *bucket_of);

/* Which of `world` processes has a parameter's optimizer state: group after group (of numbers
 * below `n_groups`), each from its largest parameter to its smallest, the next to the process with
 * the fewest elements so far, of several the first. `sums` [world] is scratch and holds the
 * elements of each after; `order` [n] is scratch. Source: PyTorch,
 * torch/distributed/optim/zero_redundancy_optimizer.py, _partition_parameters(). */
void vb_share_out(const uint64_t *elements, const uint32_t *group, uint32_t n, uint32_t n_groups,
                  uint32_t world, uint64_t *sums, uint32_t *order, uint32_t *owner);

#endif
