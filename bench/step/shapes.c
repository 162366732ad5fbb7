/* SPDX-License-Identifier: Apache-2.0 */
/* The operators of layers.h that put tensors together, take them apart and see them in other
 * shapes. */

#include <assert.h>
#include <string.h>

#include "step/layers.h"
#include "step/math.h"
#include "step/view.h"

/* A stretch of `size` along `axis` of `whole`. It has gaps unless every axis before `axis` is 1. */
static struct vb_variable slice(struct vb_variable whole, uint32_t axis, uint32_t start,
                                uint32_t size)
{
    struct vb_variable view = vb_stretch_of(whole, axis, start, size);
    for (uint32_t i = 0; i < axis && size != whole.shape.dims[axis]; i++) {
        if (whole.shape.dims[i] != 1)
            view.is_dense = view.is_ordered = false;
    }
    return view;
}

/* Views of the gradient, copied only where autocast had mixed the types. */
static void concat_backward(struct vb_tape *tape, const struct vb_node *node,
                            const struct vb_variable *outputs, struct vb_variable *inputs)
{
    const uint32_t *axis = node->detail;
    uint32_t start = 0;
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        const struct vb_variable *input = &node->inputs[i];
        struct vb_variable view = slice(outputs[0], *axis, start, input->shape.dims[*axis]);
        start += input->shape.dims[*axis];
        if (!vb_needs(node, i))
            continue;
        view.requires_grad = false;
        inputs[i] = vb_tape_cast(tape, view, input->dtype);
    }
}

/* The CPU's kernel copies a piece of another type before it writes it. */
static void cpu_piece_copies(struct vb_tape *tape, const struct vb_variable *pieces, uint32_t n,
                             enum vb_dtype dtype)
{
    for (uint32_t i = 0; i < n && tape->torch->cpu_kernels; i++) {
        if (pieces[i].dtype != dtype)
            vb_tape_drop(tape, vb_tape_new(tape, "copy", &pieces[i].shape, pieces[i].dtype));
    }
}

struct vb_variable vb_concat(struct vb_tape *tape, const struct vb_variable *pieces, uint32_t n,
                             uint32_t axis)
{
    struct vb_variable inputs[VB_MAX_GRADIENTS];
    struct vb_shape shape = pieces[0].shape;
    enum vb_dtype dtype = pieces[0].dtype;
    assert(n <= VB_MAX_GRADIENTS);
    for (uint32_t i = 1; i < n; i++) {
        shape.dims[axis] += pieces[i].shape.dims[axis];
        if (pieces[i].dtype == VB_FLOAT32)
            dtype = VB_FLOAT32;
    }
    bool casts = tape->autocast && tape->torch->casts_pieces;
    for (uint32_t i = 0; i < n; i++)
        inputs[i] = vb_tape_cast(tape, pieces[i], casts ? dtype : pieces[i].dtype);

    struct vb_variable y = vb_tape_new_image(tape, "output", &shape, dtype);
    for (uint32_t i = 0, start = 0; i < n; start += inputs[i++].shape.dims[axis])
        vb_tape_copy(tape, inputs[i], vb_stretch_of(y, axis, start, inputs[i].shape.dims[axis]));
    cpu_piece_copies(tape, inputs, n, dtype);
    struct vb_node *node = vb_tape_node(tape, concat_backward, inputs, n, 1);
    if (node != NULL)
        node->detail = vb_tape_keep(tape, &axis, sizeof axis);
    vb_tape_output(tape, node, 0, &y);
    for (uint32_t i = 0; i < n; i++)
        vb_tape_drop(tape, inputs[i]);
    return y;
}

/* The views' gradients together; zeros where one has none. */
static void split_backward(struct vb_tape *tape, const struct vb_node *node,
                           const struct vb_variable *outputs, struct vb_variable *inputs)
{
    const struct vb_variable *x = &node->inputs[0];
    const uint32_t *sizes = node->detail; /* the axis, then each size */
    struct vb_variable pieces[VB_MAX_GRADIENTS];
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        struct vb_shape shape = x->shape;
        shape.dims[sizes[0]] = sizes[1 + i];
        pieces[i] = vb_is_defined(&outputs[i]) ? vb_tape_hold(tape, outputs[i])
                                               : vb_filled(tape, "fill", 0, x->dtype, shape);
    }
    inputs[0] = vb_tape_new_like(tape, "input", *x, x->dtype);
    for (uint32_t i = 0, start = 0; i < node->n_outputs; start += sizes[1 + i++])
        vb_tape_copy(tape, pieces[i], vb_stretch_of(inputs[0], sizes[0], start, sizes[1 + i]));
    for (uint32_t i = 0; i < node->n_outputs; i++)
        vb_tape_drop(tape, pieces[i]);
}

void vb_split(struct vb_tape *tape, struct vb_variable x, uint32_t axis, const uint32_t *sizes,
              uint32_t n, struct vb_variable *views)
{
    uint32_t detail[1 + VB_MAX_GRADIENTS] = { axis };
    assert(n <= VB_MAX_GRADIENTS);
    memcpy(detail + 1, sizes, n * sizeof *sizes);

    struct vb_node *node = vb_tape_node(tape, split_backward, &x, 1, n);
    if (node != NULL)
        node->detail = vb_tape_keep(tape, detail, (1 + n) * sizeof *detail);
    for (uint32_t i = 0, start = 0; i < n; start += sizes[i++]) {
        views[i] = vb_tape_hold(tape, slice(x, axis, start, sizes[i]));
        vb_tape_output(tape, node, i, &views[i]);
    }
}

/* PyTorch's rules let only such views be asked for as strides can say. */
static struct vb_variable reshaped(struct vb_variable x, const struct vb_shape *shape)
{
    bool ok;
    struct vb_variable y = vb_reshaped(x, shape, &ok);
    assert(ok);
    return y;
}

/* A view's gradient in the first shape: another view, unless it lies in another order: then a copy.
 * Gaps are no hindrance: they lie between the stretches of a concatenation's last axis, which the
 * first shape splits. */
static void view_backward(struct vb_tape *tape, const struct vb_node *node,
                          const struct vb_variable *outputs, struct vb_variable *inputs)
{
    const struct vb_variable *x = &node->inputs[0];
    bool is_copied = outputs[0].is_dense && !outputs[0].is_ordered;
    if (is_copied) {
        bool ok;
        inputs[0] = vb_tape_new_image(tape, "contiguous", &x->shape, outputs[0].dtype);
        (void)vb_reshaped(inputs[0], &outputs[0].shape, &ok);
        if (!ok) /* no image, whose channels lie last */
            vb_strides_in_order(&x->shape, inputs[0].strides);
        vb_tape_copy(tape, outputs[0], reshaped(inputs[0], &outputs[0].shape));
    } else {
        inputs[0] = reshaped(vb_tape_hold(tape, outputs[0]), &x->shape);
    }
}

struct vb_variable vb_view(struct vb_tape *tape, struct vb_variable x, const struct vb_shape *out)
{
    struct vb_variable y = reshaped(vb_tape_hold(tape, x), out);
    vb_tape_output(tape, vb_tape_node(tape, view_backward, &x, 1, 1), 0, &y);
    return y;
}

static void view_through_backward(struct vb_tape *tape, const struct vb_node *node,
                                  const struct vb_variable *outputs, struct vb_variable *inputs)
{
    inputs[0] = reshaped(vb_tape_hold(tape, outputs[0]), &node->inputs[0].shape);
}

struct vb_variable vb_view_through(struct vb_tape *tape, struct vb_variable x,
                                   const struct vb_shape *out)
{
    struct vb_variable y = reshaped(vb_tape_hold(tape, x), out);
    vb_tape_output(tape, vb_tape_node(tape, view_through_backward, &x, 1, 1), 0, &y);
    return y;
}

/* The gradient with its axes put back: the same storage, and no longer in order. */
static void permute_backward(struct vb_tape *tape, const struct vb_node *node,
                             const struct vb_variable *outputs, struct vb_variable *inputs)
{
    const uint32_t *order = node->detail;
    uint32_t back[VB_MAX_DIMS];
    for (uint32_t i = 0; i < outputs[0].shape.n_dims; i++)
        back[order[i]] = i;
    inputs[0] = vb_in_axes(vb_tape_hold(tape, outputs[0]), back);
    inputs[0].is_ordered = false;
}

struct vb_variable vb_permute(struct vb_tape *tape, struct vb_variable x, const uint32_t *order)
{
    struct vb_variable y = vb_in_axes(vb_tape_hold(tape, x), order);
    struct vb_node *node = vb_tape_node(tape, permute_backward, &x, 1, 1);
    y.is_ordered = false;
    if (node != NULL)
        node->detail = vb_tape_keep(tape, order, x.shape.n_dims * sizeof *order);
    vb_tape_output(tape, node, 0, &y);
    return y;
}

static struct vb_variable quarter_of(struct vb_variable x, uint32_t quarter,
                                     const struct vb_shape *shape)
{
    x.offset += (uint64_t)(quarter % 2) * x.strides[2] + (uint64_t)(quarter / 2) * x.strides[3];
    x.strides[2] *= 2;
    x.strides[3] *= 2;
    x.shape = *shape;
    x.is_dense = x.is_ordered = false;
    return x;
}

/* Zeros of x's size with the gradient in every second pixel. */
static void every_second_backward(struct vb_tape *tape, const struct vb_node *node,
                                  const struct vb_variable *outputs, struct vb_variable *inputs)
{
    inputs[0] = vb_tape_new_image(tape, "input", &node->inputs[0].shape, node->inputs[0].dtype);
    vb_tape_fill(tape, inputs[0], 0);
    vb_tape_copy(tape, outputs[0], quarter_of(inputs[0], (uint32_t)node->a, &outputs[0].shape));
}

struct vb_variable vb_every_second(struct vb_tape *tape, struct vb_variable x, uint32_t quarter,
                                   const struct vb_shape *out)
{
    struct vb_variable y = quarter_of(vb_tape_hold(tape, x), quarter, out);
    struct vb_node *node = vb_tape_node(tape, every_second_backward, &x, 1, 1);
    if (node != NULL)
        node->a = quarter;
    vb_tape_output(tape, node, 0, &y);
    return y;
}

struct vb_variable vb_contiguous(struct vb_tape *tape, struct vb_variable x)
{
    if (!vb_is_defined(&x) || x.is_ordered)
        return vb_tape_hold(tape, x);
    struct vb_variable y = vb_tape_new(tape, "contiguous", &x.shape, x.dtype);
    vb_tape_copy(tape, x, y);
    vb_tape_output(tape, vb_tape_node(tape, vb_hand_on_backward, &x, 1, 1), 0, &y);
    return y;
}
