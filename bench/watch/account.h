/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_WATCH_ACCOUNT_H
#define VB_WATCH_ACCOUNT_H

/* What a watched program's processes took of each GPU: the exact account of what was allocated
 * (capture/timeline.h) for each process, and for all together; and what NVML said that they held,
 * of which that is a part: the rest is context.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "capture/timeline.h"
#include "watch/run.h"
#include "watch/trace.h"

/* One allocation that was alive at the peak. */
struct vb_watched_allocation {
    uint64_t bytes, address; /* 0: many places */
    double seconds;          /* since the program's start: when it was taken */
    uint32_t correlation;
    const char *call;   /* what took it, in words */
    const char *caller; /* "libx.so+0x1a2b"; "": not known */
};

/* A process on one GPU. All moments are of CLOCK_MONOTONIC. */
struct vb_watched_gpu {
    const char *name;             /* its bus id, else "device 0" as the process counts, else "" */
    struct vb_live_curve curve;   /* of what was allocated */
    uint64_t peak_bytes, peak_ns; /* of that */
    uint64_t managed_bytes;       /* at the peak, not in it: where it lies is not known */
    struct vb_watched_allocation largest[VB_TIMELINE_LARGEST];
    size_t n_largest;
    uint64_t n_missing; /* signs that records are: the peak is a lower bound */
    bool has_context;
    uint64_t context_bytes; /* that NVML said it held less what was allocated: the median */
    uint64_t sampled_bytes; /* the most that NVML said */
    size_t n_samples;
};

enum vb_watched_end {
    VB_WATCHED_ENDED,  /* as programs do */
    VB_WATCHED_ABRUPT, /* killed, crashed or _exit(): its last quarter of a second may be missing */
    VB_WATCHED_EXECUTED, /* it went on as another program */
    VB_WATCHED_RUNNING,  /* still */
};
extern const char *const vb_watched_end_names[4];

struct vb_watched_process {
    const struct vb_watch_trace *trace;
    enum vb_watched_end end;
    uint64_t
        gone_ns; /* when it held nothing any more; of one that was killed: the last sign of it */
    struct vb_watched_gpu *gpus;
    size_t n_gpus;
};

/* All processes on one GPU. */
struct vb_watched_total {
    const char *name;
    struct vb_live_curve curve;
    uint64_t peak_bytes, peak_ns;
    size_t n_processes;     /* that had a part in it */
    bool has_context;       /* of each that was there at the peak */
    uint64_t context_bytes; /* of those, together */
    uint64_t sampled_bytes; /* the most that NVML said of all at once; 0: nothing */
    uint64_t device_bytes;  /* the most of it that was gone: the peak and its context, or what NVML
                               saw where that is more, for not all memory has a record */
    bool is_lower_bound;
};

struct vb_watched {
    struct vb_watched_process *processes;
    size_t n_processes;
    struct vb_watched_total *totals;
    size_t n_totals;
};

/* All in `arena`; the traces and the run are borrowed. VB_E_SYSTEM: host memory. */
VB_CHECKED enum vb_status vb_watch_account(const struct vb_watch_traces *traces,
                                           const struct vb_watch_run *run, struct vb_watched *out,
                                           struct vb_arena *arena, struct vb_error *err);

/* What was live at a moment. */
uint64_t vb_live_curve_at(const struct vb_live_curve *curve, uint64_t ns);

#endif
