/* SPDX-License-Identifier: Apache-2.0 */
#include "report/results.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/file.h"
#include "report/charts.h"
#include "report/gnuplot.h"
#include "report/table.h"

enum { MAX_SERIES = 64 };

static enum vb_status write_file(const char *folder, const char *name, struct vb_text *text,
                                 struct vb_error *err)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    enum vb_status status =
        text->failed ? vb_fail(err, VB_E_SYSTEM, "%s: no host memory left to write it", path)
                     : vb_file_write(path, vb_text_data(text), text->length, err);
    vb_text_clear(text);
    return status;
}

static enum vb_status write_points(const struct vb_record *records, size_t n, const char *folder,
                                   struct vb_error *err)
{
    static const char *const names[] = { "points.md", "points.csv" };
    for (int format = 0; format < 2; format++) {
        struct vb_text text = { 0 };
        enum vb_status status =
            vb_table_append(records, n, (enum vb_table_format)format, &text, err);
        if (status == VB_OK)
            status = write_file(folder, names[format], &text, err);
        vb_text_clear(&text);
        if (status != VB_OK)
            return status;
    }
    return VB_OK;
}

void vb_append_coefficients(const struct vb_series *series, struct vb_text *out)
{
    size_t last = series->fit.n_terms - 1;
    if (series->form == VB_FORM_INTERCEPTS) {
        for (size_t i = 0; i < last; i++)
            vb_text_append(out, "%s%.3f GiB at %" PRIu32, i > 0 ? ", " : "",
                           series->fit.coefficients[i] / 1073741824.0, series->sizes[i]);
    } else {
        vb_text_append(out, "%.3f GiB", series->fit.coefficients[0] / 1073741824.0);
    }
    vb_text_append(out, series->form == VB_FORM_BATCH ? " + %.0f B an image" : " + %.2f B a pixel",
                   series->fit.coefficients[last]);
}

static enum vb_status write_fit(const struct vb_series *series, size_t n, const char *folder,
                                struct vb_error *err)
{
    struct vb_text md = { 0 };
    struct vb_text csv = { 0 };
    vb_text_append(
        &md, "Peak reserved memory by least squares; errors are leave-one-out, the interval is "
             "jackknife+\nat 90 %%, both relative.\n\n");
    vb_text_append(
        &csv, "model,precision,mosaic,points,oom,form,r2,median_error,worst_error,interval90\n");
    for (size_t i = 0; i < n; i++) {
        const struct vb_series *s = &series[i];
        vb_text_append(&md, "- %s, %s, mosaic %s: ", s->model, vb_precision_names[s->precision],
                       vb_mosaic_names[s->mosaic]);
        if (s->fit.n_terms == 0) {
            vb_text_append(&md, "%zu points, too few for a fit\n", s->n);
            continue;
        }
        vb_text_append(&md, "%s; ", vb_form_names[s->form]);
        vb_append_coefficients(s, &md);
        vb_text_append(&md,
                       "; R2 %.5f, median error %.2f %%, worst %.1f %%, interval +-%.1f %%, %zu "
                       "points, %zu out of memory\n",
                       s->fit.r2, s->median_error * 100, s->worst_error * 100, s->interval * 100,
                       s->n, s->n_oom);
        vb_text_append(&csv, "%s,%s,%s,%zu,%zu,\"%s\",%.6f,%.6f,%.6f,%.6f\n", s->model,
                       vb_precision_names[s->precision], vb_mosaic_names[s->mosaic], s->n, s->n_oom,
                       vb_form_names[s->form], s->fit.r2, s->median_error, s->worst_error,
                       s->interval);
    }
    enum vb_status status = write_file(folder, "fit.md", &md, err);
    if (status == VB_OK)
        status = write_file(folder, "fit.csv", &csv, err);
    vb_text_clear(&csv);
    return status;
}

static enum vb_status write_charts(const struct vb_record *records, size_t n,
                                   const struct vb_series *series, const char *folder,
                                   struct vb_results *out, struct vb_error *err)
{
    char charts[PATH_MAX];
    (void)snprintf(charts, sizeof charts, "%s/charts", folder);
    enum vb_status status = vb_file_make_folder(charts, err);
    for (size_t i = 0; i < VB_N_CHARTS && status == VB_OK; i++) {
        struct vb_text data = { 0 };
        struct vb_text settings = { 0 };
        bool drawn = false;
        if (vb_charts[i].write(records, n, series, &data, &settings)) {
            status = vb_gnuplot_draw(charts, vb_charts[i].name, vb_charts[i].name,
                                     vb_text_data(&settings), vb_text_data(&data), &drawn,
                                     out->note, sizeof out->note, err);
            if (status == VB_OK && drawn)
                out->charts[out->n_charts++] = vb_charts[i].name;
        } else {
            (void)snprintf(out->note, sizeof out->note, "nothing for chart %s in these points",
                           vb_charts[i].name);
        }
        vb_text_clear(&data);
        vb_text_clear(&settings);
    }
    return status;
}

enum vb_status vb_results_write(const struct vb_record *records, size_t n, const char *folder,
                                struct vb_results *out, struct vb_error *err)
{
    size_t n_series = 0;
    *out = (struct vb_results){ 0 };
    struct vb_series *series = calloc(MAX_SERIES, sizeof *series);
    enum vb_status status = series != NULL
                                ? vb_file_make_folder(folder, err)
                                : vb_fail(err, VB_E_SYSTEM, "no host memory left for fits");
    if (status == VB_OK)
        status = write_points(records, n, folder, err);
    if (status == VB_OK)
        status = vb_calibrate(records, n, series, MAX_SERIES, &n_series, err);
    if (status == VB_OK)
        status = write_fit(series, n_series, folder, err);
    if (status == VB_OK && n_series > 0)
        status = write_charts(records, n, &series[0], folder, out, err);
    free(series);
    return status;
}
