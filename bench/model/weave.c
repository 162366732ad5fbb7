/* SPDX-License-Identifier: Apache-2.0 */
#include "model/weave.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

enum { MAX_VALUES = 1 << 20 };

size_t vb_weave_enter(struct vb_weave *weave, const char *part)
{
    size_t length = strlen(weave->path);
    size_t dot = length > 0;
    size_t bytes = strlen(part) + 1;
    if (dot + bytes > sizeof weave->path - length) {
        weave->failed = true;
        return length;
    }
    memcpy(weave->path + length, ".", dot);
    memcpy(weave->path + length + dot, part, bytes);
    return length;
}

size_t vb_weave_enter_number(struct vb_weave *weave, uint32_t part)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%u", part);
    return vb_weave_enter(weave, text);
}

void vb_weave_leave(struct vb_weave *weave, size_t length)
{
    weave->path[length] = '\0';
}

struct vb_place vb_weave_move(struct vb_weave *weave, const char *path)
{
    struct vb_place outer;
    memcpy(outer.path, weave->path, sizeof outer.path);
    weave->path[0] = '\0';
    (void)vb_weave_enter(weave, path);
    return outer;
}

void vb_weave_return(struct vb_weave *weave, const struct vb_place *place)
{
    memcpy(weave->path, place->path, sizeof weave->path);
}

static const char *path_with(struct vb_weave *weave, const char *base, const char *part)
{
    const char *const parts[] = { base, ".", part };
    const char *text = vb_arena_join(weave->arena, parts, part[0] == '\0' ? 1 : 3);
    if (text == NULL)
        weave->failed = true;
    return text != NULL ? text : "";
}

uint32_t vb_weave_value(struct vb_weave *weave, const struct vb_shape *shape)
{
    struct vb_graph *graph = &weave->graph;
    uint64_t bytes;
    if (!vb_mul(vb_shape_elements(shape), sizeof(int64_t), &bytes) || bytes > INT64_MAX ||
        graph->n_values >= MAX_VALUES)
        weave->failed = true;
    struct vb_value *values = vb_arena_grow(weave->arena, graph->values, graph->n_values,
                                            &weave->values_room, sizeof *values);
    if (values == NULL || weave->failed) {
        weave->failed = true;
        return 0;
    }
    graph->values = values;
    values[graph->n_values] = (struct vb_value){
        .shape = *shape,
        .storage = graph->n_values,
    };
    return graph->n_values++;
}

uint32_t vb_weave_view(struct vb_weave *weave, uint32_t of, const struct vb_shape *shape)
{
    uint32_t view = vb_weave_value(weave, shape);
    if (weave->failed)
        return 0;
    weave->graph.values[view].storage = weave->graph.values[of].storage;
    return view;
}

struct vb_op *vb_weave_op(struct vb_weave *weave, enum vb_op_kind kind, const uint32_t *inputs,
                          uint32_t n_inputs)
{
    static struct vb_op nowhere; /* where a failed weave may write */
    struct vb_graph *graph = &weave->graph;
    struct vb_op *ops =
        vb_arena_grow(weave->arena, graph->ops, graph->n_ops, &weave->ops_room, sizeof *ops);
    if (ops == NULL || weave->failed || n_inputs > VB_MAX_INPUTS) {
        weave->failed = true;
        nowhere = (struct vb_op){ 0 };
        return &nowhere;
    }
    graph->ops = ops;
    struct vb_op *op = &ops[graph->n_ops];
    *op = (struct vb_op){
        .kind = kind, .module = path_with(weave, weave->path, ""), .n_inputs = n_inputs, .groups = 1
    };
    memcpy(op->inputs, inputs, n_inputs * sizeof *inputs);
    graph->n_ops++;
    for (uint32_t i = 0; i < n_inputs; i++)
        vb_weave_hold(weave, inputs[i]);
    return op;
}

void vb_weave_produce(struct vb_weave *weave, uint32_t value)
{
    struct vb_graph *graph = &weave->graph;
    if (weave->failed)
        return;
    struct vb_op *op = &graph->ops[graph->n_ops - 1];
    op->outputs[op->n_outputs++] = value;
    vb_weave_hold(weave, value);
}

uint32_t vb_weave_result(struct vb_weave *weave, const struct vb_shape *shape)
{
    uint32_t value = vb_weave_value(weave, shape);
    vb_weave_produce(weave, value);
    return value;
}

void vb_weave_hold(struct vb_weave *weave, uint32_t value)
{
    struct vb_value *held = &weave->graph.values[value];
    if (!weave->failed && held->held_until != VB_HELD_TO_END && weave->graph.n_ops > 0)
        held->held_until = weave->graph.n_ops - 1;
}

void vb_weave_hold_to_end(struct vb_weave *weave, uint32_t value)
{
    if (!weave->failed)
        weave->graph.values[value].held_until = VB_HELD_TO_END;
}

/* Registers a parameter, or a buffer, of the module `path`; gives its place among its kind. */
static uint32_t add_parameter(struct vb_weave *weave, const char *path, const char *name,
                              const struct vb_shape *shape, enum vb_role role, bool is_int64)
{
    struct vb_graph *graph = &weave->graph;
    bool is_buffer = role == VB_ROLE_BUFFER;
    struct vb_parameter **list = is_buffer ? &weave->buffers : &graph->parameters;
    uint32_t *n = is_buffer ? &graph->n_buffers : &graph->n_parameters;
    size_t *room = is_buffer ? &weave->buffers_room : &weave->parameters_room;
    struct vb_parameter *grown = vb_arena_grow(weave->arena, *list, *n, room, sizeof *grown);
    if (grown == NULL || weave->failed) {
        weave->failed = true;
        return 0;
    }
    *list = grown;
    grown[*n] = (struct vb_parameter){
        .name = path_with(weave, path, name),
        .shape = *shape,
        .role = role,
        .op = UINT32_MAX,
        .elements = vb_shape_elements(shape),
        .is_int64 = is_int64,
    };
    return (*n)++;
}

static void declare_norm(struct vb_weave *weave, struct vb_block *block)
{
    struct vb_shape channels = { 1, { block->out } };
    const char *path = path_with(weave, block->path, "bn");
    block->norm_parameter = add_parameter(weave, path, "weight", &channels, VB_ROLE_NORM, false);
    (void)add_parameter(weave, path, "bias", &channels, VB_ROLE_BIAS, false);
    (void)add_parameter(weave, path, "running_mean", &channels, VB_ROLE_BUFFER, false);
    (void)add_parameter(weave, path, "running_var", &channels, VB_ROLE_BUFFER, false);
    block->counter = add_parameter(weave, path, "num_batches_tracked", &(struct vb_shape){ 0 },
                                   VB_ROLE_BUFFER, true);
}

static struct vb_block declare(struct vb_weave *weave, const char *part, uint32_t in, uint32_t out,
                               uint32_t kernel, uint32_t stride, uint32_t groups, bool is_plain)
{
    size_t length = part[0] != '\0' ? vb_weave_enter(weave, part) : strlen(weave->path);
    struct vb_block block = {
        .path = path_with(weave, weave->path, ""),
        .in = in,
        .out = out,
        .groups = groups,
        .window = { kernel, kernel, stride, kernel / 2, 1 },
        .has_bias = is_plain,
        .has_norm = !is_plain,
        .activation = is_plain ? VB_ACT_NONE : VB_ACT_SILU,
    };
    vb_weave_leave(weave, length);
    const char *path = path_with(weave, block.path, is_plain ? "" : "conv");
    struct vb_shape shape = { 4, { out, in / groups, kernel, kernel } };
    block.conv_parameter = add_parameter(weave, path, "weight", &shape, VB_ROLE_WEIGHT, false);
    if (is_plain)
        (void)add_parameter(weave, path, "bias", &(struct vb_shape){ 1, { out } }, VB_ROLE_BIAS,
                            false);
    else
        declare_norm(weave, &block);
    weave->n_leaves += is_plain ? 1 : 2;
    weave->n_modules += is_plain ? 1 : 3;
    return block;
}

struct vb_block vb_declare_conv(struct vb_weave *weave, const char *part, uint32_t in, uint32_t out,
                                uint32_t kernel, uint32_t stride, uint32_t groups)
{
    return declare(weave, part, in, out, kernel, stride, groups, false);
}

struct vb_block vb_declare_linear_conv(struct vb_weave *weave, const char *part, uint32_t in,
                                       uint32_t out, uint32_t kernel, uint32_t stride,
                                       uint32_t groups)
{
    struct vb_block block = declare(weave, part, in, out, kernel, stride, groups, false);
    block.activation = VB_ACT_NONE;
    weave->n_leaves++;
    weave->n_modules++;
    return block;
}

struct vb_block vb_declare_plain(struct vb_weave *weave, const char *part, uint32_t in,
                                 uint32_t out)
{
    return declare(weave, part, in, out, 1, 1, 1, true);
}

struct vb_block vb_declare_transposed(struct vb_weave *weave, const char *part, uint32_t in,
                                      uint32_t out, uint32_t kernel)
{
    size_t length = vb_weave_enter(weave, part);
    struct vb_block block = {
        .path = path_with(weave, weave->path, ""),
        .in = in,
        .out = out,
        .groups = 1,
        .window = { kernel, kernel, kernel, 0, 1 },
        .has_bias = true,
    };
    vb_weave_leave(weave, length);
    struct vb_shape shape = { 4, { in, out, kernel, kernel } };
    block.conv_parameter =
        add_parameter(weave, block.path, "weight", &shape, VB_ROLE_WEIGHT, false);
    (void)add_parameter(weave, block.path, "bias", &(struct vb_shape){ 1, { out } }, VB_ROLE_BIAS,
                        false);
    weave->n_leaves++;
    weave->n_modules++;
    return block;
}

void vb_weave_declare_anchors(struct vb_weave *weave, uint32_t levels, uint32_t anchors)
{
    struct vb_shape shape = { 3, { levels, anchors, 2 } };
    (void)add_parameter(weave, weave->path, "anchors", &shape, VB_ROLE_BUFFER, false);
}

uint32_t vb_weave_declare_linear(struct vb_weave *weave, const char *part, uint32_t in,
                                 uint32_t out)
{
    size_t length = vb_weave_enter(weave, part);
    uint32_t first = add_parameter(weave, weave->path, "weight",
                                   &(struct vb_shape){ 2, { out, in } }, VB_ROLE_WEIGHT, false);
    (void)add_parameter(weave, weave->path, "bias", &(struct vb_shape){ 1, { out } }, VB_ROLE_BIAS,
                        false);
    vb_weave_leave(weave, length);
    weave->n_modules++;
    weave->n_leaves++;
    return first;
}

uint32_t vb_weave_declare_gain(struct vb_weave *weave, const char *name, uint32_t channels)
{
    return add_parameter(weave, weave->path, name, &(struct vb_shape){ 1, { channels } },
                         VB_ROLE_WEIGHT, false);
}

void vb_weave_declare_frozen(struct vb_weave *weave, const char *part, uint32_t elements)
{
    size_t length = vb_weave_enter(weave, part);
    struct vb_shape shape = { 4, { 1, elements, 1, 1 } };
    uint32_t at = add_parameter(weave, weave->path, "weight", &shape, VB_ROLE_WEIGHT, false);
    if (!weave->failed)
        weave->graph.parameters[at].is_frozen = true;
    vb_weave_leave(weave, length);
    weave->n_modules++;
    weave->n_leaves++;
}
