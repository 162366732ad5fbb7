/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_DRAW_H
#define VB_STEP_DRAW_H

/* The model's graph drawn for TensorBoard: torch.jit.trace() runs one image through it in fp32,
 * first with gradients, so that autograd keeps all that training would, then three times without to
 * check the trace. Nothing of it stays but blocks in the allocator's cache. */

#include "model/description.h"
#include "step/builder.h"

/* VB_E_INPUT, VB_E_SYSTEM: as expanding the model gives. */
VB_CHECKED enum vb_status vb_draw_graph(struct vb_builder *self,
                                        const struct vb_description *description,
                                        struct vb_error *err);

#endif
