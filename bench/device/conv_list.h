/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_DEVICE_CONV_LIST_H
#define VB_DEVICE_CONV_LIST_H

/* The convolutions that one training step of a graph asks a planner about, for the tables of
 * workspaces. */

#include <stddef.h>

#include "device/conv_plan.h"
#include "model/graph.h"

/* Each convolution of the graph in its order, in three directions (a convolution of the image has
 * no gradient for its input), repeated shapes and all; in the arena. VB_E_SYSTEM: no host memory.
 */
VB_CHECKED enum vb_status vb_conv_list(const struct vb_graph *graph, enum vb_conv_type type,
                                       bool channels_last, struct vb_arena *arena,
                                       struct vb_conv **out, size_t *n, struct vb_error *err);

#endif
