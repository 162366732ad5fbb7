/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_FIT_RANK_H
#define VB_FIT_RANK_H

/* Whether two samples differ, and by how much, from their ranks alone: nothing is assumed of how
 * they are distributed, and one wild value counts no more than any other at its end. */

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* Mann-Whitney: the two-sided chance of ranks at least as far apart where `a` and `b`, of one value
 * or more, are drawn alike. Exact for small samples, ties too: it counts the ways to share out the
 * ranks, equal values having their mean. Of larger ones the normal approximation, corrected for
 * ties and continuity. VB_E_SYSTEM: no host memory. */
VB_CHECKED enum vb_status vb_rank_test(const double *a, size_t n_a, const double *b, size_t n_b,
                                       double *p, struct vb_error *err);

/* How much larger b is. */
struct vb_shift {
    double middle; /* Hodges-Lehmann: the median of all differences of a pair */
    bool has_interval;
    double low, high; /* where it lies with 95 % probability; of too few values nothing is known */
};

/* To 1e-12. VB_E_SYSTEM: no host memory. */
VB_CHECKED enum vb_status vb_rank_shift(const double *a, size_t n_a, const double *b, size_t n_b,
                                        struct vb_shift *out, struct vb_error *err);

/* The chance of a normal deviate beyond z on either side, and the z of such a chance. */
double vb_normal_beyond(double z);
double vb_normal_quantile(double beyond);

/* Holm: raises the `n` chances in place to what each may be held to where many are looked at: that
 * any of those at most r is a chance find has a chance of at most r, whatever depends on what.
 * VB_E_SYSTEM: no host memory. */
VB_CHECKED enum vb_status vb_holm(double *p, size_t n, struct vb_error *err);

#endif
