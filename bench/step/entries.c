/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of a vector that are assigned and scaled in place. Autograd records each as an operator
 * on the whole vector, whose backward clones the vector's gradient and the entry's (CopySlices).
 * Source: the recorded steps of YOLOv8 (tests/data/steps). */

#include "step/math.h"
#include "step/view.h"

static struct vb_variable clone(struct vb_tape *tape, struct vb_variable x)
{
    return vb_make_like(tape, &(struct vb_call){ .op = VB_OP_COPY }, x, &x, 1);
}

/* A view of a vector's gradient: the entry of the node's operator. */
static struct vb_variable entry_of(const struct vb_node *node, struct vb_variable vector)
{
    return vb_at(vector, 0, *(const uint32_t *)node->detail);
}

static void keep_entry(struct vb_tape *tape, struct vb_node *node, uint32_t i)
{
    if (node != NULL)
        node->detail = vb_tape_keep(tape, &i, sizeof i);
}

/* The vector's gradient with a zero in the entry's place, and the entry's. */
static void set_backward(struct vb_tape *tape, const struct vb_node *node,
                         const struct vb_variable *outputs, struct vb_variable *inputs)
{
    inputs[0] = clone(tape, outputs[0]);
    inputs[1] = clone(tape, entry_of(node, outputs[0]));
    vb_tape_fill(tape, entry_of(node, inputs[0]), 0);
    if (vb_needs(node, 0))
        vb_done(tape, vb_zeros_like(tape, inputs[1]));
}

void vb_set_entry(struct vb_tape *tape, struct vb_variable *vector, uint32_t i,
                  struct vb_variable x)
{
    struct vb_variable inputs[] = { *vector, x };
    vb_tape_copy(tape, x, vb_at(*vector, 0, i));
    struct vb_node *node = vb_tape_node(tape, set_backward, inputs, 2, 1);
    keep_entry(tape, node, i);
    vb_tape_output(tape, node, 0, vector);
}

/* The vector's gradient with the entry's scaled. */
static void scale_backward(struct vb_tape *tape, const struct vb_node *node,
                           const struct vb_variable *outputs, struct vb_variable *inputs)
{
    inputs[0] = clone(tape, outputs[0]);
    struct vb_variable entry = clone(tape, entry_of(node, outputs[0]));
    struct vb_variable scaled = vb_make_like(
        tape, &(struct vb_call){ .op = VB_OP_MUL_NUMBER, .a = node->a }, entry, &entry, 1);
    vb_tape_copy(tape, scaled, entry_of(node, inputs[0]));
    vb_done(tape, scaled);
    vb_done(tape, entry);
}

/* The entry's gradient among zeros. */
static void view_backward(struct vb_tape *tape, const struct vb_node *node,
                          const struct vb_variable *outputs, struct vb_variable *inputs)
{
    inputs[0] = vb_zeros_like(tape, node->inputs[0]);
    vb_tape_copy(tape, outputs[0], entry_of(node, inputs[0]));
}

/* Python scales a view of the entry in place, then assigns that view to the entry. */
void vb_scale_entry(struct vb_tape *tape, struct vb_variable *vector, uint32_t i, double a)
{
    struct vb_variable entry = vb_at(*vector, 0, i);
    struct vb_variable both[] = { entry, entry };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_MUL_NUMBER, .a = a }, both, 2);
    struct vb_node *scaled = vb_tape_node(tape, scale_backward, vector, 1, 1);
    if (scaled != NULL)
        scaled->a = a;
    keep_entry(tape, scaled, i);
    vb_tape_save_number(tape, scaled);
    vb_tape_output(tape, scaled, 0, vector);

    entry = vb_at(*vector, 0, i);
    struct vb_node *viewed = vb_tape_node(tape, view_backward, vector, 1, 1);
    keep_entry(tape, viewed, i);
    vb_tape_output(tape, viewed, 0, &entry);
    vb_set_entry(tape, vector, i, entry);
}
