/* SPDX-License-Identifier: Apache-2.0 */
#include "step/layers.h"

#include <assert.h>
#include <string.h>

/* What a convolution's node must know beside the shapes of its inputs. */
struct conv_detail {
    struct vb_conv_shape conv;
    struct vb_shape out;
};

static const void *keep(struct vb_tape *tape, const void *detail, size_t bytes)
{
    void *kept = vb_arena_alloc(tape->program->arena, 1, bytes);
    if (kept == NULL)
        tape->program->failed = true;
    else
        memcpy(kept, detail, bytes);
    return kept;
}

static uint64_t bytes_of(const struct vb_variable *variable)
{
    return vb_shape_elements(&variable->shape) * vb_dtype_bytes[variable->dtype];
}

/* A copy in the order of the axes that autograd knows nothing of; x itself, held once more, where
 * it is in order already. */
static struct vb_variable in_order(struct vb_tape *tape, struct vb_variable x)
{
    if (!vb_is_defined(&x) || x.is_ordered)
        return vb_tape_hold(tape, x);

    struct vb_variable y = vb_tape_new(tape, "contiguous", &x.shape, x.dtype);
    struct vb_variable both[] = { x, y };
    vb_tape_run(tape, "copy", 0, both, 2);
    return y;
}

static void run_conv(struct vb_tape *tape, enum vb_call_direction direction,
                     const struct vb_variable *x, const struct vb_variable *weight,
                     const struct vb_conv_shape *conv, const struct vb_variable *y)
{
    static const char *const names[] = { "conv2d", "conv2d_backward_data",
                                         "conv2d_backward_filter" };
    struct vb_call call = {
        .kind = VB_CALL_CONV,
        .name = names[direction],
        .module = tape->module,
        .dtype = x->dtype,
        .bytes = bytes_of(x) + bytes_of(weight) + bytes_of(y),
        .direction = direction,
        .n = x->shape.dims[0],
        .c = x->shape.dims[1],
        .h = x->shape.dims[2],
        .w = x->shape.dims[3],
        .k = weight->shape.dims[0],
        .window = conv->window,
        .groups = conv->groups,
    };
    call.flops = 2.0 * (double)vb_shape_elements(&y->shape) * (double)weight->shape.dims[1] *
                 conv->window.kernel_h * conv->window.kernel_w;
    vb_program_run(tape->program, &call);
}

struct vb_variable vb_parameter_gradient(struct vb_tape *tape, const struct vb_variable *parameter)
{
    enum vb_category category = tape->category;
    const char *what = "weight";
    if (parameter->parameter != VB_NONE)
        tape->category = VB_GRADIENTS;
    struct vb_variable gradient = vb_tape_new(tape, what, &parameter->shape, parameter->dtype);
    tape->category = category;
    return gradient;
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
        inputs[0] = vb_tape_new(tape, "input", &node->inputs[0].shape, node->inputs[0].dtype);
        run_conv(tape, VB_CALL_BACKWARD_DATA, &inputs[0], weight, &detail->conv, &y);
    }
    if (vb_needs(node, 1)) {
        inputs[1] = vb_parameter_gradient(tape, weight);
        run_conv(tape, VB_CALL_BACKWARD_FILTER, &x, &inputs[1], &detail->conv, &y);
    }
    if (node->n_inputs > 2 && vb_needs(node, 2)) {
        inputs[2] = vb_parameter_gradient(tape, &node->inputs[2]);
        struct vb_variable both[] = { y, inputs[2] };
        vb_tape_run(tape, "sum", (double)vb_shape_elements(&y.shape), both, 2);
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
    struct vb_variable y = vb_tape_new(tape, "output", out, dtype);
    if (tape->program->failed)
        return vb_undefined;
    run_conv(tape, VB_CALL_FORWARD, &dense, &inputs[1], conv, &y);
    vb_tape_drop(tape, dense);

    struct vb_node *node = vb_tape_node(tape, conv_backward, inputs, n_inputs, 1);
    vb_tape_save(tape, node, inputs[0]);
    vb_tape_save(tape, node, inputs[1]);
    if (node != NULL)
        node->detail = keep(tape, &detail, sizeof detail);
    vb_tape_output(tape, node, 0, &y);
    for (uint32_t i = 0; i < 3; i++)
        vb_tape_drop(tape, inputs[i]);
    return y;
}

static void batch_norm_backward(struct vb_tape *tape, const struct vb_node *node,
                                const struct vb_variable *outputs, struct vb_variable *inputs)
{
    inputs[0] = vb_tape_new(tape, "input", &node->inputs[0].shape, node->inputs[0].dtype);
    inputs[1] = vb_parameter_gradient(tape, &node->inputs[1]);
    inputs[2] = vb_parameter_gradient(tape, &node->inputs[2]);
    struct vb_variable all[] = { outputs[0], node->saved[0], inputs[0] };
    vb_tape_run(tape, "batch_norm_backward", 8.0 * (double)vb_shape_elements(&all[0].shape), all,
                3);
    if (!vb_needs(node, 0))
        vb_tape_assign(tape, &inputs[0], vb_undefined);
}

struct vb_variable vb_batch_norm(struct vb_tape *tape, struct vb_variable x,
                                 struct vb_variable weight, struct vb_variable bias)
{
    if (tape->is_fused)
        return vb_tape_hold(tape, x);
    struct vb_variable y = vb_tape_new(tape, "output", &x.shape, x.dtype);
    if (tape->is_eval) {
        struct vb_variable pair[] = { x, y };
        vb_tape_run(tape, "batch_norm", 2.0 * (double)vb_shape_elements(&x.shape), pair, 2);
        return y;
    }
    struct vb_variable mean = vb_tape_new(tape, "mean", &weight.shape, VB_FLOAT32);
    struct vb_variable deviation = vb_tape_new(tape, "invstd", &weight.shape, VB_FLOAT32);
    struct vb_variable all[] = { x, x, y };
    vb_tape_run(tape, "batch_norm", 5.0 * (double)vb_shape_elements(&x.shape), all, 3);

    struct vb_variable inputs[] = { x, weight, bias };
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
    inputs[0] = vb_tape_new(tape, "input", &node->inputs[0].shape, node->inputs[0].dtype);
    struct vb_variable all[] = { outputs[0], node->saved[0], inputs[0] };
    vb_tape_run(tape, "silu_backward", 8.0 * (double)vb_shape_elements(&all[0].shape), all, 3);
}

struct vb_variable vb_silu_in_place(struct vb_tape *tape, struct vb_variable x)
{
    struct vb_node *node = vb_tape_node(tape, silu_backward, &x, 1, 1);
    struct vb_variable y = vb_tape_hold(tape, x);
    if (node != NULL) {
        struct vb_variable before = vb_tape_new(tape, "clone", &x.shape, x.dtype);
        struct vb_variable both[] = { x, before };
        vb_tape_run(tape, "copy", 0, both, 2);
        vb_tape_save(tape, node, before);
        vb_tape_drop(tape, before);
    }
    struct vb_variable both[] = { x, y };
    vb_tape_run(tape, "silu_", 4.0 * (double)vb_shape_elements(&x.shape), both, 2);
    vb_tape_output(tape, node, 0, &y);
    return y;
}

/* grad_input is there before the copy that makes a slice of a concatenation's gradient contiguous.
 */
static void max_pool_backward(struct vb_tape *tape, const struct vb_node *node,
                              const struct vb_variable *outputs, struct vb_variable *inputs)
{
    inputs[0] = vb_tape_new(tape, "input", &node->inputs[0].shape, node->inputs[0].dtype);
    struct vb_variable dense = in_order(tape, outputs[0]);
    struct vb_variable all[] = { dense, node->saved[1], inputs[0] };
    vb_tape_run(tape, "max_pool2d_backward", 0, all, 3);
    vb_tape_drop(tape, dense);
}

struct vb_variable vb_max_pool2d(struct vb_tape *tape, struct vb_variable x,
                                 const struct vb_window *window, const struct vb_shape *out)
{
    struct vb_variable y = vb_tape_new(tape, "output", out, x.dtype);
    struct vb_variable indices = vb_tape_new(tape, "indices", out, VB_INT64);
    struct vb_variable all[] = { x, y, indices };
    vb_tape_run(tape, "max_pool2d",
                (double)vb_shape_elements(out) * window->kernel_h * window->kernel_w, all, 3);

    struct vb_node *node = vb_tape_node(tape, max_pool_backward, &x, 1, 1);
    vb_tape_save(tape, node, x);
    vb_tape_save(tape, node, indices);
    vb_tape_output(tape, node, 0, &y);
    vb_tape_drop(tape, indices);
    return y;
}

static void upsample_backward(struct vb_tape *tape, const struct vb_node *node,
                              const struct vb_variable *outputs, struct vb_variable *inputs)
{
    inputs[0] = vb_tape_new(tape, "input", &node->inputs[0].shape, node->inputs[0].dtype);
    struct vb_variable dense = in_order(tape, outputs[0]);
    struct vb_variable both[] = { dense, inputs[0] };
    vb_tape_run(tape, "upsample_nearest2d_backward", (double)vb_shape_elements(&dense.shape), both,
                2);
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
    struct vb_variable y = vb_tape_new(tape, "output", out, dtype);
    if (tape->torch->cpu_kernels)
        cpu_index_tables(tape, out, dtype);
    struct vb_variable both[] = { input, y };
    vb_tape_run(tape, "upsample_nearest2d", 0, both, 2);
    vb_tape_output(tape, vb_tape_node(tape, upsample_backward, &input, 1, 1), 0, &y);
    vb_tape_drop(tape, input);
    return y;
}

/* A stretch of `size` along `axis` of `whole`. It has gaps unless every axis before `axis` is 1. */
static struct vb_variable slice(struct vb_variable whole, uint32_t axis, uint32_t size)
{
    struct vb_variable view = whole;
    view.shape.dims[axis] = size;
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
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        const struct vb_variable *input = &node->inputs[i];
        if (!vb_needs(node, i))
            continue;
        struct vb_variable view = slice(outputs[0], *axis, input->shape.dims[*axis]);
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

    struct vb_variable y = vb_tape_new(tape, "output", &shape, dtype);
    for (uint32_t i = 0; i < n; i++) {
        struct vb_variable both[] = { inputs[i], inputs[i] };
        vb_tape_run(tape, "cat", 0, both, 2);
    }
    cpu_piece_copies(tape, inputs, n, dtype);
    struct vb_node *node = vb_tape_node(tape, concat_backward, inputs, n, 1);
    if (node != NULL)
        node->detail = keep(tape, &axis, sizeof axis);
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
    struct vb_variable zeros[VB_MAX_GRADIENTS];
    uint32_t n_zeros = 0;
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        struct vb_shape shape = x->shape;
        shape.dims[sizes[0]] = sizes[1 + i];
        if (!vb_is_defined(&outputs[i]))
            zeros[n_zeros++] = vb_tape_new(tape, "zeros", &shape, x->dtype);
    }
    inputs[0] = vb_tape_new(tape, "input", &x->shape, x->dtype);
    struct vb_variable both[] = { inputs[0], inputs[0] };
    vb_tape_run(tape, "cat", 0, both, 2);
    for (uint32_t i = 0; i < n_zeros; i++)
        vb_tape_drop(tape, zeros[i]);
}

void vb_split(struct vb_tape *tape, struct vb_variable x, uint32_t axis, const uint32_t *sizes,
              uint32_t n, struct vb_variable *views)
{
    uint32_t detail[1 + VB_MAX_GRADIENTS] = { axis };
    assert(n <= VB_MAX_GRADIENTS);
    memcpy(detail + 1, sizes, n * sizeof *sizes);

    struct vb_node *node = vb_tape_node(tape, split_backward, &x, 1, n);
    if (node != NULL)
        node->detail = keep(tape, detail, (1 + n) * sizeof *detail);
    for (uint32_t i = 0; i < n; i++) {
        views[i] = vb_tape_hold(tape, slice(x, axis, sizes[i]));
        vb_tape_output(tape, node, i, &views[i]);
    }
}

/* A view's gradient in the first shape: another view, unless it lies in another order: then a copy.
 * Gaps are no hindrance: they lie between the stretches of a concatenation's last axis, which the
 * first shape splits. */
static void view_backward(struct vb_tape *tape, const struct vb_node *node,
                          const struct vb_variable *outputs, struct vb_variable *inputs)
{
    bool has_gaps = !outputs[0].is_dense;
    inputs[0] = has_gaps ? vb_tape_hold(tape, outputs[0]) : in_order(tape, outputs[0]);
    inputs[0].shape = node->inputs[0].shape;
}

struct vb_variable vb_view(struct vb_tape *tape, struct vb_variable x, const struct vb_shape *out)
{
    struct vb_variable y = vb_tape_hold(tape, x);
    y.shape = *out;
    vb_tape_output(tape, vb_tape_node(tape, view_backward, &x, 1, 1), 0, &y);
    return y;
}

/* The gradient with its axes put back: the same storage, and no longer in order. */
static void permute_backward(struct vb_tape *tape, const struct vb_node *node,
                             const struct vb_variable *outputs, struct vb_variable *inputs)
{
    inputs[0] = vb_tape_hold(tape, outputs[0]);
    inputs[0].shape = node->inputs[0].shape;
    inputs[0].is_ordered = false;
}

struct vb_variable vb_permute(struct vb_tape *tape, struct vb_variable x, const uint32_t *order)
{
    struct vb_variable y = vb_tape_hold(tape, x);
    for (uint32_t i = 0; i < x.shape.n_dims; i++)
        y.shape.dims[i] = x.shape.dims[order[i]];
    y.is_ordered = false;
    vb_tape_output(tape, vb_tape_node(tape, permute_backward, &x, 1, 1), 0, &y);
    return y;
}

/* Zeros of x's size with the gradient in every second pixel. */
static void every_second_backward(struct vb_tape *tape, const struct vb_node *node,
                                  const struct vb_variable *outputs, struct vb_variable *inputs)
{
    inputs[0] = vb_tape_new(tape, "input", &node->inputs[0].shape, node->inputs[0].dtype);
    struct vb_variable both[] = { outputs[0], inputs[0] };
    vb_tape_run(tape, "slice_backward", 0, both, 2);
}

struct vb_variable vb_every_second(struct vb_tape *tape, struct vb_variable x,
                                   const struct vb_shape *out)
{
    struct vb_variable y = vb_tape_hold(tape, x);
    y.shape = *out;
    y.is_dense = y.is_ordered = false;
    vb_tape_output(tape, vb_tape_node(tape, every_second_backward, &x, 1, 1), 0, &y);
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
