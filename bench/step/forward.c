/* SPDX-License-Identifier: Apache-2.0 */
#include "step/forward.h"

#include "step/layers.h"
#include "step/math.h"

struct walk {
    struct vb_tape *tape;
    const struct vb_graph *graph;
    uint32_t *storages;
    struct vb_variable *values; /* of the graph; undefined before they are made */
    uint32_t *first_parameter;  /* of each operator: its weight, or its bias follows it; VB_NONE */
    uint32_t *counter;          /* of each operator: the buffer that it counts in; VB_NONE */
    uint32_t *first_ending;     /* of each operator, and of the pass: a value let go of then; 0 */
    uint32_t *next_ending;      /* of each value: the next that is let go of with it; 0 */
};

/* The operator's weight (place 0) or bias (place 1); undefined where it has none. What is frozen
 * asks for no gradient. */
static struct vb_variable parameter_of(const struct walk *walk, uint32_t op, uint32_t place)
{
    uint32_t index = walk->first_parameter[op];
    if (index == VB_NONE || index + place >= walk->graph->n_parameters ||
        walk->graph->parameters[index + place].op != op)
        return vb_undefined;
    struct vb_variable leaf =
        vb_tape_parameter(walk->tape, index + place, walk->storages[index + place]);
    leaf.requires_grad = !walk->graph->parameters[index + place].is_frozen;
    return leaf;
}

/* num_batches_tracked + 1 before the normalisation: a new tensor takes the old one's place. */
static void count_batch(const struct walk *walk, uint32_t op)
{
    struct vb_tape *tape = walk->tape;
    if (walk->counter[op] == VB_NONE || tape->is_eval || tape->program->failed)
        return;
    uint32_t *storage = &walk->storages[walk->counter[op]];
    struct vb_variable old = vb_tape_parameter(tape, VB_NONE, *storage);
    struct vb_variable next = old;
    if (!tape->torch->counts_in_place) {
        enum vb_category category = tape->category;
        tape->category = VB_WEIGHTS;
        next = vb_tape_new(tape, "num_batches_tracked", &old.shape, old.dtype);
        tape->category = category;
    }
    struct vb_variable both[] = { old, next };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_ADD_NUMBER, .a = 1 }, both, 2);
    if (!tape->torch->counts_in_place && vb_is_defined(&next)) {
        vb_tape_drop(tape, old);
        *storage = next.storage;
    }
}

/* A buffer that stands before the operator's counter of batches. */
static struct vb_variable statistic_of(const struct walk *walk, uint32_t op, uint32_t before)
{
    if (walk->counter[op] == VB_NONE)
        return vb_undefined;
    return vb_tape_parameter(walk->tape, VB_NONE, walk->storages[walk->counter[op] - before]);
}

/* YOLO's models set both numbers, classifiers have PyTorch's. Source: torch-memory.md, part B, 3.
 */
static struct vb_variable run_batch_norm(const struct walk *walk, uint32_t op, struct vb_variable x)
{
    bool is_classifier = walk->graph->head == VB_HEAD_CLASSIFY;
    const struct vb_norm norm = {
        .weight = parameter_of(walk, op, 0),
        .bias = parameter_of(walk, op, 1),
        .mean = statistic_of(walk, op, 2),
        .variance = statistic_of(walk, op, 1),
        .momentum = is_classifier ? 0.1 : 0.03,
        .epsilon = is_classifier ? 1e-5 : 1e-3,
    };
    struct vb_tape *tape = walk->tape;
    bool was_eval = tape->is_eval;
    tape->is_eval = was_eval || (tape->frozen_in_eval && !norm.weight.requires_grad);
    count_batch(walk, op);
    struct vb_variable y = vb_batch_norm(tape, x, &norm);
    tape->is_eval = was_eval;
    return y;
}

static void run_split(const struct walk *walk, const struct vb_op *op)
{
    struct vb_variable views[VB_MAX_OUTPUTS];
    uint32_t sizes[VB_MAX_OUTPUTS];
    for (uint32_t i = 0; i < op->n_outputs; i++)
        sizes[i] = walk->graph->values[op->outputs[i]].shape.dims[1];
    vb_split(walk->tape, walk->values[op->inputs[0]], 1, sizes, op->n_outputs, views);
    for (uint32_t i = 0; i < op->n_outputs; i++)
        walk->values[op->outputs[i]] = views[i];
}

static struct vb_variable run_concat(const struct walk *walk, const struct vb_op *op)
{
    struct vb_variable pieces[VB_MAX_INPUTS];
    for (uint32_t i = 0; i < op->n_inputs; i++)
        pieces[i] = walk->values[op->inputs[i]];
    return vb_concat(walk->tape, pieces, op->n_inputs, 1);
}

static struct vb_variable run_permute(const struct walk *walk, const struct vb_op *op)
{
    static const uint32_t values_last[VB_MAX_DIMS] = { 0, 1, 3, 4, 2 };
    return vb_permute(walk->tape, walk->values[op->inputs[0]], values_last);
}

static struct vb_variable run_add_in_place(const struct walk *walk, const struct vb_op *op)
{
    struct vb_variable sum = vb_tape_hold(walk->tape, walk->values[op->inputs[0]]);
    vb_add_in_place(walk->tape, &sum, walk->values[op->inputs[1]]);
    return sum;
}

static struct vb_variable run_op(const struct walk *walk, uint32_t index)
{
    struct vb_tape *tape = walk->tape;
    const struct vb_op *op = &walk->graph->ops[index];
    struct vb_variable x = walk->values[op->inputs[0]];
    const struct vb_shape *out = &walk->graph->values[op->outputs[0]].shape;
    struct vb_conv_shape conv = { op->window, op->groups };

    switch (op->kind) {
    case VB_CONV:
        return vb_conv2d(tape, x, parameter_of(walk, index, 0), parameter_of(walk, index, 1), &conv,
                         out);
    case VB_BATCHNORM:
        return run_batch_norm(walk, index, x);
    case VB_RELU:
        return vb_relu_in_place(tape, x);
    case VB_AVERAGE:
        return vb_average(tape, x, out);
    case VB_LINEAR:
        return vb_linear(tape, x, parameter_of(walk, index, 0), parameter_of(walk, index, 1));
    case VB_ADD_IN_PLACE:
        return run_add_in_place(walk, op);
    case VB_SILU:
        return vb_silu_in_place(tape, x);
    case VB_MAXPOOL:
        return vb_max_pool2d(tape, x, &op->window, out);
    case VB_UPSAMPLE:
        return vb_upsample(tape, x, out);
    case VB_CONCAT:
        return run_concat(walk, op);
    case VB_ADD:
        return vb_binary(tape, VB_OP_ADD, x, walk->values[op->inputs[1]]);
    case VB_VIEW:
        return vb_view(tape, x, out);
    case VB_PERMUTE:
        return run_permute(walk, op);
    case VB_CLONE:
        return vb_contiguous(tape, x);
    case VB_SLICE:
        return vb_every_second(tape, x, op->quarter, out);
    case VB_SPLIT:
        break;
    }
    return vb_undefined;
}

/* Lists what Python lets go of after each operator and, last, after the pass. False: no host
 * memory. */
static bool list_endings(struct walk *walk)
{
    const struct vb_graph *graph = walk->graph;
    struct vb_arena *arena = walk->tape->program->arena;
    walk->first_ending = vb_arena_alloc(arena, (size_t)graph->n_ops + 1, sizeof(uint32_t));
    walk->next_ending = vb_arena_alloc(arena, graph->n_values, sizeof(uint32_t));
    if (walk->first_ending == NULL || walk->next_ending == NULL)
        return false;
    for (uint32_t i = graph->n_values; i-- > 1;) {
        const struct vb_value *value = &graph->values[i];
        size_t at = value->held_until == VB_HELD_TO_END ? graph->n_ops : value->held_until;
        if (value->is_output)
            continue;
        walk->next_ending[i] = walk->first_ending[at];
        walk->first_ending[at] = i;
    }
    return true;
}

/* Lets go of what is listed at the operator; n_ops: at the end. */
static void let_go(const struct walk *walk, uint32_t index)
{
    for (uint32_t i = walk->first_ending[index]; i != 0; i = walk->next_ending[i]) {
        vb_tape_drop(walk->tape, walk->values[i]);
        walk->values[i] = vb_undefined;
    }
}

enum vb_status vb_forward(struct vb_tape *tape, const struct vb_graph *graph, uint32_t *storages,
                          struct vb_variable image, struct vb_variable *predictions,
                          struct vb_error *err)
{
    struct vb_arena *arena = tape->program->arena;
    struct walk walk = { .tape = tape, .graph = graph, .storages = storages };
    walk.values = vb_arena_alloc(arena, graph->n_values, sizeof *walk.values);
    walk.first_parameter = vb_arena_alloc(arena, graph->n_ops, sizeof *walk.first_parameter);
    walk.counter = vb_arena_alloc(arena, graph->n_ops, sizeof *walk.counter);
    if (walk.values == NULL || walk.first_parameter == NULL || walk.counter == NULL ||
        !list_endings(&walk))
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the forward pass");

    for (uint32_t i = 0; i < graph->n_values; i++)
        walk.values[i] = vb_undefined;
    for (uint32_t i = 0; i < graph->n_ops; i++)
        walk.first_parameter[i] = walk.counter[i] = VB_NONE;
    for (uint32_t i = graph->n_parameters; i-- > 0;) {
        if (graph->parameters[i].op != VB_NONE)
            walk.first_parameter[graph->parameters[i].op] = i;
    }
    for (uint32_t i = 0; i < graph->n_buffers; i++) {
        uint32_t buffer = graph->n_parameters + i;
        if (graph->parameters[buffer].op != VB_NONE)
            walk.counter[graph->parameters[buffer].op] = buffer;
    }

    walk.values[0] = image;
    for (uint32_t i = 0; i < graph->n_ops; i++) {
        const struct vb_op *op = &graph->ops[i];
        tape->module = op->module;
        if (op->kind == VB_SPLIT)
            run_split(&walk, op);
        else
            walk.values[op->outputs[0]] = run_op(&walk, i);
        let_go(&walk, i);
    }
    tape->module = "";
    let_go(&walk, graph->n_ops);
    for (uint32_t i = 0; i < graph->n_levels; i++)
        predictions[i] = walk.values[graph->levels[i].output];
    return VB_OK;
}
