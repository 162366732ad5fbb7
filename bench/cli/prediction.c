/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/prediction.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cli/published_gpu.h"
#include "model/catalogue.h"
#include "sweep/keys.h"
#include "sweep/plans.h"

/* All that becomes of the rows, side by side. */
struct judging {
    const struct vb_published_file *file;
    const struct cli_judge_options *options;
    struct vb_arena *arena;
    struct cli_gpus gpus;
    struct vb_validation *out;
    struct vb_plan_request *requests; /* of the rows to be planned */
    struct vb_judged **planned;       /* whose they are */
    size_t n_planned;
};

static const char *const where_keys[] = { "trust",  "gpu",        "model",
                                          "family", "repository", "workload" };
enum { N_WHERE_KEYS = sizeof where_keys / sizeof *where_keys, WHERE_GPU = 1 };

static enum vb_status check_where(const struct cli_values *where, struct vb_error *err)
{
    for (size_t i = 0; i < where->n; i++) {
        char key[64];
        size_t length = strcspn(where->items[i], "=");
        bool is_known = false;
        (void)snprintf(key, sizeof key, "%.*s", (int)length, where->items[i]);
        for (size_t k = 0; k < N_WHERE_KEYS; k++)
            is_known = is_known || strcmp(key, where_keys[k]) == 0;
        if (!is_known || where->items[i][length] != '=')
            return vb_fail(
                err, VB_E_INPUT,
                "--where is '%.64s', expected KEY=VALUE with a key of trust, gpu, model, "
                "family, repository, workload",
                where->items[i]);
    }
    return VB_OK;
}

/* Filters of one key are alternatives; of several keys each must be met. */
static bool is_wanted(const struct judging *judging, const struct vb_published *run,
                      const char *profile)
{
    const char *values[N_WHERE_KEYS] = { run->trust,      run->gpu,
                                         run->model,      run->family,
                                         run->repository, vb_workload_names[run->workload] };
    const struct cli_values *where = judging->options->where;
    if (judging->options->has_most_instances && run->has_instances &&
        run->instances > judging->options->most_instances)
        return false;
    for (size_t k = 0; k < N_WHERE_KEYS; k++) {
        bool is_asked = false, is_met = false;
        size_t length = strlen(where_keys[k]);
        for (size_t i = 0; i < where->n; i++) {
            const char *item = where->items[i];
            if (strncmp(item, where_keys[k], length) != 0 || item[length] != '=')
                continue;
            is_asked = true;
            is_met = is_met || strcasecmp(item + length + 1, values[k]) == 0 ||
                     (k == WHERE_GPU && strcasecmp(item + length + 1, profile) == 0);
        }
        if (is_asked && !is_met)
            return false;
    }
    return true;
}

static void skip(struct judging *judging, struct vb_judged *row, const char *reason)
{
    const char *kept = vb_arena_copy(judging->arena, reason);
    row->state = VB_SKIPPED;
    row->reason = kept != NULL ? kept : "no host memory left";
}

static void assume(struct judging *judging, struct vb_judged *row, const char *what)
{
    row->note =
        row->note == NULL ? what : vb_arena_format(judging->arena, "%s; %s", row->note, what);
}

static void skip_other_parameters(struct judging *judging, struct vb_judged *row)
{
    char reason[256];
    (void)snprintf(reason, sizeof reason,
                   "%" PRIu64 " parameters are not %.64s's%s: a changed architecture",
                   row->run->parameters, row->run->model,
                   row->run->classes > 0 ? "" : " with any number of classes");
    skip(judging, row, reason);
}

/* The classes of a row that does not tell them: those that give its parameters, else the file's. A
 * row before with the same model and parameters has the same. */
static bool find_classes(struct judging *judging, struct vb_judged *row, uint32_t *classes)
{
    const struct vb_published *run = row->run;
    struct vb_error err = { 0 };
    *classes = run->classes;
    if (*classes > 0)
        return true;
    if (run->parameters == 0) {
        assume(judging, row, "classes not given: the model file's 80");
        return true;
    }
    for (size_t i = judging->n_planned; i > 0 && *classes == 0; i--) {
        const struct vb_published *before = judging->planned[i - 1]->run;
        if (before->parameters == run->parameters && strcmp(before->model, run->model) == 0)
            *classes = judging->requests[i - 1].point.classes;
    }
    if (*classes == 0 &&
        vb_catalogue_classes(run->model, run->parameters, classes, &err) != VB_OK) {
        skip(judging, row, err.text);
        return false;
    }
    if (*classes == 0)
        skip_other_parameters(judging, row);
    return *classes > 0;
}

/* Boxes an image. The last batch, whose boxes the log counts, is what is left over of an epoch:
 * half a batch on average. */
static uint32_t targets_of(struct judging *judging, struct vb_judged *row, uint32_t usual)
{
    const struct vb_published *run = row->run;
    if (run->workload == VB_AUTOBATCH)
        return usual;
    if (!run->has_instances || run->instances == 0) {
        assume(judging, row,
               run->has_instances ? "no boxes in the last batch: 8 an image"
                                  : "boxes not given: 8 an image");
        return usual;
    }
    double targets = run->instances / ((run->batch + 1) / 2.0);
    return targets > 1 ? (uint32_t)(targets + 0.5) : 1;
}

/* The run as a point. False: it cannot be one, and is skipped. */
static bool make_point(struct judging *judging, struct vb_judged *row, struct vb_point *point)
{
    const struct vb_published *run = row->run;
    struct vb_error err = { 0 };
    uint32_t classes = 0;
    char texts[4][24], trainer[64], torch[32];
    *point = vb_point_default();
    if (!find_classes(judging, row, &classes))
        return false;
    const uint32_t numbers[4] = { run->batch, run->imgsz, classes,
                                  targets_of(judging, row, point->targets) };
    for (size_t i = 0; i < 4; i++)
        (void)snprintf(texts[i], sizeof texts[i], "%" PRIu32, numbers[i]);
    vb_published_trainer(run, trainer, sizeof trainer);
    (void)snprintf(torch, sizeof torch, "%.*s", (int)strspn(run->torch, ".0123456789"), run->torch);
    const struct {
        const char *key, *value;
    } settings[] = { { "model", run->model }, { "batch", texts[0] },   { "imgsz", texts[1] },
                     { "classes", texts[2] }, { "targets", texts[3] }, { "trainer", trainer },
                     { "torch", torch } };
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        const struct vb_option *key = vb_key_find(settings[i].key);
        if (key == NULL || settings[i].value[0] == '\0')
            continue;
        if (vb_option_set(key, settings[i].value, point, &err) != VB_OK) {
            skip(judging, row, err.text);
            return false;
        }
    }
    point->precision = run->precision;
    point->optimizer = run->optimizer;
    point->thop = run->thop;
    /* One profile answers for all rows of a table. */
    if (run->workload == VB_AUTOBATCH)
        point->batch = 1;
    point->workload = run->workload == VB_TRAIN ? VB_WHOLE_RUN : run->workload;
    return true;
}

/* One row: left out, skipped, or a request. False: no host memory. */
static bool take_row(struct judging *judging, const struct vb_published *run)
{
    static const struct cli_gpu none = { "", 0, "", "", NULL };
    struct vb_validation *out = judging->out;
    struct vb_judged *row = &out->rows[out->n];
    struct vb_plan_request *request = &judging->requests[judging->n_planned];
    struct vb_error err = { 0 };
    const struct cli_gpu *gpu = &none;
    if (run->gpu[0] != '\0')
        gpu = cli_find_gpu(&judging->gpus, run->gpu, run->gpu_total_bytes, judging->arena);
    if (gpu == NULL)
        return false;
    if (!is_wanted(judging, run, gpu->name)) {
        out->n_left_out++;
        return true;
    }
    out->n++;
    *row = (struct vb_judged){ .run = run, .gpu = gpu->name, .architecture = gpu->architecture };
    row->note = run->note;
    if (run->reason != NULL) {
        skip(judging, row, run->reason);
    } else if (vb_catalogue_check(run->model, &err) != VB_OK) {
        (void)snprintf(err.text, sizeof err.text, "model '%.64s' is not built in", run->model);
        skip(judging, row, err.text);
    } else if (gpu->name[0] == '\0') {
        skip(judging, row, gpu->reason);
    } else if (make_point(judging, row, &request->point)) {
        (void)snprintf(request->device, sizeof request->device, "virtual:%s", gpu->name);
        judging->planned[judging->n_planned++] = row;
    }
    return true;
}

/* What a profile read of the row's batch size; 0: nothing, as the sizes before took all memory. */
static bool read_size(const struct vb_published *run, const struct vb_profile *profile,
                      uint64_t *bytes)
{
    *bytes = 0;
    for (uint32_t i = 0; i < VB_N_PROFILED; i++) {
        if (run->batch != 1u << i)
            continue;
        if (i < profile->n)
            *bytes = profile->reserved_bytes[i];
        return true;
    }
    return false;
}

static void judge_row(struct judging *judging, struct vb_judged *row,
                      const struct vb_plan_request *request, const struct vb_plan_answer *answer)
{
    const struct vb_published *run = row->run;
    char reason[256];
    if (answer->status != VB_OK) {
        skip(judging, row, answer->reason);
        return;
    }
    if (run->parameters > 0 && run->parameters != answer->parameters) {
        skip_other_parameters(judging, row);
        return;
    }
    if (run->bytes > (double)answer->capacity_bytes) {
        (void)snprintf(reason, sizeof reason, "%.4g GiB are more than a %.40s has",
                       run->bytes / 1073741824.0, row->gpu);
        skip(judging, row, reason);
        return;
    }
    uint64_t planned = answer->printed_bytes;
    bool ran_out = answer->state == VB_STATE_OOM && !answer->has_printed;
    row->state = ran_out ? VB_JUDGED_NO_FIT : VB_JUDGED;
    if (run->workload == VB_AUTOBATCH) {
        if (!read_size(run, &answer->profile, &planned)) {
            skip(judging, row, "AutoBatch tries 1, 2, 4, ... 64 images");
            return;
        }
        row->state = planned > 0 ? VB_JUDGED : VB_JUDGED_NO_FIT;
    }
    if (run->ran_out)
        row->state = VB_JUDGED_RAN_OUT;
    row->point = request->point;
    row->need_bytes = run->workload == VB_AUTOBATCH ? planned : answer->peak_reserved_bytes;
    row->usable_bytes = answer->usable_bytes;
    row->workspaces = answer->workspaces;
    row->cudnn = answer->cudnn;
    row->recipe = answer->recipe;
    row->prediction = (struct vb_prediction){
        .planned_bytes = (double)planned,
        .observed_bytes = run->bytes,
        .groups = { row->gpu, run->model, run->family, run->trust },
        .repository = run->repository,
    };
}

static enum vb_status plan_rows(struct judging *judging, struct vb_error *err)
{
    struct vb_validation *out = judging->out;
    struct vb_plan_answer *answers =
        vb_arena_alloc(judging->arena, judging->n_planned + 1, sizeof *answers);
    if (answers == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for %zu rows", judging->n_planned);
    enum vb_status status =
        vb_plan_all(judging->requests, judging->n_planned, judging->options->jobs, answers, err);
    for (size_t i = 0; i < judging->n_planned && status == VB_OK; i++)
        judge_row(judging, judging->planned[i], &judging->requests[i], &answers[i]);
    for (size_t i = 0; i < out->n; i++) {
        out->n_judged += out->rows[i].state == VB_JUDGED;
        out->n_no_fit += out->rows[i].state == VB_JUDGED_NO_FIT;
        out->n_ran_out += out->rows[i].state == VB_JUDGED_RAN_OUT;
        out->n_skipped += out->rows[i].state == VB_SKIPPED;
    }
    return status;
}

enum vb_status cli_judge(const char *path, const struct vb_published_file *file,
                         const struct cli_judge_options *options, struct vb_arena *arena,
                         struct vb_validation *out, struct vb_error *err)
{
    struct judging judging = { .file = file, .options = options, .arena = arena, .out = out };
    enum vb_status status = check_where(options->where, err);
    *out = (struct vb_validation){ .file = path };
    if (status != VB_OK)
        return status;
    out->rows = vb_arena_alloc(arena, file->n + 1, sizeof *out->rows);
    judging.requests = vb_arena_alloc(arena, file->n + 1, sizeof *judging.requests);
    judging.planned = vb_arena_alloc(arena, file->n + 1, sizeof *judging.planned);
    bool is_taken = out->rows != NULL && judging.requests != NULL && judging.planned != NULL;
    for (size_t i = 0; i < file->n && is_taken; i++)
        is_taken = take_row(&judging, &file->rows[i]);
    if (!is_taken)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for %zu rows", file->n);
    return plan_rows(&judging, err);
}
