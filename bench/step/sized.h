/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_SIZED_H
#define VB_STEP_SIZED_H

/* The graph that a point trains, and the sizes that loaders bring images to. Source:
 * ultralytics/yolov5 v7.0, utils/dataloaders.py and train.py; ultralytics 8.3.220, data/base.py
 * (set_rectangle) and engine/trainer.py: both have one rule. */

#include "model/description.h"
#include "model/graph.h"
#include "record/point.h"

/* What loaders bring sizes to multiples of: the model's largest stride, 32 at least. */
uint32_t vb_loader_stride(const struct vb_graph *graph);

/* A side of rectangular batches: `share` of imgsz and `pad` strides (training has 0, validation a
 * half), brought up to a multiple of the stride. A whole share is the longer side. */
uint32_t vb_loader_side(double share, uint32_t imgsz, double pad, uint32_t stride);

/* The point's model, read and expanded: its classes, its images' sides (the shorter one, where
 * there is one, is the height: as most photographs lie), its frozen layers. All of it is of the
 * arena. VB_E_INPUT: the point cannot be (model, imgsz, freeze, or rect with mosaics composed on
 * the device). */
VB_CHECKED enum vb_status vb_point_graph(const struct vb_point *point, struct vb_arena *arena,
                                         struct vb_description *description, struct vb_graph *graph,
                                         struct vb_error *err);

#endif
