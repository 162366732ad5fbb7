/* SPDX-License-Identifier: Apache-2.0 */
/* Two things are known without a plan, and asked first. What a point has allocated at its peak does
 * not depend on the allocator's settings: where that is more than there is, no setting helps. And
 * what it needs is nearly the same on every GPU, for only workspaces differ: one whose memory is
 * too small for nine tenths of it is not planned for. */

#include "cli/advise_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "device/gpu_spec.h"
#include "model/catalogue.h"
#include "step/sized.h"
#include "sweep/measure.h"

#define SURE_SHARE 0.9 /* of what a point needs here, it needs on any GPU */

/* Sizes by which a family's models are told apart: "yolov5x6" and "yolov5n6" are "yolov5" and "6".
 */
static const char size_letters[] = "ntsmblcex";

/* Where the letter of the size stands in the name; NULL: there is none. */
static const char *size_letter(const char *model)
{
    const char *at = model + strspn(model, "abcdefghijklmnopqrstuvwxyz");
    at += strspn(at, "0123456789");
    return at[0] != '\0' && strchr(size_letters, at[0]) != NULL ? at : NULL;
}

static bool same_family(const char *a, const char *b)
{
    const char *letter_a = size_letter(a), *letter_b = size_letter(b);
    return letter_a != NULL && letter_b != NULL && letter_a - a == letter_b - b &&
           strncmp(a, b, (size_t)(letter_a - a)) == 0 && strcmp(letter_a + 1, letter_b + 1) == 0;
}

/* The catalogue has them from small to large. */
static enum vb_status find_models(struct cli_advisor *self, struct vb_error *err)
{
    const char *model = self->question->point.model;
    const char **models =
        vb_arena_alloc(&self->question->arena, vb_catalogue_size + 1, sizeof *models);
    size_t own = 0;
    if (models == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the list of models");
    while (own < vb_catalogue_size && strcmp(vb_catalogue_names[own], model) != 0)
        own++;
    for (size_t i = own < vb_catalogue_size ? own : 0; i > 0; i--) {
        if (same_family(vb_catalogue_names[i - 1], model))
            models[self->grid_question.n_models++] = vb_catalogue_names[i - 1];
    }
    self->grid_question.models = models;
    return VB_OK;
}

static int by_capacity(const void *a, const void *b)
{
    const struct cli_gpu_choice *x = a, *y = b;
    if (x->capacity_bytes != y->capacity_bytes)
        return x->capacity_bytes < y->capacity_bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

static enum vb_status find_gpus(struct cli_advisor *self, struct vb_error *err)
{
    struct vb_gpu_index index = { 0 };
    uint64_t own_bytes = vb_device_info(self->question->asked.device)->capacity_bytes;
    size_t n = 0;
    enum vb_status status = vb_gpu_index_read(&self->question->arena, &index, err);
    for (size_t i = 0; status == VB_OK && i < index.n && n < CLI_MOST_GPUS; i++) {
        const struct vb_gpu_product *product = &index.products[i];
        if (product->capacity_bytes > own_bytes)
            self->gpus[n++] = (struct cli_gpu_choice){ product->name, product->capacity_bytes,
                                                       product->compute_capability, NULL };
    }
    qsort(self->gpus, n, sizeof *self->gpus, by_capacity);
    self->grid_question.n_gpus = n;
    return status;
}

static enum vb_status read_kept(const char *keep, uint32_t *kept, struct vb_error *err)
{
    char list[256];
    *kept = 0;
    if (keep == NULL)
        return VB_OK;
    (void)snprintf(list, sizeof list, "%s", keep);
    char *rest = list;
    for (char *name = strsep(&rest, ","); name != NULL; name = strsep(&rest, ",")) {
        uint32_t found = 0;
        for (int i = 0; i < VB_N_CHANGES; i++) {
            if (strcmp(vb_change_keys[i], name) == 0)
                found |= 1u << i;
        }
        const char *near = vb_text_nearest(name, vb_change_keys, VB_N_CHANGES);
        if (found == 0)
            return vb_fail(
                err, VB_E_INPUT,
                "--keep is '%s', expected names of model, batch, imgsz, precision, "
                "mosaic, mixup, copy_paste, optimizer, freeze, channels_last, alloc_conf, "
                "gpu, gpus%s%s",
                name, near != NULL ? "; did you mean " : "", near != NULL ? near : "");
        *kept |= found;
    }
    return VB_OK;
}

/* PyTorch before 2.1 has none. */
static bool has_segments(const char *torch)
{
    return strncmp(torch, "1.", 2) != 0 && strncmp(torch, "2.0", 3) != 0;
}

static void identify(const struct vb_point *point, char id[17])
{
    struct vb_point plain = *point;
    plain.alloc_conf[0] = '\0';
    vb_record_cell_id(&plain, "", id);
}

static const struct cli_seen *find_seen(const struct cli_advisor *self,
                                        const struct vb_point *point)
{
    char id[17];
    identify(point, id);
    for (size_t i = 0; i < self->n_seen; i++) {
        if (strcmp(self->seen[i].id, id) == 0)
            return &self->seen[i];
    }
    return NULL;
}

static void keep_seen(struct cli_advisor *self, const struct vb_point *point,
                      const struct cli_answer *answer)
{
    if (self->n_seen == CLI_MOST_SEEN || answer->estimate.need_bytes <= 0 ||
        find_seen(self, point) != NULL)
        return;
    struct cli_seen *seen = &self->seen[self->n_seen++];
    identify(point, seen->id);
    seen->need_bytes = answer->estimate.need_bytes;
    seen->allocated_bytes = (double)answer->need_allocated_bytes;
    seen->record = answer->record;
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

enum vb_status cli_advisor_open(struct cli_question *question, const char *calibration,
                                const char *keep, struct cli_advisor *out, struct vb_error *err)
{
    struct vb_compiled compiled;
    struct vb_description description;
    struct vb_arena arena = { 0 };
    *out = (struct cli_advisor){ .question = question, .calibration = calibration };
    struct vb_advise_question *grid = &out->grid_question;
    grid->point = question->point;
    grid->has_segments = has_segments(question->point.torch);
    out->seen = vb_arena_alloc(&question->arena, CLI_MOST_SEEN, sizeof *out->seen);
    if (out->seen == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left to look for advice");
    enum vb_status status = read_kept(keep, &grid->kept, err);
    if (status == VB_OK && question->point.workload == VB_AUTOBATCH)
        status = vb_fail(err, VB_E_INPUT,
                         "workload autobatch is no training: take run, or train for one step");
    if (status == VB_OK)
        status = vb_compile_parts(&question->point, VB_ONLY_PLANNED, &arena, &description,
                                  &compiled, err);
    if (status == VB_OK) {
        out->recipe = compiled.recipe;
        if (compiled.recipe.trainer.family == VB_CLASSIFIER) /* its loop sums and freezes nothing */
            grid->kept |= 1u << VB_CHANGE_BATCH | 1u << VB_CHANGE_FREEZE;
        grid->has_ddp = compiled.recipe.trainer.family != VB_CLASSIFIER;
        grid->nominal_batch = compiled.recipe.trainer.nominal_batch;
        grid->stride = vb_loader_stride(&compiled.graph);
        status = find_models(out, err);
    }
    if (status == VB_OK)
        status = find_gpus(out, err);
    if (status == VB_OK)
        status =
            cli_answer_plan(&question->asked, &question->point, &question->arena, &out->now, err);
    if (status == VB_OK)
        keep_seen(out, &question->point, &out->now);
    vb_arena_clear(&arena);
    return status;
}

void cli_advisor_close(struct cli_advisor *advisor)
{
    for (size_t i = 0; i < advisor->grid_question.n_gpus; i++)
        vb_device_close(advisor->gpus[i].device);
}

const char *cli_advisor_gpu(const struct cli_advisor *advisor, size_t gpu)
{
    const char *own = advisor->question->device_name;
    const char *colon = strchr(own, ':');
    if (gpu != VB_ASKED_GPU)
        return advisor->gpus[gpu].name;
    return colon != NULL ? colon + 1 : own;
}

/* The question about another device; what is not the device's stays. */
static enum vb_status ask_of(struct cli_advisor *self, const struct vb_candidate *candidate,
                             char *name, size_t room, struct cli_asked *out, struct vb_error *err)
{
    struct cli_question *question = self->question;
    *out = question->asked;
    if (candidate->gpu != VB_ASKED_GPU) {
        struct cli_gpu_choice *gpu = &self->gpus[candidate->gpu];
        (void)snprintf(name, room, "virtual:%s", gpu->name);
        out->device_name = name;
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

static enum vb_status plan_on(struct cli_advisor *self, const struct vb_candidate *candidate,
                              bool wants_need, struct vb_advise_answer *out, struct vb_error *err)
{
    struct vb_arena arena = { 0 };
    struct cli_answer answer = { 0 };
    struct cli_asked asked;
    char name[320];
    enum vb_status status = ask_of(self, candidate, name, sizeof name, &asked, err);
    /* What it needs has been compared with another GPU's memory already: is_hopeless(). */
    asked.skips_start = self->now.record.state == VB_STATE_OK || candidate->gpu != VB_ASKED_GPU ||
                        runs_through(self, &candidate->point);
    if (status == VB_OK)
        status = wants_need ? cli_answer_plan(&asked, &candidate->point, &arena, &answer, err)
                            : cli_answer_within(&asked, &candidate->point, &arena, &answer, err);
    if (status == VB_OK)
        tell(&answer, out);
    if (status == VB_OK && candidate->gpu == VB_ASKED_GPU)
        keep_seen(self, &candidate->point, &answer);
    vb_arena_clear(&arena);
    return status;
}

/* Whether it is known without a plan that it does not fit. */
static enum vb_status is_hopeless(struct cli_advisor *self, const struct vb_candidate *candidate,
                                  bool *is, struct vb_error *err)
{
    const struct cli_asked *asked = &self->question->asked;
    const struct vb_device_info *info = vb_device_info(asked->device);
    const struct cli_seen *seen = find_seen(self, &candidate->point);
    const struct vb_candidate here = { candidate->point, VB_ASKED_GPU };
    struct vb_advise_answer answer = { 0 };
    *is = false;
    if (candidate->gpu == VB_ASKED_GPU) {
        *is = seen != NULL &&
              seen->allocated_bytes > (double)(info->capacity_bytes - info->context_bytes);
        return VB_OK;
    }
    if (seen == NULL) {
        enum vb_status status = plan_on(self, &here, true, &answer, err);
        seen = find_seen(self, &candidate->point);
        if (status != VB_OK || seen == NULL)
            return status;
    }
    const struct cli_gpu_choice *gpu = &self->gpus[candidate->gpu];
    *is = !cli_answer_may_fit(asked, &seen->record, gpu->compute_capability,
                              SURE_SHARE * seen->need_bytes, (double)gpu->capacity_bytes);
    return VB_OK;
}

enum vb_status cli_advisor_plan(struct cli_advisor *self, const struct vb_candidate *candidate,
                                bool wants_need, struct vb_advise_answer *out, struct vb_error *err)
{
    bool is = false;
    *out = (struct vb_advise_answer){ 0 };
    if (candidate->gpu == VB_ASKED_GPU &&
        memcmp(&candidate->point, &self->question->point, sizeof candidate->point) == 0) {
        tell(&self->now, out);
        return VB_OK;
    }
    enum vb_status status = wants_need ? VB_OK : is_hopeless(self, candidate, &is, err);
    if (status == VB_OK && !is)
        status = plan_on(self, candidate, wants_need, out, err);
    return status;
}

enum vb_status cli_advisor_try(void *context, const struct vb_candidate *candidate, bool wants_need,
                               struct vb_advise_answer *out, struct vb_error *err)
{
    enum vb_status status = cli_advisor_plan(context, candidate, wants_need, out, err);
    return status == VB_E_INPUT || status == VB_E_UNSUPPORTED ? VB_OK : status;
}
