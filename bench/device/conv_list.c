/* SPDX-License-Identifier: Apache-2.0 */
#include "device/conv_list.h"

enum { N_DIRECTIONS = 3 };

/* A transposed convolution is the one from y to x. */
static struct vb_conv conv_of(const struct vb_graph *graph, const struct vb_op *op)
{
    bool is_transposed = op->kind == VB_CONV_TRANSPOSE;
    const struct vb_shape *x = &graph->values[is_transposed ? op->outputs[0] : op->inputs[0]].shape;
    const struct vb_shape *y = &graph->values[is_transposed ? op->inputs[0] : op->outputs[0]].shape;
    return (struct vb_conv){
        .n = x->dims[0],
        .c = x->dims[1],
        .h = x->dims[2],
        .w = x->dims[3],
        .k = y->dims[1],
        .kernel_h = op->window.kernel_h,
        .kernel_w = op->window.kernel_w,
        .stride = op->window.stride,
        .pad = op->window.pad,
        .dilation = op->window.dilation,
        .groups = op->groups,
    };
}

enum vb_status vb_conv_list(const struct vb_graph *graph, enum vb_conv_type type,
                            bool channels_last, struct vb_arena *arena, struct vb_conv **out,
                            size_t *n, struct vb_error *err)
{
    size_t found = 0;
    struct vb_conv *list =
        vb_arena_alloc(arena, (size_t)graph->n_ops * N_DIRECTIONS + 1, sizeof *list);
    if (list == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for %u operators", graph->n_ops);

    for (uint32_t i = 0; i < graph->n_ops; i++) {
        const struct vb_op *op = &graph->ops[i];
        if (op->kind != VB_CONV && op->kind != VB_CONV_TRANSPOSE)
            continue;
        const bool is_of_image = graph->values[op->inputs[0]].storage == 0;
        for (int direction = 0; direction < N_DIRECTIONS; direction++) {
            if (direction == VB_CONV_BACKWARD_DATA && is_of_image)
                continue;
            list[found] = conv_of(graph, op);
            list[found].direction = (enum vb_conv_direction)direction;
            list[found].type = type;
            list[found].channels_last = channels_last;
            found++;
        }
    }
    *out = list;
    *n = found;
    return VB_OK;
}
