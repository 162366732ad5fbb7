/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_PLANNED_H
#define VB_STEP_PLANNED_H

/* Operators of the losses that are only planned (masks, keypoints, oriented boxes): what each
 * allocates and keeps, forward and backward, with no numbers behind it. Each gives its result held
 * once; its arguments stay the caller's. Source: tools/autograd/derivatives.yaml. */

#include "step/tape.h"

/* An operator element by element. */
struct vb_planned {
    const char *what;
    enum { VB_KEEPS_NOTHING, VB_KEEPS_ARGUMENT, VB_KEEPS_RESULT } keeps;
    uint32_t n_passing; /* tensors of its size that its backward makes beside the gradient */
};
extern const struct vb_planned vb_planned_exp, vb_planned_log, vb_planned_sqrt, vb_planned_sin,
    vb_planned_cos;

struct vb_variable vb_planned_unary(struct vb_tape *tape, const struct vb_planned *op,
                                    struct vb_variable x);

/* x.clone(): its gradient is handed on. */
struct vb_variable vb_planned_clone(struct vb_tape *tape, struct vb_variable x);

/* `x[.., part] op= number`: in place, on a view of this shape that Python takes and assigns back.
 * Autograd records the operator, the view and the assignment, each on the whole of x: see
 * entries.c, which does the same to an entry of a vector. */
void vb_planned_update(struct vb_tape *tape, struct vb_variable *x, const struct vb_shape *part);

/* x's views along its first axis, each held; what is asked of them last is one stack of their
 * gradients. `views` has room for them all. */
void vb_planned_unbind(struct vb_tape *tape, struct vb_variable x, struct vb_variable *views);

/* x [n,H,W] -> [n]: the mean over each plane. */
struct vb_variable vb_planned_plane_mean(struct vb_tape *tape, struct vb_variable x);

#endif
