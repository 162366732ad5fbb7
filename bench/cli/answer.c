/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/answer.h"

#include <string.h>

#include "device/gpu_spec.h"
#include "model/catalogue.h"
#include "sweep/measure.h"

enum { MAX_BATCH = 4096, SHARE_BACK = 16, MAX_TRIES = 12 };

/* Of a model of the user's own whose file is not named as a family: who trains it. */
static enum vb_status name_family(const struct vb_point *point, struct cli_asked *asked,
                                  struct vb_error *err)
{
    struct vb_arena arena = { 0 };
    struct vb_graph graph;
    vb_band_family(point->model, asked->family, sizeof asked->family);
    if (!cli_is_own_model(point->model) || strncmp(asked->family, "yolo", 4) == 0)
        return VB_OK;
    enum vb_status status =
        vb_catalogue_expand(point->model, 1, point->imgsz, point->classes, &arena, &graph, err);
    if (status == VB_OK && graph.head == VB_HEAD_V5)
        (void)snprintf(asked->family, sizeof asked->family, "yolov5");
    else if (status == VB_OK && graph.head == VB_HEAD_V8)
        (void)snprintf(asked->family, sizeof asked->family, "yolov8");
    vb_arena_clear(&arena);
    return status;
}

enum vb_status cli_ask(const struct vb_point *point, struct cli_asked *out, struct vb_error *err)
{
    enum vb_status status = cli_read_residuals(out->arena, &out->residuals, err);
    return status == VB_OK ? name_family(point, out, err) : status;
}

static enum vb_status judge(const struct cli_asked *asked, double need_bytes,
                            struct vb_arena *arena, struct cli_answer *out, struct vb_error *err)
{
    const struct vb_record *record = &out->record;
    const struct vb_device_info *info = vb_device_info(asked->device);
    const struct vb_question question = {
        .is_shared = asked->is_shared,
        .traits = { .architecture = vb_gpu_spec_architecture(info->compute_capability),
                    .family = asked->family,
                    .precision = record->point.precision,
                    .workload = record->point.workload,
                    .torch = vb_band_torch(record->recipe),
                    .boxes = record->point.targets,
                    .planned_bytes = need_bytes,
                    .has_fitted_workspaces = vb_band_is_fitted(record->workspaces),
                    .is_own_model = cli_is_own_model(record->point.model) },
    };
    uint64_t usable = asked->budget_bytes > 0 ? asked->budget_bytes : record->usable_bytes;
    enum vb_status status =
        vb_band_find(asked->residuals.rows, asked->residuals.n, &question, arena, &out->band, err);
    if (status == VB_E_UNSUPPORTED && err != NULL)
        out->reason = vb_arena_copy(asked->arena, err->text);
    if (status != VB_OK && status != VB_E_UNSUPPORTED)
        return status;
    out->estimate = vb_estimate_judge(need_bytes, (double)usable,
                                      status == VB_OK ? &out->band : NULL, asked->risk);
    if (record->state == VB_STATE_OOM && out->estimate.verdict == VB_FITS)
        out->estimate.verdict = VB_TIGHT; /* the plan itself runs out */
    return VB_OK;
}

enum vb_status cli_answer_plan(const struct cli_asked *asked, const struct vb_point *point,
                               struct vb_arena *arena, struct cli_answer *out, struct vb_error *err)
{
    struct vb_record need;
    enum vb_status status =
        vb_measure_need(point, asked->device_name, asked->device, arena, &out->record, &need, err);
    if (status == VB_OK)
        status = judge(asked, (double)need.peak_reserved_bytes, arena, out, err);
    return status;
}

int cli_answer_status(const struct cli_answer *answer)
{
    if (answer->estimate.verdict == VB_CANNOT_TELL)
        return CLI_CANNOT_TELL;
    return answer->estimate.verdict == VB_DOES_NOT_FIT ? CLI_DOES_NOT_FIT : 0;
}

/* Where a run is asked about, its plan is several steps', and the search plans one step and scales
 * it: as the run that was asked about compares with its step. */
struct search {
    const struct cli_asked *asked;
    struct vb_point point; /* what is planned, but for its batch */
    double factor;         /* on what that needs */
};

/* Plans the search's point with that batch; `*need_bytes`, where asked for, is 0 where that failed
 * or ran out. */
static bool fits(const struct search *search, uint32_t batch, double *need_bytes)
{
    struct vb_arena arena = { 0 };
    struct vb_point point = search->point;
    struct cli_answer answer = { 0 };
    double need = 0;
    point.batch = batch;
    bool does =
        vb_measure(&point, search->asked->device, false, &arena, &answer.record, NULL) == VB_OK &&
        answer.record.state == VB_STATE_OK;
    if (does) {
        need = (double)answer.record.peak_reserved_bytes;
        does = judge(search->asked, search->factor * need, &arena, &answer, NULL) == VB_OK &&
               answer.estimate.verdict == VB_FITS;
    }
    if (need_bytes != NULL)
        *need_bytes = need;
    vb_arena_clear(&arena);
    return does;
}

/* Memory grows with the batch, so the largest that fits is found by halving; `guess` is where to
 * begin. */
static uint32_t halve(const struct search *search, double guess)
{
    uint32_t low = 0, high = 1;
    if (guess > 8)
        high = (uint32_t)(guess * 0.8 < MAX_BATCH ? guess * 0.8 : MAX_BATCH) & ~7u;
    while (high < MAX_BATCH && fits(search, high, NULL)) {
        low = high;
        high += high / 8 > 0 ? high / 8 : 1;
    }
    high = high < MAX_BATCH ? high : MAX_BATCH;
    while (high - low > (low >= 16 ? 2u : 1u)) {
        uint32_t middle = (low + high) / 2;
        if (fits(search, middle, NULL))
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* What a step that would do was found by is confirmed by a run, or a smaller one is taken. */
static uint32_t confirm(const struct search *run, uint32_t batch)
{
    for (int i = 0; batch > 0 && i < MAX_TRIES; i++) {
        if (fits(run, batch, NULL))
            return batch;
        batch -= batch / SHARE_BACK > 0 ? batch / SHARE_BACK : 1;
    }
    return 0;
}

uint32_t cli_largest_batch(const struct cli_asked *asked, const struct vb_point *point,
                           const struct cli_answer *answer)
{
    double guess = answer->estimate.usable_bytes / (answer->estimate.need_bytes / point->batch);
    const struct search run = { asked, *point, 1 };
    struct search step = run;
    double run_bytes = 0, step_bytes = 0;
    if (point->workload != VB_WHOLE_RUN)
        return halve(&run, guess);
    step.point.workload = VB_TRAIN;
    (void)fits(&step, point->batch, &step_bytes);
    if (step_bytes > 0 && answer->record.state == VB_STATE_OK)
        step.factor = answer->estimate.need_bytes / step_bytes;
    uint32_t batch = halve(&step, guess);
    if (batch == 0)
        return confirm(&run, 1);
    /* The two compare otherwise there: a full cache is emptied where a small one is not. */
    (void)fits(&run, batch, &run_bytes);
    (void)fits(&step, batch, &step_bytes);
    if (run_bytes > 0 && step_bytes > 0) {
        step.factor = run_bytes / step_bytes;
        batch = halve(&step, batch * 1.25);
    }
    return confirm(&run, batch);
}
