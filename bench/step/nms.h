/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_NMS_H
#define VB_STEP_NMS_H

/* Non-maximum suppression as validation runs it, with its low threshold: image after image, the
 * pairs of box and class above it, sorted, and torchvision's matrix of which overlaps which. */

#include "model/graph.h"
#include "step/tape.h"

/* What the trainers cut an image's pairs to before the matrix: max_nms of non_max_suppression(). */
enum { VB_MAX_NMS = 30000 };
/* An image's boxes in the end, each with four corners, a score and a class. */
enum { VB_MAX_DETECTIONS = 300, VB_DETECTION_COLUMNS = 6 };

/* torchvision::nms on CUDA: one bit for each pair of `n` boxes, in words of 64. */
uint64_t vb_nms_mask_bytes(uint64_t n);

/* How many pairs of an image are kept: unknown before the weights are; in the first epochs nearly
 * all are above the threshold of 0.001, so all, at most VB_MAX_NMS. */
uint32_t vb_nms_pairs(const struct vb_graph *graph);

/* `decoded`: as vb_infer() gives it for the graph; stays the caller's. `*kept`: all images' at most
 * 300 boxes as one tensor, held: the trainers have one an image. An end-to-end head's boxes are
 * only cut at the threshold. */
void vb_nms(struct vb_tape *tape, const struct vb_graph *graph, struct vb_variable decoded,
            struct vb_variable *kept);

#endif
