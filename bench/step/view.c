/* SPDX-License-Identifier: Apache-2.0 */
#include "step/view.h"

#include <assert.h>
#include <string.h>

void vb_strides_in_order(const struct vb_shape *shape, uint32_t *strides)
{
    uint32_t stride = 1;
    for (uint32_t i = shape->n_dims; i-- > 0;) {
        strides[i] = stride;
        stride *= shape->dims[i];
    }
}

void vb_strides_of_image(const struct vb_shape *shape, bool channels_last, uint32_t *strides)
{
    if (!channels_last || shape->n_dims != 4) {
        vb_strides_in_order(shape, strides);
        return;
    }
    strides[1] = 1;
    strides[3] = shape->dims[1];
    strides[2] = strides[3] * shape->dims[3];
    strides[0] = strides[2] * shape->dims[2];
}

struct vb_variable vb_stretch_of(struct vb_variable x, uint32_t axis, uint32_t start, uint32_t size)
{
    if (axis >= x.shape.n_dims) /* undefined: host memory has run out */
        return x;
    x.offset += (uint64_t)start * x.strides[axis];
    x.shape.dims[axis] = size;
    return x;
}

struct vb_variable vb_at(struct vb_variable x, uint32_t axis, uint32_t i)
{
    struct vb_variable y = vb_stretch_of(x, axis, i, 1);
    if (axis >= x.shape.n_dims)
        return x;
    y.shape.n_dims--;
    for (uint32_t k = axis; k < y.shape.n_dims; k++) {
        y.shape.dims[k] = x.shape.dims[k + 1];
        y.strides[k] = x.strides[k + 1];
    }
    return y;
}

struct vb_variable vb_in_axes(struct vb_variable x, const uint32_t *order)
{
    struct vb_variable y = x;
    for (uint32_t i = 0; i < x.shape.n_dims; i++) {
        y.shape.dims[i] = x.shape.dims[order[i]];
        y.strides[i] = x.strides[order[i]];
    }
    return y;
}

struct vb_variable vb_with_axis(struct vb_variable x, uint32_t axis)
{
    assert(x.shape.n_dims < VB_MAX_DIMS);
    for (uint32_t i = x.shape.n_dims++; i > axis; i--) {
        x.shape.dims[i] = x.shape.dims[i - 1];
        x.strides[i] = x.strides[i - 1];
    }
    x.shape.dims[axis] = 1;
    x.strides[axis] = 0;
    return x;
}

struct vb_variable vb_expanded(struct vb_variable x, const struct vb_shape *shape)
{
    struct vb_variable y = x;
    uint32_t more = shape->n_dims - x.shape.n_dims;
    y.shape = *shape;
    for (uint32_t i = 0; i < shape->n_dims; i++) {
        bool repeats = i < more || x.shape.dims[i - more] != shape->dims[i];
        y.strides[i] = repeats ? 0 : x.strides[i - more];
    }
    return y;
}

/* The axes of x that one run of the new ones covers must follow each other without a gap. */
static bool split_axes(const struct vb_variable *x, uint32_t from, uint32_t to,
                       const struct vb_shape *shape, uint32_t first, uint32_t last,
                       uint32_t *strides)
{
    uint32_t stride = 1;
    bool is_first = true;
    for (uint32_t i = to; i-- > from;) {
        if (x->shape.dims[i] == 1)
            continue;
        if (!is_first && x->strides[i] != stride)
            return false;
        stride = is_first ? x->strides[i] * x->shape.dims[i] : stride * x->shape.dims[i];
        is_first = false;
    }
    stride = 1;
    for (uint32_t i = to; i-- > from;) {
        if (x->shape.dims[i] != 1) {
            stride = x->strides[i];
            break;
        }
    }
    for (uint32_t i = last; i-- > first;) {
        strides[i] = stride;
        stride *= shape->dims[i];
    }
    return true;
}

struct vb_variable vb_reshaped(struct vb_variable x, const struct vb_shape *shape, bool *ok)
{
    struct vb_variable y = x;
    uint32_t a = 0, b = 0;
    *ok = true;
    y.shape = *shape;
    if (vb_shape_elements(&x.shape) == 0) {
        vb_strides_in_order(shape, y.strides);
        return y;
    }
    while (a < x.shape.n_dims || b < shape->n_dims) {
        uint32_t from = a, first = b;
        uint64_t in_x = a < x.shape.n_dims ? x.shape.dims[a++] : 1;
        uint64_t in_y = b < shape->n_dims ? shape->dims[b++] : 1;
        while (in_x != in_y && (a < x.shape.n_dims || b < shape->n_dims)) {
            if (in_x < in_y && a < x.shape.n_dims)
                in_x *= x.shape.dims[a++];
            else if (b < shape->n_dims)
                in_y *= shape->dims[b++];
            else
                break;
        }
        *ok = *ok && in_x == in_y && split_axes(&x, from, a, shape, first, b, y.strides);
        if (!*ok)
            return x;
    }
    return y;
}

struct vb_variable vb_flat(struct vb_variable x)
{
    x.shape = VB_SHAPE((uint32_t)vb_shape_elements(&x.shape));
    x.strides[0] = 1;
    return x;
}
