/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_CHECK_H
#define VB_STEP_CHECK_H

/* The check that mixed precision works, which runs on the device before training and leaves its
 * blocks in the allocator's cache: a model on one image or a few, in fp32, then in fp16. Nothing
 * where the recipe has none or the point is not in mixed precision. */

#include "model/description.h"
#include "step/builder.h"

/* `description`: of the model that is trained. VB_E_INPUT, VB_E_SYSTEM: as expanding it gives. */
VB_CHECKED enum vb_status vb_check_amp(struct vb_builder *self,
                                       const struct vb_description *description,
                                       struct vb_error *err);

#endif
