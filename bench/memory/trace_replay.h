/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_MEMORY_TRACE_REPLAY_H
#define VB_MEMORY_TRACE_REPLAY_H

/* A recorded process's allocations through our pool: the requested sizes, the frees and the
 * empty_cache calls go in, everything else is compared. */

#include "memory/pool.h"
#include "memory/trace.h"
#include "memory/trace_start.h"

/* Where a segment that the source gives lies: where it was recorded, or below all before it, for
 * recordings that do not say. */
enum vb_replay_addresses { VB_REPLAY_RECORDED, VB_REPLAY_SYNTHETIC };

struct vb_replay {
    bool has_segments; /* the recording tells of segments; else nothing below is compared */
    bool has_pages;    /* of expandable ones: only what is reserved is compared, and only if none of
                          their pages was there at the start */
    size_t n_allocations, n_at_address; /* of these, at their recorded address */
    size_t n_segments, n_segments_same; /* made, at the recorded moment with the recorded size */
    size_t n_released, n_released_same; /* given back, at the recorded moment the recorded ones */
    size_t n_reserved, n_reserved_same; /* events after which as much is reserved as recorded */
    size_t n_final, n_final_same; /* blocks at the end, free ones too, with address and size */
    uint64_t peak_reserved_bytes, end_reserved_bytes;
    size_t first_difference; /* line of the trace; 0: none */
};

/* Whether the recording tells of segments at all. */
bool vb_trace_has_segments(const struct vb_trace *trace);
/* Whether it tells when a free is complete, which is when the memory can be used again. */
bool vb_trace_completes(const struct vb_trace *trace);
/* Of a run of segment_free or segment_unmap that begins at the event: how many; else 0. */
size_t vb_trace_n_given_back(const struct vb_trace *trace, size_t index);

/* Nothing that differed: with synthetic addresses these and what depends on them are not compared.
 */
bool vb_replay_is_same(const struct vb_replay *replay, enum vb_replay_addresses addresses);

/* `end` NULL: the trace starts with the process, nothing is compared at its end. VB_E_INPUT: the
 * trace frees what was not there; with file and line. */
VB_CHECKED enum vb_status
vb_trace_replay(const char *file, const struct vb_trace *trace, const struct vb_trace_end *end,
                const struct vb_pool_options *options, enum vb_replay_addresses addresses,
                struct vb_arena *arena, struct vb_replay *out, struct vb_error *err);

#endif
