/* SPDX-License-Identifier: Apache-2.0 */
#include "step/loss_classify.h"

#include "step/math.h"

static void nll_backward(struct vb_tape *tape, const struct vb_node *node,
                         const struct vb_variable *outputs, struct vb_variable *inputs)
{
    inputs[0] = vb_tape_new(tape, "nll_loss", &node->inputs[0].shape, node->inputs[0].dtype);
    struct vb_variable both[] = { outputs[0], inputs[0] };
    vb_tape_run(tape, "nll_loss_backward", 0, both, 2);
}

/* The mean and, beside it, the sum of the weights that it was divided by. */
static struct vb_variable nll_mean(struct vb_tape *tape, struct vb_variable x,
                                   struct vb_variable labels)
{
    struct vb_variable y = vb_tape_new(tape, "loss", &(struct vb_shape){ 0 }, VB_FLOAT32);
    struct vb_variable weight =
        vb_tape_new(tape, "total_weight", &(struct vb_shape){ 0 }, VB_FLOAT32);
    struct vb_variable all[] = { x, labels, y };
    vb_tape_run(tape, "nll_loss", (double)vb_shape_elements(&labels.shape), all, 3);
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
