/* SPDX-License-Identifier: Apache-2.0 */
#include "report/page_chart.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "report/charts.h"
#include "report/gnuplot.h"

enum { MAX_SERIES = 64, MAX_SVG_BYTES = 16 << 20, N_CHARTS = sizeof vb_charts / sizeof *vb_charts };

static const char *const missing = "Charts are missing: gnuplot is not installed, or failed (apt "
                                   "install gnuplot-nox)";

/* Where charts are drawn, and whose. */
struct drawing {
    const struct vb_record *records;
    size_t n;
    char folder[PATH_MAX];
    struct vb_arena *arena;
    struct vb_page_charts *out;
};

static enum vb_status make_folder(struct drawing *drawing, struct vb_error *err)
{
    const char *parent = getenv("TMPDIR");
    (void)snprintf(drawing->folder, sizeof drawing->folder, "%.3000s/vrambench-XXXXXX",
                   parent != NULL && parent[0] != '\0' ? parent : "/tmp");
    if (mkdtemp(drawing->folder) == NULL)
        return vb_fail(err, VB_E_SYSTEM, "%s: no folder can be made there to draw charts in",
                       drawing->folder);
    return VB_OK;
}

static void remove_files(const struct drawing *drawing, const char *name)
{
    static const char *const endings[] = { "dat", "gp", "svg", "png" };
    char path[PATH_MAX + 64];
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        (void)snprintf(path, sizeof path, "%s/%.40s.%s", drawing->folder, name, endings[i]);
        (void)unlink(path);
    }
}

static enum vb_status take_svg(struct drawing *drawing, struct vb_page_chart *chart,
                               const char *prefix, struct vb_error *err)
{
    char path[PATH_MAX + 64], *text = NULL;
    size_t bytes = 0;
    (void)snprintf(path, sizeof path, "%s/%.40s.svg", drawing->folder, chart->name);
    enum vb_status status = vb_file_read(path, MAX_SVG_BYTES, &text, &bytes, err);
    if (status == VB_OK)
        chart->svg = vb_page_svg(text, prefix, drawing->arena);
    free(text);
    return status == VB_E_INPUT ? VB_OK : status;
}

static enum vb_status draw_chart(struct drawing *drawing, const struct vb_chart *of,
                                 struct vb_page_series *series, struct vb_error *err)
{
    struct vb_text data = { 0 }, settings = { 0 };
    struct vb_page_chart chart = { .name = of->name };
    char prefix[48], note[512];
    bool drawn = false;
    enum vb_status status = VB_OK;
    (void)snprintf(prefix, sizeof prefix, "c%zu-%.20s-", drawing->out->n, of->name);
    const bool has_data =
        of->write(drawing->records, drawing->n, &series->series, &data, &settings);
    if (has_data)
        status = vb_gnuplot_draw(drawing->folder, of->name, of->name, vb_text_data(&settings),
                                 vb_text_data(&data), &drawn, note, sizeof note, err);
    if (status == VB_OK && drawn)
        status = take_svg(drawing, &chart, prefix, err);
    if (status == VB_OK && chart.svg != NULL)
        series->charts[series->n_charts++] = chart;
    else if (has_data)
        drawing->out->note = missing;
    remove_files(drawing, of->name);
    vb_text_clear(&data);
    vb_text_clear(&settings);
    return status;
}

/* A chart of several precisions is that of each of them: the first has it. */
static bool is_shown_before(const struct vb_page_charts *charts, const struct vb_chart *chart,
                            const struct vb_page_series *of)
{
    const bool by_precision = strcmp(chart->name, "precision") == 0;
    if (!by_precision && strcmp(chart->name, "mosaic") != 0)
        return false;
    for (size_t i = 0; i < charts->n; i++) {
        const struct vb_series *other = &charts->series[i].series;
        if (charts->series[i].stack == of->stack && strcmp(other->model, of->series.model) == 0 &&
            (by_precision ? other->mosaic == of->series.mosaic
                          : other->precision == of->series.precision))
            return true;
    }
    return false;
}

static enum vb_status draw_series(struct drawing *drawing, const struct vb_series *of,
                                  uint32_t stack, struct vb_error *err)
{
    struct vb_page_charts *out = drawing->out;
    struct vb_page_series *series =
        vb_arena_grow(drawing->arena, out->series, out->n, &out->room, sizeof *series);
    if (series == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for charts");
    out->series = series;
    series += out->n;
    *series = (struct vb_page_series){ .series = *of, .stack = stack };
    enum vb_status status = VB_OK;
    if (out->n >= VB_MOST_CHARTED_SERIES)
        out->note = "There are charts for the first series alone; 'vrambench sweep' and "
                    "'vrambench publish' draw those of a folder";
    for (size_t i = 0; i < N_CHARTS && out->n < VB_MOST_CHARTED_SERIES && status == VB_OK; i++) {
        if (!is_shown_before(out, &vb_charts[i], series))
            status = draw_chart(drawing, &vb_charts[i], series, err);
    }
    out->n++;
    return status;
}

enum vb_status vb_page_draw(const struct vb_record *records, size_t n, uint32_t stack,
                            struct vb_arena *arena, struct vb_page_charts *out,
                            struct vb_error *err)
{
    struct drawing drawing = { .records = records, .n = n, .arena = arena, .out = out };
    size_t n_series = 0;
    struct vb_series *series = calloc(MAX_SERIES, sizeof *series);
    enum vb_status status = series != NULL
                                ? make_folder(&drawing, err)
                                : vb_fail(err, VB_E_SYSTEM, "no host memory left for charts");
    if (status == VB_OK) {
        status = vb_calibrate(records, n, series, MAX_SERIES, &n_series, err);
        for (size_t i = 0; i < n_series && i < MAX_SERIES && status == VB_OK; i++)
            status = draw_series(&drawing, &series[i], stack, err);
        (void)rmdir(drawing.folder);
    }
    free(series);
    return status;
}
