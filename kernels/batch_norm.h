/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_KERNELS_BATCH_NORM_H
#define VB_KERNELS_BATCH_NORM_H

/* Arguments of batch normalisation's kernels. C and CUDA. */

#include "kernels/walk.h"

/* Of an image, along its pixels; `channel_stride` from a channel to the next. */
struct vb_norm_image {
    struct vb_lying pixels;
    uint32_t channel_stride;
};

/* Which thread works on what. Of a block's threads `lanes`, a power of 2, have one channel each (or
 * eight) of the same pixels, the others the pixels after. A number of lanes after the other is done
 * by other blocks, and so is each of `parts` stretches of pixels. */
struct vb_norm_plan {
    struct vb_axes pixels; /* or eights of them */
    uint32_t channels, lanes, parts;
};

/* One number a channel. */
struct vb_vector {
    void *data;
    uint32_t dtype, stride;
};

/* With d = x - about, of each channel and part: sums of d and d d, or of g and g d where there is a
 * gradient g. */
struct vb_norm_sums {
    struct vb_norm_plan plan;
    struct vb_norm_image x, g;
    struct vb_vector about;
    double *sums; /* [channels][parts][2] */
    uint32_t has_gradient;
};

/* y = of_x x + of_gradient gradient + shift, the three being [channels] each, one after the other.
 */
struct vb_norm_apply {
    struct vb_norm_plan plan;
    struct vb_norm_image x, g, y;
    const float *factors;
    uint32_t has_gradient;
};

/* From the sums to what the call gives beside y, and to the factors of y. Channels of a block: */
enum { VB_NORM_ENDED = 8 };
struct vb_norm_end {
    const double *sums;
    float *factors;
    uint32_t channels, parts;
    uint64_t pixels;
    double momentum, epsilon;
    struct vb_vector about; /* of the sums */
    struct vb_vector weight, bias, running_mean, running_variance, mean, deviation;
    struct vb_vector weight_gradient, bias_gradient;
};

#endif
