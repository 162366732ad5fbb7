/* SPDX-License-Identifier: Apache-2.0 */
/* Models whose first layers are frozen. What autograd must keep follows from the graph alone: a
 * value needs a gradient where a parameter that is trained had a part in it, and an operator that
 * gives such a value keeps what its derivative reads (torch-memory.md, part A, 4.1). */

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "step/build.h"
#include "step/sized.h"

struct made {
    struct vb_arena arena;
    struct vb_graph graph;
    struct vb_program program;
    struct vb_point point;
};

static void make(struct made *made, const char *model, uint32_t freeze, enum vb_precision precision,
                 enum vb_optimizer optimizer)
{
    struct vb_error err = { 0 };
    struct vb_recipe recipe;
    struct vb_description description;
    *made = (struct made){ .point = vb_point_default() };
    struct vb_point *point = &made->point;
    (void)snprintf(point->model, sizeof point->model, "%s", model);
    (void)snprintf(point->torch, sizeof point->torch, "2.3"); /* up to it all is of one type */
    point->batch = 2;
    point->imgsz = 128;
    point->accumulate = 1;
    point->freeze = freeze;
    point->precision = precision;
    point->optimizer = optimizer;
    cr_assert_eq(vb_point_graph(point, &made->arena, &description, &made->graph, &err), VB_OK, "%s",
                 err.text);
    cr_assert_eq(vb_recipe_find(point, vb_family_of(&made->graph), &recipe, &err), VB_OK, "%s",
                 err.text);
    cr_assert_eq(vb_program_build(&made->graph, point, &recipe, NULL, VB_ONLY_PLANNED, &made->arena,
                                  &made->program, &err),
                 VB_OK, "%s", err.text);
}

static uint32_t layer_of(const char *name)
{
    uint32_t layer = 0;
    cr_assert_eq(sscanf(name, "model.%u.", &layer), 1, "%s", name);
    return layer;
}

/* What the oracle has found: bytes of storages that are kept, each once. */
struct kept {
    const struct vb_graph *graph;
    uint64_t element; /* bytes, of an activation */
    bool *storages;   /* of the graph */
    uint64_t bytes;
    uint32_t n;
};

static void keep_bytes(struct kept *kept, uint64_t bytes)
{
    kept->bytes += bytes;
    kept->n++;
}

static void keep_value(struct kept *kept, uint32_t value)
{
    uint32_t storage = kept->graph->values[value].storage;
    uint64_t size = kept->graph->values[value].is_int64 ? 8 : kept->element;
    if (kept->storages[storage])
        return;
    kept->storages[storage] = true;
    keep_bytes(kept, size * vb_shape_elements(&kept->graph->values[storage].shape));
}

static void keep_of(struct kept *kept, const struct vb_op *op)
{
    switch (op->kind) {
    case VB_CONV:
        keep_value(kept, op->inputs[0]);
        if (kept->element != 4)
            keep_bytes(kept, kept->element * op->weight_elements); /* autocast's copy */
        break;
    case VB_BATCHNORM:
        keep_value(kept, op->inputs[0]);
        keep_bytes(kept, 4 * op->weight_elements);
        keep_bytes(kept, 4 * op->weight_elements);
        break;
    case VB_SILU: /* in place: what was there */
        keep_bytes(kept,
                   kept->element * vb_shape_elements(&kept->graph->values[op->inputs[0]].shape));
        break;
    case VB_MAXPOOL:
        keep_value(kept, op->inputs[0]);
        keep_value(kept, op->outputs[1]);
        break;
    default:
        break;
    }
}

static struct kept keep_all(const struct vb_graph *graph, uint32_t freeze, uint64_t element)
{
    struct kept kept = { .graph = graph, .element = element };
    bool *needs = calloc(graph->n_values, sizeof *needs);
    kept.storages = calloc(graph->n_values, sizeof *kept.storages);
    for (uint32_t i = 0; i < graph->n_ops; i++) {
        const struct vb_op *op = &graph->ops[i];
        bool has_parameters = op->kind == VB_CONV || op->kind == VB_BATCHNORM;
        bool needed = has_parameters && layer_of(op->module) >= freeze;
        for (uint32_t k = 0; k < op->n_inputs; k++)
            needed = needed || needs[op->inputs[k]];
        for (uint32_t k = 0; k < op->n_outputs; k++)
            needs[op->outputs[k]] = needed;
        if (needed)
            keep_of(&kept, op);
    }
    free(needs);
    free(kept.storages);
    return kept;
}

static const char *const models[] = { "yolov5n", "yolov8n", "yolov5n6" };
enum { N_MODELS = sizeof models / sizeof *models };

static uint32_t layers_of(const char *model)
{
    struct vb_arena arena = { 0 };
    struct vb_description description;
    struct vb_graph graph;
    struct vb_error err = { 0 };
    struct vb_point point = { .batch = 1, .imgsz = 128 };
    (void)snprintf(point.model, sizeof point.model, "%s", model);
    cr_assert_eq(vb_point_graph(&point, &arena, &description, &graph, &err), VB_OK, "%s", err.text);
    uint32_t n = description.n_layers;
    vb_arena_clear(&arena);
    return n;
}

Test(frozen, layers_keep_what_the_graph_says)
{
    for (size_t m = 0; m < N_MODELS; m++) {
        uint32_t n_layers = layers_of(models[m]);
        for (uint32_t freeze = 0; freeze < n_layers; freeze++) {
            for (int half = 0; half < 2; half++) {
                struct made made;
                make(&made, models[m], freeze, half ? VB_FP16 : VB_FP32, VB_SGD);
                struct kept kept = keep_all(&made.graph, freeze, half ? 2 : 4);
                const struct vb_saved *saved = &made.program.saved_forward;
                cr_expect_eq(saved->bytes, kept.bytes, "%s freeze %u: %lu bytes, by hand %lu",
                             models[m], freeze, (unsigned long)saved->bytes,
                             (unsigned long)kept.bytes);
                cr_expect_eq(saved->count, kept.n, "%s freeze %u: %u tensors, by hand %u",
                             models[m], freeze, saved->count, kept.n);
                vb_arena_clear(&made.arena);
            }
        }
    }
}

/* Bytes alive of each category when the phase begins in the loop. */
static void alive_at(const struct vb_program *program, enum vb_phase phase, uint64_t *bytes)
{
    memset(bytes, 0, VB_N_CATEGORIES * sizeof *bytes);
    for (size_t i = 0; i < program->loop_end; i++) {
        struct vb_instruction instruction = program->instructions[i];
        if (i > program->loop_start && instruction.kind == VB_PHASE && instruction.index == phase)
            return;
        if (instruction.kind != VB_ALLOC && instruction.kind != VB_FREE)
            continue;
        const struct vb_tensor *tensor = &program->tensors[instruction.index];
        bytes[tensor->category] += instruction.kind == VB_ALLOC ? tensor->bytes : -tensor->bytes;
    }
}

/* Elements of the parameters that are trained, by their names alone. */
static uint64_t trained_elements(const struct vb_graph *graph, uint32_t freeze)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < graph->n_parameters; i++) {
        const char *name = graph->parameters[i].name;
        if (layer_of(name) >= freeze && strstr(name, ".dfl.") == NULL)
            sum += graph->parameters[i].elements;
    }
    return sum;
}

Test(frozen, layers_have_no_gradient_and_no_state)
{
    static const uint64_t states[] = { [VB_SGD] = 1, [VB_ADAM] = 2, [VB_ADAMW] = 2 };
    for (size_t m = 0; m < N_MODELS; m++) {
        uint32_t n_layers = layers_of(models[m]);
        for (uint32_t freeze = 0; freeze < n_layers; freeze++) {
            struct made made;
            uint64_t bytes[VB_N_CATEGORIES];
            make(&made, models[m], freeze, VB_FP32, freeze % 2 == 0 ? VB_SGD : VB_ADAMW);
            uint64_t trained = 4 * trained_elements(&made.graph, freeze);
            cr_expect_eq(4 * made.graph.trainable_elements, trained);
            alive_at(&made.program, VB_PHASE_CLIP, bytes);
            cr_expect_eq(bytes[VB_GRADIENTS], trained, "%s freeze %u: %lu bytes of gradients",
                         models[m], freeze, (unsigned long)bytes[VB_GRADIENTS]);
            cr_expect_eq(bytes[VB_OPTIMIZER_STATE], states[made.point.optimizer] * trained,
                         "%s freeze %u: %lu bytes of state", models[m], freeze,
                         (unsigned long)bytes[VB_OPTIMIZER_STATE]);
            vb_arena_clear(&made.arena);
        }
    }
}

/* When the loss begins, activations are what autograd keeps and the predictions; the images are
 * kept too where the first layer is trained, but are input. */
Test(frozen, layers_leave_nothing_behind)
{
    for (size_t m = 0; m < N_MODELS; m++) {
        uint32_t n_layers = layers_of(models[m]);
        for (uint32_t freeze = 0; freeze < n_layers; freeze++) {
            struct made made;
            uint64_t bytes[VB_N_CATEGORIES];
            make(&made, models[m], freeze, VB_FP32, VB_SGD);
            alive_at(&made.program, VB_PHASE_LOSS, bytes);
            uint64_t expected = made.program.saved_forward.bytes;
            for (uint32_t i = 0; i < made.graph.n_values; i++) {
                if (made.graph.values[i].is_output)
                    expected += 4 * vb_shape_elements(&made.graph.values[i].shape);
            }
            if (freeze == 0)
                expected -= 4 * vb_shape_elements(&made.graph.values[0].shape);
            /* YOLOv5's loop still holds the predictions of the batch before until they are
             * replaced, which is before the loss. */
            cr_expect_eq(bytes[VB_ACTIVATIONS], expected, "%s freeze %u: %lu bytes, by hand %lu",
                         models[m], freeze, (unsigned long)bytes[VB_ACTIVATIONS],
                         (unsigned long)expected);
            vb_arena_clear(&made.arena);
        }
    }
}

static size_t count_calls(const struct vb_program *program, enum vb_operator op)
{
    size_t n = 0;
    for (size_t i = program->loop_start; i < program->loop_end; i++) {
        struct vb_instruction instruction = program->instructions[i];
        n += instruction.kind == VB_RUN && program->calls[instruction.index].op == op;
    }
    return n;
}

/* Source: ultralytics 8.3.98 and 8.3.99, engine/trainer.py; ultralytics/yolov5 v7.0, train.py. */
static const struct {
    const char *model, *trainer;
    bool is_eval;
} trainers[] = {
    { "yolov5n", "", false },
    { "yolov8n", "ultralytics-8.3.98", false },
    { "yolov8n", "ultralytics-8.3.99", true },
    { "yolov8n", "", true },
};

Test(frozen, norms_are_in_the_mode_of_each_version)
{
    enum { FREEZE = 10 };
    for (size_t t = 0; t < sizeof trainers / sizeof *trainers; t++) {
        struct vb_arena arena = { 0 };
        struct vb_error err = { 0 };
        struct vb_description description;
        struct vb_graph graph;
        struct vb_recipe recipe;
        struct vb_program program;
        struct vb_point point = vb_point_default();
        size_t n_frozen = 0, n_all = 0;
        (void)snprintf(point.model, sizeof point.model, "%s", trainers[t].model);
        (void)snprintf(point.trainer, sizeof point.trainer, "%s", trainers[t].trainer);
        point.batch = 2;
        point.imgsz = 128;
        point.accumulate = 1;
        point.freeze = FREEZE;
        cr_assert_eq(vb_point_graph(&point, &arena, &description, &graph, &err), VB_OK);
        cr_assert_eq(vb_recipe_find(&point, vb_family_of(&graph), &recipe, &err), VB_OK);
        cr_assert_eq(vb_program_build(&graph, &point, &recipe, NULL, VB_ONLY_PLANNED, &arena,
                                      &program, &err),
                     VB_OK, "%s", err.text);
        for (uint32_t i = 0; i < graph.n_ops; i++) {
            bool is_norm = graph.ops[i].kind == VB_BATCHNORM;
            n_all += is_norm;
            n_frozen += is_norm && layer_of(graph.ops[i].module) < FREEZE;
        }
        size_t n_eval = trainers[t].is_eval ? n_frozen : 0;
        cr_expect_gt(n_frozen, 0);
        cr_expect_eq(count_calls(&program, VB_OP_BATCH_NORM_EVAL), n_eval, "%s %s", point.model,
                     point.trainer);
        cr_expect_eq(count_calls(&program, VB_OP_BATCH_NORM), n_all - n_eval);
        cr_expect_eq(count_calls(&program, VB_OP_BATCH_NORM_BACKWARD), n_all - n_frozen);
        vb_arena_clear(&arena);
    }
}

Test(frozen, all_layers_are_refused)
{
    struct vb_arena arena = { 0 };
    struct vb_error err = { 0 };
    struct vb_description description;
    struct vb_graph graph;
    struct vb_point point = { .model = "yolov8n", .batch = 1, .imgsz = 128, .freeze = 23 };
    cr_expect_eq(vb_point_graph(&point, &arena, &description, &graph, &err), VB_E_INPUT);
    cr_expect_str_eq(err.text, "freeze is 23, but yolov8n has 23 layers, of which one at least is "
                               "trained; expected 0 to 22");
    vb_arena_clear(&arena);
}
