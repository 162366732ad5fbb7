/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_ANCHORS_H
#define VB_STEP_ANCHORS_H

/* What YOLOv8's loss makes of a batch before it compares: the cells' centres, and the boxes padded
 * to as many an image. */

#include "model/graph.h"
#include "step/tape.h"
#include "step/targets.h"

/* Cell centres [anchors,2] in cells and strides [anchors,1] of all levels, held. */
void vb_make_anchors(struct vb_tape *tape, const struct vb_graph *graph, enum vb_dtype dtype,
                     struct vb_variable *centres, struct vb_variable *strides);

/* The boxes with their classes [batch,boxes,5], held: class, then corners in pixels; zeros where an
 * image has fewer. `image_size`: height and width [2], which is multiplied in its own type. */
struct vb_variable vb_pad_boxes(struct vb_tape *tape, const struct vb_graph *graph,
                                const struct vb_targets *targets, struct vb_variable image_size);

#endif
