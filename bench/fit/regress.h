/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_FIT_REGRESS_H
#define VB_FIT_REGRESS_H

/* Least squares through LAPACKE. */

#include <stddef.h>

#include "base/error.h"

enum { VB_MAX_TERMS = 32 };

struct vb_fit {
    size_t n_terms;
    double coefficients[VB_MAX_TERMS];
    double r2;   /* 1 where y does not vary and is met */
    size_t rank; /* below n_terms: the terms cannot be told apart */
};

/* Fits y (n values) by the columns of x (n rows of n_terms, one after another), each row weighted
 * by `weights` (NULL: all alike). VB_E_INPUT: fewer rows than terms, or a value that is no number.
 * VB_E_SYSTEM: no host memory. */
VB_CHECKED enum vb_status vb_regress(const double *x, const double *y, const double *weights,
                                     size_t n, size_t n_terms, struct vb_fit *out,
                                     struct vb_error *err);

/* What the fit says for one row of terms. */
double vb_fit_value(const struct vb_fit *fit, const double *row);

#endif
