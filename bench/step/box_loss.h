/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_BOX_LOSS_H
#define VB_STEP_BOX_LOSS_H

/* YOLOv8's loss of the boxes: CIoU and distribution focal loss on the foreground anchors; YOLO26's,
 * CIoU and the mean error of the distances. */

#include "step/assign.h"

enum { VB_BINS = 16, VB_SIDES = 4, VB_DISTANCES = VB_BINS * VB_SIDES };

struct vb_box_loss {
    struct vb_variable iou, distribution; /* or of the distances; held */
};

/* `distances` [batch,anchors,64], or [..,4] where there are no distributions, and `boxes`
 * [batch,anchors,4]: predictions; `wanted` [..,4]: in cells; `score_sum`: what each part is divided
 * by; `image_size` [2]: height and width in pixels. */
struct vb_box_loss vb_box_loss(struct vb_tape *tape, const struct vb_assignment *sizes,
                               struct vb_variable distances, struct vb_variable boxes,
                               struct vb_variable wanted, struct vb_variable score_sum,
                               struct vb_variable image_size);

/* sum(x) / total: a scalar. Takes over the caller's hold of x, which ends with the sum. */
struct vb_variable vb_share(struct vb_tape *tape, struct vb_variable x, struct vb_variable total);

#endif
