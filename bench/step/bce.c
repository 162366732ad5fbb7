/* SPDX-License-Identifier: Apache-2.0 */
/* Binary cross entropy with logits: (1 - target) * x - log_weight * log_sigmoid(x), where
 * log_weight is (weight - 1) * target + 1 if there is a weight for positives. From 2.0 on the
 * logarithm is one kernel; before, it was spelt out as m + log(exp(-m) + exp(-x - m)) with m =
 * max(-x, 0). */

#include "step/math.h"

#include <math.h>

static void in_place(struct vb_tape *tape, enum vb_operator op, double a, struct vb_variable y,
                     struct vb_variable other)
{
    struct vb_variable operands[] = { y, other, y };
    if (!vb_is_defined(&other))
        operands[1] = y;
    vb_tape_apply(tape, &(struct vb_call){ .op = op, .a = a, .b = HUGE_VAL }, operands,
                  vb_is_defined(&other) ? 3 : 2);
}

static struct vb_variable log_weight_of(struct vb_tape *tape, struct vb_variable x,
                                        struct vb_variable target, struct vb_variable weight)
{
    struct vb_variable less_one =
        vb_make_of(tape, VB_OP_ADD_NUMBER, -1, &weight, weight, vb_undefined);
    struct vb_variable log_weight = vb_make_of(tape, VB_OP_MUL, 0, &x, less_one, target);
    in_place(tape, VB_OP_ADD_NUMBER, 1, log_weight, vb_undefined);
    vb_done(tape, less_one);
    return log_weight;
}

/* Each element's loss; `*rest` is what lives until the operator returns. */
static struct vb_variable lean_loss(struct vb_tape *tape, struct vb_variable x,
                                    struct vb_variable target, struct vb_variable weight,
                                    struct vb_variable *rest)
{
    *rest = vb_make_of(tape, VB_OP_LOG_SIGMOID, 0, &x, x, vb_undefined);
    if (vb_is_defined(&weight)) {
        struct vb_variable log_weight = log_weight_of(tape, x, target, weight);
        in_place(tape, VB_OP_MUL, 0, *rest, log_weight);
        vb_done(tape, log_weight);
    }
    struct vb_variable loss = vb_make_of(tape, VB_OP_SUBTRACT_FROM, 1, &x, target, vb_undefined);
    in_place(tape, VB_OP_MUL, 0, loss, x);
    in_place(tape, VB_OP_SUB, 0, loss, *rest);
    return loss;
}

static struct vb_variable spelt_out_loss(struct vb_tape *tape, struct vb_variable x,
                                         struct vb_variable target, struct vb_variable weight,
                                         struct vb_variable *rest)
{
    struct vb_variable log_weight = vb_undefined;
    *rest = vb_make_of(tape, VB_OP_MUL_NUMBER, -1, &x, x, vb_undefined);
    in_place(tape, VB_OP_CLAMP, 0, *rest, vb_undefined);
    if (vb_is_defined(&weight))
        log_weight = log_weight_of(tape, x, target, weight);
    struct vb_variable loss = vb_make_of(tape, VB_OP_SUBTRACT_FROM, 1, &x, target, vb_undefined);
    in_place(tape, VB_OP_MUL, 0, loss, x);
    struct vb_variable low = vb_make_of(tape, VB_OP_MUL_NUMBER, -1, &x, *rest, vb_undefined);
    in_place(tape, VB_OP_EXP, 0, low, vb_undefined);
    struct vb_variable minus = vb_make_of(tape, VB_OP_MUL_NUMBER, -1, &x, x, vb_undefined);
    struct vb_variable high = vb_make_of(tape, VB_OP_SUB, 0, &x, minus, *rest);
    in_place(tape, VB_OP_EXP, 0, high, vb_undefined);
    in_place(tape, VB_OP_ADD, 0, low, high);
    in_place(tape, VB_OP_LOG, 0, low, vb_undefined);
    in_place(tape, VB_OP_ADD, 0, low, *rest);
    if (vb_is_defined(&weight))
        in_place(tape, VB_OP_MUL, 0, low, log_weight);
    in_place(tape, VB_OP_ADD, 0, loss, low);
    vb_done(tape, high);
    vb_done(tape, minus);
    vb_done(tape, low);
    vb_done(tape, log_weight);
    return loss;
}

static struct vb_variable loss_of(struct vb_tape *tape, struct vb_variable x,
                                  struct vb_variable target, struct vb_variable weight,
                                  struct vb_variable *rest)
{
    return tape->torch->lean_bce ? lean_loss(tape, x, target, weight, rest)
                                 : spelt_out_loss(tape, x, target, weight, rest);
}

/* ((weight * target + 1 - target) * sigmoid(x) - weight * target) * grad */
static struct vb_variable weighted_gradient(struct vb_tape *tape, const struct vb_node *node)
{
    struct vb_variable x = node->saved[0], target = node->saved[1], weight = node->saved[2];
    struct vb_variable weighted = vb_make_of(tape, VB_OP_MUL, 0, &x, weight, target);
    struct vb_variable y = vb_make_of(tape, VB_OP_ADD_NUMBER, 1, &x, weighted, vb_undefined);
    in_place(tape, VB_OP_SUB, 0, y, target);
    struct vb_variable probability = vb_make_of(tape, VB_OP_SIGMOID, 0, &x, x, vb_undefined);
    in_place(tape, VB_OP_MUL, 0, y, probability);
    vb_done(tape, probability);
    in_place(tape, VB_OP_SUB, 0, y, weighted);
    vb_done(tape, weighted);
    return y;
}

/* (sigmoid(x) - target) * grad, or with a weight; of a mean divided by the number of elements. */
static void bce_backward(struct vb_tape *tape, const struct vb_node *node,
                         const struct vb_variable *outputs, struct vb_variable *inputs)
{
    if (node->n_saved > 2) {
        inputs[0] = weighted_gradient(tape, node);
    } else {
        inputs[0] =
            vb_make_of(tape, VB_OP_SIGMOID, 0, &node->saved[0], node->saved[0], vb_undefined);
        in_place(tape, VB_OP_SUB, 0, inputs[0], node->saved[1]);
    }
    in_place(tape, VB_OP_MUL, 0, inputs[0], outputs[0]);
    if (node->a != 1)
        in_place(tape, VB_OP_MUL_NUMBER, node->a, inputs[0], vb_undefined);
}

static struct vb_variable cross_entropy(struct vb_tape *tape, struct vb_variable logits,
                                        struct vb_variable target, struct vb_variable weight,
                                        bool is_mean)
{
    enum vb_dtype dtype = tape->autocast ? VB_FLOAT32 : logits.dtype;
    struct vb_variable x = vb_tape_cast(tape, logits, dtype);
    struct vb_variable t = vb_tape_cast(tape, target, dtype);
    struct vb_variable rest = vb_undefined;
    struct vb_variable loss = loss_of(tape, x, t, weight, &rest);
    struct vb_variable y = is_mean ? vb_mean_of(tape, loss) : vb_tape_hold(tape, loss);
    vb_done(tape, rest);
    vb_done(tape, loss);

    struct vb_node *node = vb_tape_node(tape, bce_backward, &x, 1, 1);
    if (node != NULL)
        node->a = is_mean ? 1.0 / (double)vb_shape_elements(&x.shape) : 1;
    vb_tape_save(tape, node, x);
    vb_tape_save(tape, node, t);
    vb_tape_save(tape, node, weight);
    vb_tape_output(tape, node, 0, &y);
    vb_tape_drop(tape, x);
    vb_tape_drop(tape, t);
    return y;
}

struct vb_variable vb_bce_mean(struct vb_tape *tape, struct vb_variable logits,
                               struct vb_variable target, struct vb_variable positive_weight)
{
    return cross_entropy(tape, logits, target, positive_weight, true);
}

struct vb_variable vb_bce(struct vb_tape *tape, struct vb_variable logits,
                          struct vb_variable target)
{
    return cross_entropy(tape, logits, target, vb_undefined, false);
}
