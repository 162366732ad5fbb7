/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of PyTorch's tutorials over labelled images: four names, each of which holds its last
 * value until the next one exists; gradients are zeroed between the loss and backward(); the
 * optimizer has PyTorch's defaults and momentum.
 * Source: torch-memory.md, part A, 4.1 and 4.5; pytorch/kineto, resnet50_profiler_api.py. */

#include "step/loop_classify.h"

#include "step/loss_classify.h"

/* `images, labels = batch[0].to(device), batch[1].to(device)`: both are there before either name
 * lets go. */
static void upload(struct vb_builder *self)
{
    struct vb_tape *tape = &self->tape;
    vb_builder_enter(self, VB_PHASE_INPUT, VB_INPUT);
    struct vb_variable images = vb_new_images(tape, self->graph, "images", VB_FLOAT32);
    struct vb_variable labels =
        vb_tape_new(tape, "labels", &VB_SHAPE(self->point->batch), VB_INT64);
    vb_tape_assign(tape, &self->names.batch.images, images);
    vb_tape_assign(tape, &self->names.labels, labels);
}

static enum vb_status check_point(const struct vb_builder *self, struct vb_error *err)
{
    const char *model = self->graph->model;
    if (self->point->mosaic == VB_MOSAIC_ON)
        return vb_fail(err, VB_E_INPUT, "mosaic is %s, but %s is a classifier: set it to off",
                       vb_mosaic_names[self->point->mosaic], model);
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
    vb_tape_backward(tape, names->loss);
    return VB_OK;
}

void vb_classify_update(struct vb_builder *self)
{
    struct vb_tape *tape = &self->tape;
    vb_builder_enter(self, VB_PHASE_OPTIMIZER, VB_TEMPORARY);
    if (self->point->optimizer == VB_SGD)
        vb_plain_sgd_step(tape, self->graph, &self->state);
    else
        vb_optimizer_step(tape, self->graph, self->point->optimizer, &self->state);
    if (self->point->ema) {
        vb_builder_enter(self, VB_PHASE_EMA, VB_TEMPORARY);
        vb_update_average(tape, self->graph);
    }
}
