/* SPDX-License-Identifier: Apache-2.0 */
#include "fit/calibrate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const vb_form_names[VB_N_FORMS] = { "batch", "batch x pixels",
                                                "batch x pixels, intercept by resolution" };

/* One series' points as arrays. */
struct points {
    double *x, *y, *weights, *errors;
    uint32_t *batch, *imgsz;
    size_t n;
};

static double product(uint32_t batch, uint32_t imgsz)
{
    return (double)batch * imgsz * imgsz;
}

static size_t term_count(enum vb_form form, const struct vb_series *series)
{
    return form == VB_FORM_INTERCEPTS ? series->n_sizes + 1 : 2;
}

/* False where the form has no intercept for this resolution. */
static bool fill_row(enum vb_form form, const struct vb_series *series, uint32_t batch,
                     uint32_t imgsz, double *row)
{
    size_t n = term_count(form, series);
    bool is_known = form != VB_FORM_INTERCEPTS;
    row[0] = 1;
    row[n - 1] = form == VB_FORM_BATCH ? batch : product(batch, imgsz);
    for (size_t i = 0; i + 1 < n && form == VB_FORM_INTERCEPTS; i++) {
        row[i] = series->sizes[i] == imgsz;
        is_known = is_known || series->sizes[i] == imgsz;
    }
    return is_known;
}

double vb_series_bytes(const struct vb_series *series, uint32_t batch, uint32_t imgsz)
{
    double row[VB_MAX_TERMS];
    if (series->fit.n_terms == 0 || !fill_row(series->form, series, batch, imgsz, row))
        return nan("");
    return vb_fit_value(&series->fit, row);
}

static enum vb_status fit_without(const struct vb_series *series, enum vb_form form,
                                  const struct points *points, size_t without, struct vb_fit *out,
                                  struct vb_error *err)
{
    size_t n_terms = term_count(form, series);
    double *x = points->x;
    size_t n = 0;
    double y[1024], weights[1024];
    for (size_t i = 0; i < points->n && n < 1024; i++) {
        if (i == without)
            continue;
        (void)fill_row(form, series, points->batch[i], points->imgsz[i], x + n * n_terms);
        y[n] = points->y[i];
        weights[n++] = points->weights[i];
    }
    return vb_regress(x, y, weights, n, n_terms, out, err);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Leave-one-out errors, relative and sorted, into points->errors; VB_E_INPUT where points are too
 * few. */
static enum vb_status leave_one_out(const struct vb_series *series, enum vb_form form,
                                    const struct points *points, struct vb_error *err)
{
    double row[VB_MAX_TERMS];
    size_t n_terms = term_count(form, series);
    if (points->n < n_terms + 2)
        return vb_fail(err, VB_E_INPUT, "%zu points for %zu coefficients", points->n, n_terms);
    for (size_t i = 0; i < points->n; i++) {
        struct vb_fit fit;
        enum vb_status status = fit_without(series, form, points, i, &fit, err);
        if (status != VB_OK)
            return status;
        (void)fill_row(form, series, points->batch[i], points->imgsz[i], row);
        points->errors[i] = fabs(vb_fit_value(&fit, row) / points->y[i] - 1);
    }
    qsort(points->errors, points->n, sizeof *points->errors, by_value);
    return VB_OK;
}

/* The form with the least median error left out; the interval is jackknife+'s for the median point:
 * the 90 % quantile of the left-out residuals (Barber et al. 2021). */
static enum vb_status choose(struct vb_series *series, const struct points *points,
                             struct vb_error *err)
{
    double best = HUGE_VAL;
    for (int form = 0; form < VB_N_FORMS; form++) {
        struct vb_error inner = { 0 };
        enum vb_status status = leave_one_out(series, (enum vb_form)form, points, &inner);
        if (status == VB_E_INPUT)
            continue;
        if (status != VB_OK)
            return vb_fail(err, status, "%s", inner.text);
        double median = points->errors[points->n / 2];
        if (median >= best)
            continue;
        size_t place = (size_t)ceil(0.9 * (double)(points->n + 1)) - 1;
        best = median;
        series->form = (enum vb_form)form;
        series->median_error = median;
        series->worst_error = points->errors[points->n - 1];
        series->interval = points->errors[place < points->n ? place : points->n - 1];
    }
    if (!isfinite(best))
        return VB_OK;
    return fit_without(series, series->form, points, SIZE_MAX, &series->fit, err);
}

static bool is_of(const struct vb_series *series, const struct vb_record *record)
{
    return strcmp(series->model, record->point.model) == 0 &&
           series->precision == record->point.precision && series->mosaic == record->point.mosaic;
}

static void add_size(struct vb_series *series, uint32_t imgsz)
{
    for (size_t i = 0; i < series->n_sizes; i++) {
        if (series->sizes[i] == imgsz)
            return;
    }
    if (series->n_sizes + 1 < VB_MAX_TERMS)
        series->sizes[series->n_sizes++] = imgsz;
}

static enum vb_status fit_series(struct vb_series *series, const struct vb_record *records,
                                 size_t n, struct vb_error *err)
{
    struct points points = { .x = calloc(n * VB_MAX_TERMS + 1, sizeof(double)),
                             .y = calloc(n + 1, sizeof(double)),
                             .weights = calloc(n + 1, sizeof(double)),
                             .errors = calloc(n + 1, sizeof(double)),
                             .batch = calloc(n + 1, sizeof(uint32_t)),
                             .imgsz = calloc(n + 1, sizeof(uint32_t)) };
    enum vb_status status = VB_OK;
    if (points.x == NULL || points.y == NULL || points.weights == NULL || points.errors == NULL ||
        points.batch == NULL || points.imgsz == NULL)
        status = vb_fail(err, VB_E_SYSTEM, "no host memory left for a fit");
    for (size_t i = 0; i < n && status == VB_OK; i++) {
        const struct vb_record *record = &records[i];
        if (!is_of(series, record))
            continue;
        series->n_oom += record->state == VB_STATE_OOM;
        if (!vb_has_peaks(record))
            continue;
        add_size(series, record->point.imgsz);
        points.batch[points.n] = record->point.batch;
        points.imgsz[points.n] = record->point.imgsz;
        points.y[points.n] = (double)record->peak_reserved_bytes;
        points.weights[points.n] = 1 / points.y[points.n];
        points.n++;
    }
    series->n = points.n;
    if (status == VB_OK)
        status = choose(series, &points, err);
    free(points.x);
    free(points.y);
    free(points.weights);
    free(points.errors);
    free(points.batch);
    free(points.imgsz);
    return status;
}

enum vb_status vb_calibrate(const struct vb_record *records, size_t n, struct vb_series *out,
                            size_t room, size_t *n_series, struct vb_error *err)
{
    *n_series = 0;
    for (size_t i = 0; i < n; i++) {
        bool is_known = records[i].device[0] == '\0';
        for (size_t k = 0; k < *n_series; k++)
            is_known = is_known || is_of(&out[k], &records[i]);
        if (is_known || *n_series == room)
            continue;
        struct vb_series *series = &out[(*n_series)++];
        *series = (struct vb_series){ .precision = records[i].point.precision,
                                      .mosaic = records[i].point.mosaic };
        (void)snprintf(series->model, sizeof series->model, "%s", records[i].point.model);
        enum vb_status status = fit_series(series, records, n, err);
        if (status != VB_OK)
            return status;
    }
    return VB_OK;
}
