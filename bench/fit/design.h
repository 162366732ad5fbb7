/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_FIT_DESIGN_H
#define VB_FIT_DESIGN_H

/* Which few points of a grid tell the most about the coefficients of a fit: those for which the
 * determinant of its information matrix is largest (D-optimal), the cheapest of those that are as
 * good as equal. */

#include "base/arena.h"
#include "base/error.h"
#include "fit/robust.h"

struct vb_candidates {
    const double *x;    /* n rows of n_terms: as vb_robust_fit() takes them */
    const double *size; /* n: about what is fitted for each; errors are relative to it */
    const double *cost; /* n: seconds or bytes, whichever is known */
    size_t n, n_terms;
    const struct vb_prior *prior; /* as the fit's; without one the first picks rest on next to
                                     nothing */
};

/* Writes the places of `n_picks` points, at most `n`, ascending, to `picks`. Greedy, then by
 * exchange until none helps. VB_E_SYSTEM: no host memory. */
VB_CHECKED enum vb_status vb_design_pick(const struct vb_candidates *candidates, size_t n_picks,
                                         size_t *picks, struct vb_error *err);

/* The largest standard deviation, relative, of what a fit on the picks would say of a candidate,
 * where one point's is `spread`. */
double vb_design_deviation(const struct vb_candidates *candidates, const size_t *picks,
                           size_t n_picks, double spread);

#endif
