/* SPDX-License-Identifier: Apache-2.0 */
#include "report/charts.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "report/escape.h"

enum { MAX_VALUES = 64 };

/* Distinct batches or sizes of the records, ascending. */
struct axis {
    uint32_t values[MAX_VALUES];
    size_t n;
};

static void axis_add(struct axis *axis, uint32_t value)
{
    size_t at = 0;
    while (at < axis->n && axis->values[at] < value)
        at++;
    if ((at < axis->n && axis->values[at] == value) || axis->n == MAX_VALUES)
        return;
    memmove(axis->values + at + 1, axis->values + at, (axis->n - at) * sizeof *axis->values);
    axis->values[at] = value;
    axis->n++;
}

static bool is_of(const struct vb_record *record, const struct vb_series *series,
                  enum vb_precision precision, enum vb_mosaic mosaic)
{
    return record->device[0] != '\0' && strcmp(record->point.model, series->model) == 0 &&
           record->point.precision == precision && record->point.mosaic == mosaic;
}

static void find_axes(const struct vb_record *records, size_t n, const struct vb_series *series,
                      struct axis *batches, struct axis *sizes)
{
    *batches = *sizes = (struct axis){ 0 };
    for (size_t i = 0; i < n; i++) {
        if (!is_of(&records[i], series, series->precision, series->mosaic))
            continue;
        axis_add(batches, records[i].point.batch);
        axis_add(sizes, records[i].point.imgsz);
    }
}

static const struct vb_record *find(const struct vb_record *records, size_t n,
                                    const struct vb_series *series, enum vb_precision precision,
                                    enum vb_mosaic mosaic, uint32_t batch, uint32_t imgsz)
{
    for (size_t i = 0; i < n; i++) {
        if (is_of(&records[i], series, precision, mosaic) && records[i].point.batch == batch &&
            records[i].point.imgsz == imgsz)
            return &records[i];
    }
    return NULL;
}

static const struct vb_record *any_of(const struct vb_record *records, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (records[i].device[0] != '\0')
            return &records[i];
    }
    return &records[0];
}

/* title = 'MODEL: WHAT, planned for GPU', to be gone on with. */
static void begin_title(const struct vb_record *record, const char *model, const char *what,
                        struct vb_text *out)
{
    vb_text_append(out, "title = ");
    vb_escape_gnuplot(out, model);
    vb_text_append(out, ".\": %s\\n%s \".", what,
                   record->provenance == VB_MEASURED ? "measured on" : "planned for");
    vb_escape_gnuplot(out, record->gpu);
}

/* title = 'WHAT, planned for virtual:x (GPU)' and the capacity. */
static void settings_of(const struct vb_record *record, const struct vb_series *series,
                        const char *what, struct vb_text *out)
{
    const char *slash = strrchr(series->model, '/');
    begin_title(record, slash != NULL ? slash + 1 : series->model, what, out);
    vb_text_append(out, ".\", %s, mosaic %s\"\nusable = %.4f\n",
                   vb_precision_names[series->precision], vb_mosaic_names[series->mosaic],
                   vb_to_gib(record->usable_bytes));
}

/* One block a resolution: batch, peak, fit, low, high; then one of what ran out. */
static bool write_memory(const struct vb_record *records, size_t n, const struct vb_series *series,
                         struct vb_text *data, struct vb_text *settings)
{
    struct axis batches, sizes;
    find_axes(records, n, series, &batches, &sizes);
    for (size_t s = 0; s < sizes.n; s++) {
        vb_text_append(data, "batch \"%" PRIu32 " px\" fit low high\n", sizes.values[s]);
        for (size_t b = 0; b < batches.n; b++) {
            const struct vb_record *r = find(records, n, series, series->precision, series->mosaic,
                                             batches.values[b], sizes.values[s]);
            double fit = vb_series_bytes(series, batches.values[b], sizes.values[s]) / 1073741824.0;
            if (r == NULL || !vb_has_peaks(r))
                continue;
            vb_text_append(data, "%" PRIu32 " %.4f %.4f %.4f %.4f\n", batches.values[b],
                           vb_to_gib(r->peak_reserved_bytes), fit, fit * (1 - series->interval),
                           fit * (1 + series->interval));
        }
        vb_text_append(data, "\n\n");
    }
    vb_text_append(data, "batch \"out of memory\"\n");
    for (size_t i = 0; i < n; i++) {
        if (is_of(&records[i], series, series->precision, series->mosaic) &&
            records[i].state == VB_STATE_OOM)
            vb_text_append(data, "%" PRIu32 " %.4f\n", records[i].point.batch,
                           vb_to_gib(records[i].usable_bytes) * 1.12);
    }
    settings_of(any_of(records, n), series, "peak memory against batch", settings);
    vb_text_append(settings, "n_sizes = %zu\nn_oom = %zu\nform = '%s'\nhas_fit = %d\n", sizes.n,
                   series->n_oom, vb_form_names[series->form], series->fit.n_terms > 0);
    return series->n > 0;
}

/* Cells by place: x, y, GiB (NaN where it ran out), label. */
static bool write_fits(const struct vb_record *records, size_t n, const struct vb_series *series,
                       struct vb_text *data, struct vb_text *settings)
{
    struct axis batches, sizes;
    find_axes(records, n, series, &batches, &sizes);
    for (size_t s = 0; s < sizes.n; s++) {
        for (size_t b = 0; b < batches.n; b++) {
            const struct vb_record *r = find(records, n, series, series->precision, series->mosaic,
                                             batches.values[b], sizes.values[s]);
            if (r != NULL && vb_has_peaks(r))
                vb_text_append(data, "%zu %zu %.4f %.1f\n", b, s, vb_to_gib(r->peak_reserved_bytes),
                               vb_to_gib(r->peak_reserved_bytes));
            else if (r != NULL)
                vb_text_append(data, "%zu %zu NaN %s\n", b, s,
                               r->state == VB_STATE_OOM ? "oom" : vb_state_names[r->state]);
        }
    }
    settings_of(any_of(records, n), series, "what fits (GiB reserved at the peak)", settings);
    vb_text_append(settings, "set xtics (");
    for (size_t b = 0; b < batches.n; b++)
        vb_text_append(settings, "%s'%" PRIu32 "' %zu", b > 0 ? ", " : "", batches.values[b], b);
    vb_text_append(settings, ")\nset ytics (");
    for (size_t s = 0; s < sizes.n; s++)
        vb_text_append(settings, "%s'%" PRIu32 "' %zu", s > 0 ? ", " : "", sizes.values[s], s);
    vb_text_append(settings, ")\nn_batches = %zu\nn_sizes = %zu\n", batches.n, sizes.n);
    return batches.n > 0 && sizes.n > 0;
}

/* The largest point of the series that has a curve. */
static const struct vb_record *largest_curve(const struct vb_record *records, size_t n,
                                             const struct vb_series *series)
{
    const struct vb_record *largest = NULL;
    for (size_t i = 0; i < n; i++) {
        if (is_of(&records[i], series, series->precision, series->mosaic) &&
            records[i].n_curve > 0 &&
            (largest == NULL || records[i].peak_allocated_bytes > largest->peak_allocated_bytes))
            largest = &records[i];
    }
    return largest;
}

/* Instruction, then the categories added up from the bottom. */
static bool write_curve(const struct vb_record *records, size_t n, const struct vb_series *series,
                        struct vb_text *data, struct vb_text *settings)
{
    const struct vb_record *r = largest_curve(records, n, series);
    if (r == NULL)
        return false;
    vb_text_append(data, "place");
    for (size_t c = 0; c < VB_N_CATEGORIES; c++)
        vb_text_append(data, " %s", vb_category_names[c]);
    vb_text_append(data, "\n");
    uint32_t first = r->curve[0].index;
    enum vb_phase phase = VB_PHASE_SETUP;
    settings_of(r, series, "one training step", settings);
    vb_text_append(settings, "subtitle = 'batch %" PRIu32 " at %" PRIu32 " px'\n", r->point.batch,
                   r->point.imgsz);
    int level = 0;
    for (size_t i = 0; i < r->n_curve; i++) {
        uint64_t sum = 0;
        uint32_t place = r->curve[i].index - first;
        bool is_long =
            r->curve[i].phase == VB_PHASE_FORWARD || r->curve[i].phase == VB_PHASE_LOSS ||
            r->curve[i].phase == VB_PHASE_BACKWARD || r->curve[i].phase == VB_PHASE_OPTIMIZER;
        vb_text_append(data, "%" PRIu32, place);
        for (size_t c = 0; c < VB_N_CATEGORIES; c++) {
            sum += r->curve[i].bytes[c];
            vb_text_append(data, " %.5f", vb_to_gib(sum));
        }
        vb_text_append(data, "\n");
        if (is_long && r->curve[i].phase != phase)
            vb_text_append(settings,
                           "set arrow from %" PRIu32 ", graph 0 to %" PRIu32 ", graph 1 nohead "
                           "dashtype 2 linecolor '#666666' front\nset label ' %s' at %" PRIu32
                           ", graph %.2f front\n",
                           place, place, vb_phase_names[r->curve[i].phase], place,
                           0.97 - 0.045 * (level++ % 2));
        phase = r->curve[i].phase;
    }
    vb_text_append(settings, "n_categories = %d\n", VB_N_CATEGORIES);
    return true;
}

/* The size at which two kinds of points are compared: 640, or the middle one. */
static uint32_t compared_size(const struct axis *sizes)
{
    for (size_t i = 0; i < sizes->n; i++) {
        if (sizes->values[i] == 640)
            return 640;
    }
    return sizes->n > 0 ? sizes->values[sizes->n / 2] : 0;
}

/* One block a kind: batch, peak. Kinds are points of other precision or mosaic, else the same. */
static bool write_kinds(const struct vb_record *records, size_t n, const struct vb_series *series,
                        bool by_precision, struct vb_text *data, struct vb_text *settings)
{
    struct axis batches, sizes;
    size_t n_kinds = 0;
    find_axes(records, n, series, &batches, &sizes);
    uint32_t imgsz = compared_size(&sizes);
    for (int kind = 0; kind < 3; kind++) {
        bool has_rows = false;
        for (size_t b = 0; b < batches.n; b++) {
            const struct vb_record *r = find(
                records, n, series, by_precision ? (enum vb_precision)kind : series->precision,
                by_precision ? series->mosaic : (enum vb_mosaic)kind, batches.values[b], imgsz);
            if (r == NULL || !vb_has_peaks(r))
                continue;
            if (!has_rows)
                vb_text_append(data, "batch \"%s%s\"\n", by_precision ? "" : "mosaic ",
                               by_precision ? vb_precision_names[kind] : vb_mosaic_names[kind]);
            has_rows = true;
            vb_text_append(data, "%" PRIu32 " %.4f\n", batches.values[b],
                           vb_to_gib(r->peak_reserved_bytes));
        }
        if (has_rows)
            vb_text_append(data, "\n\n");
        n_kinds += has_rows;
    }
    vb_text_append(settings, "n_kinds = %zu\nsize = %" PRIu32 "\n", n_kinds, imgsz);
    return n_kinds > 1;
}

static void kinds_title(const struct vb_record *record, const struct vb_series *series,
                        const char *what, const char *other, struct vb_text *settings)
{
    begin_title(record, series->model, what, settings);
    vb_text_append(settings, ".\", %s, \".size.\" px\"\nusable = %.4f\n", other,
                   vb_to_gib(record->usable_bytes));
}

static bool write_precision(const struct vb_record *records, size_t n,
                            const struct vb_series *series, struct vb_text *data,
                            struct vb_text *settings)
{
    char other[32];
    bool has_both = write_kinds(records, n, series, true, data, settings);
    (void)snprintf(other, sizeof other, "mosaic %s", vb_mosaic_names[series->mosaic]);
    kinds_title(any_of(records, n), series, "peak memory by precision", other, settings);
    return has_both;
}

static bool write_mosaic(const struct vb_record *records, size_t n, const struct vb_series *series,
                         struct vb_text *data, struct vb_text *settings)
{
    bool has_both = write_kinds(records, n, series, false, data, settings);
    kinds_title(any_of(records, n), series, "peak memory with mosaic composed on the device",
                vb_precision_names[series->precision], settings);
    return has_both;
}

static bool write_throughput(const struct vb_record *records, size_t n,
                             const struct vb_series *series, struct vb_text *data,
                             struct vb_text *settings)
{
    struct axis batches, sizes;
    const struct vb_record *any = any_of(records, n);
    bool has_rows = false;
    find_axes(records, n, series, &batches, &sizes);
    for (size_t s = 0; s < sizes.n; s++) {
        vb_text_append(data, "batch \"%" PRIu32 " px\"\n", sizes.values[s]);
        for (size_t b = 0; b < batches.n; b++) {
            const struct vb_record *r = find(records, n, series, series->precision, series->mosaic,
                                             batches.values[b], sizes.values[s]);
            if (r == NULL || !vb_has_peaks(r) || !(r->step_seconds > 0))
                continue;
            has_rows = true;
            vb_text_append(data, "%" PRIu32 " %.3f\n", batches.values[b],
                           batches.values[b] / r->step_seconds);
        }
        vb_text_append(data, "\n\n");
    }
    settings_of(any, series,
                any->time_is_modelled ? "throughput, modelled (roofline)" : "throughput", settings);
    vb_text_append(settings, "n_sizes = %zu\n", sizes.n);
    return has_rows;
}

const struct vb_chart vb_charts[6] = {
    { "memory", write_memory }, { "fits", write_fits },
    { "curve", write_curve },   { "precision", write_precision },
    { "mosaic", write_mosaic }, { "throughput", write_throughput },
};
