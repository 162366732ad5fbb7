/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of PyTorch's tutorials over labelled images: four names, each of which holds its last
 * value until the next one exists; gradients are zeroed between the loss and backward(); the
 * optimizer has PyTorch's defaults and momentum.
 * Source: torch-memory.md, part A, 4.1 and 4.5; pytorch/kineto, resnet50_profiler_api.py. */

#include "step/loop_classify.h"

#include <math.h>

#include "step/loss_classify.h"

enum { IMAGES_SEED = 1 };

/* The classes one after the other. */
static struct vb_variable upload_labels(struct vb_builder *self)
{
    struct vb_tape *tape = &self->tape;
    uint32_t n = self->graph->batch;
    struct vb_variable labels = vb_tape_new(tape, "labels", &VB_SHAPE(n), VB_INT64);
    int64_t *classes = vb_arena_alloc(tape->program->arena, n, sizeof *classes);
    for (uint32_t i = 0; i < n && classes != NULL; i++)
        classes[i] = i % self->graph->classes;
    vb_tape_upload(tape, labels, classes);
    return labels;
}

/* Images are noise of mean 0 and deviation 1, as photographs are brought to.
 * `images, labels = batch[0].to(device), batch[1].to(device)`: both are there before either name
 * lets go. */
static void upload(struct vb_builder *self)
{
    struct vb_tape *tape = &self->tape;
    vb_builder_enter(self, VB_PHASE_INPUT, VB_INPUT);
    struct vb_variable images = vb_new_images(tape, self->graph, "images", VB_FLOAT32);
    const struct vb_call call = { .op = VB_OP_UNIFORM, .a = IMAGES_SEED, .b = sqrt(3) };
    vb_tape_apply(tape, &call, &images, 1);
    struct vb_variable labels = upload_labels(self);
    vb_tape_assign(tape, &self->names.batch.images, images);
    vb_tape_assign(tape, &self->names.labels, labels);
}

static enum vb_status check_point(const struct vb_builder *self, struct vb_error *err)
{
    const char *model = self->graph->model;
    if (self->point->mosaic == VB_MOSAIC_ON)
        return vb_fail(err, VB_E_INPUT, "mosaic is %s, but %s is a classifier: set it to off",
                       vb_mosaic_names[self->point->mosaic], model);
    if (self->point->freeze > 0 || self->point->rect > 0)
        return vb_fail(err, VB_E_INPUT,
                       "%s is given, but that is what yolov5's and ultralytics' trainers can, and "
                       "%s is trained by a plain loop: set it to 0",
                       self->point->freeze > 0 ? "freeze" : "rect", model);
    if (self->point->accumulate > 1)
        return vb_fail(err, VB_E_INPUT,
                       "accumulate is %u, but the loop of the classifier %s steps after each "
                       "batch: set it to 1",
                       self->point->accumulate, model);
    return VB_OK;
}

enum vb_status vb_classify_batch(struct vb_builder *self, struct vb_error *err)
{
    struct vb_tape *tape = &self->tape;
    struct vb_names *names = &self->names;
    struct vb_variable scores = vb_undefined;
    enum vb_status status = check_point(self, err);
    if (status != VB_OK)
        return status;

    upload(self);
    status = vb_run_forward(self, &scores, err);
    if (status != VB_OK)
        return status;
    vb_tape_assign(tape, &names->predictions[0], scores);

    vb_builder_enter(self, VB_PHASE_LOSS, VB_LOSS);
    tape->program->saved_loss = (struct vb_saved){ 0 };
    tape->saved_sum = &tape->program->saved_loss;
    vb_tape_assign(tape, &names->loss, vb_cross_entropy(tape, scores, names->labels));
    tape->saved_sum = NULL;
    vb_tape_autocast_end(tape);

    vb_builder_enter(self, VB_PHASE_ZERO_GRAD, VB_TEMPORARY);
    vb_zero_gradients(tape, self->graph);
    vb_builder_enter(self, VB_PHASE_BACKWARD, VB_TEMPORARY);
    struct vb_variable scaled = vb_scale_loss(tape, &self->scaler, names->loss);
    vb_tape_backward(tape, scaled);
    vb_tape_drop(tape, scaled);
    return VB_OK;
}

void vb_classify_update(struct vb_builder *self)
{
    struct vb_tape *tape = &self->tape;
    vb_builder_enter(self, VB_PHASE_OPTIMIZER, VB_TEMPORARY);
    vb_unscale_gradients(tape, &self->scaler, self->graph);
    const struct vb_trained trained = vb_trained_of(self);
    if (self->point->optimizer == VB_SGD)
        vb_plain_sgd_step(tape, &trained);
    else
        vb_optimizer_step(tape, &trained, self->point->optimizer);
    vb_update_scale(tape, &self->scaler);
    if (self->point->ema) {
        vb_builder_enter(self, VB_PHASE_EMA, VB_TEMPORARY);
        vb_update_average(tape, &trained, self->average);
    }
}
