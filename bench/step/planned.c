/* SPDX-License-Identifier: Apache-2.0 */
#include "step/planned.h"

#include "step/math.h"
#include "step/view.h"

enum { MOST_PASSING = 2 };

const struct vb_planned vb_planned_exp = { "exp", VB_KEEPS_RESULT, 0 };
const struct vb_planned vb_planned_log = { "log", VB_KEEPS_ARGUMENT, 0 };
const struct vb_planned vb_planned_sqrt = { "sqrt", VB_KEEPS_RESULT, 1 };
const struct vb_planned vb_planned_sin = { "sin", VB_KEEPS_ARGUMENT, 1 };
const struct vb_planned vb_planned_cos = { "cos", VB_KEEPS_ARGUMENT, 2 };

/* A tensor of x's shape and type. */
static struct vb_variable like(struct vb_tape *tape, const char *what, const struct vb_variable *x)
{
    return vb_fresh(tape, what, x->dtype, x->shape);
}

static void unary_backward(struct vb_tape *tape, const struct vb_node *node,
                           const struct vb_variable *outputs, struct vb_variable *inputs)
{
    const struct vb_planned *op = node->detail;
    struct vb_variable passing[MOST_PASSING];
    (void)outputs;
    for (uint32_t i = 0; i < op->n_passing; i++)
        passing[i] = like(tape, op->what, &node->inputs[0]);
    inputs[0] = like(tape, op->what, &node->inputs[0]);
    for (uint32_t i = 0; i < op->n_passing; i++)
        vb_done(tape, passing[i]);
}

struct vb_variable vb_planned_unary(struct vb_tape *tape, const struct vb_planned *op,
                                    struct vb_variable x)
{
    struct vb_variable y = like(tape, op->what, &x);
    struct vb_node *node = vb_tape_node(tape, unary_backward, &x, 1, 1);
    if (node != NULL)
        node->detail = op;
    if (op->keeps == VB_KEEPS_ARGUMENT)
        vb_tape_save(tape, node, x);
    if (op->keeps == VB_KEEPS_RESULT)
        vb_tape_save(tape, node, y);
    vb_tape_output(tape, node, 0, &y);
    return y;
}

struct vb_variable vb_planned_clone(struct vb_tape *tape, struct vb_variable x)
{
    struct vb_variable y = like(tape, "clone", &x);
    vb_tape_output(tape, vb_tape_node(tape, vb_hand_on_backward, &x, 1, 1), 0, &y);
    return y;
}

/* The whole gradient once more, and the part's before and after the operator. */
static void update_backward(struct vb_tape *tape, const struct vb_node *node,
                            const struct vb_variable *outputs, struct vb_variable *inputs)
{
    const struct vb_shape *part = node->detail;
    (void)outputs;
    inputs[0] = like(tape, "clone", &node->inputs[0]);
    struct vb_variable before = vb_fresh(tape, "clone", node->inputs[0].dtype, *part);
    vb_passing(tape, "update", node->inputs[0].dtype, *part);
    vb_done(tape, before);
}

/* The part's gradient among zeros. */
static void part_backward(struct vb_tape *tape, const struct vb_node *node,
                          const struct vb_variable *outputs, struct vb_variable *inputs)
{
    (void)outputs;
    inputs[0] = like(tape, "zeros", &node->inputs[0]);
}

/* The whole gradient with zeros in the part's place, and the part's. */
static void put_backward(struct vb_tape *tape, const struct vb_node *node,
                         const struct vb_variable *outputs, struct vb_variable *inputs)
{
    (void)outputs;
    inputs[0] = like(tape, "clone", &node->inputs[0]);
    inputs[1] = like(tape, "clone", &node->inputs[1]);
    vb_passing(tape, "zeros", node->inputs[1].dtype, node->inputs[1].shape);
}

void vb_planned_update(struct vb_tape *tape, struct vb_variable *x, const struct vb_shape *part)
{
    struct vb_node *updated = vb_tape_node(tape, update_backward, x, 1, 1);
    if (updated != NULL)
        updated->detail = vb_tape_keep(tape, part, sizeof *part);
    vb_tape_output(tape, updated, 0, x);

    struct vb_variable both[] = { *x, *x };
    both[1].shape = *part;
    vb_tape_output(tape, vb_tape_node(tape, part_backward, x, 1, 1), 0, &both[1]);
    vb_tape_output(tape, vb_tape_node(tape, put_backward, both, 2, 1), 0, x);
}

static void unbind_backward(struct vb_tape *tape, const struct vb_node *node,
                            const struct vb_variable *outputs, struct vb_variable *inputs)
{
    (void)outputs;
    inputs[0] = like(tape, "stack", &node->inputs[0]);
}

void vb_planned_unbind(struct vb_tape *tape, struct vb_variable x, struct vb_variable *views)
{
    uint32_t n = x.shape.dims[0];
    struct vb_node *node = vb_tape_node(tape, unbind_backward, &x, 1, n);
    for (uint32_t i = 0; i < n; i++) {
        views[i] = vb_at(vb_tape_hold(tape, x), 0, i);
        vb_tape_output(tape, node, i, &views[i]);
    }
}

static void plane_mean_backward(struct vb_tape *tape, const struct vb_node *node,
                                const struct vb_variable *outputs, struct vb_variable *inputs)
{
    (void)outputs;
    inputs[0] = like(tape, "div", &node->inputs[0]);
}

/* Its argument is kept up to 1.13: autograd asks it for its number of elements. */
struct vb_variable vb_planned_plane_mean(struct vb_tape *tape, struct vb_variable x)
{
    struct vb_variable y = vb_fresh(tape, "mean", x.dtype, VB_SHAPE(x.shape.dims[0]));
    struct vb_node *node = vb_tape_node(tape, plane_mean_backward, &x, 1, 1);
    if (!tape->torch->sums_in_place)
        vb_tape_save(tape, node, x);
    vb_tape_output(tape, node, 0, &y);
    return y;
}
