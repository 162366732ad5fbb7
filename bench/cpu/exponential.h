/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CPU_EXPONENTIAL_H
#define VB_CPU_EXPONENTIAL_H

/* exp and log, without branches, so that loops of them become vectors. Relative errors are below
 * 2e-7 where the result is a normal number (each 37th float was tried); what is no number stays
 * none. */

#include "cpu/convert.h"

/* x = n ln 2 + r with |r| <= ln 2 / 2, exp(r) by its series, then times 2^n in two halves: so that
 * results below the normal numbers are rounded once. */
static inline float vb_exp(float x)
{
    const float to_whole = 0x1.8p23F; /* at this size a float's last place is 1 */
    x = x < -104.0F ? -104.0F : x;
    x = x > 89.0F ? 89.0F : x;
    float shifted = x * 0x1.715476p0F + to_whole;
    float n = shifted - to_whole;
    float r = x - n * 0x1.62e4p-1F - n * 0x1.7f7d1cp-20F; /* ln 2 in two, n times the first exact */
    float y = 1.0F / 5040;
    y = y * r + 1.0F / 720;
    y = y * r + 1.0F / 120;
    y = y * r + 1.0F / 24;
    y = y * r + 1.0F / 6;
    y = y * r + 0.5F;
    y = y * r * r + r + 1.0F;
    uint32_t power = vb_bits_of_float(shifted) - vb_bits_of_float(to_whole);
    uint32_t half = (uint32_t)((int32_t)power >> 1);
    float first = vb_float_of_bits((half + 127U) << 23);
    float second = vb_float_of_bits((power - half + 127U) << 23);
    return y * first * second;
}

/* 2 artanh(s) by its series, where |s| <= 1/3. */
static inline float vb_twice_artanh(float s)
{
    float square = s * s;
    float y = 2.0F / 17;
    y = y * square + 2.0F / 15;
    y = y * square + 2.0F / 13;
    y = y * square + 2.0F / 11;
    y = y * square + 2.0F / 9;
    y = y * square + 2.0F / 7;
    y = y * square + 2.0F / 5;
    y = y * square + 2.0F / 3;
    return y * square * s + 2.0F * s;
}

/* log(1 + x) for x of 0 to 1. */
static inline float vb_log_1_plus(float x)
{
    return vb_twice_artanh(x / (2.0F + x));
}

static inline float vb_sigmoid(float x)
{
    return 1.0F / (1.0F + vb_exp(-x));
}

/* x = 2^n m with m of 2/3 to 4/3, and log m = 2 artanh((m - 1) / (m + 1)). */
static inline float vb_log(float x)
{
    bool is_low = x < 0x1p-126F;
    uint32_t bits = vb_bits_of_float(is_low ? x * 0x1p32F : x);
    uint32_t power = (bits - 0x3f2aaaabU) & 0xff800000U;
    float m = vb_float_of_bits(bits - power);
    float n = (float)((int32_t)power >> 23) - (is_low ? 32.0F : 0.0F);
    float y = vb_twice_artanh((m - 1.0F) / (m + 1.0F)) + n * 0x1.7f7d1cp-20F + n * 0x1.62e4p-1F;
    y = x == 0.0F ? -INFINITY : y;
    y = x < INFINITY ? y : x;
    return x < 0.0F ? NAN : y;
}

#endif
