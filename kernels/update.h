/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_KERNELS_UPDATE_H
#define VB_KERNELS_UPDATE_H

/* Arguments of the updates of parameters. C and CUDA. */

#include "kernels/walk.h"

enum vb_update_kind {
    VB_UPDATE_NESTEROV, /* direction, momentum, step, parameter */
    VB_UPDATE_SGD,      /* direction, momentum, parameter */
    VB_UPDATE_MOMENTS,  /* gradient, mean, squares */
    VB_UPDATE_ADAM,     /* mean, root of the squares, denominator, parameter */
    VB_UPDATE_DECAY,    /* parameter */
    VB_UPDATE_CLIP,     /* norm, gradient */
    VB_UPDATE_UNSCALE,  /* inverse, gradient */
    VB_UPDATE_EMA,      /* parameter, product, average */
};

/* So many tensors a launch, and strips (the operands above) of each. */
enum { VB_UPDATE_TENSORS = 48, VB_UPDATE_STRIPS = 4 };

/* What all elements of a launch have in common. */
struct vb_update_rule {
    uint32_t kind;              /* enum vb_update_kind */
    uint32_t n, reads, writes;  /* strips; a bit for each */
    float a, b, rest_a, rest_b; /* the numbers, and what is left to 1 */
    void *found;                /* NULL: none. Written by VB_UPDATE_UNSCALE, asked by the others */
    uint32_t found_dtype;
};

struct vb_update_tensor {
    void *strips[VB_UPDATE_STRIPS];
    uint64_t n;           /* elements */
    uint32_t first_block; /* that works on it */
};

/* Tensors without gaps; strips whose bit is set in `repeats` are one number each. */
struct vb_update {
    struct vb_update_rule rule;
    uint32_t dtypes[VB_UPDATE_STRIPS];
    uint32_t repeats;
    uint32_t n_tensors;
    struct vb_update_tensor tensors[VB_UPDATE_TENSORS];
};

/* One tensor of any strides. */
struct vb_update_strided {
    struct vb_update_rule rule;
    struct vb_axes axes;
    struct vb_lying strips[VB_UPDATE_STRIPS];
};

struct vb_scalar {
    void *data;
    uint32_t dtype;
};

struct vb_rescale {
    struct vb_scalar found, steps, scale;
    double interval;
};

#endif
