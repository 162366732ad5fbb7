/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CPU_ORDER_H
#define VB_CPU_ORDER_H

/* Elements of any type as keys that can be put in order. For the kernels that sort. */

#include "cpu/array.h"
#include "cpu/convert.h"

struct vb_keyed {
    int64_t key;
    size_t place; /* the element's number */
};

/* Grows with x; -0 is 0, and what is no number comes last. */
static inline int64_t vb_key_of_float(float x)
{
    uint32_t bits = vb_bits_of_float(x + 0.0F);
    if (isnan(x))
        return INT64_MAX;
    return (bits >> 31) != 0 ? -(int64_t)(bits & 0x7fffffffU) : (int64_t)bits;
}

static inline int64_t vb_key_at(const struct vb_array *array, size_t offset)
{
    return vb_is_float(array) ? vb_key_of_float(vb_float_at(array, offset))
                              : vb_whole_at(array, offset);
}

#endif
