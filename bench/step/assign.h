/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_ASSIGN_H
#define VB_STEP_ASSIGN_H

/* YOLOv8's task-aligned assigner: which anchors learn which box. No gradient passes through it; its
 * temporaries of batch x boxes x anchors are what label density costs. */

#include "step/tape.h"
#include "step/targets.h"

enum { VB_CORNERS = 4, VB_ORIENTED = 5 };

/* The sizes of one call, what it is about, and what it gives. */
struct vb_assignment {
    uint32_t batch, anchors, classes;
    uint32_t boxes;      /* the most in any image: the rest is padded to it */
    uint32_t top_k;      /* anchors that a box may have */
    uint32_t top_k_last; /* of which so many stay once no two boxes have one; 0: all */
    uint32_t sides;      /* numbers that a box is given by: 4 corners' or, of an oriented one, 5 */
    uint32_t n_inside;
    uint32_t n_foreground;            /* the most that there can be */
    struct vb_variable centres;       /* [anchors, 2] in cells */
    struct vb_variable strides;       /* [anchors, 1] */
    struct vb_variable known;         /* [batch, boxes, 1 + sides]: class and box in pixels */
    struct vb_variable valid;         /* [batch, boxes, 1] fp32: 1 where there is a box */
    struct vb_variable boxes_wanted;  /* out: [batch, anchors, sides] in pixels, held */
    struct vb_variable scores_wanted; /* out: [batch, anchors, classes] fp32, held */
    struct vb_variable foreground;    /* out: [batch, anchors] bool, held */
    struct vb_variable which;         /* out: [batch, anchors] int64, held */
};

/* `scores` [batch, anchors, classes], as logits, and `boxes` [batch, anchors, sides] in cells:
 * predictions, in autocast's type. */
void vb_assign_targets(struct vb_tape *tape, struct vb_assignment *sizes, struct vb_variable scores,
                       struct vb_variable boxes);

#endif
