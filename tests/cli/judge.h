/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_TEST_CLI_JUDGE_H
#define VB_TEST_CLI_JUDGE_H

/* Whether a point fits a virtual GPU, as 'vrambench estimate' would say: made of a plan and a band,
 * for tests of what else commands say. */

#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/file.h"
#include "device/gpu_spec.h"
#include "fit/estimate.h"
#include "fit/residuals.h"
#include "sweep/measure.h"

static struct vb_residuals judge_residuals;

/* The residuals are the arena's. */
static void judge_set_up(struct vb_arena *arena)
{
    char path[4096], *text = NULL;
    size_t bytes = 0;
    struct vb_error err;
    setenv("VRAMBENCH_CUDNN", "off", 1);
    setenv("VRAMBENCH_CACHE", "", 1);
    vb_file_shipped("sweeps/published/residuals.csv", path, sizeof path);
    cr_assert_eq(vb_file_read(path, 1 << 24, &text, &bytes, &err), VB_OK);
    char *copy = vb_arena_copy(arena, text);
    free(text);
    cr_assert_eq(vb_residuals_parse(path, copy, bytes, arena, &judge_residuals, &err), VB_OK);
}

static bool judge_plan(const struct vb_record *record, const struct vb_device_info *info,
                       struct vb_arena *arena)
{
    struct vb_band band;
    char family[64];
    vb_band_family(record->point.model, family, sizeof family);
    const struct vb_question question = {
        .traits = { .architecture = vb_gpu_spec_architecture(info->compute_capability),
                    .family = family,
                    .precision = record->point.precision,
                    .workload = record->point.workload,
                    .torch = vb_band_torch(record->recipe),
                    .boxes = record->point.targets,
                    .has_rare_settings = record->point.freeze > 0 || record->point.rect > 0,
                    .planned_bytes = (double)record->peak_reserved_bytes,
                    .has_fitted_workspaces = vb_band_is_fitted(record->workspaces) },
    };
    enum vb_status status =
        vb_band_find(judge_residuals.rows, judge_residuals.n, &question, arena, &band, NULL);
    if (status == VB_E_UNSUPPORTED)
        return record->peak_reserved_bytes <= record->usable_bytes;
    cr_assert_eq(status, VB_OK);
    return 1 - vb_band_fits(&band, (double)record->peak_reserved_bytes,
                            (double)record->usable_bytes) <=
           VB_USUAL_RISK;
}

static bool judge(const struct vb_point *point, struct vb_device *device)
{
    struct vb_arena arena = { 0 };
    struct vb_record record;
    bool fits = vb_measure(point, device, false, &arena, &record, NULL) == VB_OK &&
                record.state == VB_STATE_OK && judge_plan(&record, vb_device_info(device), &arena);
    vb_arena_clear(&arena);
    return fits;
}

#endif
