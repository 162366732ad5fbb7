/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_SWEEP_PLANS_H
#define VB_SWEEP_PLANS_H

/* Many points, each for a device of its own, planned several at a time. Equal points on equal
 * devices are planned once. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "record/record.h"

struct vb_plan_request {
    struct vb_point point;
    char device[320]; /* "virtual:t4" */
};

/* What became of it: of a record the plain numbers. */
struct vb_plan_answer {
    enum vb_status status;        /* not VB_OK: see `reason` */
    enum vb_state state;          /* ok or oom */
    uint64_t printed_bytes;       /* what the run would print as GPU_mem */
    bool has_printed;             /* it did, though it may have run out after */
    uint64_t peak_reserved_bytes; /* state oom: both as planned with no limit */
    uint64_t usable_bytes, capacity_bytes;
    uint64_t parameters;
    struct vb_profile profile;                  /* workload autobatch */
    char workspaces[16], cudnn[32], recipe[96]; /* as in a record */
    char reason[512];
};

/* Fills answers[i] for requests[i], in `jobs` processes, each with its devices; 1 plans here.
 * VB_E_SYSTEM: no process or host memory; a point's own fault is its answer's. */
VB_CHECKED enum vb_status vb_plan_all(const struct vb_plan_request *requests, size_t n,
                                      uint32_t jobs, struct vb_plan_answer *answers,
                                      struct vb_error *err);

#endif
