/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_FIT_ROBUST_H
#define VB_FIT_ROBUST_H

/* Least squares that a few bad points cannot move: errors count relative to what is fitted, those
 * beyond 1.345 standard deviations less and less (Huber, "Robust estimation of a location
 * parameter", 1964), and a point that not one in ten thousand would be like is set aside. Decides
 * nothing about what is fitted. */

#include "base/arena.h"
#include "base/error.h"
#include "fit/regress.h"

/* What is known of the coefficients before: as of so many points more. */
struct vb_prior {
    double mean[VB_MAX_TERMS], deviation[VB_MAX_TERMS]; /* standard deviations, above 0 */
};

struct vb_robust {
    size_t n, n_terms;
    size_t n_aside; /* points set aside: their weight is 0 */
    double coefficients[VB_MAX_TERMS];
    double covariance[VB_MAX_TERMS * VB_MAX_TERMS]; /* of the coefficients, row by row */
    double spread;    /* of one point around the fit: a standard deviation, relative */
    double freedom;   /* degrees of it */
    double *weights;  /* a point: from 0 to 1; the arena's */
    double *left_out; /* what the fit without the point says of it; the arena's */
};

/* Fits y (n values above 0) by the columns of x (n rows of n_terms, one after another); `prior`
 * NULL: nothing is known before. VB_E_INPUT: too few points, or the terms cannot be told apart.
 * VB_E_SYSTEM: no host memory. */
VB_CHECKED enum vb_status vb_robust_fit(const double *x, const double *y, size_t n, size_t n_terms,
                                        const struct vb_prior *prior, struct vb_arena *arena,
                                        struct vb_robust *out, struct vb_error *err);

/* What the fit says for one row. */
double vb_robust_value(const struct vb_robust *fit, const double *row);

#endif
