/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_FIT_ACCURACY_H
#define VB_FIT_ACCURACY_H

/* How far predictions lie from what was observed: the statistics of a list of both. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

/* What predictions are grouped by. */
enum vb_group_key { VB_BY_GPU, VB_BY_MODEL, VB_BY_FAMILY, VB_BY_TRUST };
enum { VB_N_GROUP_KEYS = 4 };
extern const char *const vb_group_key_names[VB_N_GROUP_KEYS]; /* "gpu", "model", ... */

struct vb_interval {
    double low, high; /* bytes */
};

struct vb_prediction {
    double planned_bytes, observed_bytes; /* both above 0 */
    bool has_interval50, has_interval90;
    struct vb_interval interval50, interval90;
    const char *groups[VB_N_GROUP_KEYS]; /* "" where not known */
    const char *repository;              /* "OWNER/REPO": for leaving one out at a time; "" */
};

/* Percent; the error of a prediction is planned / observed - 1. NaN: there is nothing to tell it
 * from. Quantiles lie between the two nearest ranks in proportion ("type 7"). */
struct vb_accuracy {
    size_t n;
    double median_ape, mean_ape, p90_ape, worst_ape; /* of the absolute errors */
    double bias, mean_bias;                          /* median and mean of the signed errors */
    double coverage50, coverage90; /* observed values inside, of those that have an interval */
};

/* VB_E_SYSTEM: no host memory. */
VB_CHECKED enum vb_status vb_accuracy_of(const struct vb_prediction *items, size_t n,
                                         struct vb_accuracy *out, struct vb_error *err);

struct vb_accuracy_group {
    const char *name;
    struct vb_accuracy accuracy;
};

/* The same for each value of a key, those with the most predictions first, then by name. */
VB_CHECKED enum vb_status vb_accuracy_by(const struct vb_prediction *items, size_t n,
                                         enum vb_group_key key, struct vb_arena *arena,
                                         struct vb_accuracy_group **out, size_t *n_out,
                                         struct vb_error *err);

/* Percent, signed. */
double vb_prediction_error(const struct vb_prediction *prediction);

#endif
