/* SPDX-License-Identifier: Apache-2.0 */
/* The casts of tape.h, and autocast's memory of them. */

#include "step/tape.h"

static void cast_backward(struct vb_tape *tape, const struct vb_node *node,
                          const struct vb_variable *outputs, struct vb_variable *inputs)
{
    const struct vb_variable *to = &node->inputs[0];
    /* A parameter's gradient is named after the parameter: it stays until it is zeroed. */
    enum vb_category category = tape->category;
    if (to->parameter != VB_NONE)
        tape->category = VB_GRADIENTS;
    inputs[0] = vb_tape_new_like(
        tape, to->parameter != VB_NONE ? tape->parameter_names[to->parameter] : "cast", *to,
        to->dtype);
    tape->category = category;
    vb_tape_copy(tape, outputs[0], inputs[0]);
}

static struct vb_variable copy_as(struct vb_tape *tape, struct vb_variable variable,
                                  enum vb_dtype dtype)
{
    struct vb_variable cast = vb_tape_new_like(tape, "cast", variable, dtype);
    vb_tape_copy(tape, variable, cast);
    vb_tape_output(tape, vb_tape_node(tape, cast_backward, &variable, 1, 1), 0, &cast);
    return cast;
}

struct vb_variable vb_tape_cast(struct vb_tape *tape, struct vb_variable variable,
                                enum vb_dtype dtype)
{
    if (!vb_is_defined(&variable) || variable.dtype == dtype)
        return vb_tape_hold(tape, variable);
    /* What asks for no gradient, as a fused model's or a frozen layer's parameters, is cast each
     * time. Source: aten/src/ATen/autocast_mode.cpp, cached_cast(). */
    if (variable.parameter == VB_NONE || tape->is_fused || !variable.requires_grad)
        return copy_as(tape, variable, dtype);

    for (size_t i = 0; i < tape->n_casts; i++) {
        if (tape->casts[i].leaf.storage == variable.storage)
            return vb_tape_hold(tape, tape->casts[i].cast);
    }
    struct vb_cast *casts = vb_arena_grow(tape->program->arena, tape->casts, tape->n_casts,
                                          &tape->casts_room, sizeof *casts);
    if (casts == NULL) {
        tape->program->failed = true;
        return vb_undefined;
    }
    tape->casts = casts;
    struct vb_variable cast = copy_as(tape, variable, dtype);
    casts[tape->n_casts++] = (struct vb_cast){ variable, cast };
    return vb_tape_hold(tape, cast);
}

void vb_tape_renew_casts(struct vb_tape *tape)
{
    for (size_t i = 0; i < tape->n_casts; i++) {
        struct vb_cast *cast = &tape->casts[i];
        if (cast->cast.requires_grad)
            vb_tape_output(tape, vb_tape_node(tape, cast_backward, &cast->leaf, 1, 1), 0,
                           &cast->cast);
    }
}

void vb_tape_autocast_end(struct vb_tape *tape)
{
    for (size_t i = 0; i < tape->n_casts; i++)
        vb_tape_drop(tape, tape->casts[i].cast);
    tape->n_casts = 0;
    tape->autocast = false;
}
