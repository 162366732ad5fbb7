/* SPDX-License-Identifier: Apache-2.0 */
/* The training loop as YOLOv5 and ultralytics write it: who holds what from step to step is
 * Python's names in that loop. A YOLOv5 step's predictions and loss are held until the next step's
 * replace them; ultralytics' predictions die with the model's loss(). Source: torch-memory.md, part
 * B, 4 and 5. */

#include "step/builder.h"

#include <math.h>
#include <string.h>

#include "step/loop_classify.h"
#include "step/math.h"

/* The last batch goes first: the loop's name is given the host's tensors before they are uploaded.
 */
static void upload(struct vb_builder *self)
{
    struct vb_tape *tape = &self->tape;
    struct vb_variable bytes = vb_undefined;

    vb_drop_batch(tape, &self->names.batch);
    if (self->point->mosaic == VB_MOSAIC_ON) {
        vb_builder_enter(self, VB_PHASE_AUGMENT, VB_AUGMENTATION);
        bytes = vb_compose(tape, self->graph, self->point);
    }
    vb_builder_enter(self, VB_PHASE_INPUT, VB_INPUT);
    vb_upload_batch(tape, self->loaded != NULL ? self->loaded : self->graph, &self->targets, bytes,
                    self->recipe->trainer.keeps_bytes ? VB_UPLOAD_ALL : VB_UPLOAD_IMAGES,
                    &self->names.batch);
    if (self->loaded != NULL)
        vb_resize_batch(tape, self->graph, &self->names.batch);
}

/* mean = (mean * i + items) / (i + 1); the items themselves where there is no mean yet. One step
 * stands for all, so it cannot count them: i is taken to be 9. */
static void log_mean(struct vb_builder *self)
{
    struct vb_tape *tape = &self->tape;
    if (!vb_is_defined(&self->names.mean_loss)) {
        self->names.mean_loss = vb_tape_hold(tape, self->names.loss_items);
        return;
    }
    struct vb_variable product = vb_unary(tape, VB_OP_MUL_NUMBER, self->names.mean_loss, 9);
    struct vb_variable sum = vb_binary(tape, VB_OP_ADD, product, self->names.loss_items);
    vb_done(tape, product);
    struct vb_variable mean = vb_unary(tape, VB_OP_MUL_NUMBER, sum, 0.1);
    vb_done(tape, sum);
    vb_tape_assign(tape, &self->names.mean_loss, mean);
}

/* ultralytics' loop sums the parts of the loss and logs them while autocast is still on. */
static void take_parts(struct vb_builder *self, const struct vb_loss *loss)
{
    struct vb_tape *tape = &self->tape;
    vb_tape_assign(tape, &self->names.loss_parts, loss->parts);
    vb_tape_assign(tape, &self->names.loss_items, loss->items);
    vb_tape_assign(tape, &self->names.loss, vb_sum(tape, loss->parts));
    log_mean(self);
}

/* The model's buffer, where its weights are now. */
static struct vb_variable anchors_of(const struct vb_builder *self)
{
    const struct vb_graph *graph = self->graph;
    for (uint32_t i = graph->n_parameters; i < graph->n_parameters + graph->n_buffers; i++) {
        const char *part = strrchr(graph->parameters[i].name, '.');
        if (part == NULL || strcmp(part, ".anchors") != 0)
            continue;
        struct vb_variable anchors = vb_tape_parameter(&self->tape, VB_NONE, self->storages[i]);
        anchors.requires_grad = false;
        return anchors;
    }
    return vb_undefined;
}

enum vb_status vb_train_batch(struct vb_builder *self, struct vb_error *err)
{
    struct vb_tape *tape = &self->tape;
    struct vb_program *program = tape->program;
    struct vb_names *names = &self->names;
    struct vb_variable predictions[VB_MAX_PREDICTIONS];
    bool is_v5 = self->graph->head == VB_HEAD_V5;
    bool holds = self->recipe->trainer.holds_predictions;

    if (self->graph->head == VB_HEAD_CLASSIFY)
        return vb_classify_batch(self, err);
    upload(self);
    enum vb_status status = vb_run_forward(self, predictions, err);
    if (status != VB_OK)
        return status;
    for (uint32_t i = 0; i < vb_n_predictions(self->graph) && holds; i++)
        vb_tape_assign(tape, &names->predictions[i], predictions[i]);

    vb_builder_enter(self, VB_PHASE_LOSS, VB_LOSS);
    program->saved_loss = (struct vb_saved){ 0 };
    tape->saved_sum = &program->saved_loss;
    if (is_v5)
        self->constants.anchors = anchors_of(self);
    struct vb_loss loss =
        is_v5 ? vb_loss_v5(tape, self->graph, predictions, &self->targets, &self->constants)
              : vb_loss_v8(tape, self->graph, predictions, &self->targets, &self->constants);
    tape->saved_sum = NULL;
    for (uint32_t i = 0; i < vb_n_predictions(self->graph) && !holds; i++)
        vb_tape_drop(tape, predictions[i]);
    if (is_v5) {
        vb_tape_assign(tape, &names->loss, loss.total);
        vb_tape_assign(tape, &names->loss_items, loss.items);
    } else {
        take_parts(self, &loss);
    }
    vb_tape_autocast_end(tape);

    vb_builder_enter(self, VB_PHASE_BACKWARD, VB_TEMPORARY);
    struct vb_variable scaled = vb_scale_loss(tape, &self->scaler, names->loss);
    vb_tape_backward(tape, scaled);
    vb_tape_drop(tape, scaled);
    return VB_OK;
}

void vb_log_losses(struct vb_builder *self)
{
    if (self->recipe->trainer.family == VB_YOLOV5)
        log_mean(self);
}

void vb_set_up_train(struct vb_builder *self)
{
    struct vb_tape *tape = &self->tape;
    if (self->point->ema)
        vb_make_weights(self, VB_EMA, self->average);
    tape->category = VB_LOSS;
    if (self->graph->head != VB_HEAD_V5)
        return;
    self->constants.class_weight = vb_filled(tape, "class_weight", 1, VB_FLOAT32, VB_SHAPE(1));
    self->constants.objectness_weight =
        vb_filled(tape, "objectness_weight", 1, VB_FLOAT32, VB_SHAPE(1));
    self->names.mean_loss = vb_filled(tape, "mean_loss", 0, VB_FLOAT32, VB_SHAPE(3));
}

/* The new tensor is there before the old one goes; what is int64 stays as it is. */
static void convert_weights(struct vb_builder *self, enum vb_dtype dtype)
{
    const struct vb_graph *graph = self->graph;
    struct vb_tape *tape = &self->tape;
    for (uint32_t i = 0; i < graph->n_parameters + graph->n_buffers; i++) {
        const struct vb_parameter *parameter = &graph->parameters[i];
        if (parameter->is_int64)
            continue;
        struct vb_variable next =
            vb_tape_new_image(tape, parameter->name, &parameter->shape, dtype);
        if (tape->program->failed)
            return;
        struct vb_variable old = vb_tape_parameter(tape, i, self->storages[i]);
        vb_tape_copy(tape, old, next);
        vb_tape_drop(tape, old);
        self->storages[i] = next.storage;
    }
}

void vb_halve_weights(struct vb_builder *self)
{
    self->tape.category = VB_WEIGHTS;
    self->tape.module = "";
    convert_weights(self, VB_FLOAT16);
    convert_weights(self, VB_FLOAT32);
}

void vb_update_weights(struct vb_builder *self)
{
    struct vb_tape *tape = &self->tape;
    if (self->graph->head == VB_HEAD_CLASSIFY) {
        vb_classify_update(self);
        return;
    }
    vb_builder_enter(self, VB_PHASE_CLIP, VB_TEMPORARY);
    if (self->recipe->trainer.clips) {
        vb_unscale_gradients(tape, &self->scaler, self->graph);
        vb_clip_gradients(tape, self->graph);
    }
    vb_builder_enter(self, VB_PHASE_OPTIMIZER, VB_TEMPORARY);
    if (!self->recipe->trainer.clips)
        vb_unscale_gradients(tape, &self->scaler, self->graph);
    const struct vb_trained trained = vb_trained_of(self);
    vb_optimizer_step(tape, &trained, self->point->optimizer);
    vb_update_scale(tape, &self->scaler);
    vb_builder_enter(self, VB_PHASE_ZERO_GRAD, VB_TEMPORARY);
    vb_zero_gradients(tape, self->graph);
    if (self->point->ema) {
        vb_builder_enter(self, VB_PHASE_EMA, VB_TEMPORARY);
        vb_update_average(tape, &trained, self->average);
    }
    self->tape.category = VB_LOSS;
}

/* max(round(nominal / batch), 1), where Python rounds halves to the even neighbour. */
uint32_t vb_accumulate_of(const struct vb_builder *self)
{
    double batches = (double)self->recipe->trainer.nominal_batch / self->point->batch;
    double rounded = nearbyint(batches);
    if (self->point->accumulate > 0)
        return self->point->accumulate;
    return rounded > 1 ? (uint32_t)rounded : 1;
}
