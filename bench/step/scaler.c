/* SPDX-License-Identifier: Apache-2.0 */
#include "step/scaler.h"

#include "step/math.h"
#include "step/view.h"

static const double initial_scale = 65536, growth_interval = 2000;

static struct vb_variable make_number(struct vb_tape *tape, const char *what,
                                      const struct vb_shape *shape, const struct vb_call *call,
                                      struct vb_variable from)
{
    return vb_make_named(tape, what, call, shape, VB_FLOAT32, &from, 1);
}

/* The tracker of steps is int32 in PyTorch, which is as large. */
struct vb_variable vb_scale_loss(struct vb_tape *tape, struct vb_scaler *scaler,
                                 struct vb_variable loss)
{
    if (!scaler->is_on)
        return vb_tape_hold(tape, loss);
    if (!vb_is_defined(&scaler->scale)) {
        enum vb_category category = tape->category;
        tape->category = VB_OPTIMIZER_STATE;
        scaler->scale = vb_filled(tape, "scale", initial_scale, VB_FLOAT32, VB_SCALAR);
        scaler->steps = vb_filled(tape, "growth_tracker", 0, VB_FLOAT32, VB_SCALAR);
        tape->category = category;
    }
    return vb_binary(tape, VB_OP_MUL, loss, scaler->scale);
}

/* scale.double().reciprocal().float(). Scales are powers of two, so fp32 is as exact; two of its
 * numbers take the place of a double. */
static struct vb_variable make_inverse(struct vb_tape *tape, struct vb_variable scale)
{
    const struct vb_call copy = { .op = VB_OP_COPY }, divide = { .op = VB_OP_RECIPROCAL };
    struct vb_variable wide = make_number(tape, "double", &VB_SHAPE(2), &copy, scale);
    struct vb_variable inverse = make_number(tape, "reciprocal", &VB_SHAPE(2), &divide, wide);
    vb_tape_drop(tape, wide);
    struct vb_variable first = vb_at(inverse, 0, 0);
    struct vb_variable narrow = make_number(tape, "inverse_scale", &VB_SCALAR, &copy, first);
    vb_tape_drop(tape, inverse);
    return narrow;
}

/* Each device has a copy of both numbers, ours too. */
void vb_unscale_gradients(struct vb_tape *tape, struct vb_scaler *scaler,
                          const struct vb_graph *graph)
{
    const struct vb_call copy = { .op = VB_OP_COPY };
    if (!scaler->is_on)
        return;
    struct vb_variable master_inverse = make_inverse(tape, scaler->scale);
    struct vb_variable master_found = vb_filled(tape, "found_inf", 0, VB_FLOAT32, VB_SCALAR);
    scaler->found = make_number(tape, "found_inf", &VB_SCALAR, &copy, master_found);
    struct vb_variable inverse =
        make_number(tape, "inverse_scale", &VB_SCALAR, &copy, master_inverse);
    for (uint32_t i = 0; i < graph->n_parameters; i++) {
        const struct vb_variable operands[] = { inverse, vb_flat(tape->gradients[i]),
                                                scaler->found };
        if (vb_is_defined(&tape->gradients[i]))
            vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_UNSCALE }, operands, 3);
    }
    vb_tape_drop(tape, inverse);
    vb_tape_drop(tape, master_found);
    vb_tape_drop(tape, master_inverse);
}

void vb_update_scale(struct vb_tape *tape, struct vb_scaler *scaler)
{
    const struct vb_call call = { .op = VB_OP_RESCALE, .a = growth_interval };
    const struct vb_variable operands[] = { scaler->found, scaler->steps, scaler->scale };
    if (!scaler->is_on)
        return;
    vb_tape_apply(tape, &call, operands, 3);
    vb_tape_assign(tape, &scaler->found, vb_undefined);
}
