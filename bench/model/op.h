/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_MODEL_OP_H
#define VB_MODEL_OP_H

/* Leaf operators and shapes: what a model is made of once it is expanded. */

#include <stdbool.h>
#include <stdint.h>

enum vb_op_kind {
    VB_CONV,      /* x -> y */
    VB_BATCHNORM, /* x -> y; its mean and inverse deviation belong to the step program */
    VB_SILU,      /* in place: y is x's storage */
    VB_RELU,      /* in place likewise */
    VB_MAXPOOL,   /* x -> y, indices (int64) */
    VB_UPSAMPLE,  /* nearest, by a whole number */
    VB_CONCAT,    /* along one axis */
    VB_ADD,
    VB_ADD_IN_PLACE, /* y is the first input's storage */
    VB_AVERAGE,      /* over height and width */
    VB_LINEAR,       /* [N,C] -> [N,K], with a bias */
    VB_SPLIT,        /* along one axis into views of x */
    VB_VIEW,         /* another shape of the same storage */
    VB_PERMUTE,      /* the axes in another order, a view */
    VB_CLONE,        /* a contiguous copy: the v5 head's .contiguous() */
    VB_SLICE,        /* Focus: every second pixel, a view */
    VB_DETACH,       /* the same values, through which no gradient flows: a view */
    VB_TRANSPOSE,    /* the last two axes in the other order, a view */
    VB_STACK,        /* [N,H,m,n] as the stack of matrices [N H,m,n], and back again: views */
    VB_UNSTACK,
    VB_MATMUL,         /* of two stacks of matrices: [B,m,k], [B,k,n] -> [B,m,n] */
    VB_SCALE,          /* times a number */
    VB_SOFTMAX,        /* along the last axis */
    VB_AVGPOOL,        /* over a window without padding */
    VB_PAD,            /* zeros to the right and below */
    VB_ADD_ZERO,       /* x + 0, a number: a tensor of its own */
    VB_PILE,           /* images of one shape along a new first axis */
    VB_SUM_FIRST,      /* over the first axis */
    VB_GAIN,           /* times one number a channel, a parameter */
    VB_CONV_TRANSPOSE, /* x -> y: of the convolution from y to x, which the window is of */
};
enum { VB_N_OP_KINDS = 30, VB_MAX_DIMS = 5, VB_MAX_INPUTS = 32, VB_MAX_OUTPUTS = 8 };

extern const char *const vb_op_kind_names[VB_N_OP_KINDS];

/* Axes in the order N, C, H, W (v5's predictions: N, anchors, H, W, values). */
struct vb_shape {
    uint32_t n_dims;
    uint32_t dims[VB_MAX_DIMS];
};

/* The product of the dimensions; UINT64_MAX where that does not fit 64 bits. */
uint64_t vb_shape_elements(const struct vb_shape *shape);

struct vb_window {
    uint32_t kernel_h, kernel_w;
    uint32_t stride;
    uint32_t pad;
    uint32_t dilation;
};

#endif
