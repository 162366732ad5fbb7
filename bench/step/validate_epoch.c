/* SPDX-License-Identifier: Apache-2.0 */
/* Source: YOLOv5 val.py, run(), and utils/dataloaders.py (rect, pad 0.5); ultralytics
 * engine/validator.py, __call__(), models/yolo/detect/val.py, preprocess(), data/base.py,
 * set_rectangle(). Validation is outside autocast: the loss works in the predictions' own type. */

#include "step/validate_epoch.h"

#include "model/expand.h"
#include "step/infer.h"
#include "step/math.h"
#include "step/nms.h"
#include "step/sized.h"

enum {
    BATCHES = 2,
    EPOCH_SHARE = 5,     /* a validation set is taken for a fifth as large as the training set */
    EPOCH_BATCHES = 100, /* as the run takes the training set's */
    NUMBER = 1000,       /* of the drawn batch: none of training's */
};

/* In strides: how much wider validation's images are. */
static const double validation_pad = 0.5;

/* What the loop of validation names. */
struct validation {
    struct vb_builder *builder;
    const struct vb_graph *graph;
    enum vb_dtype dtype;
    uint32_t *storages; /* of the weights that are validated */
    struct vb_batch batch;
    struct vb_variable predictions[VB_MAX_LEVELS]; /* YOLOv5's train_out */
    struct vb_variable outputs;                    /* decoded, then what suppression kept of them */
    struct vb_variable loss;
};

enum vb_status vb_expand_validation(const struct vb_builder *self,
                                    const struct vb_description *description, struct vb_graph *out,
                                    struct vb_error *err)
{
    const struct vb_graph *graph = self->graph;
    uint32_t stride = vb_loader_stride(graph);
    double share = self->point->rect > 0 ? self->point->rect : 1;
    const struct vb_extent extent = {
        graph->batch * self->recipe->trainer.validation_factor,
        vb_loader_side(share, graph->imgsz, validation_pad, stride),
        vb_loader_side(1, graph->imgsz, validation_pad, stride),
    };
    return vb_expand_for(description, &extent, graph->classes, self->tape.program->arena, out, err);
}

static bool in_half(const struct vb_builder *self)
{
    return self->recipe->trainer.validation_half == VB_HALF_ALWAYS ||
           self->point->precision != VB_FP32;
}

/* model.half() and model.float(): parameter after parameter, the new one is there before the old
 * one goes. */
static void cast_weights(struct validation *self, enum vb_dtype dtype)
{
    struct vb_builder *builder = self->builder;
    struct vb_tape *tape = &builder->tape;
    const struct vb_graph *graph = builder->graph;
    tape->category = builder->point->ema ? VB_EMA : VB_WEIGHTS;
    for (uint32_t i = 0; i < graph->n_parameters + graph->n_buffers; i++) {
        struct vb_variable old = vb_tape_parameter(tape, i, self->storages[i]);
        if (graph->parameters[i].is_int64 || old.dtype == dtype || tape->program->failed)
            continue;
        struct vb_variable next = vb_tape_new(tape, graph->parameters[i].name, &old.shape, dtype);
        vb_tape_copy(tape, old, next);
        vb_tape_drop(tape, old);
        self->storages[i] = next.storage;
    }
    tape->category = VB_TEMPORARY;
}

/* The batch's names take the host's tensors first. ultralytics uploads the boxes with the images
 * and keeps the bytes until the quotient is there; YOLOv5 divides in place. */
static void upload(struct validation *self)
{
    struct vb_tape *tape = &self->builder->tape;
    uint32_t n = self->builder->targets.n;
    vb_drop_batch(tape, &self->batch);
    tape->category = VB_INPUT;
    struct vb_variable bytes = vb_new_images(tape, self->graph, "batch", VB_UINT8);
    self->batch.images = vb_new_images(tape, self->graph, "validation images", self->dtype);
    if (self->graph->head == VB_HEAD_V8) {
        vb_tape_assign(tape, &self->batch.images,
                       vb_new_images(tape, self->graph, "validation images", self->dtype));
        self->batch.image_indices = vb_fresh(tape, "image_indices", VB_FLOAT32, VB_SHAPE(n));
        self->batch.classes = vb_fresh(tape, "classes", VB_FLOAT32, VB_SHAPE(n, 1));
        self->batch.boxes = vb_fresh(tape, "boxes", VB_FLOAT32, VB_SHAPE(n, 4));
    }
    vb_done(tape, bytes);
    tape->category = VB_TEMPORARY;
}

/* self.loss += criterion(predictions, batch)[1] */
static void add_loss(struct validation *self, const struct vb_variable *predictions)
{
    struct vb_builder *builder = self->builder;
    struct vb_tape *tape = &builder->tape;
    struct vb_variable typed[VB_MAX_LEVELS];
    bool is_float = builder->recipe->trainer.validation_loss == VB_LOSS_FLOAT;
    for (uint32_t i = 0; i < self->graph->n_levels; i++)
        typed[i] = is_float ? vb_tape_cast(tape, predictions[i], VB_FLOAT32)
                            : vb_tape_hold(tape, predictions[i]);
    struct vb_loss loss =
        self->graph->head == VB_HEAD_V5
            ? vb_loss_v5(tape, self->graph, typed, &builder->targets, &builder->constants)
            : vb_loss_v8(tape, self->graph, typed, &builder->targets, &builder->constants);
    for (uint32_t i = 0; i < self->graph->n_levels; i++)
        vb_done(tape, typed[i]);
    vb_done(tape, loss.total);
    vb_done(tape, loss.parts);
    vb_done(tape, loss.items);
}

static enum vb_status run_batch(struct validation *self, struct vb_error *err)
{
    struct vb_builder *builder = self->builder;
    struct vb_tape *tape = &builder->tape;
    struct vb_variable predictions[VB_MAX_LEVELS], decoded = vb_undefined, kept = vb_undefined;
    upload(self);
    enum vb_status status =
        vb_infer(tape, self->graph, self->storages, self->batch.images, predictions, &decoded, err);
    if (status != VB_OK)
        return status;
    vb_tape_assign(tape, &self->outputs, decoded);
    for (uint32_t i = 0; i < self->graph->n_levels; i++)
        vb_tape_assign(tape, &self->predictions[i], predictions[i]);
    if (builder->recipe->trainer.validation_loss != VB_LOSS_NONE) {
        tape->category = VB_LOSS;
        add_loss(self, predictions);
        tape->category = VB_TEMPORARY;
    }
    vb_nms(tape, self->graph, self->outputs, &kept);
    vb_tape_assign(tape, &self->outputs, kept);
    /* ultralytics had them in one list with the decoded ones. */
    for (uint32_t i = 0; i < self->graph->n_levels && self->graph->head == VB_HEAD_V8; i++)
        vb_tape_assign(tape, &self->predictions[i], vb_undefined);
    return VB_OK;
}

static void let_go(struct validation *self)
{
    struct vb_tape *tape = &self->builder->tape;
    vb_drop_batch(tape, &self->batch);
    vb_tape_assign(tape, &self->outputs, vb_undefined);
    vb_tape_assign(tape, &self->loss, vb_undefined);
    for (uint32_t i = 0; i < VB_MAX_LEVELS; i++)
        vb_tape_assign(tape, &self->predictions[i], vb_undefined);
}

/* Boxes as they are in the images, not composed of four: the point's own mean. */
static enum vb_status draw_boxes(struct vb_builder *self, const struct vb_graph *graph,
                                 struct vb_error *err)
{
    uint32_t most = vb_targets_most(self->point, EPOCH_BATCHES * self->point->batch / EPOCH_SHARE);
    self->targets =
        vb_targets_drawn(self->tape.program->arena, self->point, graph->batch, NUMBER, most);
    if (self->targets.items == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the validation of %s",
                       graph->model);
    self->targets.most_in_an_image = most;
    return VB_OK;
}

enum vb_status vb_validate_epoch(struct vb_builder *self, const struct vb_description *description,
                                 struct vb_error *err)
{
    struct vb_tape *tape = &self->tape;
    struct vb_graph graph;
    if (self->graph->head == VB_HEAD_CLASSIFY)
        return VB_OK;
    enum vb_status status = vb_expand_validation(self, description, &graph, err);
    if (status == VB_OK)
        status = draw_boxes(self, &graph, err);
    if (status != VB_OK)
        return status;
    struct validation validation = { .builder = self,
                                     .graph = &graph,
                                     .dtype = in_half(self) ? VB_FLOAT16 : VB_FLOAT32,
                                     .storages = self->point->ema ? self->average : self->storages,
                                     .outputs = vb_undefined,
                                     .batch = { vb_undefined, vb_undefined, vb_undefined,
                                                vb_undefined } };
    for (uint32_t i = 0; i < VB_MAX_LEVELS; i++)
        validation.predictions[i] = vb_undefined;
    vb_builder_enter(self, VB_PHASE_VALIDATE, VB_TEMPORARY);
    tape->is_grad_off = true;
    cast_weights(&validation, validation.dtype);
    validation.loss = vb_fresh(tape, "loss", VB_FLOAT32, VB_SHAPE(3));
    for (int i = 0; i < BATCHES && status == VB_OK; i++)
        status = run_batch(&validation, err);
    let_go(&validation);
    cast_weights(&validation, VB_FLOAT32);
    tape->is_grad_off = false;
    return status;
}
