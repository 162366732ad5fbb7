/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_DEVICE_CUDNN_BAG_H
#define VB_DEVICE_CUDNN_BAG_H

/* Every descriptor that a question to cuDNN needs is made through a bag, which destroys them all in
 * reverse when the question is answered, whichever way it ends. Private to cudnn_*.c.
 */

#include "device/cudnn_abi.h"
#include "device/cudnn_backend.h"

/* Heuristics rank 6 to 64 configurations; a bag holds them with their engines and the graph. */
enum { VB_MAX_CONFIGURATIONS = 96, VB_MAX_DESCRIPTORS = 3 * VB_MAX_CONFIGURATIONS + 16 };

struct vb_cudnn_bag {
    const struct vb_cudnn *cudnn;
    size_t n;
    void *items[VB_MAX_DESCRIPTORS];
};

/* Destroys all that was made since the bag held `n`. */
void vb_bag_shrink(struct vb_cudnn_bag *bag, size_t n);

/* Turns cuDNN's status into ours; `what` is what was done, for the text. */
VB_CHECKED enum vb_status vb_cudnn_check(const struct vb_cudnn *cudnn, int code, const char *what,
                                         struct vb_error *err);

/* An empty descriptor. */
VB_CHECKED enum vb_status vb_bag_make(struct vb_cudnn_bag *bag, enum vb_cudnn_descriptor_type type,
                                      void **out, struct vb_error *err);

/* One attribute to set. */
struct vb_cudnn_setting {
    int name;
    int type;
    int64_t n;
    const void *values;
};

/* Makes a descriptor, sets all its attributes and finalizes it. */
VB_CHECKED enum vb_status vb_bag_build(struct vb_cudnn_bag *bag, enum vb_cudnn_descriptor_type type,
                                       const char *what, const struct vb_cudnn_setting *settings,
                                       size_t n_settings, void **out, struct vb_error *err);
#define VB_BAG_BUILD(bag, type, what, settings, out, err)                                          \
    vb_bag_build(bag, type, what, settings, sizeof(settings) / sizeof *(settings), out, err)

/* The unique ids of a graph's tensors. */
enum { VB_UID_X = 1, VB_UID_W = 2, VB_UID_Y = 3 };

/* An operation graph that holds the one convolution. */
VB_CHECKED enum vb_status vb_cudnn_graph(struct vb_cudnn_bag *bag,
                                         const struct vb_cudnn_target *target,
                                         const struct vb_conv *conv, void **out,
                                         struct vb_error *err);

#endif
