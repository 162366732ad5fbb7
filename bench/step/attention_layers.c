/* SPDX-License-Identifier: Apache-2.0 */
/* The operators of layers.h that attention adds: products of stacks of matrices, and what they are
 * given. cuBLAS reads a matrix and its transpose as they lie, so nothing is copied. */

#include "step/layers.h"
#include "step/math.h"
#include "step/view.h"

struct vb_variable vb_detach(struct vb_tape *tape, struct vb_variable x)
{
    struct vb_variable y = vb_tape_hold(tape, x);
    vb_tape_output(tape, NULL, 0, &y);
    return y;
}

/* The order of x's axes with the last two exchanged. */
static void exchange_last(const struct vb_variable *x, uint32_t *order)
{
    const uint32_t n = x->shape.n_dims;
    for (uint32_t i = 0; i < n; i++)
        order[i] = i;
    if (n >= 2) {
        order[n - 2] = n - 1;
        order[n - 1] = n - 2;
    }
}

struct vb_variable vb_transpose(struct vb_tape *tape, struct vb_variable x)
{
    uint32_t order[VB_MAX_DIMS];
    exchange_last(&x, order);
    return vb_permute(tape, x, order);
}

static struct vb_variable transposed(struct vb_variable x)
{
    uint32_t order[VB_MAX_DIMS];
    exchange_last(&x, order);
    return vb_in_axes(x, order);
}

void vb_run_products(struct vb_tape *tape, struct vb_variable x, struct vb_variable z,
                     struct vb_variable y)
{
    const struct vb_variable all[] = { x, z, y };
    uint32_t inner = x.shape.n_dims > 0 ? x.shape.dims[x.shape.n_dims - 1] : 0;
    const struct vb_call call = { .op = VB_OP_MATMUL,
                                  .dtype = y.dtype,
                                  .flops = 2.0 * (double)vb_shape_elements(&y.shape) * inner };
    vb_tape_apply(tape, &call, all, 3);
}

/* [C] as [C,1,1], which an image broadcasts. */
static struct vb_variable as_channels(struct vb_variable gain)
{
    return vb_with_axis(vb_with_axis(gain, 1), 1);
}

/* Both products are there before the engine sums the gain's to its shape. */
static void gain_backward(struct vb_tape *tape, const struct vb_node *node,
                          const struct vb_variable *outputs, struct vb_variable *inputs)
{
    struct vb_variable gain = node->saved[0], x = node->saved[1];
    struct vb_variable product = vb_make_of(tape, VB_OP_MUL, 0, &outputs[0], outputs[0], x);
    if (vb_needs(node, 1))
        inputs[1] = vb_make_of(tape, VB_OP_MUL, 0, &outputs[0], outputs[0], as_channels(gain));
    inputs[0] = vb_parameter_gradient(tape, &node->inputs[0]);
    struct vb_variable both[] = { product, as_channels(inputs[0]) };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_SUM }, both, 2);
    vb_tape_drop(tape, product);
}

struct vb_variable vb_gain(struct vb_tape *tape, struct vb_variable x, struct vb_variable gain)
{
    struct vb_variable like = x, inputs[] = { gain, x };
    like.dtype = gain.dtype > x.dtype ? gain.dtype : x.dtype;
    struct vb_variable y = vb_make_of(tape, VB_OP_MUL, 0, &like, as_channels(gain), x);
    struct vb_node *node = vb_tape_node(tape, gain_backward, inputs, 2, 1);
    vb_tape_save(tape, node, gain);
    vb_tape_save(tape, node, x);
    vb_tape_output(tape, node, 0, &y);
    return y;
}

enum { X, Z, N_INPUTS };

/* The second factor's gradient first: PyTorch's generated code goes by the arguments' names, mat2
 * before self. */
static void matmul_backward(struct vb_tape *tape, const struct vb_node *node,
                            const struct vb_variable *outputs, struct vb_variable *inputs)
{
    const struct vb_variable *x = &node->inputs[X], *z = &node->inputs[Z];
    vb_make_cublas_workspace(tape);
    if (vb_needs(node, Z)) {
        inputs[Z] = vb_tape_new(tape, "mat2", &z->shape, z->dtype);
        vb_run_products(tape, transposed(node->saved[X]), outputs[0], inputs[Z]);
    }
    if (vb_needs(node, X)) {
        inputs[X] = vb_tape_new(tape, "self", &x->shape, x->dtype);
        vb_run_products(tape, outputs[0], transposed(node->saved[Z]), inputs[X]);
    }
}

struct vb_variable vb_matmul(struct vb_tape *tape, struct vb_variable x, struct vb_variable z)
{
    enum vb_dtype dtype = tape->autocast ? tape->autocast_dtype : x.dtype;
    struct vb_variable inputs[N_INPUTS] = {
        [X] = vb_tape_cast(tape, x, dtype), [Z] = vb_tape_cast(tape, z, dtype)
    };
    struct vb_shape shape = x.shape;
    if (shape.n_dims > 0)
        shape.dims[shape.n_dims - 1] = z.shape.dims[shape.n_dims - 1];
    vb_make_cublas_workspace(tape);
    struct vb_variable y = vb_tape_new(tape, "output", &shape, dtype);
    vb_run_products(tape, inputs[X], inputs[Z], y);

    struct vb_node *node = vb_tape_node(tape, matmul_backward, inputs, N_INPUTS, 1);
    vb_tape_save(tape, node, inputs[X]);
    vb_tape_save(tape, node, inputs[Z]);
    vb_tape_output(tape, node, 0, &y);
    for (uint32_t i = 0; i < N_INPUTS; i++)
        vb_tape_drop(tape, inputs[i]);
    return y;
}
