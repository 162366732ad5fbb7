/* SPDX-License-Identifier: Apache-2.0 */
/* Initial values are PyTorch's for its layers (Conv2d and Linear: kaiming_uniform_ with a =
 * sqrt(5), which is within 1 / sqrt(fan_in)), and the head's biases those of YOLOv5 and
 * ultralytics: about eight objects an image of 640 pixels a side. */

#include <math.h>
#include <string.h>

#include "step/builder.h"
#include "step/view.h"

static enum vb_op_kind kind_of(const struct vb_graph *graph, uint32_t i)
{
    return graph->ops[graph->parameters[i].op].kind;
}

/* The weight's kernel, or that of the weight before a bias. */
static double bound_of(const struct vb_graph *graph, uint32_t i)
{
    const struct vb_parameter *weight = &graph->parameters[i];
    if (weight->role == VB_ROLE_BIAS)
        weight--;
    return 1 / sqrt((double)weight->elements / weight->shape.dims[0]);
}

static void begin_parameter(struct vb_builder *self, uint32_t i, struct vb_variable y)
{
    const struct vb_graph *graph = self->graph;
    if (graph->parameters[i].op == UINT32_MAX) { /* v8's bins */
        y = vb_flat(y);
        vb_tape_apply(&self->tape, &(struct vb_call){ .op = VB_OP_RANGE, .b = 1 }, &y, 1);
    } else if (kind_of(graph, i) == VB_BATCHNORM) {
        vb_tape_fill(&self->tape, y, graph->parameters[i].role == VB_ROLE_NORM);
    } else {
        const struct vb_call call = { .op = VB_OP_UNIFORM, .a = i, .b = bound_of(graph, i) };
        vb_tape_apply(&self->tape, &call, &y, 1);
    }
}

static void upload_anchors(struct vb_builder *self, struct vb_variable y)
{
    const struct vb_graph *graph = self->graph;
    uint64_t n = vb_shape_elements(&y.shape);
    if (self->tape.program->failed)
        return;
    float *cells = vb_arena_alloc(self->tape.program->arena, n, sizeof *cells);
    for (uint32_t i = 0; i < graph->n_levels && cells != NULL; i++)
        vb_anchors_in_cells(&graph->levels[i], cells + i * n / graph->n_levels);
    vb_tape_upload(&self->tape, y, cells);
}

static void begin_buffer(struct vb_builder *self, uint32_t i, struct vb_variable y)
{
    const char *name = strrchr(self->graph->parameters[i].name, '.');
    if (name != NULL && strcmp(name, ".anchors") == 0)
        upload_anchors(self, y);
    else
        vb_tape_fill(&self->tape, y, name != NULL && strcmp(name, ".running_var") == 0);
}

/* Of the convolutions' biases the one that `n` more follow. */
static struct vb_variable last_bias(const struct vb_builder *self, const uint32_t *storages,
                                    uint32_t n)
{
    const struct vb_graph *graph = self->graph;
    for (uint32_t i = graph->n_parameters; i-- > 0;) {
        bool is_bias = graph->parameters[i].role == VB_ROLE_BIAS && kind_of(graph, i) == VB_CONV;
        if (is_bias && n-- == 0 && !self->tape.program->failed)
            return vb_tape_parameter(&self->tape, VB_NONE, storages[i]);
    }
    return vb_undefined;
}

/* Each anchor's objectness and classes, which follow its four sides. */
static void begin_v5(struct vb_tape *tape, const struct vb_graph *graph,
                     const struct vb_level *level, struct vb_variable bias)
{
    double a_side = 640.0 / level->stride;
    bool ok = false;
    struct vb_variable all =
        vb_reshaped(bias, &VB_SHAPE(level->n_anchors, graph->classes + 5), &ok);
    struct vb_variable object = vb_stretch_of(all, 1, 4, 1);
    struct vb_variable classes = vb_stretch_of(all, 1, 5, graph->classes);
    const struct vb_variable objects[] = { object, object }, both[] = { classes, classes };
    struct vb_call call = { .op = VB_OP_ADD_NUMBER, .a = log(8 / (a_side * a_side)) };
    vb_tape_apply(tape, &call, objects, 2);
    call.a = log(0.6 / (graph->classes - 0.99999));
    vb_tape_apply(tape, &call, both, 2);
}

/* One branch for the sides of boxes, one for the classes. */
static void begin_v8(struct vb_tape *tape, const struct vb_graph *graph,
                     const struct vb_level *level, struct vb_variable sides,
                     struct vb_variable classes)
{
    double a_side = 640.0 / level->stride;
    vb_tape_fill(tape, sides, 1);
    vb_tape_fill(tape, classes, log(5.0 / graph->classes / (a_side * a_side)));
}

static void begin_head(struct vb_builder *self, const uint32_t *storages)
{
    const struct vb_graph *graph = self->graph;
    for (uint32_t i = 0; i < graph->n_levels && graph->head != VB_HEAD_CLASSIFY; i++) {
        uint32_t following = graph->n_levels - 1 - i;
        struct vb_variable last = last_bias(self, storages, following);
        if (!vb_is_defined(&last))
            return;
        if (graph->head == VB_HEAD_V5)
            begin_v5(&self->tape, graph, &graph->levels[i], last);
        else
            begin_v8(&self->tape, graph, &graph->levels[i],
                     last_bias(self, storages, graph->n_levels + following), last);
    }
}

/* A copy of the trained model's. */
static void copy_weight(struct vb_builder *self, uint32_t i, struct vb_variable y)
{
    if (self->tape.program->failed)
        return;
    vb_tape_copy(&self->tape, vb_tape_parameter(&self->tape, VB_NONE, self->storages[i]), y);
}

void vb_make_weights(struct vb_builder *self, enum vb_category category, uint32_t *storages)
{
    const struct vb_graph *graph = self->graph;
    bool is_copy = category == VB_EMA;
    self->tape.category = category;
    for (uint32_t i = 0; i < graph->n_parameters + graph->n_buffers; i++) {
        const struct vb_parameter *parameter = &graph->parameters[i];
        self->tape.module = is_copy ? "ema" : "";
        struct vb_variable made = vb_tape_new_image(&self->tape, parameter->name, &parameter->shape,
                                                    parameter->is_int64 ? VB_INT64 : VB_FLOAT32);
        storages[i] = made.storage;
        if (is_copy)
            copy_weight(self, i, made);
        else if (i < graph->n_parameters)
            begin_parameter(self, i, made);
        else
            begin_buffer(self, i, made);
    }
    self->tape.module = "";
    if (!is_copy)
        begin_head(self, storages);
}
