/* SPDX-License-Identifier: Apache-2.0 */
/* Iteratively reweighted least squares in three stages. Least absolute errors find a fit that a
 * tenth of bad points hardly moves; from its residuals comes a scale, and Huber's weights go on
 * from there; at last what lies beyond the cut is set aside, for a weight that only falls as 1 /
 * distance still lets one-sided outliers pull. Rows are divided by what the fit before said of
 * them, so that residuals are relative. The covariance is Huber's for an M-estimator ("Robust
 * Statistics", 1981, 7.6), with his correction for few points.
 *
 * Leaving a point out is worked out from its leverage with the weights as they are, not by fitting
 * again: for least squares the two are equal.
 */
#include "fit/robust.h"

#include <lapacke.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "fit/student.h"

#define HUBER 1.345          /* 95 % as good as least squares where errors are normal */
#define CUT_SHARE 0.99995    /* of Student's t, a side, beyond which a point is set aside */
#define NORMAL_MEDIAN 0.6745 /* the median distance of a normal distribution */
#define LEAST_SPREAD 1e-4    /* relative: segments are multiples of 2 MiB */
#define USUAL_SPREAD 0.03    /* before any residual is known */
#define LEAST_PIVOT 1e-5     /* of columns of length 1: below it terms cannot be told apart */
enum { FIRST_ROUNDS = 15, ROUNDS = 40 };

struct work {
    const double *x, *y;
    size_t n, n_terms;
    const struct vb_prior *prior;
    double *fitted, *weights, *errors, *sorted;
    double inverse[VB_MAX_TERMS * VB_MAX_TERMS];
    double coefficients[VB_MAX_TERMS];
    double spread;
};

static double value_of(const struct work *work, size_t i)
{
    double value = 0;
    for (size_t k = 0; k < work->n_terms; k++)
        value += work->coefficients[k] * work->x[i * work->n_terms + k];
    return value;
}

/* Normal equations of the weighted rows, and of the prior as of rows of the given spread. */
static void add_up(const struct work *work, double spread, double *a, double *b)
{
    size_t p = work->n_terms;
    memset(a, 0, p * p * sizeof *a);
    memset(b, 0, p * sizeof *b);
    for (size_t i = 0; i < work->n; i++) {
        const double *row = work->x + i * p;
        double weight = work->weights[i] / (work->fitted[i] * work->fitted[i]);
        for (size_t k = 0; k < p; k++) {
            b[k] += weight * row[k] * work->y[i];
            for (size_t m = 0; m <= k; m++)
                a[k * p + m] += weight * row[k] * row[m];
        }
    }
    for (size_t k = 0; k < p && work->prior != NULL; k++) {
        double weight = spread / work->prior->deviation[k];
        a[k * p + k] += weight * weight;
        b[k] += weight * weight * work->prior->mean[k];
    }
}

/* The inverse of the symmetric matrix whose lower half is `a`, into `inverse`; its columns are
 * brought to one length before, so that bytes and counts compare. */
static bool invert(double *a, size_t p, double *inverse)
{
    double scale[VB_MAX_TERMS];
    for (size_t k = 0; k < p; k++) {
        if (!(a[k * p + k] > 0) || !isfinite(a[k * p + k]))
            return false;
        scale[k] = 1 / sqrt(a[k * p + k]);
    }
    for (size_t k = 0; k < p; k++) {
        for (size_t m = 0; m <= k; m++)
            inverse[k * p + m] = a[k * p + m] * scale[k] * scale[m];
    }
    lapack_int n = (lapack_int)p;
    if (LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', n, inverse, n) != 0)
        return false;
    for (size_t k = 0; k < p; k++) {
        if (!(inverse[k * p + k] > LEAST_PIVOT))
            return false;
    }
    if (LAPACKE_dpotri(LAPACK_ROW_MAJOR, 'L', n, inverse, n) != 0)
        return false;
    for (size_t k = 0; k < p; k++) {
        for (size_t m = 0; m <= k; m++)
            inverse[m * p + k] = inverse[k * p + m] = inverse[k * p + m] * scale[k] * scale[m];
    }
    return true;
}

/* One round: coefficients for the weights as they are, then what is fitted and its errors. */
static bool solve(struct work *work)
{
    size_t p = work->n_terms;
    double a[VB_MAX_TERMS * VB_MAX_TERMS], b[VB_MAX_TERMS];
    add_up(work, work->spread, a, b);
    if (!invert(a, p, work->inverse))
        return false;
    for (size_t k = 0; k < p; k++) {
        work->coefficients[k] = 0;
        for (size_t m = 0; m < p; m++)
            work->coefficients[k] += work->inverse[k * p + m] * b[m];
    }
    for (size_t i = 0; i < work->n; i++) {
        double value = value_of(work, i);
        work->errors[i] = (work->y[i] - value) / work->fitted[i];
        work->fitted[i] = fmax(value, work->y[i] / 16); /* a bad round must not turn the signs */
    }
    return true;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* From the median distance, of all but the n_terms smallest: as many a fit makes vanish. */
static double scale_of(const struct work *work)
{
    size_t p = work->n_terms < work->n ? work->n_terms : 0, n = work->n - p;
    for (size_t i = 0; i < work->n; i++)
        work->sorted[i] = fabs(work->errors[i]);
    qsort(work->sorted, work->n, sizeof *work->sorted, by_value);
    double median = (work->sorted[p + (n - 1) / 2] + work->sorted[p + n / 2]) / 2;
    return fmax(median / NORMAL_MEDIAN, LEAST_SPREAD);
}

/* `cut`: in standard deviations, beyond which a weight is 0. */
static void weigh(struct work *work, double cut)
{
    for (size_t i = 0; i < work->n; i++) {
        double distance = fabs(work->errors[i]) / work->spread;
        work->weights[i] = distance > cut ? 0 : fmin(1, HUBER / fmax(distance, HUBER));
    }
}

static bool iterate(struct work *work)
{
    for (size_t i = 0; i < work->n; i++) {
        work->fitted[i] = work->y[i];
        work->weights[i] = 1;
    }
    work->spread = USUAL_SPREAD;
    bool is_good = solve(work) && solve(work);
    for (int round = 0; round < FIRST_ROUNDS && is_good; round++) {
        for (size_t i = 0; i < work->n; i++)
            work->weights[i] = USUAL_SPREAD / fmax(fabs(work->errors[i]), LEAST_SPREAD);
        is_good = solve(work);
    }
    for (int round = 0; round < ROUNDS && is_good; round++) {
        work->spread = scale_of(work);
        weigh(work, HUGE_VAL);
        is_good = solve(work);
    }
    double freedom = fmax((double)work->n - (double)work->n_terms, 1);
    double cut = vb_student_quantile(CUT_SHARE, freedom);
    for (int round = 0; round < ROUNDS && is_good; round++) {
        weigh(work, cut);
        is_good = solve(work);
    }
    return is_good;
}

/* z' M z of a row divided by what is fitted for it. */
static double form_of(const double *matrix, const double *row, size_t p, double fitted)
{
    double sum = 0;
    for (size_t k = 0; k < p; k++) {
        for (size_t m = 0; m < p; m++)
            sum += row[k] * matrix[k * p + m] * row[m];
    }
    return sum / (fitted * fitted);
}

/* Leverages of the fit: what is left out, and the degrees of freedom. */
static void leave_out(const struct work *work, struct vb_robust *out)
{
    double trace = 0, n = 0;
    for (size_t i = 0; i < work->n; i++) {
        const double *row = work->x + i * work->n_terms;
        double weight = work->weights[i], fitted = value_of(work, i);
        double leverage = weight * form_of(work->inverse, row, work->n_terms, work->fitted[i]);
        leverage = fmin(leverage, 1 - 1e-9);
        trace += leverage;
        n += weight > 0;
        out->left_out[i] = fitted - leverage / (1 - leverage) * (work->y[i] - fitted);
    }
    out->freedom = fmax(n - trace, 1);
}

/* Covariance and spread, from the points that were kept. */
static bool tell_covariance(struct work *work, struct vb_robust *out)
{
    double n = 0, n_inner = 0, sum = 0, square = 0;
    double a[VB_MAX_TERMS * VB_MAX_TERMS], b[VB_MAX_TERMS];
    size_t p = work->n_terms;
    for (size_t i = 0; i < work->n; i++) {
        double weight = work->weights[i], error = work->errors[i];
        if (weight == 0)
            continue;
        n++;
        n_inner += weight == 1;
        sum += weight * weight * error * error;
        square += error * error;
    }
    double slope = n > 0 ? n_inner / n : 0;
    if (slope <= 0)
        return false;
    double correction = 1 + (double)p / n * (1 - slope) / slope;
    double deviation = correction * sqrt(sum / out->freedom) / slope;
    deviation = fmax(deviation, LEAST_SPREAD);
    out->spread = fmax(sqrt(square / out->freedom), LEAST_SPREAD);
    for (size_t i = 0; i < work->n; i++)
        work->weights[i] = work->weights[i] > 0;
    add_up(work, deviation, a, b);
    if (!invert(a, p, out->covariance))
        return false;
    for (size_t k = 0; k < p * p; k++)
        out->covariance[k] *= deviation * deviation;
    return true;
}

enum vb_status vb_robust_fit(const double *x, const double *y, size_t n, size_t n_terms,
                             const struct vb_prior *prior, struct vb_arena *arena,
                             struct vb_robust *out, struct vb_error *err)
{
    *out = (struct vb_robust){ .n = n, .n_terms = n_terms };
    if (n_terms == 0 || n_terms > VB_MAX_TERMS || n < n_terms + (prior == NULL))
        return vb_fail(err, VB_E_INPUT, "%zu points for %zu coefficients", n, n_terms);
    struct work work = { .x = x, .y = y, .n = n, .n_terms = n_terms, .prior = prior };
    double *room = vb_arena_alloc(arena, n * 4, sizeof *room);
    out->weights = vb_arena_alloc(arena, n, sizeof *out->weights);
    out->left_out = vb_arena_alloc(arena, n, sizeof *out->left_out);
    if (room == NULL || out->weights == NULL || out->left_out == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for a fit of %zu points", n);
    work.fitted = room;
    work.weights = room + n;
    work.errors = room + 2 * n;
    work.sorted = room + 3 * n;
    if (!iterate(&work))
        return vb_fail(err, VB_E_INPUT, "the terms cannot be told apart by these %zu points", n);
    memcpy(out->coefficients, work.coefficients, n_terms * sizeof *work.coefficients);
    memcpy(out->weights, work.weights, n * sizeof *work.weights);
    for (size_t i = 0; i < n; i++)
        out->n_aside += work.weights[i] == 0;
    leave_out(&work, out);
    if (!tell_covariance(&work, out))
        return vb_fail(err, VB_E_INPUT, "the terms cannot be told apart by these %zu points", n);
    return VB_OK;
}

double vb_robust_value(const struct vb_robust *fit, const double *row)
{
    double value = 0;
    for (size_t k = 0; k < fit->n_terms; k++)
        value += fit->coefficients[k] * row[k];
    return value;
}
