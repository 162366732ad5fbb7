/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_MEMORY_TRACE_TRY_H
#define VB_MEMORY_TRACE_TRY_H

/* What a recorded process would have needed with other settings of the allocator: what it asked for
 * and freed goes through a pool with those. What was alive when the recording began is asked for
 * anew, in order of its addresses, as it would lie elsewhere too; where the recording gave its
 * cache back, the pool does. An allocation that ran out in the recording is tried and, if there is
 * room, freed at once, as how long it would have lived is not known. */

#include "memory/pool.h"
#include "memory/trace_start.h"

struct vb_trial {
    uint64_t peak_reserved_bytes, peak_allocated_bytes;
    /* When the reserved bytes were at their peak, and of those moments most was allocated: */
    uint64_t allocated_at_peak_bytes, requested_at_peak_bytes, segments_at_peak;
    bool has_segments;  /* false: in expandable segments, which PyTorch does not count */
    uint64_t n_retries; /* times that the cache was emptied as there was no room */
    bool ran_out;
    size_t ran_out_line;    /* of the event that asked; 0: what was alive at the start */
    uint64_t ran_out_bytes; /* that it asked for */
    size_t n_refused;       /* that ran out in the recording as well, which went on */
};

/* `capacity_bytes`: what the segments may take together; 0: no limit. VB_E_INPUT: the trace frees
 * what was not there, or the settings need a capacity; with file and event. */
VB_CHECKED enum vb_status vb_trace_try(const char *file, const struct vb_trace *trace,
                                       const struct vb_trace_start *start,
                                       const struct vb_pool_options *options,
                                       uint64_t capacity_bytes, struct vb_arena *arena,
                                       struct vb_trial *out, struct vb_error *err);

/* What the recording says that there was room for: reserved bytes and the device's free ones when
 * it ran out, the least of them; 0: it never ran out. */
uint64_t vb_trace_capacity(const struct vb_trace *trace, const struct vb_trace_start *start);

#endif
