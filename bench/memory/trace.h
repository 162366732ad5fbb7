/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_MEMORY_TRACE_H
#define VB_MEMORY_TRACE_H

/* Recordings of PyTorch's allocator: a CSV of events (seq, time_us, action, addr, size, stream) and
 * a JSON of the segments at its end. tests/data/traces/README.md tells where such files come from.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

enum vb_trace_action {
    VB_TRACE_ALLOC,
    VB_TRACE_FREE,    /* free_requested */
    VB_TRACE_FREED,   /* free_completed */
    VB_TRACE_RESERVE, /* segment_alloc */
    VB_TRACE_RELEASE, /* segment_free */
    VB_TRACE_MAP,     /* segment_map: pages of an expandable segment */
    VB_TRACE_UNMAP,   /* segment_unmap */
    VB_TRACE_OOM,     /* `address`: what the device has free */
    VB_TRACE_SNAPSHOT,
};

struct vb_trace_event {
    enum vb_trace_action action;
    uint64_t address, bytes, stream;
    size_t line; /* of the CSV; of a pickle: the how manieth event, from 1 on */
};

struct vb_trace {
    struct vb_trace_event *events;
    size_t n, room;
    bool has_lines; /* of a CSV */
};

/* `file` names the text in errors. VB_E_INPUT: another header, a row that is none; with file and
 * line. */
VB_CHECKED enum vb_status vb_trace_parse(const char *file, const char *text, struct vb_arena *arena,
                                         struct vb_trace *out, struct vb_error *err);

struct vb_trace_block {
    uint64_t address, bytes, requested_bytes;
    bool is_taken;
};

struct vb_trace_segment {
    uint64_t address, bytes, stream;
    bool is_small;
    bool is_expandable; /* a stretch of one that is mapped */
    struct vb_trace_block *blocks;
    size_t n_blocks;
};

struct vb_trace_end {
    struct vb_trace_segment *segments;
    size_t n;
};

/* Whether the action is one by name; `*out` is set where it is. */
bool vb_trace_action_named(const char *name, enum vb_trace_action *out);

/* The segments at the end of the trace. VB_E_INPUT: not such a JSON. */
VB_CHECKED enum vb_status vb_trace_parse_end(const char *file, const char *text,
                                             struct vb_arena *arena, struct vb_trace_end *out,
                                             struct vb_error *err);

#endif
