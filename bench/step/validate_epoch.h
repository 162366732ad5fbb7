/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_VALIDATE_EPOCH_H
#define VB_STEP_VALIDATE_EPOCH_H

/* Validation after an epoch: the averaged weights cast to half precision in place, batches of more
 * images than training's through them without gradients, their loss, non-maximum suppression; then
 * the weights cast back. Nothing of it stays but blocks in the allocator's cache. */

#include "model/description.h"
#include "step/builder.h"

/* Nothing for a classifier, whose recipe has no validation. Two batches: the second begins with
 * what the loop's names hold of the first. VB_E_INPUT, VB_E_SYSTEM: as expanding the model gives.
 */
VB_CHECKED enum vb_status vb_validate_epoch(struct vb_builder *self,
                                            const struct vb_description *description,
                                            struct vb_error *err);

/* The graph of a validation batch. The loader pads images to shapes of whole strides and half a
 * stride more, so a square of imgsz becomes one of imgsz + stride. */
VB_CHECKED enum vb_status vb_expand_validation(const struct vb_builder *self,
                                               const struct vb_description *description,
                                               struct vb_graph *out, struct vb_error *err);

#endif
