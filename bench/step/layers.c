/* SPDX-License-Identifier: Apache-2.0 */
#include "step/layers.h"

#include <assert.h>
#include <string.h>

#include "step/math.h"
#include "step/view.h"

/* What a convolution's node must know beside the shapes of its inputs. */
struct conv_detail {
    struct vb_conv_shape conv;
    struct vb_shape out;
};

static void copy(struct vb_tape *tape, struct vb_variable from, struct vb_variable to)
{
    struct vb_variable both[] = { from, to };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_COPY }, both, 2);
}

/* A copy in the order of the axes that autograd knows nothing of; x itself, held once more, where
 * it is in order already. */
static struct vb_variable in_order(struct vb_tape *tape, struct vb_variable x)
{
    if (!vb_is_defined(&x) || x.is_ordered)
        return vb_tape_hold(tape, x);

    struct vb_variable y = vb_tape_new_image(tape, "contiguous", &x.shape, x.dtype);
    copy(tape, x, y);
    return y;
}

static void run_conv(struct vb_tape *tape, enum vb_operator op, const struct vb_variable *x,
                     const struct vb_variable *weight, const struct vb_conv_shape *conv,
                     const struct vb_variable *y)
{
    const struct vb_call_window window = {
        .n = x->shape.dims[0],
        .c = x->shape.dims[1],
        .h = x->shape.dims[2],
        .w = x->shape.dims[3],
        .k = weight->shape.dims[0],
        .window = conv->window,
        .groups = conv->groups,
    };
    struct vb_call call = {
        .op = op,
        .dtype = x->dtype,
        .window = vb_tape_keep(tape, &window, sizeof window),
    };
    call.flops = 2.0 * (double)vb_shape_elements(&y->shape) * (double)weight->shape.dims[1] *
                 conv->window.kernel_h * conv->window.kernel_w;
    const struct vb_variable operands[] = { *x, *weight, *y };
    vb_tape_apply(tape, &call, operands, 3);
}

struct vb_variable vb_parameter_gradient(struct vb_tape *tape, const struct vb_variable *parameter)
{
    enum vb_category category = tape->category;
    const char *what = "weight";
    if (parameter->parameter != VB_NONE)
        tape->category = VB_GRADIENTS;
    struct vb_variable gradient =
        vb_tape_new_image(tape, what, &parameter->shape, parameter->dtype);
    tape->category = category;
    return gradient;
}

/* The gradient of a node's first input, an image. */
static struct vb_variable new_input(struct vb_tape *tape, const struct vb_node *node)
{
    return vb_tape_new_image(tape, "input", &node->inputs[0].shape, node->inputs[0].dtype);
}

/* [K] as [K,1,1], which an image broadcasts. */
static struct vb_variable per_channel(struct vb_variable x)
{
    return vb_with_axis(vb_with_axis(vb_flat(x), 1), 1);
}

/* Source: torch-memory.md, part A, 4.2: grad_input, its workspace, grad_weight, its workspace,
 * grad_bias; arguments with gaps are copied first (part B, 9). */
static void conv_backward(struct vb_tape *tape, const struct vb_node *node,
                          const struct vb_variable *outputs, struct vb_variable *inputs)
{
    const struct conv_detail *detail = node->detail;
    const struct vb_variable *weight = &node->inputs[1];
    struct vb_variable y = in_order(tape, outputs[0]);
    struct vb_variable x = in_order(tape, node->saved[0]);

    if (vb_needs(node, 0)) {
        inputs[0] = new_input(tape, node);
        run_conv(tape, VB_OP_CONV_BACKWARD_DATA, &inputs[0], weight, &detail->conv, &y);
    }
    if (vb_needs(node, 1)) {
        inputs[1] = vb_parameter_gradient(tape, weight);
        run_conv(tape, VB_OP_CONV_BACKWARD_FILTER, &x, &inputs[1], &detail->conv, &y);
    }
    if (node->n_inputs > 2 && vb_needs(node, 2)) {
        inputs[2] = vb_parameter_gradient(tape, &node->inputs[2]);
        struct vb_variable both[] = { y, per_channel(inputs[2]) };
        vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_SUM }, both, 2);
    }
    vb_tape_drop(tape, x);
    vb_tape_drop(tape, y);
}

struct vb_variable vb_conv2d(struct vb_tape *tape, struct vb_variable x, struct vb_variable weight,
                             struct vb_variable bias, const struct vb_conv_shape *conv,
                             const struct vb_shape *out)
{
    enum vb_dtype dtype = tape->autocast ? tape->autocast_dtype : x.dtype;
    struct vb_variable inputs[] = { vb_tape_cast(tape, x, dtype), vb_tape_cast(tape, weight, dtype),
                                    vb_tape_cast(tape, bias, dtype) };
    uint32_t n_inputs = vb_is_defined(&bias) ? 3 : 2;
    struct conv_detail detail = { *conv, *out };

    struct vb_variable dense = in_order(tape, inputs[0]);
    struct vb_variable y = vb_tape_new_image(tape, "output", out, dtype);
    if (tape->program->failed)
        return vb_undefined;
    run_conv(tape, VB_OP_CONV, &dense, &inputs[1], conv, &y);
    if (vb_is_defined(&bias)) {
        struct vb_variable operands[] = { y, per_channel(inputs[2]), y };
        vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_ADD }, operands, 3);
    }
    vb_tape_drop(tape, dense);

    struct vb_node *node = vb_tape_node(tape, conv_backward, inputs, n_inputs, 1);
    vb_tape_save(tape, node, inputs[0]);
    vb_tape_save(tape, node, inputs[1]);
    if (node != NULL)
        node->detail = vb_tape_keep(tape, &detail, sizeof detail);
    vb_tape_output(tape, node, 0, &y);
    for (uint32_t i = 0; i < 3; i++)
        vb_tape_drop(tape, inputs[i]);
    return y;
}

static void batch_norm_backward(struct vb_tape *tape, const struct vb_node *node,
                                const struct vb_variable *outputs, struct vb_variable *inputs)
{
    inputs[0] = new_input(tape, node);
    inputs[1] = vb_parameter_gradient(tape, &node->inputs[1]);
    inputs[2] = vb_parameter_gradient(tape, &node->inputs[2]);
    struct vb_variable all[] = { outputs[0],     node->saved[0], node->inputs[1], node->saved[1],
                                 node->saved[2], inputs[0],      inputs[1],       inputs[2] };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_BATCH_NORM_BACKWARD }, all, 8);
    if (!vb_needs(node, 0))
        vb_tape_assign(tape, &inputs[0], vb_undefined);
}

struct vb_variable vb_batch_norm(struct vb_tape *tape, struct vb_variable x,
                                 const struct vb_norm *norm)
{
    if (tape->is_fused)
        return vb_tape_hold(tape, x);
    struct vb_variable y = vb_tape_new_image(tape, "output", &x.shape, x.dtype);
    if (tape->is_eval) {
        struct vb_variable all[] = { x, norm->weight, norm->bias, norm->mean, norm->variance, y };
        vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_BATCH_NORM_EVAL, .b = norm->epsilon },
                      all, 6);
        return y;
    }
    struct vb_variable mean = vb_tape_new(tape, "mean", &norm->weight.shape, VB_FLOAT32);
    struct vb_variable deviation = vb_tape_new(tape, "invstd", &norm->weight.shape, VB_FLOAT32);
    struct vb_variable all[] = { x,    norm->weight, norm->bias, norm->mean, norm->variance,
                                 mean, deviation,    y };
    const struct vb_call call = { .op = VB_OP_BATCH_NORM, .a = norm->momentum, .b = norm->epsilon };
    vb_tape_apply(tape, &call, all, 8);

    struct vb_variable inputs[] = { x, norm->weight, norm->bias };
    struct vb_node *node = vb_tape_node(tape, batch_norm_backward, inputs, 3, 1);
    vb_tape_save(tape, node, x);
    vb_tape_save(tape, node, mean);
    vb_tape_save(tape, node, deviation);
    vb_tape_output(tape, node, 0, &y);
    vb_tape_drop(tape, mean);
    vb_tape_drop(tape, deviation);
    return y;
}

static void silu_backward(struct vb_tape *tape, const struct vb_node *node,
                          const struct vb_variable *outputs, struct vb_variable *inputs)
{
    inputs[0] = new_input(tape, node);
    struct vb_variable all[] = { outputs[0], node->saved[0], inputs[0] };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_SILU_BACKWARD }, all, 3);
}

struct vb_variable vb_silu_in_place(struct vb_tape *tape, struct vb_variable x)
{
    struct vb_node *node = vb_tape_node(tape, silu_backward, &x, 1, 1);
    struct vb_variable y = vb_tape_hold(tape, x);
    if (node != NULL) {
        struct vb_variable before = vb_tape_new_like(tape, "clone", x, x.dtype);
        copy(tape, x, before);
        vb_tape_save(tape, node, before);
        vb_tape_drop(tape, before);
    }
    struct vb_variable both[] = { x, y };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_SILU }, both, 2);
    vb_tape_output(tape, node, 0, &y);
    return y;
}

/* grad_input is there before the copy that makes a slice of a concatenation's gradient contiguous.
 */
static void max_pool_backward(struct vb_tape *tape, const struct vb_node *node,
                              const struct vb_variable *outputs, struct vb_variable *inputs)
{
    inputs[0] = new_input(tape, node);
    struct vb_variable dense = in_order(tape, outputs[0]);
    struct vb_variable all[] = { dense, node->saved[1], inputs[0] };
    const struct vb_call call = { .op = VB_OP_MAX_POOL_BACKWARD, .window = node->detail };
    vb_tape_apply(tape, &call, all, 3);
    vb_tape_drop(tape, dense);
}

struct vb_variable vb_max_pool2d(struct vb_tape *tape, struct vb_variable x,
                                 const struct vb_window *window, const struct vb_shape *out)
{
    struct vb_variable y = vb_tape_new_image(tape, "output", out, x.dtype);
    struct vb_variable indices = vb_tape_new_image(tape, "indices", out, VB_INT64);
    struct vb_variable all[] = { x, y, indices };
    const struct vb_call_window of = { .n = x.shape.dims[0],
                                       .c = x.shape.dims[1],
                                       .h = x.shape.dims[2],
                                       .w = x.shape.dims[3],
                                       .k = x.shape.dims[1],
                                       .window = *window,
                                       .groups = x.shape.dims[1] };
    const struct vb_call call = {
        .op = VB_OP_MAX_POOL,
        .window = vb_tape_keep(tape, &of, sizeof of),
        .flops = (double)vb_shape_elements(out) * window->kernel_h * window->kernel_w,
    };
    vb_tape_apply(tape, &call, all, 3);

    struct vb_node *node = vb_tape_node(tape, max_pool_backward, &x, 1, 1);
    if (node != NULL)
        node->detail = call.window;
    vb_tape_save(tape, node, x);
    vb_tape_save(tape, node, indices);
    vb_tape_output(tape, node, 0, &y);
    vb_tape_drop(tape, indices);
    return y;
}

static void upsample_backward(struct vb_tape *tape, const struct vb_node *node,
                              const struct vb_variable *outputs, struct vb_variable *inputs)
{
    inputs[0] = new_input(tape, node);
    struct vb_variable dense = in_order(tape, outputs[0]);
    struct vb_variable both[] = { dense, inputs[0] };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_UPSAMPLE_BACKWARD }, both, 2);
    vb_tape_drop(tape, dense);
}

/* The CPU's kernel looks the source pixel of each row and column up in tables of its own: an int64
 * index and a weight for each. */
static void cpu_index_tables(struct vb_tape *tape, const struct vb_shape *out, enum vb_dtype dtype)
{
    struct vb_variable tables[4];
    for (uint32_t i = 0; i < 2; i++) {
        struct vb_shape length = VB_SHAPE(out->dims[2 + i]);
        tables[2 * i] = vb_tape_new(tape, "indices", &length, VB_INT64);
        struct vb_shape half = VB_SHAPE(out->dims[2 + i]);
        tables[2 * i + 1] = vb_tape_new(tape, "weights", &half, dtype);
    }
    for (uint32_t i = 0; i < 4; i++)
        vb_tape_drop(tape, tables[i]);
}

struct vb_variable vb_upsample(struct vb_tape *tape, struct vb_variable x,
                               const struct vb_shape *out)
{
    enum vb_dtype dtype = tape->autocast && tape->torch->upsample_fp32 ? VB_FLOAT32 : x.dtype;
    struct vb_variable input = vb_tape_cast(tape, x, dtype);
    struct vb_variable y = vb_tape_new_image(tape, "output", out, dtype);
    if (tape->torch->cpu_kernels)
        cpu_index_tables(tape, out, dtype);
    struct vb_variable both[] = { input, y };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_UPSAMPLE }, both, 2);
    vb_tape_output(tape, vb_tape_node(tape, upsample_backward, &input, 1, 1), 0, &y);
    vb_tape_drop(tape, input);
    return y;
}

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
        copy(tape, inputs[i], vb_stretch_of(y, axis, start, inputs[i].shape.dims[axis]));
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
        pieces[i] =
            vb_is_defined(&outputs[i])
                ? vb_tape_hold(tape, outputs[i])
                : vb_make(tape, &(struct vb_call){ .op = VB_OP_FILL }, &shape, x->dtype, NULL, 0);
    }
    inputs[0] = vb_tape_new_image(tape, "input", &x->shape, x->dtype);
    for (uint32_t i = 0, start = 0; i < node->n_outputs; start += sizes[1 + i++])
        copy(tape, pieces[i], vb_stretch_of(inputs[0], sizes[0], start, sizes[1 + i]));
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
        inputs[0] = vb_tape_new_image(tape, "contiguous", &x->shape, outputs[0].dtype);
        copy(tape, outputs[0], reshaped(inputs[0], &outputs[0].shape));
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
    inputs[0] = new_input(tape, node);
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_FILL }, inputs, 1);
    copy(tape, outputs[0], quarter_of(inputs[0], (uint32_t)node->a, &outputs[0].shape));
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

static void clone_backward(struct vb_tape *tape, const struct vb_node *node,
                           const struct vb_variable *outputs, struct vb_variable *inputs)
{
    (void)node;
    inputs[0] = vb_tape_hold(tape, outputs[0]);
}

struct vb_variable vb_contiguous(struct vb_tape *tape, struct vb_variable x)
{
    struct vb_variable y = in_order(tape, x);
    if (!x.is_ordered)
        vb_tape_output(tape, vb_tape_node(tape, clone_backward, &x, 1, 1), 0, &y);
    return y;
}
