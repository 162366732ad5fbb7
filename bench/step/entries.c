/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of a vector that are assigned and scaled in place. Autograd records each as an operator
 * on the whole vector, whose backward clones the vector's gradient and the entry's (CopySlices).
 * Source: the recorded steps of YOLOv8 (tests/data/steps). */

#include "step/math.h"

static const struct vb_shape scalar = { 0 };

static struct vb_variable entry_like(struct vb_tape *tape, const char *what,
                                     const struct vb_variable *vector)
{
    return vb_tape_new(tape, what, &scalar, vector->dtype);
}

static struct vb_variable clone(struct vb_tape *tape, struct vb_variable gradient)
{
    struct vb_variable y = vb_tape_new(tape, "clone", &gradient.shape, gradient.dtype);
    struct vb_variable both[] = { gradient, y };
    vb_tape_run(tape, "copy", 0, both, 2);
    return y;
}

/* The vector's gradient with a zero in the entry's place, and the entry's. */
static void set_backward(struct vb_tape *tape, const struct vb_node *node,
                         const struct vb_variable *outputs, struct vb_variable *inputs)
{
    inputs[0] = clone(tape, outputs[0]);
    inputs[1] = entry_like(tape, "entry", &node->inputs[0]);
    if (vb_needs(node, 0))
        vb_done(tape, entry_like(tape, "zeros", &node->inputs[0]));
}

void vb_set_entry(struct vb_tape *tape, struct vb_variable *vector, struct vb_variable x)
{
    struct vb_variable inputs[] = { *vector, x };
    vb_tape_run(tape, "copy_", 1, &x, 1);
    vb_tape_output(tape, vb_tape_node(tape, set_backward, inputs, 2, 1), 0, vector);
}

/* The vector's gradient with the entry's scaled. */
static void scale_backward(struct vb_tape *tape, const struct vb_node *node,
                           const struct vb_variable *outputs, struct vb_variable *inputs)
{
    inputs[0] = clone(tape, outputs[0]);
    struct vb_variable entry = entry_like(tape, "entry", &node->inputs[0]);
    vb_done(tape, entry_like(tape, "mul", &node->inputs[0]));
    vb_done(tape, entry);
}

/* The entry's gradient among zeros. */
static void view_backward(struct vb_tape *tape, const struct vb_node *node,
                          const struct vb_variable *outputs, struct vb_variable *inputs)
{
    (void)outputs;
    inputs[0] = vb_tape_new(tape, "zeros", &node->inputs[0].shape, node->inputs[0].dtype);
}

/* Python scales a view of the entry in place, then assigns that view to the entry. */
void vb_scale_entry(struct vb_tape *tape, struct vb_variable *vector)
{
    vb_tape_run(tape, "mul_", 1, vector, 1);
    struct vb_node *scaled = vb_tape_node(tape, scale_backward, vector, 1, 1);
    vb_tape_save_number(tape, scaled);
    vb_tape_output(tape, scaled, 0, vector);

    struct vb_variable entry = *vector;
    entry.shape = scalar;
    vb_tape_output(tape, vb_tape_node(tape, view_backward, vector, 1, 1), 0, &entry);
    vb_set_entry(tape, vector, entry);
}
