/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_DEVICE_CUDNN_BACKEND_H
#define VB_DEVICE_CUDNN_BACKEND_H

/* Asks cuDNN's backend which engines it would run a convolution with, best first, and what
 * workspace each takes: on a GPU described by a JSON text, for which no driver is needed, or on one
 * that is there, where it runs them too. It decides nothing about which engine PyTorch takes beyond
 * dropping those it is told to.
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
    void *plan; /* to be run; NULL where plans are not kept */
};

/* cuDNN, and the GPU that it is asked about: one of the two. */
struct vb_cudnn_target {
    const struct vb_cudnn *cudnn;
    void *properties; /* of vb_cudnn_device_open(): no plan can be run */
    void *handle;     /* of cudnnCreate() */
    uint32_t compute_capability;
};

/* What keeps plans alive: all descriptors that they were made of. NULL where the host has no memory
 * left. Dropping takes NULL too. */
struct vb_cudnn_bag;
struct vb_cudnn_bag *vb_cudnn_bag_new(const struct vb_cudnn *cudnn);
void vb_cudnn_bag_drop(struct vb_cudnn_bag *bag);

enum vb_cudnn_list { VB_CUDNN_HEURISTIC, VB_CUDNN_LAST_RESORT }; /* mode A; mode FALLBACK */

/* Makes the description of a GPU; close it with vb_cudnn_device_close().
 * VB_E_INPUT: cuDNN refuses the text; the error has its reason. VB_E_DEVICE: cuDNN does not start.
 */
VB_CHECKED enum vb_status vb_cudnn_device_open(const struct vb_cudnn *cudnn, const char *json,
                                               void **device, struct vb_error *err);
void vb_cudnn_device_close(const struct vb_cudnn *cudnn, void *device); /* NULL is valid */

/* Writes the first `room` configurations that the filter leaves and that make a plan, best first.
 * None is an answer: `*n` is 0. `kept`: an empty bag, in which their plans stay; NULL: they are
 * gone. VB_E_DEVICE: cuDNN fails otherwise. */
VB_CHECKED enum vb_status vb_cudnn_candidates(const struct vb_cudnn_target *target,
                                              const struct vb_conv *conv, enum vb_cudnn_list list,
                                              const struct vb_cudnn_filter *filter,
                                              struct vb_cudnn_bag *kept,
                                              struct vb_cudnn_candidate *out, size_t room,
                                              size_t *n, struct vb_error *err);

/* Asks for the engine of that global index, as it is without choices of its own. False where there
 * is none for this convolution on this GPU, or this cuDNN cannot be asked for one. */
bool vb_cudnn_engine_plan(const struct vb_cudnn_target *target, const struct vb_conv *conv,
                          int64_t engine, struct vb_cudnn_bag *kept,
                          struct vb_cudnn_candidate *out);

/* Makes a handle in the current context of the driver, whose work goes to that stream, and stops
 * it again. VB_E_DEVICE: cuDNN does not start. Stopping a target without a handle does nothing. */
VB_CHECKED enum vb_status vb_cudnn_start(struct vb_cudnn_target *target, void *stream,
                                         struct vb_error *err);
void vb_cudnn_stop(struct vb_cudnn_target *target);

/* What a plan reads and writes: addresses of the device. */
struct vb_cudnn_operands {
    void *x, *w, *y;
    void *workspace; /* as large as the plan says; NULL where that is nothing */
};

/* Runs a kept plan on the handle's stream; returns before it is done. VB_E_DEVICE: cuDNN refuses.
 */
VB_CHECKED enum vb_status vb_cudnn_execute(const struct vb_cudnn_target *target, void *plan,
                                           const struct vb_cudnn_operands *operands,
                                           struct vb_error *err);

/* What cuDNN says of the handle's GPU, as vb_cudnn_device_open() takes it; the caller gives it to
 * free(). VB_E_DEVICE: it does not say, as versions before 9.8. */
VB_CHECKED enum vb_status vb_cudnn_describe(const struct vb_cudnn_target *target, char **json,
                                            struct vb_error *err);

#endif
