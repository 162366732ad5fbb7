/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_LOOP_CLASSIFY_H
#define VB_STEP_LOOP_CLASSIFY_H

/* What loop.c hands to for classifiers. Private to step/. */

#include "step/builder.h"

/* A batch of pictures and their classes takes the names' place. */
void vb_upload_labelled(struct vb_builder *self);

/* Upload, forward, loss and backward of one batch. VB_E_INPUT: the point asks for what this loop
 * has not: mosaic, accumulation. */
VB_CHECKED enum vb_status vb_classify_batch(struct vb_builder *self, struct vb_error *err);

/* Step, average. */
void vb_classify_update(struct vb_builder *self);

#endif
