/* SPDX-License-Identifier: Apache-2.0 */
/* One autocast context is open over all sizes and passes. Its cache keeps every leaf that asks for
 * a gradient in fp16: the weights, and each size's images. Where thop counts operations first, that
 * is a pass without gradients, so the cached weights and images have no place in the graph, and
 * neither gets a gradient in the passes that follow: only batch normalisation's parameters do.
 *
 * Python's name for the outputs holds a size's graph until the next size's first pass is done, and
 * the graph's leaf holds the images and their gradient. Source: ultralytics/yolov5 v6.2,
 * utils/torch_utils.py (profile) and utils/autobatch.py; aten/src/ATen/autocast_mode.cpp,
 * cached_cast(). */

#include "step/autobatch.h"

#include "base/bytes.h"
#include "model/expand.h"
#include "step/check.h"
#include "step/infer.h"
#include "step/math.h"

enum { USUAL_LARGEST = 16, BOXES_OF_IMAGES = 1000 };
#define LARGE_DEVICE_BYTES (UINT64_C(16) << 30)

/* A profile under construction. */
struct profile {
    struct vb_builder *builder;
    const struct vb_description *description;
    const struct vb_profiler *rules;
    bool has_thop;
    uint32_t n_storages;
};

static void emit(const struct profile *profile, enum vb_mark mark)
{
    vb_program_emit(profile->builder->tape.program, VB_MARK, mark);
}

static struct vb_variable *image_gradient(const struct profile *profile)
{
    struct vb_tape *tape = &profile->builder->tape;
    return &tape->gradients[tape->n_parameters - 1];
}

static void new_images(const struct profile *profile)
{
    struct vb_builder *self = profile->builder;
    vb_builder_enter(self, VB_PHASE_INPUT, VB_INPUT);
    struct vb_variable images = vb_new_images(&self->tape, self->graph, "images", VB_FLOAT32);
    images.requires_grad = true;
    images.parameter = self->tape.n_parameters - 1;
    self->names.batch.images = images;
    *image_gradient(profile) = vb_undefined;
}

/* A pass in evaluation mode without gradients. */
static enum vb_status count_operations(const struct profile *profile, uint32_t *storages,
                                       struct vb_error *err)
{
    struct vb_builder *self = profile->builder;
    struct vb_tape *tape = &self->tape;
    struct vb_variable predictions[VB_MAX_LEVELS], decoded = vb_undefined;
    vb_builder_enter(self, VB_PHASE_CHECK, VB_TEMPORARY);
    vb_open_autocast(self);
    tape->is_grad_off = true;
    enum vb_status status =
        vb_infer(tape, self->graph, storages, self->names.batch.images, predictions, &decoded, err);
    tape->is_grad_off = false;
    if (status != VB_OK)
        return status;
    vb_done(tape, decoded);
    for (uint32_t i = 0; i < self->graph->n_levels; i++)
        vb_done(tape, predictions[i]);
    return VB_OK;
}

/* The copy goes after the pass; what autocast has cast of it does not. */
static enum vb_status count_on_copy(const struct profile *profile, struct vb_error *err)
{
    struct vb_builder *self = profile->builder;
    struct vb_tape *tape = &self->tape;
    uint32_t *storages =
        vb_arena_alloc(tape->program->arena, profile->n_storages, sizeof *storages);
    if (storages == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the profile");
    vb_make_weights(self, VB_TEMPORARY, storages);
    enum vb_status status = count_operations(profile, storages, err);
    for (uint32_t i = 0; i < profile->n_storages; i++)
        vb_tape_drop(tape, vb_tape_parameter(tape, i, storages[i]));
    return status;
}

/* The sum of the outputs' sums. */
static struct vb_variable sum_outputs(const struct profile *profile)
{
    struct vb_builder *self = profile->builder;
    struct vb_tape *tape = &self->tape;
    struct vb_variable sum = vb_undefined;
    vb_builder_enter(self, VB_PHASE_LOSS, VB_LOSS);
    for (uint32_t i = 0; i < self->graph->n_levels; i++) {
        struct vb_variable part = vb_sum(tape, self->names.predictions[i]);
        if (vb_is_defined(&sum)) {
            struct vb_variable both = vb_binary(tape, VB_OP_ADD, sum, part);
            vb_done(tape, part);
            part = both;
        }
        vb_tape_assign(tape, &sum, part);
    }
    return sum;
}

/* Forward and backward; `images` and `gradient` of the size before, which its graph holds, go when
 * its outputs do. */
static enum vb_status pass(const struct profile *profile, struct vb_variable images,
                           struct vb_variable gradient, struct vb_error *err)
{
    struct vb_builder *self = profile->builder;
    struct vb_tape *tape = &self->tape;
    struct vb_variable predictions[VB_MAX_LEVELS];
    vb_tape_renew_casts(tape);
    enum vb_status status = vb_run_forward(self, predictions, err);
    if (status != VB_OK)
        return status;
    for (uint32_t i = 0; i < self->graph->n_levels; i++)
        vb_tape_assign(tape, &self->names.predictions[i], predictions[i]);
    vb_tape_drop(tape, images);
    vb_tape_drop(tape, gradient);
    struct vb_variable sum = sum_outputs(profile);
    tape->autocast = false; /* not in autograd's thread; the context stays open */
    vb_builder_enter(self, VB_PHASE_BACKWARD, VB_TEMPORARY);
    vb_tape_backward(tape, sum);
    vb_tape_drop(tape, sum);
    return VB_OK;
}

/* randn(batch, boxes, anchors): what the loss would take for the boxes of the fullest image. */
static void stand_for_boxes(const struct profile *profile)
{
    struct vb_builder *self = profile->builder;
    struct vb_shape shape =
        VB_SHAPE(self->graph->batch, vb_targets_most(self->point, BOXES_OF_IMAGES), 0);
    for (uint32_t i = 0; i < self->graph->n_levels; i++)
        shape.dims[2] += self->graph->levels[i].grid_h * self->graph->levels[i].grid_w;
    vb_builder_enter(self, VB_PHASE_LOSS, VB_LOSS);
    vb_done(&self->tape, vb_tape_new(&self->tape, "boxes", &shape, VB_FLOAT32));
}

static enum vb_status run_passes(const struct profile *profile, struct vb_variable images,
                                 struct vb_variable gradient, struct vb_error *err)
{
    const struct vb_profiler *rules = profile->rules;
    bool is_within = rules->empties == VB_EMPTIES_WITHIN;
    enum vb_status status = VB_OK;
    for (uint32_t i = 0; i < rules->repeats && status == VB_OK; i++) {
        if (is_within)
            emit(profile, VB_MARK_EMPTY);
        status =
            pass(profile, i == 0 ? images : vb_undefined, i == 0 ? gradient : vb_undefined, err);
    }
    if (rules->reads != VB_READS_BOXES)
        emit(profile, VB_MARK_SIZE);
    if (rules->reads == VB_READS_PASS)
        return status;
    if (is_within)
        emit(profile, VB_MARK_EMPTY);
    stand_for_boxes(profile);
    emit(profile, rules->reads == VB_READS_BOTH ? VB_MARK_SIZE_MORE : VB_MARK_SIZE);
    return status;
}

static enum vb_status profile_size(const struct profile *profile, uint32_t batch,
                                   struct vb_error *err)
{
    struct vb_builder *self = profile->builder;
    struct vb_graph *graph = vb_arena_alloc(self->tape.program->arena, 1, sizeof *graph);
    const struct vb_extent extent = { batch, self->graph->imgsz, self->graph->imgsz };
    struct vb_variable images = self->names.batch.images, gradient = *image_gradient(profile);
    enum vb_status status = VB_OK;
    if (graph == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the profile");
    status = vb_expand_for(profile->description, &extent, self->graph->classes,
                           self->tape.program->arena, graph, err);
    if (status != VB_OK)
        return status;
    self->graph = graph;
    new_images(profile);
    if (profile->has_thop)
        status = profile->rules->copies_for_thop ? count_on_copy(profile, err)
                                                 : count_operations(profile, self->storages, err);
    if (status == VB_OK)
        status = run_passes(profile, images, gradient, err);
    emit(profile, VB_MARK_EMPTY);
    return status;
}

/* The checkpoint as its file has it, in fp16. */
static struct vb_variable *read_checkpoint(const struct profile *profile)
{
    struct vb_builder *self = profile->builder;
    struct vb_tape *tape = &self->tape;
    struct vb_variable *list =
        vb_arena_alloc(tape->program->arena, profile->n_storages, sizeof *list);
    for (uint32_t i = 0; i < profile->n_storages && list != NULL; i++) {
        const struct vb_parameter *parameter = &self->graph->parameters[i];
        list[i] = vb_tape_new(tape, "checkpoint", &parameter->shape,
                              parameter->is_int64 ? VB_INT64 : VB_FLOAT16);
    }
    if (list == NULL)
        tape->program->failed = true;
    return list;
}

/* Then it is made fp32, tensor by tensor, to be copied from. */
static void widen_checkpoint(const struct profile *profile, struct vb_variable *list)
{
    struct vb_tape *tape = &profile->builder->tape;
    for (uint32_t i = 0; i < profile->n_storages && list != NULL; i++) {
        if (list[i].dtype == VB_FLOAT16)
            vb_tape_assign(tape, &list[i],
                           vb_tape_new(tape, "checkpoint", &list[i].shape, VB_FLOAT32));
    }
}

/* The model, the check, and the copy that is profiled in its place. */
static enum vb_status set_up(const struct profile *profile, struct vb_error *err)
{
    struct vb_builder *self = profile->builder;
    struct vb_variable *checkpoint = NULL;
    vb_builder_enter(self, VB_PHASE_SETUP, VB_TEMPORARY);
    if (self->recipe->trainer.loads_on_device)
        checkpoint = read_checkpoint(profile);
    vb_make_weights(self, VB_WEIGHTS, self->storages);
    self->tape.category = VB_TEMPORARY;
    widen_checkpoint(profile, checkpoint);
    enum vb_status status = vb_check_amp(self, profile->description, err);
    if (status != VB_OK)
        return status;
    vb_builder_enter(self, VB_PHASE_SETUP, VB_WEIGHTS);
    vb_make_weights(self, VB_WEIGHTS, self->storages);
    emit(profile, VB_MARK_PROFILE);
    if (profile->rules->empties != VB_EMPTIES_AFTER)
        emit(profile, VB_MARK_EMPTY);
    return VB_OK;
}

enum vb_status vb_autobatch_build(const struct vb_graph *graph,
                                  const struct vb_description *description,
                                  const struct vb_point *point, const struct vb_recipe *recipe,
                                  uint64_t capacity_bytes, struct vb_arena *arena,
                                  struct vb_program *out, struct vb_error *err)
{
    struct vb_builder self;
    const struct vb_profiler *rules = &recipe->trainer.autobatch;
    struct profile profile = { &self, description, rules, point->thop != VB_OFF,
                               graph->n_parameters + graph->n_buffers };
    *out = (struct vb_program){ .arena = arena };
    if (rules->rules.percent == 0)
        return vb_fail(err, VB_E_INPUT, "%s has no AutoBatch: give a later trainer, as yolov5-6.2",
                       recipe->name);
    enum vb_status status = vb_builder_init(&self, graph, point, recipe, out, err);
    if (status != VB_OK)
        return status;
    self.tape.parameter_names[graph->n_parameters] = "images";
    self.tape.frozen_in_eval = false; /* that is for epochs */
    status = set_up(&profile, err);
    out->first_step = out->n_instructions;
    uint32_t largest = capacity_bytes < LARGE_DEVICE_BYTES ? USUAL_LARGEST : rules->largest;
    for (uint32_t batch = 1; batch <= largest && status == VB_OK; batch *= 2) {
        status = profile_size(&profile, batch, err);
        out->n_profiled++;
    }
    out->loop_start = out->loop_end = out->n_instructions;
    if (status == VB_OK && out->failed)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the profile of %s", graph->model);
    return status;
}
