/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_MEMORY_TRACE_REPLAY_H
#define VB_MEMORY_TRACE_REPLAY_H

/* A recorded process's allocations through our pool: the requested sizes, the frees and the
 * empty_cache calls go in, everything else is compared. */

#include "memory/pool.h"
#include "memory/trace.h"

struct vb_replay {
    size_t n_allocations, n_at_address; /* of these, at their recorded address */
    size_t n_segments, n_segments_same; /* made, at the recorded moment with the recorded size */
    size_t n_released, n_released_same;
    size_t n_final, n_final_same; /* blocks at the end, free ones too, with address and size */
    uint64_t peak_reserved_bytes, end_reserved_bytes;
    size_t first_difference; /* line of the trace; 0: none */
};

/* `end` NULL: the trace starts with the process, nothing is compared at its end. VB_E_INPUT: the
 * trace frees what was not there. */
VB_CHECKED enum vb_status vb_trace_replay(const struct vb_trace *trace,
                                          const struct vb_trace_end *end,
                                          const struct vb_pool_options *options,
                                          struct vb_arena *arena, struct vb_replay *out,
                                          struct vb_error *err);

#endif
