/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_RUN_H
#define VB_STEP_RUN_H

/* A whole run as one program: what happens before the first batch, an epoch of batches with
 * differently many boxes, the last, smaller one, validation, and the epoch after it. It is walked
 * once; its marks say where logs are printed and the cache is emptied. */

#include "model/description.h"
#include "step/builder.h"

/* `graph` is the model's for a full batch; `description` is what it was expanded from. All lives in
 * the arena. */
VB_CHECKED enum vb_status vb_run_build(const struct vb_graph *graph,
                                       const struct vb_description *description,
                                       const struct vb_point *point, const struct vb_recipe *recipe,
                                       struct vb_arena *arena, struct vb_program *out,
                                       struct vb_error *err);

/* The same program up to the end of its first batch: its first instructions, all of them. */
VB_CHECKED enum vb_status vb_run_build_start(const struct vb_graph *graph,
                                             const struct vb_description *description,
                                             const struct vb_point *point,
                                             const struct vb_recipe *recipe, struct vb_arena *arena,
                                             struct vb_program *out, struct vb_error *err);

/* The largest size that multi-scale training draws: of imgsz and `percent` % of it to either side,
 * the end left out, in whole strides. Source: YOLOv5 7.0, train.py, and ultralytics alike:
 * randrange(int(imgsz * 0.5), int(imgsz * 1.5) + stride) // stride * stride. */
uint32_t vb_largest_draw(uint32_t imgsz, uint32_t percent, uint32_t stride);

#endif
