/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_DEVICE_PLAN_DIFF_H
#define VB_DEVICE_PLAN_DIFF_H

/* What two versions of cuDNN answer otherwise about one GPU: two tables, compared by the question.
 * Whether a range of candidates changed is not looked at. */

#include "base/arena.h"
#include "device/plan_table.h"

struct vb_plan_change {
    struct vb_plan_key key;
    struct vb_plan_answer was, is;
};

/* Over the questions that both tables answer, of one direction under one rule. */
struct vb_plan_totals {
    size_t n;
    uint64_t largest_was_bytes, largest_is_bytes;
    uint64_t sum_was_bytes, sum_is_bytes;
};

struct vb_plan_diff {
    const struct vb_plan_change *changes; /* the largest change of workspace first */
    size_t n;
    size_t n_engine, n_workspace; /* of them: which have another engine, another workspace */
    size_t n_common, n_only_was, n_only_is;
    struct vb_plan_totals totals[2][3]; /* nondeterministic engines allowed, then left out */
};

/* `was` and `is` are read only. VB_E_INPUT: they are of two GPUs, or have no question in common. */
VB_CHECKED enum vb_status vb_plan_diff(const struct vb_plan_table *was,
                                       const struct vb_plan_table *is, struct vb_arena *arena,
                                       struct vb_plan_diff *out, struct vb_error *err);

#endif
