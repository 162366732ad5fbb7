/* SPDX-License-Identifier: Apache-2.0 */
/* The operators of layers.h that YOLOv9 and YOLOv3-tiny have beside the usual ones: averages of
 * windows, zeros at the border, images piled up and added. */

#include <assert.h>
#include <string.h>

#include "step/layers.h"
#include "step/math.h"
#include "step/view.h"

/* Of each window of x its pixel (row, column). */
static struct vb_variable pixel_of(struct vb_variable x, const struct vb_window *window,
                                   uint32_t row, uint32_t column, const struct vb_shape *out)
{
    x.offset += (uint64_t)row * x.strides[2] + (uint64_t)column * x.strides[3];
    x.strides[2] *= window->stride;
    x.strides[3] *= window->stride;
    x.shape = *out;
    return x;
}

/* y += share * x, where x or y is one pixel of each window. */
static void add_share(struct vb_tape *tape, struct vb_variable x, struct vb_variable y,
                      double share)
{
    const struct vb_variable all[] = { y, x, y };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_ADD_SCALED, .a = share }, all, 3);
}

static double share_of(const struct vb_window *window)
{
    return 1.0 / (window->kernel_h * window->kernel_w);
}

static void avg_pool_backward(struct vb_tape *tape, const struct vb_node *node,
                              const struct vb_variable *outputs, struct vb_variable *inputs)
{
    const struct vb_window *window = node->detail;
    inputs[0] = vb_tape_new_image(tape, "input", &node->inputs[0].shape, node->inputs[0].dtype);
    struct vb_variable x = vb_in_order(tape, node->saved[0]);
    struct vb_variable dense = vb_in_order(tape, outputs[0]);
    vb_tape_fill(tape, inputs[0], 0);
    for (uint32_t i = 0; i < window->kernel_h * window->kernel_w; i++)
        add_share(
            tape, dense,
            pixel_of(inputs[0], window, i / window->kernel_w, i % window->kernel_w, &dense.shape),
            share_of(window));
    vb_tape_drop(tape, dense);
    vb_tape_drop(tape, x);
}

struct vb_variable vb_avg_pool2d(struct vb_tape *tape, struct vb_variable x,
                                 const struct vb_window *window, const struct vb_shape *out)
{
    struct vb_variable y = vb_tape_new_image(tape, "output", out, x.dtype);
    struct vb_variable dense = vb_in_order(tape, x);
    if (tape->program->failed)
        return vb_undefined;
    struct vb_variable both[] = { pixel_of(dense, window, 0, 0, out), y };
    const struct vb_call first = { .op = VB_OP_MUL_NUMBER, .a = share_of(window) };
    vb_tape_apply(tape, &first, both, 2);
    for (uint32_t i = 1; i < window->kernel_h * window->kernel_w; i++)
        add_share(tape, pixel_of(dense, window, i / window->kernel_w, i % window->kernel_w, out), y,
                  share_of(window));
    vb_tape_drop(tape, dense);

    struct vb_node *node = vb_tape_node(tape, avg_pool_backward, &x, 1, 1);
    vb_tape_save(tape, node, x);
    if (node != NULL)
        node->detail = vb_tape_keep(tape, window, sizeof *window);
    vb_tape_output(tape, node, 0, &y);
    return y;
}

/* Where x is in what is padded. */
static struct vb_variable inside(struct vb_variable padded, const struct vb_shape *x)
{
    return vb_stretch_of(vb_stretch_of(padded, 2, 0, x->dims[2]), 3, 0, x->dims[3]);
}

/* Padding by less than nothing: a copy of what is inside. */
static void zero_pad_backward(struct vb_tape *tape, const struct vb_node *node,
                              const struct vb_variable *outputs, struct vb_variable *inputs)
{
    const struct vb_variable *x = &node->inputs[0];
    inputs[0] = vb_tape_new_image(tape, "input", &x->shape, x->dtype);
    vb_tape_copy(tape, inside(outputs[0], &x->shape), inputs[0]);
}

struct vb_variable vb_zero_pad(struct vb_tape *tape, struct vb_variable x,
                               const struct vb_shape *out)
{
    struct vb_variable y = vb_tape_new_image(tape, "output", out, x.dtype);
    vb_tape_fill(tape, y, 0);
    vb_tape_copy(tape, x, inside(y, &x.shape));
    vb_tape_output(tape, vb_tape_node(tape, zero_pad_backward, &x, 1, 1), 0, &y);
    return y;
}

/* One image of a pile: dense as the image itself, wherever the pile has it. */
static struct vb_variable layer_of(struct vb_variable pile, uint32_t i)
{
    struct vb_variable image = vb_at(pile, 0, i);
    image.is_dense = image.is_ordered = true;
    return image;
}

/* Each image of a pile lies as others do. */
static void lay_as_images(const struct vb_tape *tape, struct vb_variable *pile)
{
    struct vb_shape image = vb_at(*pile, 0, 0).shape;
    vb_strides_of_image(&image, tape->program->layout == VB_CHANNELS_LAST, pile->strides + 1);
}

/* Views of the gradient, copied only where autocast had mixed the types. */
static void pile_backward(struct vb_tape *tape, const struct vb_node *node,
                          const struct vb_variable *outputs, struct vb_variable *inputs)
{
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        struct vb_variable view = layer_of(outputs[0], i);
        view.requires_grad = false;
        if (vb_needs(node, i))
            inputs[i] = vb_tape_cast(tape, view, node->inputs[i].dtype);
    }
}

struct vb_variable vb_pile(struct vb_tape *tape, const struct vb_variable *pieces, uint32_t n)
{
    struct vb_variable inputs[VB_MAX_GRADIENTS];
    struct vb_shape shape = vb_with_axis(pieces[0], 0).shape;
    enum vb_dtype dtype = pieces[0].dtype;
    assert(n <= VB_MAX_GRADIENTS);
    shape.dims[0] = n;
    for (uint32_t i = 0; i < n; i++)
        dtype = pieces[i].dtype == VB_FLOAT32 ? VB_FLOAT32 : dtype;
    bool casts = tape->autocast && tape->torch->casts_pieces;
    for (uint32_t i = 0; i < n; i++)
        inputs[i] = vb_tape_cast(tape, pieces[i], casts ? dtype : pieces[i].dtype);

    struct vb_variable y = vb_tape_new(tape, "output", &shape, dtype);
    lay_as_images(tape, &y);
    for (uint32_t i = 0; i < n; i++)
        vb_tape_copy(tape, inputs[i], vb_at(y, 0, i));
    vb_tape_output(tape, vb_tape_node(tape, pile_backward, inputs, n, 1), 0, &y);
    for (uint32_t i = 0; i < n; i++)
        vb_tape_drop(tape, inputs[i]);
    return y;
}

/* One gradient seen n times. */
static void sum_first_backward(struct vb_tape *tape, const struct vb_node *node,
                               const struct vb_variable *outputs, struct vb_variable *inputs)
{
    inputs[0] = vb_expanded(vb_tape_hold(tape, outputs[0]), &node->inputs[0].shape);
    inputs[0].is_dense = inputs[0].is_ordered = false;
}

struct vb_variable vb_sum_first(struct vb_tape *tape, struct vb_variable x)
{
    struct vb_variable like = vb_at(x, 0, 0);
    enum vb_dtype dtype = tape->autocast ? VB_FLOAT32 : x.dtype;
    struct vb_variable y = vb_tape_new_image(tape, "output", &like.shape, dtype);
    struct vb_variable both[] = { x, y };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_SUM }, both, 2);
    vb_tape_output(tape, vb_tape_node(tape, sum_first_backward, &x, 1, 1), 0, &y);
    return y;
}
