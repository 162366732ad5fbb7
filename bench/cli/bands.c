/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "device/gpu_spec.h"

enum { MAX_FILE_BYTES = 4 << 20 };

enum vb_status cli_read_residuals(struct vb_arena *arena, struct vb_residuals *out,
                                  struct vb_error *err)
{
    char path[4096], *text = NULL;
    size_t bytes = 0;
    vb_file_shipped("sweeps/published/residuals.csv", path, sizeof path);
    enum vb_status status = vb_file_read(path, MAX_FILE_BYTES, &text, &bytes, err);
    if (status != VB_OK)
        return status;
    char *kept = vb_arena_alloc(arena, bytes + 1, 1);
    if (kept != NULL)
        memcpy(kept, text, bytes);
    free(text);
    if (kept == NULL)
        return vb_fail(err, VB_E_SYSTEM, "%s: no host memory left to read it", path);
    return vb_residuals_parse(path, kept, bytes, arena, out, err);
}

enum vb_status cli_read_risk(const char *text, double *out, struct vb_error *err)
{
    char *end = NULL;
    *out = VB_USUAL_RISK;
    if (text == NULL)
        return VB_OK;
    double value = strtod(text, &end);
    size_t blanks = strspn(end, " ");
    bool is_percent = strcmp(end + blanks, "%") == 0;
    if (is_percent)
        value /= 100;
    if (end == text || (*end != '\0' && !is_percent) || !(value > 0 && value <= 0.5))
        return vb_fail(
            err, VB_E_INPUT,
            "--risk is '%.40s', expected a chance above 0 and up to 50%%, as 1%% or 0.01", text);
    *out = value;
    return VB_OK;
}

bool cli_is_own_model(const char *model)
{
    return strchr(model, '/') != NULL || strchr(model, '.') != NULL;
}

struct vb_traits cli_traits_of(const struct vb_point *point, const char *family,
                               uint32_t compute_capability, const char *recipe,
                               const char *workspaces, double planned_bytes)
{
    return (struct vb_traits){
        .architecture = vb_gpu_spec_architecture(compute_capability),
        .family = family,
        .precision = point->precision,
        .workload = point->workload,
        .torch = vb_band_torch(recipe),
        .boxes = point->targets,
        .planned_bytes = planned_bytes,
        .has_fitted_workspaces = vb_band_is_fitted(workspaces),
        .is_own_model = cli_is_own_model(point->model),
        .has_rare_settings = point->freeze > 0 || point->rect > 0,
    };
}

static enum vb_status traits_of(const struct vb_judged *row, struct vb_arena *arena,
                                struct vb_traits *out, struct vb_error *err)
{
    char family[64];
    double planned = row->prediction.planned_bytes;
    vb_band_family(row->run->model, family, sizeof family);
    *out = (struct vb_traits){
        .architecture = row->architecture,
        .family = vb_arena_copy(arena, family),
        .precision = row->run->precision,
        .workload = row->run->workload,
        .torch = vb_band_torch(row->recipe),
        .boxes = row->point.targets,
        .planned_bytes = row->state == VB_JUDGED ? planned : (double)row->need_bytes,
        .has_fitted_workspaces = vb_band_is_fitted(row->workspaces),
        .is_own_model = cli_is_own_model(row->run->model),
    };
    return out->family != NULL ? VB_OK : vb_fail(err, VB_E_SYSTEM, "no host memory left");
}

static bool is_shared_run(const struct vb_published *run)
{
    return run->trust[0] != '\0' && strcmp(run->trust, "A") != 0;
}

static enum vb_status apply(struct vb_judged *row, const struct vb_residuals *residuals,
                            bool shared, double risk, struct vb_arena *arena, struct vb_error *err)
{
    struct vb_band band;
    struct vb_question question = { .is_shared = shared || is_shared_run(row->run) };
    struct vb_prediction *prediction = &row->prediction;
    enum vb_status status = traits_of(row, arena, &question.traits, err);
    if (status != VB_OK)
        return status;
    if (row->run->repository[0] != '\0')
        question.left_out = row->run->repository;
    status = vb_band_find(residuals->rows, residuals->n, &question, arena, &band, err);
    if (status == VB_E_UNSUPPORTED) {
        const char *note = vb_arena_format(arena, "%s%sno band: %s", row->note ? row->note : "",
                                           row->note ? "; " : "", err->text);
        row->estimate =
            vb_estimate_judge((double)row->need_bytes, (double)row->usable_bytes, NULL, risk);
        row->note = note != NULL ? note : row->note;
        return VB_OK;
    }
    if (status != VB_OK)
        return status;
    row->estimate =
        vb_estimate_judge((double)row->need_bytes, (double)row->usable_bytes, &band, risk);
    row->unlike = band.unlike;
    row->widening = band.widening;
    prediction->has_interval50 = prediction->has_interval90 = true;
    prediction->interval50 = vb_band_interval(&band, prediction->planned_bytes, 0.5);
    prediction->interval90 = vb_band_interval(&band, prediction->planned_bytes, 0.9);
    return VB_OK;
}

enum vb_status cli_apply_bands(struct vb_validation *validation,
                               const struct vb_residuals *residuals, bool shared, double risk,
                               struct vb_arena *arena, struct vb_error *err)
{
    enum vb_status status = VB_OK;
    validation->risk = risk;
    for (size_t i = 0; i < validation->n && status == VB_OK; i++) {
        if (validation->rows[i].state != VB_SKIPPED)
            status = apply(&validation->rows[i], residuals, shared, risk, arena, err);
    }
    return status;
}

/* Also a run that was planned not to fit: without those, plans that are too large would not count.
 */
static bool is_residual(const struct vb_judged *row)
{
    const struct vb_published *run = row->run;
    return (row->state == VB_JUDGED || row->state == VB_JUDGED_NO_FIT) &&
           run->workload != VB_AUTOBATCH &&
           (strcmp(run->trust, "A") == 0 || strcmp(run->trust, "B") == 0);
}

enum vb_status cli_take_residuals(const struct vb_validation *validation, struct vb_arena *arena,
                                  struct vb_residuals *out, struct vb_error *err)
{
    enum vb_status status = VB_OK;
    *out = (struct vb_residuals){ vb_arena_alloc(arena, validation->n + 1, sizeof *out->rows), 0 };
    if (out->rows == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for %zu rows", validation->n);
    for (size_t i = 0; i < validation->n && status == VB_OK; i++) {
        const struct vb_judged *row = &validation->rows[i];
        if (!is_residual(row))
            continue;
        struct vb_residual *residual = &out->rows[out->n++];
        residual->repository = row->run->repository;
        residual->is_shared = is_shared_run(row->run);
        residual->observed_bytes = row->run->bytes;
        status = traits_of(row, arena, &residual->traits, err);
        residual->traits.planned_bytes = row->prediction.planned_bytes;
    }
    return status;
}

/* The origins, in the order of cli_take_residuals(). */
static enum vb_status take_origins(const struct vb_validation *validation, struct vb_arena *arena,
                                   struct vb_residual_origin **out, struct vb_error *err)
{
    size_t n = 0;
    *out = vb_arena_alloc(arena, validation->n + 1, sizeof **out);
    if (*out == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for %zu rows", validation->n);
    for (size_t i = 0; i < validation->n; i++) {
        const struct vb_judged *row = &validation->rows[i];
        if (!is_residual(row))
            continue;
        (*out)[n++] = (struct vb_residual_origin){
            .line = row->run->line,
            .batch = row->run->batch,
            .imgsz = row->run->imgsz,
            .trust = row->run->trust,
            .gpu = row->gpu,
            .model = row->run->model,
            .torch = row->run->torch,
            .workspaces = row->workspaces,
            .cudnn = row->cudnn,
            .recipe = row->recipe,
        };
    }
    return VB_OK;
}

enum vb_status cli_write_residuals(const char *path, const struct vb_validation *validation,
                                   const struct vb_residuals *residuals, struct vb_arena *arena,
                                   struct vb_error *err)
{
    struct vb_text text = { 0 };
    struct vb_residual_origin *origins = NULL;
    enum vb_status status = take_origins(validation, arena, &origins, err);
    if (status == VB_OK)
        status = cli_append_heading(path, validation->file, residuals, arena, &text, err);
    if (status == VB_OK) {
        vb_residuals_append(residuals, origins, &text);
        status = text.failed ? vb_fail(err, VB_E_SYSTEM, "no host memory left for %s", path)
                             : vb_file_write(path, vb_text_data(&text), text.length, err);
    }
    vb_text_clear(&text);
    return status;
}
