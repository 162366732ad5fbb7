/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_COALESCE_H
#define VB_STEP_COALESCE_H

/* Several of the model's tensors as one flat one, for a broadcast or a sum over GPUs; parts of such
 * a tensor. */

#include "step/bucket.h"
#include "step/tape.h"

struct vb_builder;

/* `n` of the model's parameters and buffers from the `first` on, and which chunk each is in. */
struct vb_chunks {
    uint32_t first, n, n_chunks;
    struct vb_sized *sizes;
    uint32_t *chunk_of; /* VB_NONE: in none */
};

/* Chunks that are full with the limit or more. False: no host memory, which is noted. */
bool vb_plan_chunks(struct vb_builder *self, uint32_t first, uint32_t n, uint64_t limit,
                    struct vb_chunks *out);

/* How many tensors are in a chunk. */
uint32_t vb_count_chunk(const struct vb_chunks *chunks, uint32_t chunk);

/* A chunk's flat tensor, held. */
struct vb_variable vb_new_chunk(struct vb_tape *tape, const struct vb_chunks *chunks,
                                uint32_t chunk, const char *what);

/* Emits one call that reads and writes as much as copying the tensors into the flat one, or back,
 * does. */
void vb_pass_chunk(struct vb_tape *tape, struct vb_variable flat);

/* The part of a flat tensor that begins at an element, of that shape: not held. */
struct vb_variable vb_part_of(const struct vb_variable *flat, uint64_t place,
                              const struct vb_shape *shape);

/* Broadcasts `n` of the model's parameters and buffers from the `first` on: chunks of 250 MiB are
 * copied together, two of them at a time under way, and back; one tensor alone is sent as it is.
 * Source: PyTorch, torch/csrc/distributed/c10d/comm.cpp, broadcast_coalesced(). */
void vb_broadcast_tensors(struct vb_builder *self, uint32_t first, uint32_t n);

#endif
