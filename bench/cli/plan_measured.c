/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "cli/measured.h"
#include "device/gpu_spec.h"
#include "sweep/measure.h"

enum vb_status cli_plan_apart(const struct vb_point *point, struct vb_device *boundless,
                              struct vb_arena *arena, struct vb_record *record,
                              struct vb_calibration_point *out, struct vb_error *err)
{
    struct vb_point apart = *point;
    struct vb_record without;
    apart.workspace = VB_SCRATCH_OUTSIDE;
    enum vb_status status = vb_measure(point, boundless, false, arena, record, err);
    if (status == VB_OK)
        status = vb_measure(&apart, boundless, false, arena, &without, err);
    if (status != VB_OK)
        return status;
    if (record->peak_reserved_bytes == 0 || without.peak_reserved_bytes == 0)
        return vb_fail(err, VB_E_UNSUPPORTED, "a plan without a peak");
    double context = (double)vb_device_info(boundless)->context_bytes;
    out->planned_bytes = (double)record->peak_reserved_bytes + context;
    out->apart_bytes = (double)without.peak_reserved_bytes + context;
    return VB_OK;
}

static enum vb_status plan_series(struct cli_series *series, struct vb_device *device,
                                  struct vb_error *err)
{
    for (size_t i = 0; i < series->n; i++) {
        struct vb_arena arena = { 0 };
        struct vb_record record;
        struct vb_point point = series->point;
        point.batch = series->points[i].batch;
        point.imgsz = series->points[i].imgsz;
        enum vb_status status =
            cli_plan_apart(&point, device, &arena, &record, &series->points[i], err);
        if (status == VB_OK)
            (void)snprintf(series->planned_with, sizeof series->planned_with, "%.14s (%s)",
                           record.cudnn[0] != '\0' ? record.cudnn : "none", record.workspaces);
        vb_arena_clear(&arena);
        if (status != VB_OK)
            return status;
    }
    return VB_OK;
}

/* The virtual device of the series' GPU; `*name` is the last one's, which is kept open. */
static enum vb_status open_for(const struct cli_series *series, char *name, size_t room,
                               struct vb_device **device, struct vb_error *err)
{
    struct vb_gpu_spec spec = { 0 };
    char wanted[96];
    enum vb_status status =
        vb_gpu_spec_find_product(series->gpu, series->capacity_bytes, &spec, err);
    if (status != VB_OK)
        return status;
    (void)snprintf(wanted, sizeof wanted, "virtual:%s", spec.name);
    vb_gpu_spec_clear(&spec);
    if (*device != NULL && strcmp(name, wanted) == 0)
        return VB_OK;
    vb_device_close(*device);
    *device = NULL;
    (void)snprintf(name, room, "%s", wanted);
    return vb_device_open_boundless(name, device, err);
}

static void forget_plans(struct cli_series *series)
{
    for (size_t i = 0; i < series->n; i++)
        series->points[i].planned_bytes = series->points[i].apart_bytes = 0;
    series->planned_with[0] = '\0';
}

enum vb_status cli_plan_measured(struct cli_measured *measured, struct vb_arena *arena,
                                 struct vb_error *err)
{
    struct vb_device *device = NULL;
    char name[96] = "";
    enum vb_status status = VB_OK;
    for (size_t i = 0; i < measured->n && status != VB_E_SYSTEM; i++) {
        struct cli_series *series = &measured->series[i];
        struct vb_error why = { 0 };
        status = open_for(series, name, sizeof name, &device, &why);
        if (status == VB_OK)
            status = plan_series(series, device, &why);
        if (status == VB_OK)
            continue;
        forget_plans(series);
        series->why_unplanned = vb_arena_copy(arena, why.text);
        if (series->why_unplanned == NULL || status == VB_E_SYSTEM)
            status = vb_fail(err, VB_E_SYSTEM, "%s", why.text);
    }
    vb_device_close(device);
    return status == VB_E_SYSTEM ? status : VB_OK;
}
