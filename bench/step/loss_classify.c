/* SPDX-License-Identifier: Apache-2.0 */
#include "step/loss_classify.h"

#include "step/math.h"

static void nll_backward(struct vb_tape *tape, const struct vb_node *node,
                         const struct vb_variable *outputs, struct vb_variable *inputs)
{
    struct vb_variable from[] = { outputs[0], node->saved[1] };
    inputs[0] =
        vb_make_like(tape, &(struct vb_call){ .op = VB_OP_NLL_BACKWARD }, node->inputs[0], from, 2);
}

/* The mean and, beside it, the sum of the weights that it was divided by. */
static struct vb_variable nll_mean(struct vb_tape *tape, struct vb_variable x,
                                   struct vb_variable labels)
{
    struct vb_variable from[] = { x, labels };
    struct vb_variable y =
        vb_make(tape, &(struct vb_call){ .op = VB_OP_NLL }, &VB_SCALAR, VB_FLOAT32, from, 2);
    const struct vb_call count = { .op = VB_OP_FILL, .a = labels.shape.dims[0] };
    struct vb_variable weight = vb_make(tape, &count, &VB_SCALAR, VB_FLOAT32, NULL, 0);
    struct vb_node *node = vb_tape_node(tape, nll_backward, &x, 1, 1);
    vb_tape_save(tape, node, x);
    vb_tape_save(tape, node, labels);
    vb_tape_save(tape, node, weight);
    vb_tape_output(tape, node, 0, &y);
    vb_tape_drop(tape, weight);
    return y;
}

struct vb_variable vb_cross_entropy(struct vb_tape *tape, struct vb_variable scores,
                                    struct vb_variable labels)
{
    struct vb_variable log_probabilities = vb_log_softmax(tape, scores);
    struct vb_variable y = nll_mean(tape, log_probabilities, labels);
    vb_done(tape, log_probabilities);
    return y;
}
