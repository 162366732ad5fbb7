/* SPDX-License-Identifier: Apache-2.0 */
/* The largest batch is looked for by doubling and halving, for memory grows with the batch; beyond
 * the boundary a few more are tried, for workspaces make it jump. What is taken is the largest
 * divisor of the effective batch up to it, so that whole batches are summed. */

#include "cli/schedule.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "device/execute.h"
#include "fit/advise_grid.h"
#include "step/run.h"
#include "step/sized.h"
#include "sweep/measure.h"

enum {
    MAX_BATCH = 4096,
    MAX_EPOCHS = 100000,
    COCO_IMAGES = 118287, /* train2017 */
    MAX_IMAGES = 1000000000,
    BEYOND_SHARE = 16, /* so large a part of the batch is tried beyond the boundary, */
    BEYOND_LEAST = 2,  /* and as many at least */
};

static enum vb_status read_number(const char *what, const char *text, uint32_t low, uint32_t high,
                                  uint32_t *out, struct vb_error *err)
{
    char *end = NULL;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || value < (long)low || value > (long)high)
        return vb_fail(err, VB_E_INPUT, "%s is '%s', expected %" PRIu32 " to %" PRIu32, what, text,
                       low, high);
    *out = (uint32_t)value;
    return VB_OK;
}

static enum vb_status add_phase(struct cli_schedule *self, const char *imgsz, const char *epochs,
                                struct vb_error *err)
{
    struct cli_phase phase = { .point = self->question->point };
    if (self->n_phases == CLI_MOST_PHASES)
        return vb_fail(err, VB_E_INPUT, "--phases has more than %d phases", CLI_MOST_PHASES);
    enum vb_status status =
        read_number("--phases: imgsz", imgsz, 1, 16384, &phase.point.imgsz, err);
    if (status == VB_OK)
        status = read_number("--phases: epochs", epochs, 1, MAX_EPOCHS, &phase.epochs, err);
    if (status == VB_OK)
        self->phases[self->n_phases++] = phase;
    return status;
}

static enum vb_status read_phases(struct cli_schedule *self, const char *text, struct vb_error *err)
{
    enum vb_status status = VB_OK;
    if (text == NULL)
        return vb_fail(err, VB_E_INPUT, "no phases; give --phases 320:100,640:20 (imgsz:epochs)");
    char *rest = vb_arena_copy(&self->question->arena, text);
    if (rest == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the phases");
    for (char *item = strsep(&rest, ","); item != NULL && status == VB_OK;
         item = strsep(&rest, ",")) {
        char *epochs = strchr(item, ':');
        if (epochs == NULL)
            return vb_fail(err, VB_E_INPUT, "--phases has '%s', expected imgsz:epochs as 640:20",
                           item);
        *epochs++ = '\0';
        status = add_phase(self, item, epochs, err);
    }
    return status;
}

/* The last epochs are phases without mosaic: the one in which they begin is cut in two. */
static enum vb_status close_mosaic(struct cli_schedule *self, const char *text,
                                   struct vb_error *err)
{
    uint32_t left = 0;
    enum vb_status status =
        text != NULL ? read_number("--close-mosaic", text, 0, MAX_EPOCHS, &left, err) : VB_OK;
    if (status == VB_OK && left > 0 && self->question->point.mosaic == VB_MOSAIC_OFF)
        return vb_fail(err, VB_E_INPUT, "--close-mosaic %s: mosaic is off already", text);
    for (size_t i = self->n_phases; i-- > 0 && left > 0 && status == VB_OK;) {
        struct cli_phase *phase = &self->phases[i];
        struct cli_phase *closed = phase;
        if (phase->epochs > left) {
            if (self->n_phases == CLI_MOST_PHASES)
                return vb_fail(err, VB_E_INPUT,
                               "--phases has more than %d phases, with the one "
                               "that --close-mosaic adds",
                               CLI_MOST_PHASES);
            memmove(phase + 1, phase, (self->n_phases++ - i) * sizeof *phase);
            closed = phase + 1;
            closed->epochs = left;
            phase->epochs -= left;
        }
        left -= closed->epochs;
        closed->point.mosaic = VB_MOSAIC_OFF;
        closed->point.mixup = closed->point.copy_paste = false;
    }
    return status;
}

static enum vb_status fits(const struct cli_schedule *self, const struct vb_point *point,
                           uint32_t batch, struct cli_answer *answer, bool *does,
                           struct vb_error *err)
{
    struct vb_arena arena = { 0 };
    struct vb_point changed = *point;
    changed.batch = batch;
    *answer = (struct cli_answer){ 0 };
    enum vb_status status =
        cli_answer_within(&self->question->asked, &changed, &arena, answer, err);
    *does = status == VB_OK && cli_answer_fits(answer);
    vb_arena_clear(&arena); /* the band's steps with it: the answer's figures stay */
    answer->band.steps = NULL;
    return status;
}

static enum vb_status find_largest(const struct cli_schedule *self, struct cli_phase *phase,
                                   struct vb_error *err)
{
    uint32_t low = 0, high = 1;
    struct cli_answer answer;
    bool does = true;
    enum vb_status status = VB_OK;
    while (status == VB_OK && does && high <= MAX_BATCH) {
        status = fits(self, &phase->point, high, &answer, &does, err);
        low = does ? high : low;
        high = does ? high * 2 : high;
    }
    while (status == VB_OK && high - low > 1 && high <= MAX_BATCH) {
        uint32_t middle = low + (high - low) / 2;
        status = fits(self, &phase->point, middle, &answer, &does, err);
        low = does ? middle : low;
        high = does ? high : middle;
    }
    uint32_t boundary = high, beyond = low / BEYOND_SHARE + BEYOND_LEAST;
    for (uint32_t i = 1; i <= beyond && status == VB_OK && boundary + i <= MAX_BATCH; i++) {
        status = fits(self, &phase->point, boundary + i, &answer, &does, err);
        low = does ? boundary + i : low;
    }
    phase->largest_batch = low;
    return status;
}

static uint32_t largest_divisor(uint32_t of, uint32_t most)
{
    uint32_t batch = most < of ? most : of;
    while (batch > 1 && of % batch != 0)
        batch--;
    return batch;
}

/* Of the squares of the sizes that are drawn, against imgsz's: as much longer a step takes. */
static double mean_area(uint32_t imgsz, uint32_t percent, uint32_t stride)
{
    double sum = 0;
    uint64_t from = (uint64_t)imgsz * (100 - percent) / 100;
    uint64_t end = (uint64_t)imgsz * (100 + percent) / 100 + stride;
    for (uint64_t draw = from; draw < end; draw++) {
        double side = (double)(draw / stride * stride) / imgsz;
        sum += side * side;
    }
    return sum / (double)(end - from);
}

static enum vb_status plan_phase(const struct cli_schedule *self, struct cli_phase *phase,
                                 uint32_t stride, struct vb_error *err)
{
    const uint32_t percent = self->recipe.trainer.multiscale_percent;
    const bool draws = phase->point.multiscale;
    bool does = false;
    phase->largest_size =
        draws ? vb_largest_draw(phase->point.imgsz, percent, stride) : phase->point.imgsz;
    enum vb_status status = VB_OK;
    for (uint32_t batch = phase->point.batch; batch > 0 && !does && status == VB_OK; batch--) {
        if (self->effective_batch % batch != 0)
            continue;
        vb_point_set_batch(&phase->point, batch, self->effective_batch,
                           self->recipe.trainer.nominal_batch);
        phase->accumulate = self->effective_batch / batch;
        status = fits(self, &phase->point, batch, &phase->answer, &does, err);
    }
    if (!does)
        phase->point.batch = 0;
    if (does && phase->answer.step_seconds > 0)
        phase->seconds = phase->epochs * (double)self->images / phase->point.batch *
                         phase->answer.step_seconds *
                         (draws ? mean_area(phase->point.imgsz, percent, stride) : 1);
    return status;
}

/* A batch that fits with its sums; phases of one size that follow each other are one loader's, and
 * have the smaller batch of theirs. */
static enum vb_status choose_batches(struct cli_schedule *self, struct vb_error *err)
{
    for (size_t i = 0; i < self->n_phases; i++) {
        struct cli_phase *phase = &self->phases[i];
        enum vb_status status = find_largest(self, phase, err);
        if (status != VB_OK)
            return status;
        phase->point.batch = phase->largest_batch > 0
                                 ? largest_divisor(self->effective_batch, phase->largest_batch)
                                 : 0;
    }
    for (size_t i = 1; i < self->n_phases; i++) {
        struct vb_point *before = &self->phases[i - 1].point, *point = &self->phases[i].point;
        if (before->imgsz != point->imgsz)
            continue;
        if (before->batch > point->batch)
            before->batch = point->batch;
        else
            point->batch = before->batch;
    }
    return VB_OK;
}

static enum vb_status share(const struct cli_schedule *self, const struct vb_compiled *compiled,
                            bool empties, struct cli_shared *out, struct vb_error *err)
{
    struct vb_arena arena = { 0 };
    struct vb_in_sequence items[CLI_MOST_PHASES];
    struct vb_record *records = vb_arena_alloc(&arena, self->n_phases, sizeof *records);
    enum vb_status status =
        records != NULL ? VB_OK : vb_fail(err, VB_E_SYSTEM, "no host memory left for the phases");
    *out = (struct cli_shared){ 0 };
    for (size_t i = 0; i < self->n_phases && status == VB_OK; i++) {
        const struct vb_point *point = &self->phases[i].point;
        records[i].point = *point;
        items[i] = (struct vb_in_sequence){ &compiled[i].program, point, &records[i] };
    }
    if (status == VB_OK)
        status = vb_execute_sequence(items, self->n_phases, empties, self->question->asked.device,
                                     &arena, err);
    for (size_t i = 0; i < self->n_phases && status == VB_OK && !out->ran_out; i++) {
        double bytes = (double)records[i].peak_reserved_bytes;
        out->peak_reserved_bytes =
            bytes > out->peak_reserved_bytes ? bytes : out->peak_reserved_bytes;
        out->ran_out = records[i].state == VB_STATE_OOM;
        out->ran_out_at = i;
    }
    vb_arena_clear(&arena);
    return status;
}

/* The phases' programs are the same whether the cache is kept between them. */
static enum vb_status share_both(struct cli_schedule *self, struct vb_error *err)
{
    struct vb_arena arena = { 0 };
    struct vb_compiled *compiled = vb_arena_alloc(&arena, self->n_phases, sizeof *compiled);
    enum vb_status status =
        compiled != NULL ? VB_OK : vb_fail(err, VB_E_SYSTEM, "no host memory left for the phases");
    for (size_t i = 0; i < self->n_phases && status == VB_OK; i++)
        status = vb_compile(&self->phases[i].point, UINT64_MAX, VB_ONLY_PLANNED, &arena,
                            &compiled[i], err);
    if (status == VB_OK)
        status = share(self, compiled, false, &self->kept, err);
    if (status == VB_OK)
        status = share(self, compiled, true, &self->emptied, err);
    vb_arena_clear(&arena);
    return status;
}

bool cli_schedule_fits(const struct cli_schedule *schedule)
{
    for (size_t i = 0; i < schedule->n_phases; i++) {
        if (schedule->phases[i].point.batch == 0)
            return false;
    }
    return true;
}

static enum vb_status plan_all(struct cli_schedule *self, uint32_t stride, struct vb_error *err)
{
    enum vb_status status = choose_batches(self, err);
    for (size_t i = 0; i < self->n_phases && status == VB_OK; i++) {
        struct cli_phase *phase = &self->phases[i];
        status = plan_phase(self, phase, stride, err);
        double bytes = (double)phase->answer.record.peak_reserved_bytes;
        self->separate_bytes = bytes > self->separate_bytes ? bytes : self->separate_bytes;
    }
    return status == VB_OK && cli_schedule_fits(self) ? share_both(self, err) : status;
}

/* Each size is one that the model can have; what the trainer does is the same for all. */
static enum vb_status look_at_model(struct cli_schedule *self, uint32_t *stride,
                                    struct vb_error *err)
{
    enum vb_status status = VB_OK;
    for (size_t i = 0; i < self->n_phases && status == VB_OK; i++) {
        struct vb_arena arena = { 0 };
        struct vb_compiled compiled;
        struct vb_description description;
        struct vb_point point = self->phases[i].point;
        point.batch = 1;
        status = vb_compile_parts(&point, VB_ONLY_PLANNED, &arena, &description, &compiled, err);
        if (status == VB_OK) {
            self->recipe = compiled.recipe;
            *stride = vb_loader_stride(&compiled.graph);
        }
        vb_arena_clear(&arena);
    }
    return status;
}

enum vb_status cli_schedule_plan(struct cli_question *question,
                                 const struct cli_schedule_request *request,
                                 struct cli_schedule *out, struct vb_error *err)
{
    uint32_t stride = 0;
    *out = (struct cli_schedule){ .question = question, .images = COCO_IMAGES };
    if (question->point.workload != VB_WHOLE_RUN)
        return vb_fail(err, VB_E_INPUT, "workload %s is no run: a schedule is one of runs",
                       vb_workload_names[question->point.workload]);
    enum vb_status status = read_phases(out, request->phases, err);
    if (status == VB_OK)
        status = close_mosaic(out, request->close_mosaic, err);
    if (status == VB_OK && request->images != NULL)
        status = read_number("--images", request->images, 1, MAX_IMAGES, &out->images, err);
    if (status == VB_OK)
        status = look_at_model(out, &stride, err);
    if (status == VB_OK)
        out->effective_batch = out->recipe.trainer.nominal_batch;
    if (status == VB_OK && request->effective != NULL)
        status = read_number("--effective-batch", request->effective, 1, MAX_BATCH,
                             &out->effective_batch, err);
    return status == VB_OK ? plan_all(out, stride, err) : status;
}
