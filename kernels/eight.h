/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_KERNELS_EIGHT_H
#define VB_KERNELS_EIGHT_H

/* Eight neighbours of a floating-point type as fp32, 16 bytes at a time: they begin at an address
 * that is a multiple of that. For kernels. */

#include "kernels/number.h"

struct vb_eight {
    float x[VB_EIGHT];
};

/* From element number `at` on. */
VB_DEVICE struct vb_eight vb_get_eight(const void *data, uint32_t dtype, uint64_t at)
{
    struct vb_eight eight;
    if (dtype == VB_FLOAT32) {
        const struct vb_pack *from = (const struct vb_pack *)((const float *)data + at);
        const struct vb_pack packs[2] = { from[0], from[1] };
        VB_UNROLL(8)
        for (uint32_t k = 0; k < VB_EIGHT; k++)
            eight.x[k] = vb_get_float(packs, VB_FLOAT32, k);
        return eight;
    }
    const struct vb_pack pack = *(const struct vb_pack *)((const uint16_t *)data + at);
    VB_UNROLL(8)
    for (uint32_t k = 0; k < VB_EIGHT; k++)
        eight.x[k] = dtype == VB_FLOAT16 ? vb_get_float(&pack, VB_FLOAT16, k)
                                         : vb_get_float(&pack, VB_BFLOAT16, k);
    return eight;
}

VB_DEVICE void vb_put_eight(void *data, uint32_t dtype, uint64_t at, const struct vb_eight &eight)
{
    struct vb_pack packs[2];
    if (dtype == VB_FLOAT32) {
        VB_UNROLL(8)
        for (uint32_t k = 0; k < VB_EIGHT; k++)
            vb_put_float(packs, VB_FLOAT32, k, eight.x[k]);
        struct vb_pack *to = (struct vb_pack *)((float *)data + at);
        to[0] = packs[0];
        to[1] = packs[1];
        return;
    }
    VB_UNROLL(8)
    for (uint32_t k = 0; k < VB_EIGHT; k++) {
        if (dtype == VB_FLOAT16)
            vb_put_float(packs, VB_FLOAT16, k, eight.x[k]);
        else
            vb_put_float(packs, VB_BFLOAT16, k, eight.x[k]);
    }
    *(struct vb_pack *)((uint16_t *)data + at) = packs[0];
}

/* The same of one, or of eight. */
template <uint32_t N>
VB_DEVICE struct vb_eight vb_get_some(const void *data, uint32_t dtype, uint64_t at)
{
    if (N == VB_EIGHT)
        return vb_get_eight(data, dtype, at);
    return { { vb_get_float(data, dtype, at) } };
}

template <uint32_t N>
VB_DEVICE void vb_put_some(void *data, uint32_t dtype, uint64_t at, const struct vb_eight &value)
{
    if (N == VB_EIGHT)
        vb_put_eight(data, dtype, at, value);
    else
        vb_put_float(data, dtype, at, value.x[0]);
}

#endif
