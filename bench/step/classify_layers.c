/* SPDX-License-Identifier: Apache-2.0 */
/* The operators of layers.h that classifiers add: ReLU, the average over a plane, linear layers. */

#include "step/layers.h"
#include "step/math.h"
#include "step/view.h"

static void relu_backward(struct vb_tape *tape, const struct vb_node *node,
                          const struct vb_variable *outputs, struct vb_variable *inputs)
{
    inputs[0] = vb_tape_new_image(tape, "input", &node->inputs[0].shape, node->inputs[0].dtype);
    struct vb_variable all[] = { outputs[0], node->saved[0], inputs[0] };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_RELU_BACKWARD }, all, 3);
}

struct vb_variable vb_relu_in_place(struct vb_tape *tape, struct vb_variable x)
{
    struct vb_node *node = vb_tape_node(tape, relu_backward, &x, 1, 1);
    struct vb_variable y = vb_tape_hold(tape, x);
    struct vb_variable both[] = { x, y };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_RELU }, both, 2);
    vb_tape_output(tape, node, 0, &y);
    vb_tape_save(tape, node, y);
    return y;
}

/* The gradient of every pixel of a plane, divided by how many there are. */
static void average_backward(struct vb_tape *tape, const struct vb_node *node,
                             const struct vb_variable *outputs, struct vb_variable *inputs)
{
    const struct vb_shape *shape = &node->inputs[0].shape;
    const double pixels = (double)shape->dims[2] * shape->dims[3];
    inputs[0] = vb_tape_new_image(tape, "input", shape, node->inputs[0].dtype);
    struct vb_variable both[] = { outputs[0], inputs[0] };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_MUL_NUMBER, .a = 1 / pixels }, both, 2);
}

struct vb_variable vb_average(struct vb_tape *tape, struct vb_variable x,
                              const struct vb_shape *out)
{
    struct vb_variable y = vb_tape_new_image(tape, "output", out, x.dtype);
    struct vb_variable both[] = { x, y };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_MEAN }, both, 2);
    vb_tape_output(tape, vb_tape_node(tape, average_backward, &x, 1, 1), 0, &y);
    return y;
}

enum { BIAS, X, WEIGHT, N_LINEAR };

static struct vb_variable transposed(struct vb_variable x)
{
    return vb_in_axes(x, (uint32_t[]){ 1, 0 });
}

/* Both products, then the bias's gradient, which is the incoming one until it is summed. The bias
 * is the first argument of addmm, so its gradient is handed on first. */
static void linear_backward(struct vb_tape *tape, const struct vb_node *node,
                            const struct vb_variable *outputs, struct vb_variable *inputs)
{
    const struct vb_variable *x = &node->inputs[X], *weight = &node->inputs[WEIGHT];
    vb_make_cublas_workspace(tape);
    if (vb_needs(node, X)) {
        inputs[X] = vb_tape_new(tape, "input", &x->shape, x->dtype);
        vb_run_products(tape, outputs[0], node->saved[1], inputs[X]);
    }
    if (vb_needs(node, WEIGHT)) {
        inputs[WEIGHT] = vb_parameter_gradient(tape, weight);
        vb_run_products(tape, transposed(outputs[0]), node->saved[0], inputs[WEIGHT]);
    }
    if (vb_needs(node, BIAS)) {
        inputs[BIAS] = vb_parameter_gradient(tape, &node->inputs[BIAS]);
        struct vb_variable both[] = { outputs[0], inputs[BIAS] };
        vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_SUM }, both, 2);
    }
}

struct vb_variable vb_linear(struct vb_tape *tape, struct vb_variable x, struct vb_variable weight,
                             struct vb_variable bias)
{
    enum vb_dtype dtype = tape->autocast ? tape->autocast_dtype : x.dtype;
    struct vb_variable inputs[N_LINEAR] = { [X] = vb_tape_cast(tape, x, dtype),
                                            [WEIGHT] = vb_tape_cast(tape, weight, dtype),
                                            [BIAS] = vb_tape_cast(tape, bias, dtype) };
    vb_make_cublas_workspace(tape);
    struct vb_variable y =
        vb_tape_new(tape, "output", &VB_SHAPE(x.shape.dims[0], weight.shape.dims[0]), dtype);
    vb_run_products(tape, inputs[X], transposed(inputs[WEIGHT]), y);
    struct vb_variable sum[] = { y, inputs[BIAS], y };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_ADD }, sum, 3);

    struct vb_node *node = vb_tape_node(tape, linear_backward, inputs, N_LINEAR, 1);
    vb_tape_save(tape, node, inputs[X]);
    vb_tape_save(tape, node, inputs[WEIGHT]);
    vb_tape_output(tape, node, 0, &y);
    for (uint32_t i = 0; i < N_LINEAR; i++)
        vb_tape_drop(tape, inputs[i]);
    return y;
}
