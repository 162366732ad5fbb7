/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_FUSE_H
#define VB_STEP_FUSE_H

/* model.fuse() on the device: each convolution takes its batch normalisation in. Source:
 * ultralytics 8.0.53, utils/torch_utils.py (fuse_conv_and_bn). */

#include "step/builder.h"

/* `storages`: of the graph's parameters and buffers. Convolutions get new weights; the
 * normalisations' tensors go, but for one that becomes the convolution's bias: what has gone has no
 * holder any more. */
void vb_fuse_weights(struct vb_tape *tape, const struct vb_graph *graph, uint32_t *storages);

#endif
