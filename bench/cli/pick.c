/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/pick.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/measured.h"
#include "device/gpu_spec.h"

enum { LEAST_LEFT_OUT = 8 };

static enum vb_status open_virtual(const struct vb_device_info *info, struct vb_device **out,
                                   struct vb_error *err)
{
    struct vb_gpu_spec spec = { 0 };
    char name[96];
    if (info->compute_capability == 0)
        return vb_fail(err, VB_E_INPUT,
                       "--points: %s is no GPU, and points are picked by plans for one",
                       info->name);
    enum vb_status status =
        vb_gpu_spec_find_product(info->product, info->capacity_bytes, &spec, err);
    if (status != VB_OK)
        return status;
    (void)snprintf(name, sizeof name, "virtual:%s", spec.name);
    vb_gpu_spec_clear(&spec);
    return vb_device_open_boundless(name, out, err);
}

/* Candidates with their plans and costs: modelled seconds, or bytes where a time is not known. */
static enum vb_status plan_grid(const struct vb_sweep *sweep, struct vb_device *device,
                                const struct vb_device_info *info, double *cost,
                                struct cli_picked *out, struct vb_error *err)
{
    size_t every = (sweep->n_points + CLI_MOST_CANDIDATES - 1) / CLI_MOST_CANDIDATES;
    enum vb_status status = VB_OK;
    for (size_t i = 0; i < sweep->n_points && status == VB_OK; i += every) {
        struct vb_arena arena = { 0 };
        struct vb_record record = { 0 };
        struct vb_calibration_point *point = &out->planned[out->n];
        *point = (struct vb_calibration_point){ .batch = sweep->points[i].batch,
                                                .imgsz = sweep->points[i].imgsz,
                                                .precision = sweep->points[i].precision,
                                                .mosaic = sweep->points[i].mosaic,
                                                .repeats = 1 };
        status = cli_plan_apart(&sweep->points[i], device, &arena, &record, point, err);
        if (status == VB_OK && point->planned_bytes <= (double)info->capacity_bytes) {
            cost[out->n] = record.step_seconds > 0 ? record.step_seconds : point->planned_bytes;
            out->candidates[out->n++] = sweep->points[i];
        }
        vb_arena_clear(&arena);
    }
    return status;
}

static enum vb_status pick(struct vb_sweep *sweep, const double *cost, struct vb_arena *arena,
                           struct cli_picked *out, struct vb_error *err)
{
    if (out->n_picks > out->n)
        return vb_fail(err, VB_E_INPUT, "--points %zu: only %zu points of the grid fit",
                       out->n_picks, out->n);
    out->picks = vb_arena_alloc(arena, out->n_picks, sizeof *out->picks);
    struct vb_point *kept = vb_arena_alloc(arena, out->n_picks, sizeof *kept);
    if (out->picks == NULL || kept == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left to pick points");
    enum vb_status status = vb_calibration_pick(out->planned, out->n, cost, out->n_picks,
                                                out->picks, &out->deviation, err);
    for (size_t k = 0; k < out->n_picks && status == VB_OK; k++)
        kept[k] = out->candidates[out->picks[k]];
    sweep->points = kept;
    sweep->n_points = out->n_picks;
    return status;
}

enum vb_status cli_pick_points(struct vb_sweep *sweep, const char *text,
                               const struct vb_device_info *info, struct vb_arena *arena,
                               struct cli_picked *out, struct vb_error *err)
{
    struct vb_device *device = NULL;
    char *end = NULL;
    *out = (struct cli_picked){ 0 };
    out->n_picks = strtoul(text, &end, 10);
    if (strspn(text, "0123456789") == 0 || *end != '\0' || out->n_picks < VB_LEAST_POINTS ||
        out->n_picks > CLI_MOST_CANDIDATES)
        return vb_fail(err, VB_E_INPUT, "--points is '%.32s', expected %d to %d", text,
                       VB_LEAST_POINTS, CLI_MOST_CANDIDATES);
    double *cost = vb_arena_alloc(arena, sweep->n_points + 1, sizeof *cost);
    out->planned = vb_arena_alloc(arena, sweep->n_points + 1, sizeof *out->planned);
    out->candidates = vb_arena_alloc(arena, sweep->n_points + 1, sizeof *out->candidates);
    if (cost == NULL || out->planned == NULL || out->candidates == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for %zu points", sweep->n_points);
    enum vb_status status = open_virtual(info, &device, err);
    if (status == VB_OK)
        status = plan_grid(sweep, device, info, cost, out, err);
    vb_device_close(device);
    return status == VB_OK ? pick(sweep, cost, arena, out, err) : status;
}

/* What the journal measured of the candidates, and where the picks are among those. */
static size_t find_measured(const struct cli_picked *picked, const struct vb_rows *known,
                            const char *device, struct vb_calibration_point *points, size_t *picks)
{
    size_t n = 0, n_picks = 0;
    for (size_t i = 0; i < picked->n; i++) {
        const struct vb_record *row = vb_rows_find(known, &picked->candidates[i], device);
        bool is_pick = n_picks < picked->n_picks && picked->picks[n_picks] == i;
        if (row == NULL || row->state != VB_STATE_OK || row->peak_device_bytes == 0) {
            if (is_pick)
                return 0;
            continue;
        }
        if (is_pick)
            picks[n_picks++] = n;
        points[n] = picked->planned[i];
        points[n++].measured_bytes = (double)row->peak_device_bytes;
    }
    return n;
}

enum vb_status cli_tell_cost(const struct cli_picked *picked, const struct vb_rows *known,
                             const char *device, struct vb_error *err)
{
    struct vb_arena arena = { 0 };
    enum vb_status status = VB_OK;
    double median = 0, worst = 0;
    struct vb_calibration_point *points = vb_arena_alloc(&arena, picked->n + 1, sizeof *points);
    size_t *picks = vb_arena_alloc(&arena, picked->n_picks + 1, sizeof *picks);
    (void)fprintf(stderr,
                  "picked %zu of %zu points: with 3 %% noise in each, what plans need to be "
                  "corrected by is\nknown to %.1f %% or better\n",
                  picked->n_picks, picked->n, picked->deviation * 100);
    if (points == NULL || picks == NULL)
        status = vb_fail(err, VB_E_SYSTEM, "no host memory left for %zu points", picked->n);
    size_t n = status == VB_OK ? find_measured(picked, known, device, points, picks) : 0;
    if (status == VB_OK && n >= picked->n_picks + LEAST_LEFT_OUT) {
        status = vb_calibration_few(points, n, picks, picked->n_picks, &median, &worst, err);
        if (status == VB_OK)
            (void)fprintf(stderr,
                          "of the %zu others that the journal holds they say: median error "
                          "%.1f %%, worst %.1f %%\n",
                          n - picked->n_picks, median * 100, worst * 100);
    }
    vb_arena_clear(&arena);
    return status;
}
