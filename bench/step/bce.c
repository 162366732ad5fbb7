/* SPDX-License-Identifier: Apache-2.0 */
/* Binary cross entropy with logits: (1 - target) * x - log_weight * log_sigmoid(x), where
 * log_weight is (weight - 1) * target + 1 if there is a weight for positives. From 2.0 on the
 * logarithm is one kernel; before, it was spelt out as m + log(exp(-m) + exp(-x - m)) with m =
 * max(-x, 0). */

#include "step/math.h"

static struct vb_variable kernel(struct vb_tape *tape, const char *name, struct vb_variable like,
                                 struct vb_variable from)
{
    struct vb_variable y = vb_tape_new(tape, name, &like.shape, like.dtype);
    struct vb_variable both[] = { from, y };
    vb_tape_run(tape, name, (double)vb_shape_elements(&like.shape), both, 2);
    return y;
}

static struct vb_variable log_weight_of(struct vb_tape *tape, struct vb_variable x,
                                        struct vb_variable target, struct vb_variable weight)
{
    struct vb_variable less_one = kernel(tape, "sub", weight, weight);
    struct vb_variable log_weight = kernel(tape, "mul", x, target);
    vb_done(tape, less_one);
    return log_weight;
}

/* Each element's loss; `*rest` is what lives until the operator returns. */
static struct vb_variable lean_loss(struct vb_tape *tape, struct vb_variable x,
                                    struct vb_variable target, struct vb_variable weight,
                                    struct vb_variable *rest)
{
    *rest = kernel(tape, "log_sigmoid", x, x);
    if (vb_is_defined(&weight))
        vb_done(tape, log_weight_of(tape, x, target, weight));
    return kernel(tape, "rsub", x, target);
}

static struct vb_variable spelt_out_loss(struct vb_tape *tape, struct vb_variable x,
                                         struct vb_variable target, struct vb_variable weight,
                                         struct vb_variable *rest)
{
    struct vb_variable log_weight = vb_undefined;
    *rest = kernel(tape, "neg", x, x);
    if (vb_is_defined(&weight))
        log_weight = log_weight_of(tape, x, target, weight);
    struct vb_variable loss = kernel(tape, "rsub", x, target);
    struct vb_variable low = kernel(tape, "neg", x, *rest);
    struct vb_variable minus = kernel(tape, "neg", x, x);
    vb_done(tape, kernel(tape, "sub", x, minus));
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

/* (sigmoid(x) - target) * grad; with a weight ((weight * target + 1 - target) * sigmoid(x) - weight
 * * target) * grad. */
static void bce_backward(struct vb_tape *tape, const struct vb_node *node,
                         const struct vb_variable *outputs, struct vb_variable *inputs)
{
    bool is_weighted = node->n_saved > 2;
    struct vb_variable x = node->inputs[0];
    struct vb_variable weighted = vb_undefined;
    if (is_weighted)
        weighted = kernel(tape, "mul", x, node->saved[1]);
    inputs[0] = kernel(tape, "bce_backward", x, outputs[0]);
    if (is_weighted)
        vb_done(tape, kernel(tape, "sigmoid", x, node->saved[0]));
    vb_done(tape, weighted);
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
