/* SPDX-License-Identifier: Apache-2.0 */
/* The operators of math.h that work on rows: what v8's loss adds. */

#include "step/math.h"

static struct vb_variable kernel(struct vb_tape *tape, const char *name,
                                 const struct vb_shape *shape, enum vb_dtype dtype,
                                 struct vb_variable from)
{
    struct vb_variable y = vb_tape_new(tape, name, shape, dtype);
    struct vb_variable both[] = { from, y };
    vb_tape_run(tape, name, (double)vb_shape_elements(shape), both, 2);
    return y;
}

struct vb_variable vb_fresh(struct vb_tape *tape, const char *what, enum vb_dtype dtype,
                            struct vb_shape shape)
{
    struct vb_variable y = vb_tape_new(tape, what, &shape, dtype);
    vb_tape_run(tape, what, (double)vb_shape_elements(&shape), &y, 1);
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
    struct vb_variable y = kernel(tape, "count", &(struct vb_shape){ 0 }, VB_INT64, mask);
    if (tape->torch->cpu_kernels)
        vb_passing(tape, "copy", VB_INT64, mask.shape);
    return y;
}

static struct vb_variable gradient(struct vb_tape *tape, const char *name,
                                   const struct vb_node *node, struct vb_variable from)
{
    return kernel(tape, name, &node->inputs[0].shape, node->inputs[0].dtype, from);
}

/* The mask's places are looked up again to fill zeros in them. */
static void mask_backward(struct vb_tape *tape, const struct vb_node *node,
                          const struct vb_variable *outputs, struct vb_variable *inputs)
{
    const struct vb_variable *mask = &node->saved[0];
    inputs[0] = gradient(tape, "zeros", node, outputs[0]);
    vb_done(tape, kernel(tape, "nonzero", &VB_SHAPE(outputs[0].shape.dims[0], mask->shape.n_dims),
                         VB_INT64, *mask));
}

static void rows_backward(struct vb_tape *tape, const struct vb_node *node,
                          const struct vb_variable *outputs, struct vb_variable *inputs)
{
    inputs[0] = gradient(tape, "rows_backward", node, outputs[0]);
}

struct vb_variable vb_mask_rows(struct vb_tape *tape, struct vb_variable x, struct vb_variable mask,
                                uint32_t n_true, const struct vb_shape *out)
{
    struct vb_variable places =
        kernel(tape, "nonzero", &VB_SHAPE(n_true, mask.shape.n_dims), VB_INT64, mask);
    struct vb_variable y = kernel(tape, "index", out, x.dtype, x);
    struct vb_node *node = vb_tape_node(tape, mask_backward, &x, 1, 1);
    vb_tape_save(tape, node, mask);
    vb_tape_output(tape, node, 0, &y);
    vb_done(tape, places);
    return y;
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
    vb_tape_output(tape, vb_tape_node(tape, rows_backward, &x, 1, 1), 0, &y);
    return y;
}

struct vb_variable vb_softmax(struct vb_tape *tape, struct vb_variable x)
{
    bool in_fp32 = tape->autocast ? !tape->torch->cpu_autocast : x.dtype == VB_FLOAT32;
    struct vb_variable input = in_fp32 ? softmax_input(tape, x) : vb_tape_hold(tape, x);
    struct vb_variable y = kernel(tape, "softmax", &x.shape, in_fp32 ? VB_FLOAT32 : x.dtype, input);
    struct vb_node *node = vb_tape_node(tape, rows_backward, &input, 1, 1);
    vb_tape_save(tape, node, y);
    vb_tape_output(tape, node, 0, &y);
    vb_tape_drop(tape, input);
    return y;
}

/* Cross entropy casts its argument itself, and forgets the copy: only the result is kept. */
struct vb_variable vb_log_softmax(struct vb_tape *tape, struct vb_variable x)
{
    struct vb_variable input = vb_tape_cast(tape, x, VB_FLOAT32);
    struct vb_variable y = kernel(tape, "log_softmax", &x.shape, VB_FLOAT32, input);
    struct vb_node *node = vb_tape_node(tape, rows_backward, &input, 1, 1);
    vb_tape_save(tape, node, y);
    vb_tape_output(tape, node, 0, &y);
    vb_tape_drop(tape, input);
    return y;
}

struct vb_variable vb_matvec(struct vb_tape *tape, struct vb_variable x, struct vb_variable vector)
{
    vb_make_cublas_workspace(tape);
    enum vb_dtype dtype = tape->autocast ? tape->autocast_dtype : x.dtype;
    struct vb_variable input = vb_tape_cast(tape, x, dtype);
    struct vb_variable weights = vb_tape_cast(tape, vector, dtype);
    struct vb_shape shape = x.shape;
    shape.n_dims--;
    struct vb_variable y = kernel(tape, "mv", &shape, dtype, input);
    struct vb_node *node = vb_tape_node(tape, rows_backward, &input, 1, 1);
    vb_tape_save(tape, node, weights);
    vb_tape_output(tape, node, 0, &y);
    vb_tape_drop(tape, input);
    vb_tape_drop(tape, weights);
    return y;
}

struct vb_variable vb_nll(struct vb_tape *tape, struct vb_variable x, struct vb_variable target)
{
    struct vb_variable y = kernel(tape, "nll_loss", &VB_SHAPE(x.shape.dims[0]), VB_FLOAT32, x);
    struct vb_variable weight =
        vb_tape_new(tape, "total_weight", &(struct vb_shape){ 0 }, VB_FLOAT32);
    struct vb_node *node = vb_tape_node(tape, rows_backward, &x, 1, 1);
    vb_tape_save(tape, node, x);
    vb_tape_save(tape, node, target);
    vb_tape_save(tape, node, weight);
    vb_tape_output(tape, node, 0, &y);
    vb_tape_drop(tape, weight);
    return y;
}

struct vb_variable vb_row_mean(struct vb_tape *tape, struct vb_variable x)
{
    struct vb_variable y = kernel(tape, "mean", &VB_SHAPE(x.shape.dims[0], 1), x.dtype, x);
    struct vb_node *node = vb_tape_node(tape, rows_backward, &x, 1, 1);
    vb_tape_save(tape, node, x);
    vb_tape_output(tape, node, 0, &y);
    return y;
}
