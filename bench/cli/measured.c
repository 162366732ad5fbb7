/* SPDX-License-Identifier: Apache-2.0 */
/* A record is kept as 24 bytes, its configuration once: a journal may hold a million. */
#include "cli/measured.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No GPU has so much: what claims to was edited. */
#define MOST_BYTES ((uint64_t)1 << 46)

struct observation {
    uint32_t series, batch, imgsz;
    uint64_t bytes;
};

struct gathering {
    struct cli_measured *out;
    struct vb_arena *arena;
    struct observation *items;
    size_t n, room, n_series_room;
    size_t last; /* the series of the record before: mostly this one's too */
};

static bool is_of(const struct cli_series *series, const struct vb_record *record,
                  const struct vb_point *point)
{
    return memcmp(&series->point, point, sizeof *point) == 0 &&
           strcmp(series->gpu, record->gpu) == 0 &&
           strcmp(series->driver, record->on_gpu.driver) == 0 &&
           strcmp(series->cuda, record->on_gpu.cuda) == 0 &&
           strcmp(series->cudnn, record->cudnn) == 0;
}

static enum vb_status find_series(struct gathering *all, const struct vb_record *record,
                                  size_t *place, struct vb_error *err)
{
    struct cli_measured *out = all->out;
    struct vb_point point = record->point;
    point.batch = point.imgsz = 0;
    if (all->last < out->n && is_of(&out->series[all->last], record, &point)) {
        *place = all->last;
        return VB_OK;
    }
    for (*place = 0; *place < out->n; ++*place) {
        if (is_of(&out->series[*place], record, &point))
            return VB_OK;
    }
    if (out->n == CLI_MOST_SERIES)
        return vb_fail(err, VB_E_INPUT,
                       "more than %d configurations in one journal; fit parts of it",
                       CLI_MOST_SERIES);
    struct cli_series *grown =
        vb_arena_grow(all->arena, out->series, out->n, &all->n_series_room, sizeof *grown);
    if (grown == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the journal's points");
    out->series = grown;
    struct cli_series *series = &grown[out->n++];
    *series =
        (struct cli_series){ .point = point,
                             .compute_capability = (uint32_t)record->on_gpu.compute_capability,
                             .capacity_bytes = record->capacity_bytes };
    memcpy(&series->point, &point, sizeof point);
    (void)snprintf(series->gpu, sizeof series->gpu, "%s", record->gpu);
    (void)snprintf(series->driver, sizeof series->driver, "%s", record->on_gpu.driver);
    (void)snprintf(series->cuda, sizeof series->cuda, "%s", record->on_gpu.cuda);
    (void)snprintf(series->cudnn, sizeof series->cudnn, "%s", record->cudnn);
    return VB_OK;
}

/* Whether a record says what a calibration can rest on; counts why not. */
static bool is_usable(struct cli_measured *out, const struct vb_record *record)
{
    if (record->provenance == VB_PLANNED)
        out->n_planned++;
    else if (record->state != VB_STATE_OK)
        out->n_other_states++;
    else if (record->on_gpu.compute_capability == 0)
        out->n_elsewhere++;
    else if (record->peak_device_bytes == 0 || record->peak_device_bytes > MOST_BYTES ||
             record->peak_device_bytes < record->peak_allocated_bytes ||
             (record->capacity_bytes > 0 && record->peak_device_bytes > record->capacity_bytes) ||
             record->point.batch == 0 || record->point.imgsz == 0 || record->gpu[0] == '\0')
        out->n_absurd++;
    else
        return true;
    return false;
}

static enum vb_status take(void *context, const struct vb_record *record, struct vb_error *err)
{
    struct gathering *all = context;
    size_t place = 0;
    if (!is_usable(all->out, record))
        return VB_OK;
    enum vb_status status = find_series(all, record, &place, err);
    if (status != VB_OK)
        return status;
    if (all->n == all->room) {
        size_t room = all->room > 0 ? all->room * 2 : 4096;
        struct observation *items = realloc(all->items, room * sizeof *items);
        if (items == NULL)
            return vb_fail(err, VB_E_SYSTEM, "no host memory left for the journal's points");
        all->items = items;
        all->room = room;
    }
    all->last = place;
    all->items[all->n++] = (struct observation){ (uint32_t)place, record->point.batch,
                                                 record->point.imgsz, record->peak_device_bytes };
    return VB_OK;
}

static double pixels(const struct observation *of)
{
    return (double)of->batch * of->imgsz * of->imgsz;
}

/* By series, then size, then what tells points apart, then bytes. */
static int compare(const void *a, const void *b)
{
    const struct observation *x = a, *y = b;
    if (x->series != y->series)
        return x->series < y->series ? -1 : 1;
    if (pixels(x) != pixels(y))
        return pixels(x) < pixels(y) ? -1 : 1;
    if (x->batch != y->batch)
        return x->batch < y->batch ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static bool is_same_point(const struct observation *a, const struct observation *b)
{
    return a->series == b->series && a->batch == b->batch && a->imgsz == b->imgsz;
}

/* The end of the repeats of the point at `begin`. */
static size_t end_of_point(const struct gathering *all, size_t begin)
{
    size_t end = begin + 1;
    while (end < all->n && is_same_point(&all->items[begin], &all->items[end]))
        end++;
    return end;
}

/* Sorted observations to each series' points: every so many-th of a series that has too many. */
static enum vb_status fold(struct gathering *all, struct vb_error *err)
{
    struct cli_measured *out = all->out;
    size_t most = CLI_MOST_PLANNED / (out->n > 0 ? out->n : 1);
    most = most > VB_FEW_POINTS ? most : VB_FEW_POINTS;
    for (size_t i = 0; i < all->n; i = end_of_point(all, i))
        out->series[all->items[i].series].n_found++;
    size_t seen = 0, last = SIZE_MAX;
    for (size_t i = 0, end; i < all->n; i = end) {
        struct cli_series *series = &out->series[all->items[i].series];
        end = end_of_point(all, i);
        size_t kept = series->n_found < most ? series->n_found : most;
        seen = all->items[i].series == last ? seen + 1 : 0;
        last = all->items[i].series;
        if (series->points == NULL)
            series->points = vb_arena_alloc(all->arena, kept, sizeof *series->points);
        if (series->points == NULL)
            return vb_fail(err, VB_E_SYSTEM, "no host memory left for the journal's points");
        /* The k-th that is kept is the first whose share of those seen reaches k's of those kept.
         */
        if (seen * kept / series->n_found < series->n || series->n == kept)
            continue;
        size_t middle = i + (end - i) / 2;
        size_t below = i + (end - i - 1) / 2;
        series->points[series->n++] = (struct vb_calibration_point){
            .batch = all->items[i].batch,
            .imgsz = all->items[i].imgsz,
            .precision = series->point.precision,
            .mosaic = series->point.mosaic,
            .repeats = (uint32_t)(end - i),
            .measured_bytes =
                ((double)all->items[below].bytes + (double)all->items[middle].bytes) / 2,
        };
    }
    return VB_OK;
}

static enum vb_status nothing(const char *folder, const struct cli_measured *out,
                              struct vb_error *err)
{
    return vb_fail(err, VB_E_INPUT,
                   "%s: no point measured on a GPU (%zu planned, %zu measured elsewhere, %zu that "
                   "did not end ok, %zu absurd, %zu lines that are no record); measure with "
                   "'vrambench sweep FILE.ini --device cuda:0'",
                   folder, out->n_planned, out->n_elsewhere, out->n_other_states, out->n_absurd,
                   out->sum.n_corrupt);
}

enum vb_status cli_read_measured(const char *folder, struct vb_arena *arena,
                                 struct cli_measured *out, struct vb_error *err)
{
    struct gathering all = { .out = out, .arena = arena };
    *out = (struct cli_measured){ 0 };
    enum vb_status status = vb_journal_each(folder, take, &all, &out->sum, err);
    if (status == VB_OK && all.n == 0)
        status = nothing(folder, out, err);
    if (status == VB_OK) {
        qsort(all.items, all.n, sizeof *all.items, compare);
        status = fold(&all, err);
    }
    free(all.items);
    return status;
}
