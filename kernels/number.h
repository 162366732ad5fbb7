/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_KERNELS_NUMBER_H
#define VB_KERNELS_NUMBER_H

/* Numbers of a tensor's type as what kernels compute in, fp32 or int64 (step/operator.h), and back.
 * The branches are the same for all threads. */

#include "kernels/grid.h"
#include "step/program.h"

#ifdef VB_HOST_GRID
#include <cmath>

#include "cpu/convert.h"
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>

VB_DEVICE float vb_float_of_half(uint16_t x)
{
    return __half2float(__ushort_as_half(x));
}
VB_DEVICE uint16_t vb_half_of_float(float x)
{
    return __half_as_ushort(__float2half_rn(x));
}
VB_DEVICE float vb_float_of_bfloat(uint16_t x)
{
    return __bfloat162float(__ushort_as_bfloat16(x));
}
VB_DEVICE uint16_t vb_bfloat_of_float(float x)
{
    return __bfloat16_as_ushort(__float2bfloat16_rn(x));
}
/* Towards zero; what is no number becomes 0. */
VB_DEVICE uint8_t vb_byte_of_float(float x)
{
    x = x >= 0.0F ? x : 0.0F;
    return (uint8_t)(int32_t)(x <= 255.0F ? x : 255.0F);
}
/* Towards zero; what does not fit becomes the nearest that does, what is no number the least. */
VB_DEVICE int64_t vb_whole_of_float(double x)
{
    if (!(x >= -9223372036854775808.0))
        return INT64_MIN;
    return x >= 9223372036854775808.0 ? INT64_MAX : (int64_t)x;
}
#endif

VB_DEVICE float vb_get_float(const void *data, uint32_t dtype, uint64_t i)
{
    switch (dtype) {
    case VB_FLOAT32:
        return ((const float *)data)[i];
    case VB_FLOAT16:
        return vb_float_of_half(((const uint16_t *)data)[i]);
    case VB_BFLOAT16:
        return vb_float_of_bfloat(((const uint16_t *)data)[i]);
    case VB_INT64:
        return (float)((const int64_t *)data)[i];
    case VB_BOOL: /* memory that nobody wrote may hold one of 170 */
        return ((const uint8_t *)data)[i] != 0 ? 1.0F : 0.0F;
    default:
        return (float)((const uint8_t *)data)[i];
    }
}

VB_DEVICE void vb_put_float(void *data, uint32_t dtype, uint64_t i, float x)
{
    switch (dtype) {
    case VB_FLOAT32:
        ((float *)data)[i] = x;
        break;
    case VB_FLOAT16:
        ((uint16_t *)data)[i] = vb_half_of_float(x);
        break;
    case VB_BFLOAT16:
        ((uint16_t *)data)[i] = vb_bfloat_of_float(x);
        break;
    case VB_INT64:
        ((int64_t *)data)[i] = vb_whole_of_float((double)x);
        break;
    case VB_BOOL:
        ((uint8_t *)data)[i] = x != 0.0F;
        break;
    default:
        ((uint8_t *)data)[i] = vb_byte_of_float(x);
        break;
    }
}

/* Of floating-point types alone, with fewer branches. */
VB_DEVICE float vb_get_real(const void *data, uint32_t dtype, uint64_t i)
{
    if (dtype == VB_FLOAT32)
        return ((const float *)data)[i];
    const uint16_t bits = ((const uint16_t *)data)[i];
    return dtype == VB_FLOAT16 ? vb_float_of_half(bits) : vb_float_of_bfloat(bits);
}

VB_DEVICE void vb_put_real(void *data, uint32_t dtype, uint64_t i, float x)
{
    if (dtype == VB_FLOAT32)
        ((float *)data)[i] = x;
    else
        ((uint16_t *)data)[i] = dtype == VB_FLOAT16 ? vb_half_of_float(x) : vb_bfloat_of_float(x);
}

/* Of types that are no floating-point numbers. */
VB_DEVICE int64_t vb_get_whole(const void *data, uint32_t dtype, uint64_t i)
{
    if (dtype == VB_INT64)
        return ((const int64_t *)data)[i];
    return dtype == VB_BOOL ? ((const uint8_t *)data)[i] != 0 : ((const uint8_t *)data)[i];
}

VB_DEVICE void vb_put_whole(void *data, uint32_t dtype, uint64_t i, int64_t x)
{
    if (dtype == VB_INT64)
        ((int64_t *)data)[i] = x;
    else
        ((uint8_t *)data)[i] = (uint8_t)(dtype == VB_BOOL ? x != 0 : x);
}

/* Bit by bit where the types are one. */
VB_DEVICE void vb_copy_element(const void *from, uint32_t from_type, uint64_t i, void *to,
                               uint32_t to_type, uint64_t k)
{
    if (from_type != to_type && (from_type >= VB_FLOAT16 || to_type >= VB_FLOAT16))
        vb_put_float(to, to_type, k, vb_get_float(from, from_type, i));
    else if (from_type != to_type)
        vb_put_whole(to, to_type, k, vb_get_whole(from, from_type, i));
    else if (from_type == VB_INT64)
        ((int64_t *)to)[k] = ((const int64_t *)from)[i];
    else if (from_type == VB_FLOAT32)
        ((float *)to)[k] = ((const float *)from)[i];
    else if (from_type >= VB_FLOAT16)
        ((uint16_t *)to)[k] = ((const uint16_t *)from)[i];
    else
        ((uint8_t *)to)[k] = ((const uint8_t *)from)[i];
}

#endif
