/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/calibrate.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "config.h"

enum { MAX_FILE_BYTES = 256 << 20, LEAST_LEFT_OUT = 8 };

static bool is_same_group(const struct cli_series *a, const struct cli_series *b)
{
    return strcmp(a->gpu, b->gpu) == 0 && strcmp(a->driver, b->driver) == 0 &&
           strcmp(a->cuda, b->cuda) == 0 && strcmp(a->cudnn, b->cudnn) == 0 &&
           strcmp(a->point.model, b->point.model) == 0 &&
           a->point.optimizer == b->point.optimizer && a->point.workload == b->point.workload;
}

/* The points of all series of the group. */
static enum vb_status gather(const struct cli_measured *measured, const struct cli_series *of,
                             struct vb_arena *arena, struct cli_calibrated_group *group,
                             struct vb_calibration_point **out, struct vb_error *err)
{
    size_t n = 0;
    for (size_t i = 0; i < measured->n; i++)
        n += is_same_group(&measured->series[i], of) ? measured->series[i].n : 0;
    *out = vb_arena_alloc(arena, n + 1, sizeof **out);
    if (*out == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for %zu points", n);
    for (size_t i = 0; i < measured->n; i++) {
        const struct cli_series *series = &measured->series[i];
        if (!is_same_group(series, of))
            continue;
        memcpy(*out + group->n_points, series->points, series->n * sizeof **out);
        group->n_points += series->n;
        group->n_found += series->n_found;
        for (size_t k = 0; k < series->n; k++)
            group->n_repeats += series->points[k].repeats;
    }
    return VB_OK;
}

/* What so many picked points say of the others, where there are others. */
static enum vb_status leave_out(const struct vb_calibration_point *points,
                                struct cli_calibrated_group *group, struct vb_error *err)
{
    static const size_t counts[CLI_N_FEW] = { 4, 8, 16, 32 };
    size_t picks[32], n = group->n_points;
    double *cost = calloc(n + 1, sizeof *cost);
    if (cost == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for %zu points", n);
    for (size_t i = 0; i < n; i++)
        cost[i] = points[i].planned_bytes;
    enum vb_status status = VB_OK;
    for (size_t k = 0; k < CLI_N_FEW && status == VB_OK; k++) {
        struct cli_few *few = &group->few[k];
        if (n < counts[k] + LEAST_LEFT_OUT)
            break;
        *few = (struct cli_few){ .n_picks = counts[k], .n_points = n };
        status = vb_calibration_pick(points, n, cost, counts[k], picks, NULL, err);
        if (status == VB_OK)
            status =
                vb_calibration_few(points, n, picks, counts[k], &few->median, &few->worst, err);
        group->n_few += status == VB_OK;
    }
    free(cost);
    return status == VB_E_INPUT ? VB_OK : status; /* not planned: nothing to pick by */
}

static void name_calibration(const struct cli_series *series, struct vb_calibration *out)
{
    *out = (struct vb_calibration){ .compute_capability = series->compute_capability,
                                    .precision = series->point.precision,
                                    .mosaic = series->point.mosaic,
                                    .optimizer = series->point.optimizer,
                                    .workload = series->point.workload,
                                    .capacity_bytes = series->capacity_bytes };
    memcpy(out->gpu, series->gpu, sizeof out->gpu);
    memcpy(out->driver, series->driver, sizeof out->driver);
    memcpy(out->cuda, series->cuda, sizeof out->cuda);
    memcpy(out->cudnn, series->cudnn, sizeof out->cudnn);
    memcpy(out->model, series->point.model, sizeof out->model);
    memcpy(out->planned_with, series->planned_with, sizeof out->planned_with);
}

/* One calibration for each precision and mosaic of the group. */
static enum vb_status calibrate_group(const struct cli_measured *measured, size_t first,
                                      struct vb_arena *arena, struct cli_calibrated *out,
                                      struct vb_error *err)
{
    struct cli_calibrated_group *group = &out->groups[out->n_groups++];
    struct vb_calibration_point *points = NULL;
    *group =
        (struct cli_calibrated_group){ .first = out->file.n, .series = &measured->series[first] };
    enum vb_status status = gather(measured, group->series, arena, group, &points, err);
    bool is_done[3][3] = { { false } };
    for (size_t i = first; i < measured->n && status == VB_OK; i++) {
        const struct cli_series *series = &measured->series[i];
        bool *done = &is_done[series->point.precision][series->point.mosaic];
        struct vb_calibration *calibration = &out->file.items[out->file.n];
        struct vb_error why = { 0 };
        if (*done || !is_same_group(series, group->series))
            continue;
        *done = true;
        name_calibration(series, calibration);
        status = vb_calibration_fit(points, group->n_points, arena, calibration, &why);
        if (status == VB_E_INPUT) {
            group->reason = vb_arena_copy(arena, why.text);
            status = VB_OK;
            continue;
        }
        if (status != VB_OK)
            return vb_fail(err, status, "%s", why.text);
        group->n++;
        out->file.n++;
    }
    return status == VB_OK ? leave_out(points, group, err) : status;
}

static void write_heading(const struct cli_measured *measured, struct vb_calibrations *out)
{
    time_t now = time(NULL);
    struct tm parts;
    (void)snprintf(out->tool, sizeof out->tool, "vrambench " VB_VERSION " " VB_COMMIT);
    if (gmtime_r(&now, &parts) != NULL)
        (void)strftime(out->date, sizeof out->date, "%Y-%m-%d", &parts);
    (void)snprintf(out->journal_hash, sizeof out->journal_hash, "%016" PRIx64, measured->sum.hash);
    out->n_records = measured->sum.n_records;
}

enum vb_status cli_calibrate(const struct cli_measured *measured, struct vb_arena *arena,
                             struct cli_calibrated *out, struct vb_error *err)
{
    enum vb_status status = VB_OK;
    *out = (struct cli_calibrated){ 0 };
    out->file.items = vb_arena_alloc(arena, measured->n + 1, sizeof *out->file.items);
    out->groups = vb_arena_alloc(arena, measured->n + 1, sizeof *out->groups);
    if (out->file.items == NULL || out->groups == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for calibrations");
    write_heading(measured, &out->file);
    for (size_t i = 0; i < measured->n && status == VB_OK; i++) {
        bool is_first = true;
        for (size_t k = 0; k < i; k++)
            is_first = is_first && !is_same_group(&measured->series[k], &measured->series[i]);
        if (is_first)
            status = calibrate_group(measured, i, arena, out, err);
    }
    if (status == VB_OK && out->file.n == 0)
        return vb_fail(err, VB_E_INPUT, "%s: %s", measured->series[0].gpu, out->groups[0].reason);
    return status;
}

/* VB_OK: `text` may be written, or is there already. */
static enum vb_status compare_with(struct vb_calibrations *file, const char *path, bool force,
                                   struct vb_text *text, bool *is_same, struct vb_error *err)
{
    struct vb_arena arena = { 0 };
    struct vb_calibrations there;
    char *old = NULL;
    size_t bytes = 0;
    enum vb_status status = vb_file_read(path, MAX_FILE_BYTES, &old, &bytes, err);
    if (status != VB_OK)
        return status;
    if (vb_calibrations_parse(path, old, bytes, &arena, &there, NULL) == VB_OK &&
        strcmp(there.journal_hash, file->journal_hash) == 0) {
        memcpy(file->date, there.date, sizeof file->date);
        vb_text_clear(text);
        vb_calibrations_append(file, text);
    }
    vb_arena_clear(&arena);
    *is_same = text->length == bytes && memcmp(vb_text_data(text), old, bytes) == 0;
    free(old);
    if (*is_same || force)
        return VB_OK;
    return vb_fail(err, VB_E_INPUT,
                   "%s is there and would change: give --force to write over it, or another -o",
                   path);
}

enum vb_status cli_write_calibrations(struct vb_calibrations *file, const char *path, bool force,
                                      bool *is_same, struct vb_error *err)
{
    struct vb_text text = { 0 };
    enum vb_status status = VB_OK;
    *is_same = false;
    vb_calibrations_append(file, &text);
    if (access(path, F_OK) == 0)
        status = compare_with(file, path, force, &text, is_same, err);
    if (status == VB_OK && text.failed)
        status = vb_fail(err, VB_E_SYSTEM, "%s: no host memory left to write it", path);
    if (status == VB_OK && !*is_same)
        status = vb_file_write(path, vb_text_data(&text), text.length, err);
    vb_text_clear(&text);
    return status;
}
