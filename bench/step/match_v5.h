/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_MATCH_V5_H
#define VB_STEP_MATCH_V5_H

/* YOLOv5's matching of boxes to anchors and cells, by shape and place alone. Private to step/. */

#include "model/graph.h"
#include "step/tape.h"
#include "step/targets.h"

/* A level's matches, held by whoever asked. */
struct vb_match {
    struct vb_matches count;
    struct vb_variable image_and_label, anchor; /* int64: [n,2], [n] */
    struct vb_variable cell;                    /* int64 [n,2]: column and row */
    struct vb_variable box;                     /* [n,4]: centre from the cell's corner, size */
    struct vb_variable anchor_size;             /* [n,2] */
};

/* `boxes` [n,6]: image, label, centre and size, as `targets` has them; `anchors`
 * [levels,anchors,2]: sizes in cells. Fills one match a level. */
void vb_match_targets(struct vb_tape *tape, const struct vb_graph *graph,
                      const struct vb_targets *targets, struct vb_variable boxes,
                      struct vb_variable anchors, struct vb_match *matches);

#endif
