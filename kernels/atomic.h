/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_KERNELS_ATOMIC_H
#define VB_KERNELS_ATOMIC_H

/* What many threads may do to one place at once. For kernels. */

#include "kernels/number.h"
#include "kernels/scratch.h"

/* The first fault stays. */
VB_DEVICE void vb_set_fault(struct vb_kernel_scratch *scratch, enum vb_fault fault)
{
    vb_swap_if(&scratch->fault, (uint32_t)VB_FAULT_NONE, (uint32_t)fault);
}

/* The word becomes what `next_of` makes of it. */
template <class Word, class Next> VB_DEVICE void vb_change(Word *at, Next next_of)
{
    Word was, now = *(volatile Word *)at;
    do {
        was = now;
        now = vb_swap_if(at, was, next_of(was));
    } while (now != was);
}

VB_DEVICE void vb_add_float(void *data, uint32_t dtype, uint64_t i, float x)
{
    if (dtype == VB_FLOAT32) {
        vb_add_at((float *)data + i, x);
    } else if (dtype >= VB_FLOAT16) {
        vb_change((uint16_t *)data + i, [=](uint16_t was) {
            const bool is_half = dtype == VB_FLOAT16;
            const float sum = (is_half ? vb_float_of_half(was) : vb_float_of_bfloat(was)) + x;
            return is_half ? vb_half_of_float(sum) : vb_bfloat_of_float(sum);
        });
    } else if (dtype == VB_INT64) {
        vb_change((uint64_t *)data + i, [=](uint64_t was) {
            return (uint64_t)vb_whole_of_float((double)((float)(int64_t)was + x));
        });
    } else {
        vb_change((uint8_t *)data + i, [=](uint8_t was) {
            const float sum = (float)(dtype == VB_BOOL ? was != 0 : was) + x;
            return dtype == VB_BOOL ? (uint8_t)(sum != 0.0F) : vb_byte_of_float(sum);
        });
    }
}

/* Of types that are no floating-point numbers. */
VB_DEVICE void vb_add_whole(void *data, uint32_t dtype, uint64_t i, int64_t x)
{
    if (dtype == VB_INT64) {
        vb_add_at((uint64_t *)data + i, (uint64_t)x);
        return;
    }
    vb_change((uint8_t *)data + i, [=](uint8_t was) {
        const int64_t sum = (dtype == VB_BOOL ? was != 0 : was) + x;
        return (uint8_t)(dtype == VB_BOOL ? sum != 0 : sum);
    });
}

#endif
