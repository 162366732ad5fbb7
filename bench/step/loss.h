/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_LOSS_H
#define VB_STEP_LOSS_H

/* The detection losses, traced on a tape operator by operator.
 * Source: torch-memory.md, part B, section 7. */

#include "model/graph.h"
#include "step/tape.h"
#include "step/targets.h"

struct vb_loss {
    struct vb_variable total; /* what backward() is called on; held; v8: undefined */
    struct vb_variable parts; /* v8: whose sum the loop calls backward() on; held */
    struct vb_variable items; /* the parts, for the log; held */
};

/* What a loss makes once and keeps for the run; undefined where it has none. */
struct vb_loss_constants {
    struct vb_variable class_weight, objectness_weight; /* v5: of the positives, [1] each */
    struct vb_variable anchors; /* v5: the model's, [levels,anchors,2], in cells; not held */
    /* v8: the bins' distances, [16]; the first loss makes it, and of an end-to-end head's two
     * losses the first makes both. */
    struct vb_variable projection, projection_one_to_one;
};

/* `predictions`: one a level, [N,anchors,H,W,classes+5] for v5, [N,64+classes,H,W] for v8; of an
 * end-to-end head then as many of the one-to-one branches, whose own loss is added. */
struct vb_loss vb_loss_v5(struct vb_tape *tape, const struct vb_graph *graph,
                          const struct vb_variable *predictions, const struct vb_targets *targets,
                          const struct vb_loss_constants *constants);
struct vb_loss vb_loss_v8(struct vb_tape *tape, const struct vb_graph *graph,
                          const struct vb_variable *predictions, const struct vb_targets *targets,
                          struct vb_loss_constants *constants);

/* Complete IoU of pairs of boxes [n,4] given as centre and size: one value a pair. `box` may need a
 * gradient, `target` does not. `is_corners`: they are given as corners. */
struct vb_variable vb_ciou(struct vb_tape *tape, struct vb_variable box, struct vb_variable target,
                           bool is_corners);

#endif
