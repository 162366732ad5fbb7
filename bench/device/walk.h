/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_DEVICE_WALK_H
#define VB_DEVICE_WALK_H

/* A program being walked: what execute.c and its parts share. Private to device/. */

#include "device/device.h"
#include "device/plan_map.h"
#include "memory/ledger.h"
#include "memory/pool.h"
#include "step/program.h"

/* Which of the plans that could be chosen: the first, or the one with the least or most workspace.
 */
enum vb_choice_of_plan { VB_FIRST_PLAN, VB_LEAST_PLAN, VB_MOST_PLAN };

struct vb_walk {
    enum vb_choice_of_plan choice;
    const struct vb_program *program;
    const struct vb_point *point;
    struct vb_device *device;
    struct vb_pool *pool;
    struct vb_arena *arena;
    struct vb_record *record;
    struct vb_ledger ledger;
    struct vb_block **blocks;   /* of each tensor; NULL while it is not there */
    struct vb_conv_plan *plans; /* of calls that take one, in the order in which they came */
    size_t n_plans, plans_room;
    uint32_t *plan_of;         /* of each call: 1 + the index of its plan; 0: it has none yet */
    struct vb_segment outside; /* scratch beside the pool; no bytes: none was needed yet */
    double *samples;           /* seconds of each measured step that counts, in their order */
    double *sorted;            /* room for the same by length */
    uint64_t *samples_ns;      /* room for what the record keeps of them */
    size_t n_samples, samples_room;
    double timed_seconds; /* the sum of the samples */
    uint64_t eager_bytes; /* of the context, beyond what the device counts, where kernels are not
                             loaded lazily */
    struct vb_plan_map searched; /* autotuning's questions so far; the answers are not looked at */
    enum vb_part part;
    uint64_t peak_part_bytes; /* reserved at the peak of the part that record->peak_part tells */
    bool has_parts;           /* the program says which part begins */
    struct vb_peaks {
        uint64_t requested_bytes, allocated_bytes, reserved_bytes;
    } peaks;            /* of the parts before */
    uint64_t addresses; /* a running hash of what the pool gave */
    uint32_t step;      /* the first is 0 */
    uint64_t peak_workspace_bytes;
    uint64_t workspace_at_peak_bytes;
    const char *workspace_at_peak;
    bool keeps_curve;
    struct vb_curve_point *curve;
    size_t n_curve, curve_room;
};

/* Takes a block; VB_E_NO_FIT leaves in the record what was asked for and what was free. */
VB_CHECKED enum vb_status vb_walk_take(struct vb_walk *walk, uint64_t bytes, uint32_t category,
                                       size_t instruction, struct vb_block **out,
                                       struct vb_error *err);
void vb_walk_give(struct vb_walk *walk, struct vb_block *block, uint32_t category);

/* What the driver still has for segments. */
uint64_t vb_walk_free_bytes(const struct vb_walk *walk);

/* Asks a device that executes what each call takes. VB_E_UNSUPPORTED: there is one that it cannot
 * run. */
VB_CHECKED enum vb_status vb_walk_ask_workspaces(struct vb_walk *walk, struct vb_error *err);

/* The addresses of the call's operands. VB_E_DEVICE: one is not there. */
VB_CHECKED enum vb_status vb_walk_gather(const struct vb_walk *walk, const struct vb_call *call,
                                         vb_address *tensors, struct vb_error *err);

/* The plan of the call of that index; NULL: it has none. */
static inline const struct vb_conv_plan *vb_walk_plan(const struct vb_walk *walk, uint32_t index)
{
    const uint32_t at = walk->plan_of[index];
    return at > 0 ? &walk->plans[at - 1] : NULL;
}

/* Runs the call of that index, its workspace taken and given back. */
VB_CHECKED enum vb_status vb_walk_call(struct vb_walk *walk, size_t instruction, uint32_t index,
                                       struct vb_error *err);
/* Gives back what calls had beside the pool. */
void vb_walk_end_calls(struct vb_walk *walk);

/* A step is done that took so long and whose loss is that tensor: notes both where the device
 * executes. VB_E_DEVICE: the loss is not a finite number. */
VB_CHECKED enum vb_status vb_walk_end_step(struct vb_walk *walk, uint32_t loss, double seconds,
                                           struct vb_error *err);
/* Whether the steps so far are enough: as many as the point wants, and where the device settles,
 * until the median is known to 1 % with 95 % probability, or for VB_TIME_LIMIT_SECONDS. Of fewer
 * than VB_LEAST_STEPS nothing can be said of the median: who wants no more gets exactly those. */
bool vb_walk_has_settled(struct vb_walk *walk);
enum { VB_LEAST_STEPS = 6, VB_TIME_LIMIT_SECONDS = 20, VB_MOST_STEPS = VB_MOST_STEP_SAMPLES };

/* Of one sample or more, which are sorted. */
double vb_median(double *seconds, size_t n);

/* What was measured, to the record: times, rates, the process's memory. */
void vb_walk_tell_measured(struct vb_walk *walk);

/* torch.backends.cudnn.benchmark: the search before the first run of a convolution. Source:
 * torch-memory.md, part A, 3. `conv` is what the call of that index asks, `plan` the answer;
 * `*is_new`: it was not asked before, and a device that runs plans may now have another one.
 * VB_E_SYSTEM: no host memory. */
VB_CHECKED enum vb_status vb_walk_search(struct vb_walk *walk, const struct vb_conv *conv,
                                         const struct vb_conv_plan *plan, uint32_t index,
                                         size_t instruction, bool *is_new, struct vb_error *err);

/* Another part of the run begins: the peaks of the one before are noted. */
void vb_walk_begin_part(struct vb_walk *walk, enum vb_part part);

/* What the walk saw, to its record; `status` is how it ended. */
void vb_walk_tell(struct vb_walk *walk, enum vb_status status);
void vb_walk_tell_device(struct vb_walk *walk);

#endif
