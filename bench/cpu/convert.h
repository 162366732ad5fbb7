/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CPU_CONVERT_H
#define VB_CPU_CONVERT_H

/* Numbers from one type to another, without branches, so that loops of them become vectors. */

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t vb_bits_of_float(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float vb_float_of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Exact. The product puts the exponent right, of numbers below the normal ones too. */
static inline float vb_float_of_half(uint16_t half)
{
    uint32_t magnitude = half & 0x7fffU, sign = (uint32_t)(half & 0x8000U) << 16;
    uint32_t bits = vb_bits_of_float(vb_float_of_bits(magnitude << 13) * 0x1p112F);
    bits |= magnitude >= 0x7c00U ? 0x7f800000U : 0;
    return vb_float_of_bits(bits | sign);
}

/* To nearest, ties to even; beyond 65,504 infinite. */
static inline uint16_t vb_half_of_float(float x)
{
    uint32_t bits = vb_bits_of_float(x), magnitude = bits & 0x7fffffffU;
    /* Below the normal ones: a sum at which the adder rounds to the last place that is left. */
    uint32_t low = vb_bits_of_float(vb_float_of_bits(magnitude) + 0.5F) - 0x3f000000U;
    uint32_t normal = (magnitude - 0x38000000U + 0xfffU + ((magnitude >> 13) & 1U)) >> 13;
    uint32_t half = magnitude < 0x38800000U ? low : normal;
    half = magnitude >= 0x47800000U ? 0x7c00U : half;
    half = magnitude > 0x7f800000U ? 0x7e00U : half;
    return (uint16_t)(half | (bits >> 16 & 0x8000U));
}

static inline float vb_float_of_bfloat(uint16_t x)
{
    return vb_float_of_bits((uint32_t)x << 16);
}

/* To nearest, ties to even. */
static inline uint16_t vb_bfloat_of_float(float x)
{
    uint32_t bits = vb_bits_of_float(x);
    uint32_t rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
    bool is_nan = (bits & 0x7fffffffU) > 0x7f800000U;
    return (uint16_t)(is_nan ? (bits >> 16) | 0x40U : rounded);
}

/* Towards zero, 0 to 255 at most; what is no number becomes 0. */
static inline uint8_t vb_byte_of_float(float x)
{
    x = x >= 0.0F ? x : 0.0F;
    return (uint8_t)(int32_t)(x <= 255.0F ? x : 255.0F);
}

/* Towards zero; what does not fit becomes the nearest that does, what is no number the least. */
static inline int64_t vb_whole_of_float(double x)
{
    if (!(x >= -0x1p63))
        return INT64_MIN;
    return x >= 0x1p63 ? INT64_MAX : (int64_t)x;
}

#endif
