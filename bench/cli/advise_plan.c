/* SPDX-License-Identifier: Apache-2.0 */
/* Two things are known without a plan, and asked first. What a point has allocated at its peak does
 * not depend on the allocator's settings: where that is more than there is, no setting helps. And
 * what it needs is nearly the same on every GPU, for only workspaces differ: one whose memory is
 * too small for nine tenths of it is not planned for. */

#include "cli/advise_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/advise_choices.h"
#include "device/host.h"

#define SURE_SHARE 0.9 /* of what a point needs here, it needs on any GPU */

static bool is_same_candidate(const struct vb_candidate *a, const struct vb_candidate *b)
{
    return a->gpu == b->gpu && memcmp(&a->point, &b->point, sizeof a->point) == 0;
}

/* What was planned of the point on the GPU asked about, whatever the allocator's settings. */
static const struct cli_seen *find_seen(const struct cli_advisor *self,
                                        const struct vb_point *point)
{
    struct vb_point same = *point;
    for (size_t i = 0; i < self->n_seen; i++) {
        const struct vb_point *seen = &self->seen[i].record.point;
        memcpy(same.alloc_conf, seen->alloc_conf, sizeof same.alloc_conf);
        if (memcmp(&same, seen, sizeof same) == 0)
            return &self->seen[i];
    }
    return NULL;
}

static struct cli_seen seen_of(const struct cli_answer *answer)
{
    return (struct cli_seen){ answer->estimate.need_bytes, (double)answer->need_allocated_bytes,
                              answer->record };
}

static void keep_seen(struct cli_advisor *self, const struct cli_seen *seen)
{
    if (self->n_seen < CLI_MOST_SEEN && seen->need_bytes > 0 &&
        find_seen(self, &seen->record.point) == NULL)
        self->seen[self->n_seen++] = *seen;
}

/* Whether `small` is `large`, or that with less in it; how many batches are summed, and how the
 * allocator is set, make no difference. */
static bool is_no_larger(const struct vb_point *small, const struct vb_point *large)
{
    struct vb_point same = *small;
    if (small->batch > large->batch || small->imgsz > large->imgsz ||
        small->freeze < large->freeze ||
        (small->optimizer != VB_SGD && small->optimizer != large->optimizer))
        return false;
    same.batch = large->batch;
    same.accumulate = large->accumulate;
    same.imgsz = large->imgsz;
    same.freeze = large->freeze;
    same.optimizer = large->optimizer;
    memcpy(same.alloc_conf, large->alloc_conf, sizeof same.alloc_conf);
    return memcmp(&same, large, sizeof same) == 0;
}

/* Whether something no smaller ran through here: then how the point begins tells nothing. */
static bool runs_through(const struct cli_advisor *self, const struct vb_point *point)
{
    for (size_t i = 0; i < self->n_seen; i++) {
        const struct vb_record *record = &self->seen[i].record;
        if (record->state == VB_STATE_OK && is_no_larger(point, &record->point))
            return true;
    }
    return false;
}

/* The question about another device; what is not the device's stays. */
static enum vb_status ask_of(struct cli_advisor *self, const struct vb_candidate *candidate,
                             struct cli_asked *out, struct vb_error *err)
{
    struct cli_question *question = self->question;
    *out = question->asked;
    if (candidate->gpu != VB_ASKED_GPU) {
        struct cli_gpu_choice *gpu = &self->gpus[candidate->gpu];
        char name[320];
        (void)snprintf(name, sizeof name, "virtual:%s", gpu->name);
        out->budget_bytes = 0; /* was of the other */
        enum vb_status status =
            gpu->device == NULL ? vb_device_open(name, &gpu->device, err) : VB_OK;
        if (status != VB_OK)
            return status;
        out->device = gpu->device;
    }
    return cli_ask_calibration(&candidate->point, self->calibration, out, err);
}

static void tell(const struct cli_answer *answer, struct vb_advise_answer *out)
{
    *out = (struct vb_advise_answer){
        .fits = cli_answer_fits(answer),
        .need_bytes = answer->estimate.need_bytes,
        .usable_bytes = answer->estimate.usable_bytes,
        .probability = answer->estimate.probability,
    };
    if (answer->step_seconds > 0)
        out->images_per_second = answer->record.point.batch / answer->step_seconds;
}

/* What is planned, here or by another process. */
struct task {
    struct vb_foreseen question;
    bool skips_start; /* as struct cli_asked has it */
};

/* What came of it. */
struct planned {
    enum vb_status status;
    struct vb_error err; /* status not VB_OK */
    struct vb_advise_answer answer;
    struct cli_seen seen; /* its need also where the answer was not to tell it */
};

static bool is_same(const void *task, const void *other)
{
    const struct vb_foreseen *a = &((const struct task *)task)->question;
    const struct vb_foreseen *b = &((const struct task *)other)->question;
    return a->wants_need == b->wants_need && is_same_candidate(&a->candidate, &b->candidate);
}

/* In the process that it is called in, which has its own programs and devices. How much of a
 * candidate that does not fit is planned depends on what was planned there before: where its need
 * is not wanted it is not told, so that the answer does not depend on that. */
static void plan_task(void *context, const void *what, void *result)
{
    struct cli_advisor *self = context;
    const struct task *task = what;
    const struct vb_foreseen *question = &task->question;
    const struct vb_point *point = &question->candidate.point;
    struct planned *out = result;
    struct vb_arena arena = { 0 };
    struct cli_answer answer = { 0 };
    struct cli_asked asked;
    out->answer = (struct vb_advise_answer){ 0 };
    out->status = ask_of(self, &question->candidate, &asked, &out->err);
    asked.skips_start = task->skips_start;
    if (out->status == VB_OK)
        out->status = question->wants_need
                          ? cli_answer_plan(&asked, point, &arena, &answer, &out->err)
                          : cli_answer_within(&asked, point, &arena, &answer, &out->err);
    if (out->status == VB_OK && (question->wants_need || cli_answer_fits(&answer)))
        tell(&answer, &out->answer);
    out->seen = seen_of(&answer);
    vb_arena_clear(&arena);
}

static void close_gpus(struct cli_advisor *self)
{
    for (size_t i = 0; i < self->grid_question.n_gpus; i++)
        vb_device_close(self->gpus[i].device);
}

/* Where another process planned: what it learnt of cuDNN's plans is kept. */
static void close_all(void *context)
{
    struct cli_advisor *self = context;
    close_gpus(self);
    vb_device_close(self->question->asked.device);
}

static void close_ahead(struct cli_advisor *self)
{
    vb_ahead_close(self->ahead);
    self->ahead = NULL;
}

enum vb_status cli_advisor_open(struct cli_question *question, const char *calibration,
                                const char *keep, struct cli_advisor *out, struct vb_error *err)
{
    const struct vb_ahead_work ahead = { .task_bytes = sizeof(struct task),
                                         .result_bytes = sizeof(struct planned),
                                         .is_same = is_same,
                                         .work = plan_task,
                                         .end = close_all,
                                         .context = out };
    struct cli_answer *now = &out->now;
    *out = (struct cli_advisor){ .question = question, .calibration = calibration };
    out->seen = vb_arena_alloc(&question->arena, CLI_MOST_SEEN, sizeof *out->seen);
    if (out->seen == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left to look for advice");
    enum vb_status status = cli_list_choices(out, keep, err);
    if (status != VB_OK)
        return status;
    if (vb_host_threads() > 1 && !vb_device_has_asked(question->asked.device))
        out->ahead = vb_ahead_open(&ahead);
    status = cli_answer_plan(&question->asked, &question->point, &question->arena, now, err);
    /* The two would ask cuDNN much the same. */
    if (vb_device_has_asked(question->asked.device))
        close_ahead(out);
    const struct cli_seen seen = seen_of(now);
    if (status == VB_OK)
        keep_seen(out, &seen);
    return status;
}

void cli_advisor_close(struct cli_advisor *advisor)
{
    close_ahead(advisor);
    close_gpus(advisor);
}

const char *cli_advisor_gpu(const struct cli_advisor *advisor, size_t gpu)
{
    const char *own = advisor->question->device_name;
    const char *colon = strchr(own, ':');
    if (gpu != VB_ASKED_GPU)
        return advisor->gpus[gpu].name;
    return colon != NULL ? colon + 1 : own;
}

static struct task task_of(const struct cli_advisor *self, const struct vb_foreseen *question)
{
    const struct vb_candidate *candidate = &question->candidate;
    /* What it needs has been compared with another GPU's memory already: cli_advisor_knows(). */
    return (struct task){ *question, self->now.record.state == VB_STATE_OK ||
                                         candidate->gpu != VB_ASKED_GPU ||
                                         runs_through(self, &candidate->point) };
}

/* Here, unless it has been planned ahead. */
static enum vb_status plan(struct cli_advisor *self, const struct vb_candidate *candidate,
                           bool wants_need, struct vb_advise_answer *out, struct vb_error *err)
{
    const struct vb_foreseen question = { *candidate, wants_need };
    const struct task task = task_of(self, &question);
    const struct planned *planned = vb_ahead_take(self->ahead, &task);
    struct planned here;
    if (planned == NULL) {
        plan_task(self, &task, &here);
        planned = &here;
    }
    *out = planned->answer;
    if (planned->status != VB_OK)
        return vb_fail(err, planned->status, "%s", planned->err.text);
    if (candidate->gpu == VB_ASKED_GPU)
        keep_seen(self, &planned->seen);
    return VB_OK;
}

static bool is_asked(const struct cli_advisor *self, const struct vb_candidate *candidate)
{
    const struct vb_candidate asked = { self->question->point, VB_ASKED_GPU };
    return is_same_candidate(candidate, &asked);
}

/* Whether it is known without a plan that the candidate does not fit: by its point on the GPU asked
 * about, if that was planned. */
static bool is_hopeless(const struct cli_advisor *self, const struct vb_candidate *candidate)
{
    const struct cli_asked *asked = &self->question->asked;
    const struct vb_device_info *info = vb_device_info(asked->device);
    const struct cli_seen *seen = find_seen(self, &candidate->point);
    if (seen == NULL)
        return false;
    if (candidate->gpu == VB_ASKED_GPU)
        return seen->allocated_bytes > (double)(info->capacity_bytes - info->context_bytes);
    const struct cli_gpu_choice *gpu = &self->gpus[candidate->gpu];
    return !cli_answer_may_fit(asked, &seen->record, gpu->compute_capability,
                               SURE_SHARE * seen->need_bytes, (double)gpu->capacity_bytes);
}

bool cli_advisor_knows(const struct cli_advisor *self, const struct vb_candidate *candidate,
                       bool wants_need)
{
    return is_asked(self, candidate) || (!wants_need && is_hopeless(self, candidate));
}

/* The point on the GPU asked about, planned for that if it was not yet. */
static enum vb_status see_here(struct cli_advisor *self, const struct vb_point *point,
                               struct vb_error *err)
{
    const struct vb_candidate here = { *point, VB_ASKED_GPU };
    struct vb_advise_answer answer;
    return find_seen(self, point) == NULL ? plan(self, &here, true, &answer, err) : VB_OK;
}

enum vb_status cli_advisor_plan(struct cli_advisor *self, const struct vb_candidate *candidate,
                                bool wants_need, struct vb_advise_answer *out, struct vb_error *err)
{
    enum vb_status status = VB_OK;
    *out = (struct vb_advise_answer){ 0 };
    if (!wants_need && candidate->gpu != VB_ASKED_GPU)
        status = see_here(self, &candidate->point, err);
    if (status == VB_OK && is_asked(self, candidate))
        tell(&self->now, out);
    else if (status == VB_OK && !cli_advisor_knows(self, candidate, wants_need))
        status = plan(self, candidate, wants_need, out, err);
    return status;
}

void cli_advisor_expect(struct cli_advisor *self, const struct vb_foreseen *foreseen, size_t n)
{
    struct task tasks[CLI_MOST_EXPECTED];
    size_t n_tasks = 0;
    for (size_t i = 0; i < n && n_tasks < CLI_MOST_EXPECTED; i++) {
        if (!cli_advisor_knows(self, &foreseen[i].candidate, foreseen[i].wants_need))
            tasks[n_tasks++] = task_of(self, &foreseen[i]);
    }
    vb_ahead_expect(self->ahead, tasks, n_tasks);
}
