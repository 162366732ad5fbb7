/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_DEVICE_CUDNN_BACKEND_H
#define VB_DEVICE_CUDNN_BACKEND_H

/* Asks cuDNN's backend which engines it would run a convolution with on a GPU described by a JSON
 * text, best first, and what workspace each takes. No handle is made, so no driver is needed. For
 * conv_plan.c; it decides nothing about which engine PyTorch takes beyond dropping those it is told
 * to.
 */

#include <stddef.h>

#include "device/conv_plan.h"
#include "device/cudnn_library.h"

/* Which engines to leave out. Zeroed: none. */
struct vb_cudnn_filter {
    bool nondeterministic;
    bool down_converting; /* that turn inputs to a narrower type */
    bool tensor_core;
};

struct vb_cudnn_candidate {
    int64_t engine; /* cuDNN's global index */
    uint64_t workspace_bytes;
    bool is_nondeterministic;
};

enum vb_cudnn_list { VB_CUDNN_HEURISTIC, VB_CUDNN_LAST_RESORT }; /* mode A; mode FALLBACK */

/* Makes the description of a GPU; close it with vb_cudnn_device_close().
 * VB_E_INPUT: cuDNN refuses the text; the error has its reason. VB_E_DEVICE: cuDNN does not start.
 */
VB_CHECKED enum vb_status vb_cudnn_device_open(const struct vb_cudnn *cudnn, const char *json,
                                               void **device, struct vb_error *err);
void vb_cudnn_device_close(const struct vb_cudnn *cudnn, void *device); /* NULL is valid */

/* Writes the first `room` configurations that the filter leaves and that make a plan, best first.
 * None is an answer: `*n` is 0. VB_E_DEVICE: cuDNN fails otherwise. */
VB_CHECKED enum vb_status vb_cudnn_candidates(const struct vb_cudnn *cudnn, void *device,
                                              const struct vb_conv *conv, enum vb_cudnn_list list,
                                              const struct vb_cudnn_filter *filter,
                                              struct vb_cudnn_candidate *out, size_t room,
                                              size_t *n, struct vb_error *err);

/* Asks for the engine of that global index, as it is without choices of its own. False where there
 * is none for this convolution on this GPU, or this cuDNN cannot be asked for one. */
bool vb_cudnn_engine_plan(const struct vb_cudnn *cudnn, void *device, const struct vb_conv *conv,
                          int64_t engine, struct vb_cudnn_candidate *out);

#endif
