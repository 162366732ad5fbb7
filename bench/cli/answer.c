/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/answer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "device/gpu_spec.h"
#include "step/sized.h"
#include "sweep/measure.h"

enum { MAX_BATCH = 4096, SHARE_BACK = 16, MAX_TRIES = 12 };

/* Of a model of the user's own whose file is not named as a family: who trains it. */
static enum vb_status name_family(const struct vb_point *point, struct cli_asked *asked,
                                  struct vb_error *err)
{
    struct vb_arena arena = { 0 };
    struct vb_description description;
    struct vb_graph graph;
    vb_band_family(point->model, asked->family, sizeof asked->family);
    if (!cli_is_own_model(point->model) || strncmp(asked->family, "yolo", 4) == 0)
        return VB_OK;
    enum vb_status status = vb_point_graph(point, &arena, &description, &graph, err);
    if (status == VB_OK && graph.task != VB_TASK_DETECT)
        (void)snprintf(asked->family, sizeof asked->family, "yolov8 %s", vb_task_names[graph.task]);
    else if (status == VB_OK && graph.head == VB_HEAD_V5)
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

enum vb_status cli_ask_calibration(const struct vb_point *point, const char *path,
                                   struct cli_asked *out, struct vb_error *err)
{
    const struct vb_device_info *info = vb_device_info(out->device);
    struct cli_calibrations found;
    char cudnn[32] = "";
    if (info->cudnn_version > 0)
        (void)snprintf(cudnn, sizeof cudnn, "%" PRIu64 ".%" PRIu64 ".%" PRIu64,
                       info->cudnn_version / 10000, info->cudnn_version / 100 % 100,
                       info->cudnn_version % 100);
    const struct vb_calibration_question question = {
        .gpu = info->product,
        .cudnn = cudnn,
        .compute_capability = info->compute_capability,
        .model = point->model,
        .family = out->family,
        .precision = point->precision,
        .mosaic = point->mosaic,
        .optimizer = point->optimizer,
        .workload = point->workload,
        .architecture = vb_gpu_spec_architecture,
    };
    /* A calibration's terms grow with batch and imgsz: of squares, and with all layers trained. */
    if (point->freeze > 0 || point->rect > 0)
        return VB_OK;
    enum vb_status status = cli_find_calibrations(path, out->arena, &found, err);
    if (status == VB_OK)
        out->nearest = vb_calibration_nearest(found.items, found.n, &question);
    return status;
}

static void shift(struct vb_interval *interval, double bytes)
{
    interval->low = interval->low > bytes ? interval->low - bytes : 0;
    interval->high -= bytes;
}

/* A calibration speaks of the device's bytes, context and all; the answer of those beside the
 * plan's context, as every answer does. */
static enum vb_status judge_calibrated(const struct cli_asked *asked, double need_bytes,
                                       double apart_bytes, struct vb_arena *arena,
                                       struct cli_answer *out, struct vb_error *err)
{
    const struct vb_record *record = &out->record;
    const double context = (double)record->context_bytes;
    const struct vb_calibration_point point = { .batch = record->point.batch,
                                                .imgsz = record->point.imgsz,
                                                .precision = record->point.precision,
                                                .mosaic = record->point.mosaic,
                                                .planned_bytes = need_bytes + context,
                                                .apart_bytes = apart_bytes + context };
    uint64_t usable = asked->budget_bytes > 0 ? asked->budget_bytes : record->usable_bytes;
    enum vb_status status =
        vb_calibration_answer(&asked->nearest, &point, arena, &out->calibrated, err);
    if (status != VB_OK)
        return status;
    out->is_calibrated = true;
    out->planned_bytes = need_bytes;
    out->band = out->calibrated.band;
    out->estimate =
        vb_estimate_judge(out->calibrated.bytes, (double)usable + context, &out->band, asked->risk);
    out->estimate.need_bytes -= context;
    out->estimate.usable_bytes -= context;
    shift(&out->estimate.interval50, context);
    shift(&out->estimate.interval90, context);
    return VB_OK;
}

static struct vb_question question_of(const struct cli_asked *asked, const struct vb_record *record,
                                      uint32_t compute_capability, double need_bytes)
{
    return (struct vb_question){
        .is_shared = asked->is_shared,
        .traits = cli_traits_of(&record->point, asked->family, compute_capability, record->recipe,
                                record->workspaces, need_bytes),
    };
}

/* By published runs. */
static enum vb_status judge_plan(const struct cli_asked *asked, double need_bytes,
                                 struct vb_arena *arena, struct cli_answer *out,
                                 struct vb_error *err)
{
    const struct vb_record *record = &out->record;
    const struct vb_device_info *info = vb_device_info(asked->device);
    const struct vb_question question =
        question_of(asked, record, info->compute_capability, need_bytes);
    uint64_t usable = asked->budget_bytes > 0 ? asked->budget_bytes : record->usable_bytes;
    enum vb_status status =
        vb_band_find(asked->residuals.rows, asked->residuals.n, &question, arena, &out->band, err);
    if (status == VB_E_UNSUPPORTED && err != NULL)
        out->reason = vb_arena_copy(asked->arena, err->text);
    if (status != VB_OK && status != VB_E_UNSUPPORTED)
        return status;
    out->estimate = vb_estimate_judge(need_bytes, (double)usable,
                                      status == VB_OK ? &out->band : NULL, asked->risk);
    out->planned_bytes = need_bytes;
    if (record->state == VB_STATE_OOM && out->estimate.verdict == VB_FITS)
        out->estimate.verdict = VB_TIGHT; /* the plan itself runs out */
    return VB_OK;
}

bool cli_answer_may_fit(const struct cli_asked *asked, const struct vb_record *record,
                        uint32_t compute_capability, double need_bytes, double usable_bytes)
{
    struct vb_arena arena = { 0 };
    struct vb_band band;
    const struct vb_question question = question_of(asked, record, compute_capability, need_bytes);
    bool may = need_bytes <= usable_bytes;
    if (may && asked->nearest.calibration == NULL &&
        vb_band_find(asked->residuals.rows, asked->residuals.n, &question, &arena, &band, NULL) ==
            VB_OK)
        may = vb_estimate_judge(need_bytes, usable_bytes, &band, asked->risk).verdict == VB_FITS;
    vb_arena_clear(&arena);
    return may;
}

/* `apart_bytes`: planned with no workspace in it; only a calibration asks. */
static enum vb_status judge(const struct cli_asked *asked, double need_bytes, double apart_bytes,
                            struct vb_arena *arena, struct cli_answer *out, struct vb_error *err)
{
    if (asked->nearest.calibration == NULL)
        return judge_plan(asked, need_bytes, arena, out, err);
    enum vb_status status = judge_calibrated(asked, need_bytes, apart_bytes, arena, out, err);
    if (status == VB_E_UNSUPPORTED)
        return judge_plan(asked, need_bytes, arena, out, err);
    return status;
}

/* What the point needs with no workspace: for the form that tells them apart. */
static enum vb_status plan_apart(const struct cli_asked *asked, const struct vb_point *point,
                                 const struct vb_record *planned, double *out, struct vb_error *err)
{
    struct vb_point apart = *point;
    struct vb_record record, need;
    *out = (double)planned->peak_reserved_bytes;
    if (asked->nearest.calibration == NULL ||
        asked->nearest.calibration->chosen != VB_CALIBRATE_APART)
        return VB_OK;
    apart.workspace = VB_SCRATCH_OUTSIDE;
    enum vb_status status =
        cli_measure_need(asked->programs, &apart, asked->device, &record, &need, err);
    *out = (double)need.peak_reserved_bytes;
    return status;
}

enum vb_status cli_answer_plan(const struct cli_asked *asked, const struct vb_point *point,
                               struct vb_arena *arena, struct cli_answer *out, struct vb_error *err)
{
    struct vb_record need;
    double apart = 0;
    enum vb_status status =
        cli_measure_need(asked->programs, point, asked->device, &out->record, &need, err);
    if (status == VB_OK)
        status = plan_apart(asked, point, &need, &apart, err);
    if (status == VB_OK)
        status = judge(asked, (double)need.peak_reserved_bytes, apart, arena, out, err);
    out->step_seconds = need.step_seconds;
    out->need_allocated_bytes = need.peak_allocated_bytes;
    return status;
}

/* Whether by the start of a run it is known that the run does not fit. It needs no less than its
 * start does, and its band is no narrower unless the start's plan is smaller than all published
 * runs'. A wider band makes likelier what was less likely than not, but never likelier than that.
 */
static enum vb_status is_hopeless(const struct cli_asked *asked, const struct vb_point *point,
                                  struct cli_answer *out, bool *is, struct vb_error *err)
{
    struct vb_arena arena = { 0 };
    *is = false;
    enum vb_status status =
        cli_measure_start(asked->programs, point, asked->device, &out->record, err);
    const bool runs_out = out->record.state == VB_STATE_OOM;
    if (status == VB_OK && !runs_out && asked->nearest.calibration == NULL && !asked->is_shared &&
        asked->risk < 0.5) {
        status = judge_plan(asked, (double)out->record.peak_reserved_bytes, &arena, out, err);
        *is = out->estimate.verdict == VB_CANNOT_TELL
                  ? out->estimate.need_bytes > out->estimate.usable_bytes
                  : out->estimate.verdict != VB_FITS &&
                        (out->band.is_larger || (out->band.unlike & 1u << VB_UNLIKE_SIZE) == 0);
    }
    *is = status == VB_OK && (*is || runs_out);
    out->estimate = (struct vb_estimate){ .verdict = VB_DOES_NOT_FIT };
    out->band = (struct vb_band){ 0 };
    vb_arena_clear(&arena);
    return status;
}

enum vb_status cli_answer_within(const struct cli_asked *asked, const struct vb_point *point,
                                 struct vb_arena *arena, struct cli_answer *out,
                                 struct vb_error *err)
{
    double apart = 0;
    bool is = false;
    /* A program that is there is run through as quickly as its start is built and run. */
    const bool starts = point->workload == VB_WHOLE_RUN && !asked->skips_start &&
                        !cli_programs_has(asked->programs, point);
    enum vb_status status = starts ? is_hopeless(asked, point, out, &is, err) : VB_OK;
    if (status != VB_OK || is)
        return status;
    status = cli_measure(asked->programs, point, asked->device, &out->record, err);
    if (status != VB_OK || out->record.state != VB_STATE_OK)
        return status;
    status = plan_apart(asked, point, &out->record, &apart, err);
    if (status == VB_OK)
        status = judge(asked, (double)out->record.peak_reserved_bytes, apart, arena, out, err);
    out->step_seconds = out->record.step_seconds;
    out->need_allocated_bytes = out->record.peak_allocated_bytes;
    return status;
}

bool cli_answer_fits(const struct cli_answer *answer)
{
    const struct vb_estimate *estimate = &answer->estimate;
    if (answer->record.state != VB_STATE_OK)
        return false;
    if (estimate->verdict == VB_CANNOT_TELL)
        return estimate->need_bytes <= estimate->usable_bytes;
    return estimate->verdict == VB_FITS;
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
    uint32_t world;        /* GPUs that share the batch: each takes as many images */
};

/* Plans the search's point with that batch for each GPU; `*need_bytes`, where asked for, is 0 where
 * that failed or ran out. */
static bool fits(const struct search *search, uint32_t batch, double *need_bytes)
{
    struct vb_arena arena = { 0 };
    struct vb_point point = search->point;
    struct cli_answer answer = { 0 };
    double need = 0, apart = 0;
    point.batch = batch * search->world;
    bool does = cli_measure(search->asked->programs, &point, search->asked->device, &answer.record,
                            NULL) == VB_OK &&
                answer.record.state == VB_STATE_OK;
    if (does) {
        need = (double)answer.record.peak_reserved_bytes;
        does = plan_apart(search->asked, &point, &answer.record, &apart, NULL) == VB_OK &&
               judge(search->asked, search->factor * need, search->factor * apart, &arena, &answer,
                     NULL) == VB_OK &&
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
    const uint32_t world = vb_world_of(point);
    const double share = (double)point->batch / world;
    double guess = answer->estimate.usable_bytes / (answer->estimate.need_bytes / share);
    const struct search run = { asked, *point, 1, world };
    struct search step = run;
    double run_bytes = 0, step_bytes = 0;
    if (point->workload != VB_WHOLE_RUN)
        return world * halve(&run, guess);
    step.point.workload = VB_TRAIN;
    (void)fits(&step, point->batch / world, &step_bytes);
    if (step_bytes > 0 && answer->record.state == VB_STATE_OK)
        step.factor = answer->planned_bytes / step_bytes;
    uint32_t batch = halve(&step, guess);
    if (batch == 0)
        return world * confirm(&run, 1);
    /* The two compare otherwise there: a full cache is emptied where a small one is not. */
    (void)fits(&run, batch, &run_bytes);
    (void)fits(&step, batch, &step_bytes);
    if (run_bytes > 0 && step_bytes > 0) {
        step.factor = run_bytes / step_bytes;
        batch = halve(&step, batch * 1.25);
    }
    return world * confirm(&run, batch);
}
