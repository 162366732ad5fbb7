/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_ANCHORS_H
#define VB_STEP_ANCHORS_H

/* What YOLOv8's loss makes of a batch before it compares: the cells' centres, and the boxes padded
 * to as many an image. */

#include "model/graph.h"
#include "step/tape.h"
#include "step/targets.h"

/* Cell centres [anchors,2] and strides [anchors,1] of all levels, held. */
void vb_make_anchors(struct vb_tape *tape, const struct vb_graph *graph, enum vb_dtype dtype,
                     struct vb_variable *centres, struct vb_variable *strides);

/* The boxes with their classes [batch,boxes,5], held: corners in pixels. `dtype` is that of the
 * image's size. */
struct vb_variable vb_pad_boxes(struct vb_tape *tape, const struct vb_targets *targets,
                                uint32_t batch, enum vb_dtype dtype);

#endif
