/* SPDX-License-Identifier: Apache-2.0 */
#include "step/layers.h"

#include "step/math.h"
#include "step/view.h"

struct vb_variable vb_in_order(struct vb_tape *tape, struct vb_variable x)
{
    if (!vb_is_defined(&x) || x.is_ordered)
        return vb_tape_hold(tape, x);

    struct vb_variable y = vb_tape_new_image(tape, "contiguous", &x.shape, x.dtype);
    vb_tape_copy(tape, x, y);
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
    if (parameter->parameter != VB_NONE && parameter->requires_grad)
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

static struct vb_variable bias_gradient(struct vb_tape *tape, const struct vb_node *node,
                                        struct vb_variable y)
{
    struct vb_variable gradient = vb_parameter_gradient(tape, &node->inputs[2]);
    struct vb_variable both[] = { y, per_channel(gradient) };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_SUM }, both, 2);
    return gradient;
}

/* A convolution's node, of either direction: keeps what its backward needs, gives y, and lets go of
 * the three casts. */
static void record_conv(struct vb_tape *tape, struct vb_node *node,
                        const struct vb_conv_shape *conv, const struct vb_variable *inputs,
                        struct vb_variable *y)
{
    vb_tape_save(tape, node, inputs[0]);
    vb_tape_save(tape, node, inputs[1]);
    if (node != NULL)
        node->detail = vb_tape_keep(tape, conv, sizeof *conv);
    vb_tape_output(tape, node, 0, y);
    for (uint32_t i = 0; i < 3; i++)
        vb_tape_drop(tape, inputs[i]);
}

/* Source: torch-memory.md, part A, 4.2: grad_input, its workspace, grad_weight, its workspace,
 * grad_bias; arguments with gaps are copied first (part B, 9). */
static void conv_backward(struct vb_tape *tape, const struct vb_node *node,
                          const struct vb_variable *outputs, struct vb_variable *inputs)
{
    const struct vb_conv_shape *conv = node->detail;
    const struct vb_variable *weight = &node->inputs[1];
    struct vb_variable y = vb_in_order(tape, outputs[0]);
    struct vb_variable x = vb_in_order(tape, node->saved[0]);

    if (vb_needs(node, 0)) {
        inputs[0] = new_input(tape, node);
        run_conv(tape, VB_OP_CONV_BACKWARD_DATA, &inputs[0], weight, conv, &y);
    }
    if (vb_needs(node, 1)) {
        inputs[1] = vb_parameter_gradient(tape, weight);
        run_conv(tape, VB_OP_CONV_BACKWARD_FILTER, &x, &inputs[1], conv, &y);
    }
    if (node->n_inputs > 2 && vb_needs(node, 2))
        inputs[2] = bias_gradient(tape, node, y);
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

    struct vb_variable dense = vb_in_order(tape, inputs[0]);
    struct vb_variable y = vb_tape_new_image(tape, "output", out, dtype);
    if (tape->program->failed)
        return vb_undefined;
    run_conv(tape, VB_OP_CONV, &dense, &inputs[1], conv, &y);
    if (vb_is_defined(&bias)) {
        struct vb_variable operands[] = { y, per_channel(inputs[2]), y };
        vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_ADD }, operands, 3);
    }
    vb_tape_drop(tape, dense);

    record_conv(tape, vb_tape_node(tape, conv_backward, inputs, n_inputs, 1), conv, inputs, &y);
    return y;
}

/* The same order as a convolution's: grad_input, grad_weight, grad_bias. */
static void transpose_backward(struct vb_tape *tape, const struct vb_node *node,
                               const struct vb_variable *outputs, struct vb_variable *inputs)
{
    const struct vb_conv_shape *conv = node->detail;
    const struct vb_variable *weight = &node->inputs[1];
    struct vb_variable y = vb_in_order(tape, outputs[0]);
    struct vb_variable x = vb_in_order(tape, node->saved[0]);

    if (vb_needs(node, 0)) {
        inputs[0] = new_input(tape, node);
        run_conv(tape, VB_OP_CONV, &y, weight, conv, &inputs[0]);
    }
    if (vb_needs(node, 1)) {
        inputs[1] = vb_parameter_gradient(tape, weight);
        run_conv(tape, VB_OP_CONV_BACKWARD_FILTER, &y, &inputs[1], conv, &x);
    }
    if (vb_needs(node, 2))
        inputs[2] = bias_gradient(tape, node, y);
    vb_tape_drop(tape, x);
    vb_tape_drop(tape, y);
}

struct vb_variable vb_conv_transpose2d(struct vb_tape *tape, struct vb_variable x,
                                       struct vb_variable weight, struct vb_variable bias,
                                       const struct vb_conv_shape *conv, const struct vb_shape *out)
{
    enum vb_dtype dtype = tape->autocast ? tape->autocast_dtype : x.dtype;
    struct vb_variable inputs[] = { vb_tape_cast(tape, x, dtype), vb_tape_cast(tape, weight, dtype),
                                    vb_tape_cast(tape, bias, dtype) };
    struct vb_variable dense = vb_in_order(tape, inputs[0]);
    struct vb_variable y = vb_tape_new_image(tape, "output", out, dtype);
    if (tape->program->failed)
        return vb_undefined;
    run_conv(tape, VB_OP_CONV_BACKWARD_DATA, &y, &inputs[1], conv, &dense);
    struct vb_variable sum[] = { y, per_channel(inputs[2]), y };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_ADD }, sum, 3);
    vb_tape_drop(tape, dense);

    record_conv(tape, vb_tape_node(tape, transpose_backward, inputs, 3, 1), conv, inputs, &y);
    return y;
}

static void batch_norm_backward(struct vb_tape *tape, const struct vb_node *node,
                                const struct vb_variable *outputs, struct vb_variable *inputs)
{
    struct vb_variable y = vb_in_order(tape, outputs[0]);
    inputs[0] = new_input(tape, node);
    inputs[1] = vb_parameter_gradient(tape, &node->inputs[1]);
    inputs[2] = vb_parameter_gradient(tape, &node->inputs[2]);
    struct vb_variable all[] = {
        y,         node->saved[0], node->inputs[1], node->saved[1], node->saved[2],
        inputs[0], inputs[1],      inputs[2]
    };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_BATCH_NORM_BACKWARD }, all, 8);
    vb_tape_drop(tape, y);
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
    if (tape->parts != NULL) { /* a replica's live no longer than their nodes */
        vb_tape_save(tape, node, norm->weight);
        vb_tape_save(tape, node, norm->mean);
        vb_tape_save(tape, node, norm->variance);
    }
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
        vb_tape_copy(tape, x, before);
        vb_tape_save(tape, node, before);
        vb_tape_drop(tape, before);
    }
    struct vb_variable both[] = { x, y };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_SILU }, both, 2);
    vb_tape_output(tape, node, 0, &y);
    return y;
}

/* grad_input is there before the copies that make x and a slice of a concatenation's gradient
 * contiguous. */
static void max_pool_backward(struct vb_tape *tape, const struct vb_node *node,
                              const struct vb_variable *outputs, struct vb_variable *inputs)
{
    inputs[0] = new_input(tape, node);
    struct vb_variable x = vb_in_order(tape, node->saved[0]);
    struct vb_variable dense = vb_in_order(tape, outputs[0]);
    struct vb_variable all[] = { dense, node->saved[1], inputs[0] };
    const struct vb_call call = { .op = VB_OP_MAX_POOL_BACKWARD, .window = node->detail };
    vb_tape_apply(tape, &call, all, 3);
    vb_tape_drop(tape, dense);
    vb_tape_drop(tape, x);
}

struct vb_variable vb_max_pool2d(struct vb_tape *tape, struct vb_variable x,
                                 const struct vb_window *window, const struct vb_shape *out)
{
    struct vb_variable y = vb_tape_new_image(tape, "output", out, x.dtype);
    struct vb_variable indices = vb_tape_new_image(tape, "indices", out, VB_INT64);
    struct vb_variable dense = vb_in_order(tape, x);
    struct vb_variable all[] = { dense, y, indices };
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
    vb_tape_drop(tape, dense);

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
    struct vb_variable dense = vb_in_order(tape, outputs[0]);
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
