/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_MEMORY_TRACE_SPANS_H
#define VB_MEMORY_TRACE_SPANS_H

/* For replays: where the pool's segments lie. A recording that is damaged, or that the pool does
 * not follow, may put one where another still is; two blocks at one address would be one to it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

struct vb_trace_spans {
    struct vb_trace_span {
        uint64_t address, bytes;
    } * items; /* by address; the arena's */
    size_t n, room;
};

/* Whether the addresses up to `address + bytes`, or their sum, are not all free. */
bool vb_trace_spans_overlap(const struct vb_trace_spans *spans, uint64_t address, uint64_t bytes);

/* It overlaps none. False: no host memory. */
bool vb_trace_spans_add(struct vb_trace_spans *spans, uint64_t address, uint64_t bytes,
                        struct vb_arena *arena);

void vb_trace_spans_remove(struct vb_trace_spans *spans, uint64_t address);

#endif
