/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_MEMORY_TRACE_START_H
#define VB_MEMORY_TRACE_START_H

/* What a recorded process had when its recording began: the end rolled back through the events. */

#include "memory/pool.h"
#include "memory/trace.h"

struct vb_trace_start_segment {
    uint64_t address, bytes, stream;
    bool is_small;
    size_t until; /* index of the event that gives it back; the trace's n: none does */
    const struct vb_pool_live *live; /* by address */
    size_t n_live;
};

/* Of expandable segments only the blocks are known, not which pages there were. */
struct vb_trace_start {
    struct vb_trace_start_segment *segments; /* ordinary ones, by address */
    size_t n;
    const struct vb_pool_live *live; /* every block by address, also of expandable segments */
    const uint64_t *streams;         /* of each */
    size_t n_live;
    uint64_t live_bytes;
    bool has_expandable; /* the recording tells of some, at the start or later */
    bool had_pages;      /* of expandable segments, at the start */
};

/* `options`: the process's, which say how far a block of the start reaches that the trace frees.
 * `end` NULL: the process began with the trace, nothing was there. VB_E_INPUT: segments that
 * overlap; with the file. */
VB_CHECKED enum vb_status vb_trace_find_start(const char *file, const struct vb_trace *trace,
                                              const struct vb_trace_end *end,
                                              const struct vb_pool_options *options,
                                              struct vb_arena *arena, struct vb_trace_start *out,
                                              struct vb_error *err);

#endif
