/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/oracle_diff.h"
#include "sweep/measure.h"

const char *const cli_oracle_change_names[5] = { "compared", "fits-no-more", "fits-now",
                                                 "fits-never", "unanswered" };

double cli_oracle_growth(const struct cli_oracle_point *point)
{
    return point->was_bytes > 0 ? (double)point->is_bytes / (double)point->was_bytes - 1.0 : 0.0;
}

/* What changes whether a point fits stands before any change of a number. */
static int by_change(const void *a, const void *b)
{
    static const int ranks[] = { [CLI_POINT_FITS_NO_MORE] = 0,
                                 [CLI_POINT_FITS_NOW] = 1,
                                 [CLI_POINT_COMPARED] = 2,
                                 [CLI_POINT_FITS_NEVER] = 3,
                                 [CLI_POINT_UNANSWERED] = 4 };
    const struct cli_oracle_point *x = a;
    const struct cli_oracle_point *y = b;
    const double by = fabs(cli_oracle_growth(y)) - fabs(cli_oracle_growth(x));
    if (ranks[x->change] != ranks[y->change])
        return ranks[x->change] - ranks[y->change];
    return (by > 0) - (by < 0);
}

/* The peak of one point; `*fits` false where it runs out, `*is_answered` where a plan is missing.
 */
static enum vb_status plan(const struct vb_point *point, struct vb_device *device, uint64_t *bytes,
                           bool *fits, bool *is_answered, struct vb_error *err)
{
    struct vb_arena arena = { 0 };
    struct vb_record record;
    enum vb_status status = vb_measure(point, device, false, &arena, &record, err);
    *is_answered = status != VB_E_UNSUPPORTED;
    *fits = status == VB_OK && record.state == VB_STATE_OK;
    *bytes = *fits ? record.peak_reserved_bytes : 0;
    vb_arena_clear(&arena);
    return status == VB_E_UNSUPPORTED ? VB_OK : status;
}

static enum vb_status plan_both(const struct vb_point *point, struct vb_device *const devices[2],
                                struct cli_oracle_point *out, struct vb_error *err)
{
    bool fits[2] = { false, false };
    bool is_answered[2] = { false, false };
    uint64_t *const bytes[2] = { &out->was_bytes, &out->is_bytes };
    out->point = *point;
    for (size_t i = 0; i < 2; i++) {
        enum vb_status status = plan(point, devices[i], bytes[i], &fits[i], &is_answered[i], err);
        if (status != VB_OK)
            return status;
    }
    if (!is_answered[0] || !is_answered[1])
        out->change = CLI_POINT_UNANSWERED;
    else if (fits[0] && fits[1])
        out->change = CLI_POINT_COMPARED;
    else if (fits[0])
        out->change = CLI_POINT_FITS_NO_MORE;
    else
        out->change = fits[1] ? CLI_POINT_FITS_NOW : CLI_POINT_FITS_NEVER;
    return VB_OK;
}

static void add(struct cli_oracle_points *points, const struct cli_oracle_point *point,
                double threshold)
{
    points->n++;
    points->n_of[point->change]++;
    if (point->change == CLI_POINT_FITS_NO_MORE)
        points->n_failing++;
    if (point->change != CLI_POINT_COMPARED)
        return;
    points->n_grown += point->is_bytes > point->was_bytes;
    points->n_shrunk += point->is_bytes < point->was_bytes;
    points->n_failing += cli_oracle_growth(point) > threshold;
    points->sum_was_bytes += point->was_bytes;
    points->sum_is_bytes += point->is_bytes;
}

/* The tables must be of the GPU that is planned for. */
static enum vb_status check_gpu(const char *name, const struct vb_plan_table *table,
                                struct vb_error *err)
{
    struct vb_gpu_spec gpu = { 0 };
    enum vb_status status = vb_gpu_spec_find(name, &gpu, err);
    if (status == VB_OK && gpu.identity != table->identity)
        status = vb_fail(err, VB_E_INPUT,
                         "%.300s is of another GPU (%s) than %s's file says; give --gpu FILE.json",
                         table->path, table->gpu, name);
    vb_gpu_spec_clear(&gpu);
    return status;
}

static enum vb_status open_both(const char *gpu, const struct vb_plan_table *was,
                                const struct vb_plan_table *is, struct vb_device *devices[2],
                                struct vb_error *err)
{
    const struct vb_conv_origin origins[2] = { { .table = was }, { .table = is } };
    enum vb_status status = check_gpu(gpu, was, err);
    for (size_t i = 0; i < 2 && status == VB_OK; i++)
        status = vb_device_open_virtual(gpu, &origins[i], &devices[i], err);
    return status;
}

enum vb_status cli_oracle_plan_points(const struct cli_oracle_diff *request,
                                      const struct vb_plan_table *was,
                                      const struct vb_plan_table *is, struct vb_arena *arena,
                                      struct cli_oracle_points *out, struct vb_error *err)
{
    static const struct vb_overrides none;
    struct vb_device *devices[2] = { NULL, NULL };
    struct vb_sweeps sweeps = { 0 };
    size_t n = 0;
    enum vb_status status = vb_grid_read(request->sweep, &none, arena, &sweeps, err);
    if (status == VB_OK)
        status = open_both(request->gpu != NULL ? request->gpu : was->gpu, was, is, devices, err);
    for (size_t i = 0; i < sweeps.n; i++)
        n += sweeps.items[i].n_points;
    out->items = vb_arena_alloc(arena, n + 1, sizeof *out->items);
    if (status == VB_OK && out->items == NULL)
        status = vb_fail(err, VB_E_SYSTEM, "no host memory left for %zu points", n);
    for (size_t i = 0; i < sweeps.n && status == VB_OK; i++) {
        for (size_t j = 0; j < sweeps.items[i].n_points && status == VB_OK; j++) {
            struct cli_oracle_point *point = &out->items[out->n];
            status = plan_both(&sweeps.items[i].points[j], devices, point, err);
            if (status == VB_OK)
                add(out, point, request->threshold);
        }
    }
    if (status == VB_OK)
        qsort(out->items, out->n, sizeof *out->items, by_change);
    vb_device_close(devices[0]);
    vb_device_close(devices[1]);
    return status;
}
