/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_FIT_AUTOBATCH_H
#define VB_FIT_AUTOBATCH_H

/* AutoBatch's arithmetic from its readings to a batch, as it is: readings are in 1e9 bytes and what
 * is free is in GiB; what is allocated is subtracted a second time, for reserved memory holds it.
 * Source: ultralytics/yolov5 and ultralytics, utils/autobatch.py. */

#include <stddef.h>

#include "base/error.h"
#include "record/autobatch.h"

/* What AutoBatch printed, or would: sizes 1, 2, 4, ... */
struct vb_autobatch_table {
    double total_gib, reserved_gib, allocated_gib;
    size_t n_sizes; /* tried; the last ones may have failed */
    size_t n;       /* read */
    double reserved_gb[VB_N_PROFILED];
};

enum vb_autobatch_reason {
    VB_CHOSEN_BY_FIT,
    VB_CHOSEN_BELOW_FAILURE, /* the last size before one that failed */
    VB_CHOSEN_AS_USUAL,      /* the fit's batch was out of bounds, or there was none */
};
extern const char *const vb_autobatch_reason_names[3]; /* "fit", "below-failure", "usual" */

struct vb_autobatch {
    double free_gib;
    /* Reserved 1e9 B at batch b: intercept + slope * b; of the logarithms exp(intercept) *
     * b ^ slope. */
    double slope, intercept;
    double fitted; /* the batch where the fit meets the fraction, before it is rounded */
    long batch;
    enum vb_autobatch_reason reason;
    double predicted; /* of the total: the fit at the batch and what was there before */
};

/* VB_E_INPUT: no fit: fewer than two readings, or all alike, and the version takes no usual batch.
 */
VB_CHECKED enum vb_status vb_autobatch_choose(const struct vb_autobatch_table *table,
                                              const struct vb_autobatch_rules *rules,
                                              struct vb_autobatch *out, struct vb_error *err);

/* The table of a planned profile on a device of so much memory. */
struct vb_autobatch_table vb_autobatch_table_of(const struct vb_profile *profile,
                                                uint64_t capacity_bytes);

/* The fit's memory at a batch, in 1e9 B. */
double vb_autobatch_at(const struct vb_autobatch *fit, const struct vb_autobatch_rules *rules,
                       double batch);

#endif
