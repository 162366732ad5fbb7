/* SPDX-License-Identifier: Apache-2.0 */
/* The operators of math.h that pick rows and entries. */

#include <assert.h>
#include <string.h>

#include "step/math.h"
#include "step/view.h"

/* Zeros of x's size, to which the rows' gradients are added. */
static void index_backward(struct vb_tape *tape, const struct vb_node *node,
                           const struct vb_variable *outputs, struct vb_variable *inputs)
{
    struct vb_variable operands[VB_MAX_OPERANDS] = { outputs[0] };
    inputs[0] = vb_zeros_like(tape, node->inputs[0]);
    memcpy(operands + 1, node->saved, node->n_saved * sizeof *operands);
    operands[1 + node->n_saved] = inputs[0];
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_INDEX_ADD }, operands, node->n_saved + 2);
}

struct vb_variable vb_index(struct vb_tape *tape, struct vb_variable x,
                            const struct vb_variable *indices, uint32_t n_indices,
                            const struct vb_shape *out)
{
    struct vb_variable from[VB_MAX_OPERANDS] = { x };
    assert(n_indices + 2 <= VB_MAX_OPERANDS);
    memcpy(from + 1, indices, n_indices * sizeof *indices);
    struct vb_variable y =
        vb_make(tape, &(struct vb_call){ .op = VB_OP_INDEX }, out, x.dtype, from, n_indices + 1);
    struct vb_node *node = vb_tape_node(tape, index_backward, &x, 1, 1);
    for (uint32_t i = 0; i < n_indices; i++)
        vb_tape_save(tape, node, indices[i]);
    vb_tape_output(tape, node, 0, &y);
    return y;
}

uint32_t vb_columns(struct vb_variable places, struct vb_variable *columns)
{
    uint32_t n = places.shape.dims[1];
    for (uint32_t i = 0; i < n; i++)
        columns[i] = vb_at(places, 1, i);
    return n;
}

struct vb_variable vb_mask(struct vb_tape *tape, struct vb_variable x, struct vb_variable mask,
                           uint32_t n_true, const struct vb_shape *out)
{
    struct vb_variable columns[VB_MAX_DIMS];
    struct vb_variable places = vb_make(tape, &(struct vb_call){ .op = VB_OP_NONZERO },
                                        &VB_SHAPE(n_true, mask.shape.n_dims), VB_INT64, &mask, 1);
    struct vb_variable y = vb_index(tape, x, columns, vb_columns(places, columns), out);
    vb_done(tape, places);
    return y;
}

/* Zeros of x's size with the gradient in its place. */
static void select_backward(struct vb_tape *tape, const struct vb_node *node,
                            const struct vb_variable *outputs, struct vb_variable *inputs)
{
    const struct vb_variable *x = &node->inputs[0];
    inputs[0] = vb_zeros_like(tape, *x);
    vb_tape_copy(tape, outputs[0], vb_at(inputs[0], x->shape.n_dims - 1, (uint32_t)node->a));
}

struct vb_variable vb_select_last(struct vb_tape *tape, struct vb_variable x, uint32_t i)
{
    struct vb_variable y = vb_at(vb_tape_hold(tape, x), x.shape.n_dims - 1, i);
    y.is_dense = y.is_ordered = false;
    struct vb_node *node = vb_tape_node(tape, select_backward, &x, 1, 1);
    if (node != NULL)
        node->a = i;
    vb_tape_output(tape, node, 0, &y);
    return y;
}
