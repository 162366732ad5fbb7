/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_BASE_NARROW_H
#define VB_BASE_NARROW_H

/* Numbers of 16 bits in fp32: the nearest that the type has, of two equally near ones the even. For
 * finite numbers. */

#include <math.h>
#include <stdint.h>
#include <string.h>

/* The significand's last `bits` bits rounded away. */
static inline float vb_drop_bits(float x, uint32_t bits)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    u += (1u << (bits - 1)) - 1 + (u >> bits & 1);
    u &= ~((1u << bits) - 1);
    memcpy(&x, &u, sizeof x);
    return x;
}

static inline float vb_nearest_bfloat16(float x)
{
    return vb_drop_bits(x, 16);
}

/* Below 2^-14 the type's numbers are multiples of 2^-24, as fp32's are from 0.5 to 1. */
static inline float vb_nearest_float16(float x)
{
    float size = fabsf(x);
    if (size < 0x1p-14f) {
        volatile float shifted = size + 0.5f;
        return copysignf(shifted - 0.5f, x);
    }
    return size < 65520.0f ? vb_drop_bits(x, 13) : copysignf(INFINITY, x);
}

#endif
