/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_FIT_PAIRS_H
#define VB_FIT_PAIRS_H

/* The records of two runs of the same sweep, point by point. It refuses what cannot be compared. */

#include "base/arena.h"
#include "record/record.h"

/* One run's records; of several of one point the last counts. */
struct vb_side {
    const char *name; /* for texts: the folder */
    const struct vb_record *records;
    size_t n;
};

struct vb_pair {
    const struct vb_record *base, *candidate; /* NULL: that run has no such point */
};

struct vb_pairs {
    struct vb_pair *items; /* in the base's order, then what only the candidate has in its own */
    size_t n;
    /* Of each run the first record that tells of a device, for what the runs have in common. */
    const struct vb_record *base, *candidate;
};

/* Points are the same if all their settings are and the kind of device is, whatever the number of
 * the GPU. All is of the arena. VB_E_INPUT: there are no records; a record holds what cannot be;
 * one of the runs is of several GPUs, or planned and measured; the runs are not of the same GPU,
 * capacity, number of threads, or not both planned or both measured; no point that ran is in both.
 */
VB_CHECKED enum vb_status vb_pairs_make(const struct vb_side *base, const struct vb_side *candidate,
                                        struct vb_arena *arena, struct vb_pairs *out,
                                        struct vb_error *err);

#endif
