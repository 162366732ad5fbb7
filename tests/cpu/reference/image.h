/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_TESTS_CPU_REFERENCE_IMAGE_H
#define VB_TESTS_CPU_REFERENCE_IMAGE_H

/* Values of the reference as images, for its operators; and those that pooling.c has. */

#include "reference.h"

/* Sides of a value as an image. */
struct image {
    size_t n, c, h, w;
    double *at;       /* element (n,c,y,x) at ((n C + c) H + y) W + x */
    double *gradient; /* likewise */
};

static inline struct image image_of(const struct vb_reference *self, uint32_t value)
{
    const uint32_t *dims = self->graph->values[value].shape.dims;
    return (struct image){
        dims[0], dims[1], dims[2], dims[3], self->values[value], self->gradients[value]
    };
}

static inline size_t place(const struct image *image, size_t n, size_t c, size_t y, size_t x)
{
    return ((n * image->c + c) * image->h + y) * image->w + x;
}

void vb_reference_avg_pool(struct vb_reference *self, const struct vb_op *op, bool is_backward);
void vb_reference_pad(struct vb_reference *self, const struct vb_op *op, bool is_backward);
/* One input after another along a new first axis. */
void vb_reference_pile(struct vb_reference *self, const struct vb_op *op, bool is_backward);
void vb_reference_sum_first(struct vb_reference *self, const struct vb_op *op, bool is_backward);
/* Times one number a channel. */
void vb_reference_gain(struct vb_reference *self, uint32_t index, bool is_backward);

#endif
