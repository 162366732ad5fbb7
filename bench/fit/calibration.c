/* SPDX-License-Identifier: Apache-2.0 */
#include "fit/calibration.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fit/design.h"
#include "fit/student.h"

#define GIB 1073741824.0
#define SIDE 0.95        /* of a two-sided 90 % interval */
#define AS_GOOD 1.02     /* of the least error, within which the earlier form is taken */
enum { EMPIRICAL = 20 }; /* points from which intervals are ranks of errors, not Student's t */

const char *const vb_calibration_form_names[VB_N_CALIBRATION_FORMS] = {
    "a x planned without workspaces + b x planned workspaces + c",
    "a x planned + b",
    "a x batch x pixels + b",
    "a x batch + b",
};

/* Sums over all points of a group, x by row. */
struct matrix {
    double *x, *y;
    size_t n, n_terms;
};

size_t vb_calibration_row(enum vb_calibration_form form, const struct vb_calibration_point *point,
                          double row[VB_CALIBRATION_TERMS])
{
    const bool is_structural = form == VB_CALIBRATE_APART || form == VB_CALIBRATE_PLAN;
    if (is_structural && !(point->planned_bytes > 0 && point->apart_bytes > 0))
        return 0;
    switch (form) {
    case VB_CALIBRATE_APART:
        row[0] = point->apart_bytes;
        row[1] = point->planned_bytes - point->apart_bytes;
        row[2] = GIB;
        return 3;
    case VB_CALIBRATE_PLAN:
        row[0] = point->planned_bytes;
        break;
    case VB_CALIBRATE_PIXELS:
        row[0] = (double)point->batch * point->imgsz * point->imgsz;
        break;
    case VB_CALIBRATE_BATCH:
        row[0] = point->batch;
        break;
    }
    row[1] = GIB;
    return 2;
}

/* A plan is off by some 3 % of published runs; workspaces by a half where cuDNN takes other plans;
 * a context by half a GiB (sweeps/gpus/README.md). */
bool vb_calibration_prior(enum vb_calibration_form form, struct vb_prior *out)
{
    if (form == VB_CALIBRATE_APART)
        *out = (struct vb_prior){ .mean = { 1, 1, 0 }, .deviation = { 0.03, 0.5, 0.5 } };
    else
        *out = (struct vb_prior){ .mean = { 1, 0 }, .deviation = { 0.05, 0.5 } };
    return form == VB_CALIBRATE_APART || form == VB_CALIBRATE_PLAN;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Errors left out of the points that count, relative and signed, sorted: n of them. */
static size_t sorted_errors(const struct matrix *of, const struct vb_robust *fit, double *errors)
{
    size_t n = 0;
    for (size_t i = 0; i < of->n; i++) {
        if (fit->weights[i] > 0 && fit->left_out[i] > 0)
            errors[n++] = of->y[i] / fit->left_out[i] - 1;
    }
    qsort(errors, n, sizeof *errors, by_value);
    return n;
}

/* Where the next point lies: by rank where there are enough errors (each side's is that which the
 * new one exceeds once in twenty, itself counted), else by Student's t around the fit. */
static void tell_interval(const double *errors, size_t n, struct vb_calibration_fit *out)
{
    if (n >= EMPIRICAL) {
        size_t place = (size_t)ceil(SIDE * (double)(n + 1)) - 1;
        place = place < n ? place : n - 1;
        out->interval_high = errors[place];
        out->interval_low = errors[n - 1 - place];
        return;
    }
    double wide = vb_student_quantile(SIDE, out->freedom) * out->spread *
                  sqrt(1 + (double)out->n_terms / (double)(n > 0 ? n : 1));
    out->interval_high = wide;
    out->interval_low = -fmin(wide, 1);
}

static void tell_errors(const struct matrix *of, const struct vb_robust *fit, double *errors,
                        struct vb_calibration_fit *out)
{
    size_t n = sorted_errors(of, fit, errors);
    tell_interval(errors, n, out);
    for (size_t i = 0; i < n; i++)
        errors[i] = fabs(errors[i]);
    qsort(errors, n, sizeof *errors, by_value);
    out->median_error = n > 0 ? (errors[(n - 1) / 2] + errors[n / 2]) / 2 : HUGE_VAL;
    out->worst_error = n > 0 ? errors[n - 1] : HUGE_VAL;
}

static void tell_coefficients(const struct vb_robust *fit, struct vb_calibration_fit *out)
{
    double t = vb_student_quantile(SIDE, fit->freedom);
    for (size_t k = 0; k < fit->n_terms; k++) {
        double wide = t * sqrt(fit->covariance[k * fit->n_terms + k]);
        out->coefficients[k] = fit->coefficients[k];
        out->low[k] = fit->coefficients[k] - wide;
        out->high[k] = fit->coefficients[k] + wide;
    }
    memcpy(out->covariance, fit->covariance, fit->n_terms * fit->n_terms * sizeof *out->covariance);
}

/* False where the form has no row for some point. */
static bool fill(enum vb_calibration_form form, const struct vb_calibration_point *points, size_t n,
                 struct matrix *out)
{
    double row[VB_CALIBRATION_TERMS];
    out->n = n;
    for (size_t i = 0; i < n; i++) {
        out->n_terms = vb_calibration_row(form, &points[i], row);
        if (out->n_terms == 0)
            return false;
        memcpy(out->x + i * out->n_terms, row, out->n_terms * sizeof *row);
        out->y[i] = points[i].measured_bytes;
    }
    return true;
}

/* Fits one form; VB_E_INPUT where it cannot be. */
static enum vb_status fit_form(enum vb_calibration_form form,
                               const struct vb_calibration_point *points, size_t n,
                               struct vb_arena *arena, struct vb_robust *fit, struct matrix *of,
                               struct vb_error *err)
{
    struct vb_prior prior;
    bool has_prior = vb_calibration_prior(form, &prior) && n < VB_FEW_POINTS;
    of->x = vb_arena_alloc(arena, n * VB_CALIBRATION_TERMS + 1, sizeof *of->x);
    of->y = vb_arena_alloc(arena, n + 1, sizeof *of->y);
    if (of->x == NULL || of->y == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for %zu points", n);
    if (n < VB_LEAST_POINTS)
        return vb_fail(err, VB_E_INPUT, "%zu points, too few for a calibration (%d)", n,
                       VB_LEAST_POINTS);
    if (!fill(form, points, n, of))
        return vb_fail(err, VB_E_INPUT, "not all points are planned");
    return vb_robust_fit(of->x, of->y, n, of->n_terms, has_prior ? &prior : NULL, arena, fit, err);
}

static enum vb_status fit_all(struct vb_calibration *out, struct vb_robust *fits,
                              struct vb_arena *arena, struct vb_error *err)
{
    enum vb_status status = VB_OK;
    double *errors = vb_arena_alloc(arena, out->n_points + 1, sizeof *errors);
    if (errors == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for %zu points", out->n_points);
    for (int form = 0; form < VB_N_CALIBRATION_FORMS; form++) {
        struct vb_calibration_fit *fit = &out->fits[form];
        struct matrix of;
        status = fit_form((enum vb_calibration_form)form, out->points, out->n_points, arena,
                          &fits[form], &of, err);
        if (status == VB_E_INPUT)
            continue;
        if (status != VB_OK)
            return status;
        fit->is_fitted = true;
        fit->n = out->n_points;
        fit->n_aside = fits[form].n_aside;
        fit->n_terms = fits[form].n_terms;
        fit->spread = fits[form].spread;
        fit->freedom = fits[form].freedom;
        tell_coefficients(&fits[form], fit);
        tell_errors(&of, &fits[form], errors, fit);
    }
    return VB_OK;
}

/* Of few points, errors left out tell too little to choose by: the first form is taken, which rests
 * on the most that is known. */
static bool choose(struct vb_calibration *out)
{
    bool is_found = false;
    double best = HUGE_VAL;
    for (int form = 0; form < VB_N_CALIBRATION_FORMS; form++) {
        if (out->fits[form].is_fitted)
            best = fmin(best, out->fits[form].median_error);
    }
    for (int form = 0; form < VB_N_CALIBRATION_FORMS && !is_found; form++) {
        const struct vb_calibration_fit *fit = &out->fits[form];
        if (!fit->is_fitted ||
            (out->n_points >= VB_FEW_POINTS && fit->median_error > AS_GOOD * best))
            continue;
        out->chosen = (enum vb_calibration_form)form;
        is_found = true;
    }
    return is_found;
}

static int by_size(const void *a, const void *b)
{
    const struct vb_calibration_point *x = a, *y = b;
    double p = (double)x->batch * x->imgsz * x->imgsz, q = (double)y->batch * y->imgsz * y->imgsz;
    if (p != q)
        return p < q ? -1 : 1;
    if (x->batch != y->batch)
        return x->batch < y->batch ? -1 : 1;
    if (x->precision != y->precision)
        return x->precision < y->precision ? -1 : 1;
    if (x->mosaic != y->mosaic)
        return x->mosaic < y->mosaic ? -1 : 1;
    return (x->measured_bytes > y->measured_bytes) - (x->measured_bytes < y->measured_bytes);
}

/* The points of the precision and mosaic, or of all where those are few. */
static enum vb_status gather(const struct vb_calibration_point *points, size_t n,
                             struct vb_arena *arena, struct vb_calibration *out,
                             struct vb_error *err)
{
    size_t n_all = 0;
    out->n_own = out->n_points = 0;
    for (size_t i = 0; i < n; i++)
        out->n_own += points[i].precision == out->precision && points[i].mosaic == out->mosaic;
    out->is_pooled = out->n_own < VB_FEW_POINTS && n > out->n_own;
    struct vb_calibration_point *all = vb_arena_alloc(arena, n + 1, sizeof *all);
    if (all == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for %zu points", n);
    for (size_t i = 0; i < n; i++) {
        if (out->is_pooled ||
            (points[i].precision == out->precision && points[i].mosaic == out->mosaic))
            all[n_all++] = points[i];
    }
    qsort(all, n_all, sizeof *all, by_size);
    size_t every = (n_all + VB_MOST_CALIBRATED - 1) / VB_MOST_CALIBRATED;
    for (size_t i = 0; i < n_all; i += every)
        all[out->n_points++] = all[i];
    out->points = all;
    return VB_OK;
}

enum vb_status vb_calibration_fit(const struct vb_calibration_point *points, size_t n,
                                  struct vb_arena *arena, struct vb_calibration *out,
                                  struct vb_error *err)
{
    struct vb_robust fits[VB_N_CALIBRATION_FORMS];
    memset(out->fits, 0, sizeof out->fits);
    enum vb_status status = gather(points, n, arena, out, err);
    if (status == VB_OK)
        status = fit_all(out, fits, arena, err);
    if (status != VB_OK)
        return status;
    if (!choose(out))
        return vb_fail(err, VB_E_INPUT, "%zu points, from which no form can be fitted",
                       out->n_points);
    const struct vb_robust *chosen = &fits[out->chosen];
    for (size_t i = 0; i < out->n_points; i++) {
        out->points[i].left_out_bytes = chosen->left_out[i];
        out->points[i].weight = chosen->weights[i];
    }
    return VB_OK;
}

double vb_calibration_value(const struct vb_calibration *calibration,
                            const struct vb_calibration_point *point, double *deviation)
{
    const struct vb_calibration_fit *fit = &calibration->fits[calibration->chosen];
    double row[VB_CALIBRATION_TERMS], value = 0, square = 0;
    size_t p = vb_calibration_row(calibration->chosen, point, row);
    for (size_t k = 0; k < p; k++) {
        value += fit->coefficients[k] * row[k];
        for (size_t m = 0; m < p; m++)
            square += row[k] * fit->covariance[k * p + m] * row[m];
    }
    *deviation = value > 0 ? sqrt(fmax(square, 0)) / value : 0;
    return value;
}

static double size_of(const struct vb_calibration *calibration,
                      const struct vb_calibration_point *point)
{
    if (calibration->chosen == VB_CALIBRATE_BATCH)
        return point->batch;
    if (calibration->chosen == VB_CALIBRATE_PIXELS)
        return (double)point->batch * point->imgsz * point->imgsz;
    return point->planned_bytes;
}

double vb_calibration_outside(const struct vb_calibration *calibration,
                              const struct vb_calibration_point *point)
{
    double least = HUGE_VAL, most = 0, size = size_of(calibration, point);
    for (size_t i = 0; i < calibration->n_points; i++) {
        least = fmin(least, size_of(calibration, &calibration->points[i]));
        most = fmax(most, size_of(calibration, &calibration->points[i]));
    }
    if (size > most)
        return size / most - 1;
    return size < least && size > 0 ? 1 - size / least : 0;
}

enum vb_status vb_calibration_few(const struct vb_calibration_point *points, size_t n,
                                  const size_t *picks, size_t n_picks, double *median,
                                  double *worst, struct vb_error *err)
{
    struct vb_arena arena = { 0 };
    struct vb_robust fit;
    struct matrix of;
    size_t n_errors = 0;
    struct vb_calibration_point *picked = vb_arena_alloc(&arena, n_picks + 1, sizeof *picked);
    double *errors = vb_arena_alloc(&arena, n + 1, sizeof *errors);
    enum vb_status status =
        picked != NULL && errors != NULL
            ? VB_OK
            : vb_fail(err, VB_E_SYSTEM, "no host memory left for %zu points", n);
    for (size_t k = 0; k < n_picks && status == VB_OK; k++)
        picked[k] = points[picks[k]];
    if (status == VB_OK)
        status = fit_form(VB_CALIBRATE_APART, picked, n_picks, &arena, &fit, &of, err);
    for (size_t i = 0, k = 0; i < n && status == VB_OK; i++) {
        double row[VB_CALIBRATION_TERMS];
        if (k < n_picks && picks[k] == i) {
            k++;
            continue;
        }
        (void)vb_calibration_row(VB_CALIBRATE_APART, &points[i], row);
        errors[n_errors++] = fabs(vb_robust_value(&fit, row) / points[i].measured_bytes - 1);
    }
    qsort(errors, errors != NULL ? n_errors : 0, sizeof *errors, by_value);
    if (status == VB_OK && n_errors > 0) {
        *median = (errors[(n_errors - 1) / 2] + errors[n_errors / 2]) / 2;
        *worst = errors[n_errors - 1];
    }
    vb_arena_clear(&arena);
    return status;
}

enum vb_status vb_calibration_pick(const struct vb_calibration_point *points, size_t n,
                                   const double *cost, size_t n_picks, size_t *picks,
                                   double *deviation, struct vb_error *err)
{
    struct vb_arena arena = { 0 };
    struct vb_prior prior;
    double *size = vb_arena_alloc(&arena, n + 1, sizeof *size);
    double *x = vb_arena_alloc(&arena, n * VB_CALIBRATION_TERMS + 1, sizeof *x);
    double *y = vb_arena_alloc(&arena, n + 1, sizeof *y);
    struct matrix of = { .x = x, .y = y };
    (void)vb_calibration_prior(VB_CALIBRATE_APART, &prior);
    enum vb_status status = VB_OK;
    if (size == NULL || x == NULL || y == NULL)
        status = vb_fail(err, VB_E_SYSTEM, "no host memory left to pick of %zu points", n);
    else if (!fill(VB_CALIBRATE_APART, points, n, &of))
        status = vb_fail(err, VB_E_INPUT, "points can only be picked of those that are planned");
    for (size_t i = 0; i < n && status == VB_OK; i++)
        size[i] = points[i].planned_bytes;
    const struct vb_candidates candidates = { x, size, cost, n, VB_CALIBRATION_TERMS, &prior };
    if (status == VB_OK)
        status = vb_design_pick(&candidates, n_picks, picks, err);
    if (status == VB_OK && deviation != NULL)
        *deviation = vb_design_deviation(&candidates, picks, n_picks, 0.03);
    vb_arena_clear(&arena);
    return status;
}
