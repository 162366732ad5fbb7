/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_UPLOAD_H
#define VB_STEP_UPLOAD_H

/* A batch's way to the device. Pictures are drawn by a fixed generator. Source: torch-memory.md,
 * part B, 5. */

#include "model/graph.h"
#include "step/tape.h"
#include "step/targets.h"

/* What the loop holds of a batch. Where only the
 * images are uploaded, the loss uploads the boxes. */
struct vb_batch {
    struct vb_variable images;
    struct vb_variable classes, boxes, image_indices;
};

/* A batch of the graph's images, held. */
struct vb_variable vb_new_images(struct vb_tape *tape, const struct vb_graph *graph,
                                 const char *what, enum vb_dtype dtype);

/* VB_E_INPUT: MixUp or copy-paste with no mosaic on the device; on the host they cost it nothing.
 */
VB_CHECKED enum vb_status vb_check_composition(const struct vb_point *point, struct vb_error *err);

/* The batch as uint8, composed on the device in the order of YOLOv5's loader: four images each on a
 * canvas of twice the side; copy-paste, on the whole canvas; a window of it; MixUp with another
 * such window; flipped. Source: ultralytics/yolov5 v7.0, utils/dataloaders.py, load_mosaic() and
 * __getitem__(); utils/augmentations.py, mixup() and copy_paste(). An image mixed of two bears the
 * boxes of both: the point's `targets` is what is trained on, so these are in it. */
struct vb_variable vb_compose(struct vb_tape *tape, const struct vb_graph *graph,
                              const struct vb_point *point);

/* What goes to the device before the forward pass: the images alone, whose bytes go as soon as they
 * are numbers; or the whole dictionary, which holds the bytes until the quotient takes their place.
 */
enum vb_upload { VB_UPLOAD_IMAGES, VB_UPLOAD_ALL };

/* `bytes`: the images as uint8 if they are on the device already, taken over; else undefined. */
void vb_upload_batch(struct vb_tape *tape, const struct vb_graph *graph,
                     const struct vb_targets *targets, struct vb_variable bytes, enum vb_upload how,
                     struct vb_batch *batch);

/* Multi-scale: the batch's images interpolated to the graph's size; both are there for a moment. */
void vb_resize_batch(struct vb_tape *tape, const struct vb_graph *graph, struct vb_batch *batch);

/* The boxes as rows of image, class, centre and size [n,6] in fp32, held. Boxes are drawn with more
 * classes than some models have: these count round. */
struct vb_variable vb_upload_boxes(struct vb_tape *tape, const struct vb_targets *targets,
                                   uint32_t classes);

void vb_drop_batch(struct vb_tape *tape, struct vb_batch *batch);

#endif
