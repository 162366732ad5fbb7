/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_KERNELS_ORDER_H
#define VB_KERNELS_ORDER_H

/* Elements of any type as keys that can be put in order, as cpu/order.h has them. For kernels. */

#include "kernels/number.h"

#ifndef VB_HOST_GRID
VB_DEVICE uint32_t vb_bits_of_float(float x)
{
    return __float_as_uint(x);
}
#endif

/* Grows with x; -0 is 0, and what is no number comes last. */
VB_DEVICE int64_t vb_key_at(const void *data, uint32_t dtype, uint64_t i)
{
    if (dtype < VB_FLOAT16)
        return vb_get_whole(data, dtype, i);
    const float x = vb_get_float(data, dtype, i);
    const uint32_t bits = vb_bits_of_float(x + 0.0F);
    if (x != x)
        return INT64_MAX;
    return (bits >> 31) != 0 ? -(int64_t)(bits & 0x7fffffffU) : (int64_t)bits;
}

/* An element and where it stands; of equal ones the first comes first. */
enum : uint32_t { VB_NO_PLACE = UINT32_MAX };
struct vb_ranked {
    int64_t key;
    uint32_t place; /* VB_NO_PLACE: none */
};

VB_DEVICE bool vb_is_larger(const struct vb_ranked &x, const struct vb_ranked &z)
{
    if (x.place == VB_NO_PLACE || z.place == VB_NO_PLACE)
        return x.place != VB_NO_PLACE;
    return x.key > z.key || (x.key == z.key && x.place < z.place);
}

VB_DEVICE bool vb_is_smaller(const struct vb_ranked &x, const struct vb_ranked &z)
{
    if (x.place == VB_NO_PLACE || z.place == VB_NO_PLACE)
        return x.place != VB_NO_PLACE;
    return x.key < z.key || (x.key == z.key && x.place < z.place);
}

#endif
