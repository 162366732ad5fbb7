/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_ASSIGN_H
#define VB_STEP_ASSIGN_H

/* YOLOv8's task-aligned assigner: which anchors learn which box. No gradient passes through it; its
 * temporaries of batch x boxes x anchors are what label density costs. */

#include "step/tape.h"
#include "step/targets.h"

/* The sizes of one call. */
struct vb_assignment {
    uint32_t batch, anchors, classes;
    uint32_t boxes; /* the most in any image: the rest is padded to it */
    uint32_t n_inside;
    uint32_t n_foreground;
    struct vb_variable boxes_wanted;  /* out: [batch, anchors, 4], held */
    struct vb_variable scores_wanted; /* out: [batch, anchors, classes] fp32, held */
    struct vb_variable foreground;    /* out: [batch, anchors] bool, held */
    struct vb_variable which;         /* out: [batch, anchors] int64, held */
};

/* `scores` [batch, anchors, classes] and `boxes` [batch, anchors, 4]: predictions, in autocast's
 * type. */
void vb_assign_targets(struct vb_tape *tape, struct vb_assignment *sizes, struct vb_variable scores,
                       struct vb_variable boxes);

#endif
