/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/answer.h"

#include "sweep/measure.h"

enum { MAX_BATCH = 4096, SHARE_BACK = 16, MAX_TRIES = 12 };

static uint64_t need_of(const struct vb_record *record)
{
    return record->state == VB_STATE_OOM ? record->peak_reserved_bytes + record->oom_asked_bytes
                                         : record->peak_reserved_bytes;
}

enum vb_status cli_answer_plan(const struct vb_point *point, struct vb_device *device,
                               uint64_t budget_bytes, struct vb_arena *arena,
                               struct cli_answer *out, struct vb_error *err)
{
    enum vb_status status = vb_measure(point, device, false, arena, &out->record, err);
    if (status != VB_OK)
        return status;
    uint64_t usable = budget_bytes > 0 ? budget_bytes : out->record.usable_bytes;
    out->estimate = vb_estimate_judge(need_of(&out->record), usable);
    if (out->record.state == VB_STATE_OOM) {
        out->estimate.verdict = VB_DOES_NOT_FIT;
        out->estimate.probability = 0;
    }
    return VB_OK;
}

/* Where a run is asked about, its plan is several steps', and the search plans one step and scales
 * it: as the run that was asked about compares with its step. */
struct search {
    struct vb_point point; /* what is planned, but for its batch */
    struct vb_device *device;
    uint64_t budget_bytes;
    double factor; /* on what that needs */
};

/* Plans the search's point with that batch; `*need_bytes` is 0 where that failed or ran out. */
static bool fits(const struct search *search, uint32_t batch, uint64_t *need_bytes)
{
    struct vb_arena arena = { 0 };
    struct vb_point point = search->point;
    struct cli_answer answer;
    *need_bytes = 0;
    point.batch = batch;
    bool does = cli_answer_plan(&point, search->device, search->budget_bytes, &arena, &answer,
                                NULL) == VB_OK &&
                answer.record.state == VB_STATE_OK;
    vb_arena_clear(&arena);
    if (!does)
        return false;
    *need_bytes = answer.estimate.need_bytes;
    struct vb_estimate scaled = vb_estimate_judge((uint64_t)(search->factor * (double)*need_bytes),
                                                  answer.estimate.usable_bytes);
    return scaled.verdict == VB_FITS;
}

/* Memory grows with the batch, so the largest that fits is found by halving; `guess` is where to
 * begin. */
static uint32_t halve(const struct search *search, double guess)
{
    uint64_t need_bytes = 0;
    uint32_t low = 0, high = 1;
    if (guess > 8)
        high = (uint32_t)(guess * 0.8 < MAX_BATCH ? guess * 0.8 : MAX_BATCH) & ~7u;
    while (high < MAX_BATCH && fits(search, high, &need_bytes)) {
        low = high;
        high += high / 8 > 0 ? high / 8 : 1;
    }
    high = high < MAX_BATCH ? high : MAX_BATCH;
    while (high - low > (low >= 16 ? 2u : 1u)) {
        uint32_t middle = (low + high) / 2;
        if (fits(search, middle, &need_bytes))
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* What a step that would do was found by is confirmed by a run, or a smaller one is taken. */
static uint32_t confirm(const struct search *run, uint32_t batch)
{
    uint64_t need_bytes = 0;
    for (int i = 0; batch > 0 && i < MAX_TRIES; i++) {
        if (fits(run, batch, &need_bytes))
            return batch;
        batch -= batch / SHARE_BACK > 0 ? batch / SHARE_BACK : 1;
    }
    return 0;
}

uint32_t cli_largest_batch(const struct vb_point *point, struct vb_device *device,
                           uint64_t budget_bytes, const struct cli_answer *answer)
{
    double a_batch = (double)answer->estimate.need_bytes / point->batch;
    double guess = (double)answer->estimate.usable_bytes / a_batch;
    const struct search asked = { *point, device, budget_bytes, 1 };
    struct search step = asked;
    uint64_t run_bytes = 0, step_bytes = 0;
    if (point->workload != VB_WHOLE_RUN)
        return halve(&asked, guess);
    step.point.workload = VB_TRAIN;
    (void)fits(&step, point->batch, &step_bytes);
    if (step_bytes > 0 && answer->record.state == VB_STATE_OK)
        step.factor = (double)answer->estimate.need_bytes / (double)step_bytes;
    uint32_t batch = halve(&step, guess);
    if (batch == 0)
        return confirm(&asked, 1);
    /* The two compare otherwise there: a full cache is emptied where a small one is not. */
    (void)fits(&asked, batch, &run_bytes);
    (void)fits(&step, batch, &step_bytes);
    if (run_bytes > 0 && step_bytes > 0) {
        step.factor = (double)run_bytes / (double)step_bytes;
        batch = halve(&step, batch * 1.25);
    }
    return confirm(&asked, batch);
}
