/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_WATCH_TRACE_H
#define VB_WATCH_TRACE_H

/* What the watched processes left (watch/format.h), read back. Files may be cut off anywhere, for a
 * process may be killed at any time: what is whole is taken. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "watch/format.h"

struct vb_watch_code {
    struct vb_watch_module at;
    const char *path;
};

/* One program that a process was. */
struct vb_watch_trace {
    struct vb_watch_start start;
    uint32_t nth;        /* of the programs that the process was, one after the other */
    const char *command; /* its arguments with a blank between them */
    const char *why;     /* what is not recorded and why; "": all is */
    struct vb_watch_event *events;
    size_t n_events, room_events;
    struct vb_watch_device *devices;
    size_t n_devices, room_devices;
    struct vb_watch_code *code;
    size_t n_code, room_code;
    uint64_t reached_ns; /* of the monotonic clock: all up to then is there; 0: not told */
    uint64_t end_ns;     /* 0: it did not end as programs do, or has not yet */
    bool is_cut;         /* the file ends inside a chunk */
};

struct vb_watch_traces {
    struct vb_watch_trace *items; /* by the time of their beginning */
    size_t n;
};

/* All in the folder; what they hold is in `arena`. A file without its beginning is passed over.
 * VB_E_SYSTEM: the folder cannot be read; host memory. */
VB_CHECKED enum vb_status vb_watch_traces_read(const char *folder, struct vb_watch_traces *out,
                                               struct vb_arena *arena, struct vb_error *err);

/* One file's bytes. False: they do not begin as they should. VB_E_SYSTEM: host memory. */
VB_CHECKED enum vb_status vb_watch_trace_parse(const char *bytes, size_t n,
                                               struct vb_watch_trace *out, bool *is_one,
                                               struct vb_arena *arena, struct vb_error *err);

/* The code that a call came from, as "libx.so+0x1a2b"; "": not known. In `arena`; NULL: no host
 * memory. */
const char *vb_watch_trace_caller(const struct vb_watch_trace *trace, uint64_t address,
                                  struct vb_arena *arena);

#endif
