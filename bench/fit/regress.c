/* SPDX-License-Identifier: Apache-2.0 */
#include "fit/regress.h"

#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

double vb_fit_value(const struct vb_fit *fit, const double *row)
{
    double value = 0;
    for (size_t i = 0; i < fit->n_terms; i++)
        value += fit->coefficients[i] * row[i];
    return value;
}

static double determination(const struct vb_fit *fit, const double *x, const double *y, size_t n)
{
    double mean = 0, total = 0, rest = 0;
    for (size_t i = 0; i < n; i++)
        mean += y[i] / (double)n;
    for (size_t i = 0; i < n; i++) {
        double off = y[i] - vb_fit_value(fit, x + i * fit->n_terms);
        total += (y[i] - mean) * (y[i] - mean);
        rest += off * off;
    }
    return total > 0 ? 1 - rest / total : 1;
}

enum vb_status vb_regress(const double *x, const double *y, const double *weights, size_t n,
                          size_t n_terms, struct vb_fit *out, struct vb_error *err)
{
    if (n < n_terms || n_terms == 0 || n_terms > VB_MAX_TERMS)
        return vb_fail(err, VB_E_INPUT, "%zu points for %zu coefficients", n, n_terms);
    for (size_t i = 0; i < n * n_terms; i++) {
        if (!isfinite(x[i]) || !isfinite(y[i / n_terms]))
            return vb_fail(err, VB_E_INPUT, "point %zu holds what is no number", i / n_terms);
    }
    double *a = malloc(n * n_terms * sizeof *a);
    double *b = malloc(n * sizeof *b);
    double singular[VB_MAX_TERMS];
    lapack_int rank = 0;
    if (a == NULL || b == NULL) {
        free(a);
        free(b);
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for a fit");
    }
    for (size_t i = 0; i < n; i++) {
        double weight = weights != NULL ? weights[i] : 1;
        b[i] = y[i] * weight;
        for (size_t k = 0; k < n_terms; k++)
            a[i * n_terms + k] = x[i * n_terms + k] * weight;
    }
    lapack_int info = LAPACKE_dgelsd(LAPACK_ROW_MAJOR, (lapack_int)n, (lapack_int)n_terms, 1, a,
                                     (lapack_int)n_terms, b, 1, singular, -1, &rank);
    out->n_terms = n_terms;
    out->rank = (size_t)rank;
    memcpy(out->coefficients, b, n_terms * sizeof *b);
    free(a);
    free(b);
    if (info != 0)
        return vb_fail(err, VB_E_SYSTEM, "the fit does not converge");
    out->r2 = determination(out, x, y, n);
    return VB_OK;
}
