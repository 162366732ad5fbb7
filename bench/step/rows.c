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

static struct vb_variable gradient(struct vb_tape *tape, const char *name,
                                   const struct vb_node *node, struct vb_variable from)
{
    return kernel(tape, name, &node->inputs[0].shape, node->inputs[0].dtype, from);
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
        vb_tape_new(tape, "nonzero", &VB_SHAPE(n_true, mask.shape.n_dims), VB_INT64);
    struct vb_variable y = vb_index(tape, x, &mask, 1, out);
    vb_done(tape, places);
    return y;
}

struct vb_variable vb_softmax(struct vb_tape *tape, struct vb_variable x)
{
    struct vb_variable y = kernel(tape, "softmax", &x.shape, VB_FLOAT32, x);
    struct vb_node *node = vb_tape_node(tape, rows_backward, &x, 1, 1);
    vb_tape_save(tape, node, y);
    vb_tape_output(tape, node, 0, &y);
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
