/* SPDX-License-Identifier: Apache-2.0 */
/* The operators of math.h that work on rows: what v8's loss adds. */

#include "step/math.h"
#include "step/view.h"

struct vb_variable vb_fresh(struct vb_tape *tape, const char *what, enum vb_dtype dtype,
                            struct vb_shape shape)
{
    struct vb_variable y = vb_tape_new(tape, what, &shape, dtype);
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_PLANNED }, &y, 1);
    return y;
}

void vb_passing(struct vb_tape *tape, const char *what, enum vb_dtype dtype, struct vb_shape shape)
{
    vb_tape_drop(tape, vb_fresh(tape, what, dtype, shape));
}

void vb_cpu_number(struct vb_tape *tape, enum vb_dtype dtype)
{
    if (!tape->torch->cpu_kernels)
        return;
    struct vb_variable number = vb_fresh(tape, "number", VB_INT64, (struct vb_shape){ 0 });
    vb_passing(tape, "number", dtype, (struct vb_shape){ 0 });
    vb_done(tape, number);
}

struct vb_variable vb_count(struct vb_tape *tape, struct vb_variable mask)
{
    struct vb_variable y =
        vb_make(tape, &(struct vb_call){ .op = VB_OP_SUM }, &VB_SCALAR, VB_INT64, &mask, 1);
    if (tape->torch->cpu_kernels)
        vb_passing(tape, "copy", VB_INT64, mask.shape);
    return y;
}

/* The gradient of the node's input, of one or two inputs. */
static struct vb_variable gradient(struct vb_tape *tape, const struct vb_call *call,
                                   const struct vb_node *node, struct vb_variable first,
                                   struct vb_variable second)
{
    struct vb_variable from[] = { first, second };
    return vb_make(tape, call, &node->inputs[0].shape, node->inputs[0].dtype, from,
                   vb_is_defined(&second) ? 2 : 1);
}

static struct vb_variable places_of(struct vb_tape *tape, struct vb_variable mask, uint32_t n)
{
    return vb_make(tape, &(struct vb_call){ .op = VB_OP_NONZERO_FILL },
                   &VB_SHAPE(n, mask.shape.n_dims), VB_INT64, &mask, 1);
}

/* Zeros, then the mask's places once more, and the rows' gradients in them. */
static void mask_backward(struct vb_tape *tape, const struct vb_node *node,
                          const struct vb_variable *outputs, struct vb_variable *inputs)
{
    struct vb_variable operands[VB_MAX_OPERANDS] = { outputs[0] };
    inputs[0] = vb_make(tape, &(struct vb_call){ .op = VB_OP_FILL }, &node->inputs[0].shape,
                        node->inputs[0].dtype, NULL, 0);
    struct vb_variable places = places_of(tape, node->saved[0], outputs[0].shape.dims[0]);
    uint32_t n = vb_columns(places, operands + 1);
    operands[1 + n] = inputs[0];
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_INDEX_PUT }, operands, n + 2);
    vb_done(tape, places);
}

struct vb_variable vb_mask_rows(struct vb_tape *tape, struct vb_variable x, struct vb_variable mask,
                                uint32_t n_true, const struct vb_shape *out)
{
    struct vb_variable from[VB_MAX_OPERANDS] = { x };
    struct vb_variable places = places_of(tape, mask, n_true);
    uint32_t n = vb_columns(places, from + 1);
    struct vb_variable y =
        vb_make(tape, &(struct vb_call){ .op = VB_OP_INDEX }, out, x.dtype, from, n + 1);
    struct vb_node *node = vb_tape_node(tape, mask_backward, &x, 1, 1);
    vb_tape_save(tape, node, mask);
    vb_tape_output(tape, node, 0, &y);
    vb_done(tape, places);
    return y;
}

/* The copy's gradient, in the type that it was copied from. */
static void retype_backward(struct vb_tape *tape, const struct vb_node *node,
                            const struct vb_variable *outputs, struct vb_variable *inputs)
{
    inputs[0] =
        gradient(tape, &(struct vb_call){ .op = VB_OP_COPY }, node, outputs[0], vb_undefined);
}

/* What softmax in fp32 reads. CUDA's kernel takes fp16 as it is and gives such a gradient; any
 * other type is cast first (PyTorch's aten/src/ATen/native/SoftMax.cpp, softmax). The recordings
 * leave a CPU's copy out, autograd's node for it they have. */
static struct vb_variable softmax_input(struct vb_tape *tape, struct vb_variable x)
{
    if (x.dtype == VB_FLOAT16 && !tape->torch->cpu_kernels)
        return vb_tape_hold(tape, x);
    if (x.dtype == VB_FLOAT32 || !tape->torch->cpu_kernels)
        return vb_tape_cast(tape, x, VB_FLOAT32);
    struct vb_variable y = vb_tape_hold(tape, x);
    y.dtype = VB_FLOAT32;
    vb_tape_output(tape, vb_tape_node(tape, retype_backward, &x, 1, 1), 0, &y);
    return y;
}

/* The kernel reads the gradient in the order of its axes. CUDA's is given gradient x result, which
 * lies as the gradient does, in a tensor of its own (PyTorch's
 * aten/src/ATen/native/cuda/SoftMax.cu, softmax_backward_cuda_out, 1.8 to 2.4); ours takes both
 * factors, so the product is only made. */
static void softmax_backward(struct vb_tape *tape, const struct vb_node *node,
                             const struct vb_variable *outputs, struct vb_variable *inputs)
{
    struct vb_variable y = node->saved[0], product = vb_undefined;
    struct vb_variable dense = vb_tape_hold(tape, outputs[0]);
    if (!tape->torch->cpu_kernels)
        product = vb_make_of(tape, VB_OP_MUL, 0, &outputs[0], outputs[0], y);
    if (!dense.is_ordered)
        vb_tape_assign(tape, &dense,
                       vb_make(tape, &(struct vb_call){ .op = VB_OP_COPY }, &y.shape, dense.dtype,
                               &outputs[0], 1));
    inputs[0] = gradient(tape, &(struct vb_call){ .op = VB_OP_SOFTMAX_BACKWARD }, node, dense, y);
    vb_tape_drop(tape, dense);
    vb_tape_drop(tape, product);
}

static void log_softmax_backward(struct vb_tape *tape, const struct vb_node *node,
                                 const struct vb_variable *outputs, struct vb_variable *inputs)
{
    inputs[0] = gradient(tape, &(struct vb_call){ .op = VB_OP_LOG_SOFTMAX_BACKWARD }, node,
                         outputs[0], node->saved[0]);
}

struct vb_variable vb_softmax(struct vb_tape *tape, struct vb_variable x)
{
    bool in_fp32 = tape->autocast ? !tape->torch->cpu_autocast : x.dtype == VB_FLOAT32;
    struct vb_variable input = in_fp32 ? softmax_input(tape, x) : vb_tape_hold(tape, x);
    struct vb_variable y = vb_make(tape, &(struct vb_call){ .op = VB_OP_SOFTMAX }, &x.shape,
                                   in_fp32 ? VB_FLOAT32 : x.dtype, &input, 1);
    struct vb_node *node = vb_tape_node(tape, softmax_backward, &input, 1, 1);
    vb_tape_save(tape, node, y);
    vb_tape_output(tape, node, 0, &y);
    vb_tape_drop(tape, input);
    return y;
}

/* Cross entropy casts its argument itself, and forgets the copy: only the result is kept. */
struct vb_variable vb_log_softmax(struct vb_tape *tape, struct vb_variable x)
{
    struct vb_variable input = vb_tape_cast(tape, x, VB_FLOAT32);
    struct vb_variable y = vb_make(tape, &(struct vb_call){ .op = VB_OP_LOG_SOFTMAX }, &x.shape,
                                   VB_FLOAT32, &input, 1);
    struct vb_node *node = vb_tape_node(tape, log_softmax_backward, &input, 1, 1);
    vb_tape_save(tape, node, y);
    vb_tape_output(tape, node, 0, &y);
    vb_tape_drop(tape, input);
    return y;
}

/* The outer product of the gradient and the vector. */
static void matvec_backward(struct vb_tape *tape, const struct vb_node *node,
                            const struct vb_variable *outputs, struct vb_variable *inputs)
{
    inputs[0] = gradient(tape, &(struct vb_call){ .op = VB_OP_MUL }, node,
                         vb_with_axis(outputs[0], outputs[0].shape.n_dims), node->saved[0]);
}

struct vb_variable vb_matvec(struct vb_tape *tape, struct vb_variable x, struct vb_variable vector)
{
    vb_make_cublas_workspace(tape);
    enum vb_dtype dtype = tape->autocast ? tape->autocast_dtype : x.dtype;
    struct vb_variable from[] = { vb_tape_cast(tape, x, dtype), vb_tape_cast(tape, vector, dtype) };
    struct vb_shape shape = x.shape;
    shape.n_dims--;
    struct vb_variable y =
        vb_make(tape, &(struct vb_call){ .op = VB_OP_MATVEC }, &shape, dtype, from, 2);
    struct vb_node *node = vb_tape_node(tape, matvec_backward, &from[0], 1, 1);
    vb_tape_save(tape, node, from[1]);
    vb_tape_output(tape, node, 0, &y);
    vb_tape_drop(tape, from[0]);
    vb_tape_drop(tape, from[1]);
    return y;
}

static void nll_backward(struct vb_tape *tape, const struct vb_node *node,
                         const struct vb_variable *outputs, struct vb_variable *inputs)
{
    inputs[0] = gradient(tape, &(struct vb_call){ .op = VB_OP_NLL_BACKWARD }, node, outputs[0],
                         node->saved[1]);
}

struct vb_variable vb_nll(struct vb_tape *tape, struct vb_variable x, struct vb_variable target)
{
    struct vb_variable from[] = { x, target };
    struct vb_variable y = vb_make(tape, &(struct vb_call){ .op = VB_OP_NLL },
                                   &VB_SHAPE(x.shape.dims[0]), VB_FLOAT32, from, 2);
    struct vb_variable weight =
        vb_make(tape, &(struct vb_call){ .op = VB_OP_FILL, .a = x.shape.dims[0] }, &VB_SCALAR,
                VB_FLOAT32, NULL, 0);
    struct vb_node *node = vb_tape_node(tape, nll_backward, &x, 1, 1);
    vb_tape_save(tape, node, x);
    vb_tape_save(tape, node, target);
    vb_tape_save(tape, node, weight);
    vb_tape_output(tape, node, 0, &y);
    vb_tape_drop(tape, weight);
    return y;
}

static void row_mean_backward(struct vb_tape *tape, const struct vb_node *node,
                              const struct vb_variable *outputs, struct vb_variable *inputs)
{
    const struct vb_call call = { .op = VB_OP_MUL_NUMBER,
                                  .a = 1.0 / node->inputs[0].shape.dims[1] };
    inputs[0] = gradient(tape, &call, node, outputs[0], vb_undefined);
}

struct vb_variable vb_row_mean(struct vb_tape *tape, struct vb_variable x)
{
    struct vb_variable y = vb_make(tape, &(struct vb_call){ .op = VB_OP_MEAN },
                                   &VB_SHAPE(x.shape.dims[0], 1), x.dtype, &x, 1);
    struct vb_node *node = vb_tape_node(tape, row_mean_backward, &x, 1, 1);
    vb_tape_save(tape, node, x);
    vb_tape_output(tape, node, 0, &y);
    return y;
}
