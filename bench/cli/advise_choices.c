/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/advise_choices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "device/gpu_spec.h"
#include "model/catalogue.h"
#include "step/sized.h"
#include "sweep/measure.h"

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

/* What follows from whose code trains: a classifier's loop sums and freezes nothing. */
static enum vb_status find_trainer(struct cli_advisor *self, struct vb_error *err)
{
    struct vb_advise_question *grid = &self->grid_question;
    struct vb_compiled compiled;
    struct vb_description description;
    struct vb_arena arena = { 0 };
    enum vb_status status =
        vb_compile_parts(&grid->point, VB_ONLY_PLANNED, &arena, &description, &compiled, err);
    if (status == VB_OK) {
        const bool is_classifier = compiled.recipe.trainer.family == VB_CLASSIFIER;
        self->recipe = compiled.recipe;
        if (is_classifier)
            grid->kept |= 1u << VB_CHANGE_BATCH | 1u << VB_CHANGE_FREEZE;
        grid->has_ddp = !is_classifier;
        grid->nominal_batch = compiled.recipe.trainer.nominal_batch;
        grid->stride = vb_loader_stride(&compiled.graph);
    }
    vb_arena_clear(&arena);
    return status;
}

enum vb_status cli_list_choices(struct cli_advisor *self, const char *keep, struct vb_error *err)
{
    struct vb_advise_question *grid = &self->grid_question;
    grid->point = self->question->point;
    grid->has_segments = has_segments(grid->point.torch);
    enum vb_status status = read_kept(keep, &grid->kept, err);
    if (status == VB_OK && grid->point.workload == VB_AUTOBATCH)
        status = vb_fail(err, VB_E_INPUT,
                         "workload autobatch is no training: take run, or train for one step");
    if (status == VB_OK)
        status = find_trainer(self, err);
    if (status == VB_OK)
        status = find_models(self, err);
    return status == VB_OK ? find_gpus(self, err) : status;
}
