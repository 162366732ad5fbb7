/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_LOSS_TASKS_H
#define VB_STEP_LOSS_TASKS_H

/* What the losses of segmentation, poses and oriented boxes have beyond YOLOv8's. They are only
 * planned: how many rows and planes there are is known, no numbers are. Source: ultralytics
 * 8.3.220, utils/loss.py (v8SegmentationLoss, v8PoseLoss, v8OBBLoss), utils/ops.py (crop_mask),
 * utils/tal.py (RotatedTaskAlignedAssigner), utils/metrics.py (probiou). */

#include "model/graph.h"
#include "step/assign.h"
#include "step/tape.h"
#include "step/targets.h"

/* What a task's own terms are made from, once anchors have their boxes. */
struct vb_own {
    const struct vb_graph *graph;
    const struct vb_targets *targets;
    const struct vb_assignment *assignment;
    struct vb_variable values;     /* [N,anchors,k]: mask coefficients; keypoints, decoded */
    struct vb_variable prototypes; /* segmentation: [N,k,h,w] */
    struct vb_variable labels;     /* of the batch, as vb_upload_own() makes them */
};

/* The batch's masks, uint8 [N,H/4,W/4], in which overlapping ones share a plane; or its keypoints,
 * fp32 [boxes,points,values]. Undefined for other tasks. */
struct vb_variable vb_upload_own(struct vb_tape *tape, const struct vb_graph *graph,
                                 const struct vb_targets *targets);

/* The mean over foreground anchors of each one's mask's cross entropy within its box. A plane of
 * the prototypes' size is made, and kept for backward, for each of them. */
struct vb_variable vb_mask_part(struct vb_tape *tape, const struct vb_own *own);

/* A keypoint's place in cells; takes over `values`. */
struct vb_variable vb_decode_keypoints(struct vb_tape *tape, const struct vb_graph *graph,
                                       struct vb_variable values);
/* Where the keypoints are and, where they say so, whether they are seen; else undefined. */
void vb_keypoint_parts(struct vb_tape *tape, const struct vb_own *own, struct vb_variable *place,
                       struct vb_variable *seen);

/* The box [N,anchors,5] of the means of its distances [N,anchors,4] and its angle [N,anchors,1].
 */
struct vb_variable vb_decode_rotated(struct vb_tape *tape, struct vb_variable distances,
                                     struct vb_variable angles, struct vb_variable centres);

/* The probabilistic IoU of pairs of oriented boxes [n,5]: [n,1]. `target` asks for no gradient. */
struct vb_variable vb_probiou(struct vb_tape *tape, struct vb_variable box,
                              struct vb_variable target);

#endif
