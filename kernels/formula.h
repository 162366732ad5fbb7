/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_KERNELS_FORMULA_H
#define VB_KERNELS_FORMULA_H

/* What the elementwise operators of step/operator.h make of an element. Comparisons are written so
 * that what is no number stays none; whole numbers that do not fit wrap around, hence the unsigned
 * arithmetic. */

#include "kernels/elementwise.h"
#include "kernels/number.h"

VB_DEVICE float vb_sigmoid_of(float x)
{
    return 1.0F / (1.0F + expf(-x));
}

/* Of x alone, and of x and z; the operator is the same for all threads. */
VB_DEVICE float vb_float_formula(uint32_t op, float x, float z, const struct vb_numbers_of_call &n)
{
    switch (op) {
    case VB_OP_FILL:
        return n.a;
    case VB_OP_ADD:
        return x + z;
    case VB_OP_ADD_SCALED:
        return x + n.a * z;
    case VB_OP_SUB:
        return x - z;
    case VB_OP_MUL:
        return x * z;
    case VB_OP_DIV:
        return x / z;
    case VB_OP_MINIMUM:
        return x < z || x != x ? x : z;
    case VB_OP_MAXIMUM:
        return x > z || x != x ? x : z;
    case VB_OP_EQUAL:
        return x == z ? 1.0F : 0.0F;
    case VB_OP_LESS:
        return x < z ? 1.0F : 0.0F;
    case VB_OP_ADD_NUMBER:
        return x + n.a;
    case VB_OP_MUL_NUMBER:
        return n.a * x;
    case VB_OP_SUBTRACT_FROM:
        return n.a - x;
    case VB_OP_POWER:
        return n.a == 2.0F ? x * x : n.a == 1.0F ? x : powf(x, n.a);
    case VB_OP_REMAINDER:
        return x - n.a * floorf(x / n.a);
    case VB_OP_CLAMP:
        return x < n.a ? n.a : x > n.b ? n.b : x;
    case VB_OP_LESS_NUMBER:
        return x < n.a ? 1.0F : 0.0F;
    case VB_OP_GREATER_NUMBER:
        return x > n.a ? 1.0F : 0.0F;
    case VB_OP_AT_LEAST_NUMBER:
        return x >= n.a ? 1.0F : 0.0F;
    case VB_OP_RECIPROCAL:
        return 1.0F / x;
    case VB_OP_SQRT:
        return sqrtf(x);
    case VB_OP_EXP:
        return expf(x);
    case VB_OP_LOG:
        return logf(x);
    case VB_OP_ATAN:
        return atanf(x);
    case VB_OP_SIGMOID:
        return vb_sigmoid_of(x);
    case VB_OP_SIGMOID_BACKWARD:
        return x * (1.0F - z) * z;
    case VB_OP_LOG_SIGMOID:
        return (x > 0.0F ? 0.0F : x) - log1pf(expf(-fabsf(x)));
    case VB_OP_SILU:
        return x / (1.0F + expf(-x));
    case VB_OP_SILU_BACKWARD: {
        const float s = vb_sigmoid_of(z);
        return x * s * (1.0F + z * (1.0F - s));
    }
    case VB_OP_RELU:
        return x < 0.0F ? 0.0F : x;
    case VB_OP_RELU_BACKWARD:
        return z <= 0.0F ? 0.0F : x;
    case VB_OP_MIX:
        return floorf(n.a * x + (1.0F - n.a) * z + 0.5F);
    default: /* VB_OP_COPY */
        return x;
    }
}

VB_DEVICE int64_t vb_plus(int64_t x, int64_t z)
{
    return (int64_t)((uint64_t)x + (uint64_t)z);
}
VB_DEVICE int64_t vb_minus(int64_t x, int64_t z)
{
    return (int64_t)((uint64_t)x - (uint64_t)z);
}
VB_DEVICE int64_t vb_times(int64_t x, int64_t z)
{
    return (int64_t)((uint64_t)x * (uint64_t)z);
}

/* Rounded down; by 0 it is 0. */
VB_DEVICE int64_t vb_quotient(int64_t x, int64_t z)
{
    if (z == 0 || z == -1)
        return z == 0 ? 0 : vb_minus(0, x);
    return x / z - (x % z != 0 && (x < 0) != (z < 0));
}

VB_DEVICE int64_t vb_whole_formula(uint32_t op, int64_t x, int64_t z,
                                   const struct vb_numbers_of_call &n)
{
    switch (op) {
    case VB_OP_FILL:
        return n.whole_a;
    case VB_OP_ADD:
        return vb_plus(x, z);
    case VB_OP_ADD_SCALED:
        return vb_plus(x, vb_times(n.whole_a, z));
    case VB_OP_SUB:
        return vb_minus(x, z);
    case VB_OP_MUL:
        return vb_times(x, z);
    case VB_OP_DIV:
        return vb_quotient(x, z);
    case VB_OP_MINIMUM:
        return x < z ? x : z;
    case VB_OP_MAXIMUM:
        return x > z ? x : z;
    case VB_OP_AND:
        return x != 0 && z != 0;
    case VB_OP_EQUAL:
        return x == z;
    case VB_OP_LESS:
        return x < z;
    case VB_OP_ADD_NUMBER:
        return vb_plus(x, n.whole_a);
    case VB_OP_MUL_NUMBER:
        return vb_times(x, n.whole_a);
    case VB_OP_SUBTRACT_FROM:
        return vb_minus(n.whole_a, x);
    case VB_OP_REMAINDER:
        return vb_minus(x, vb_times(n.whole_a, vb_quotient(x, n.whole_a)));
    case VB_OP_CLAMP:
        return x < n.whole_a ? n.whole_a : x > n.whole_b ? n.whole_b : x;
    case VB_OP_LESS_NUMBER:
        return (double)x < n.exact_a;
    case VB_OP_GREATER_NUMBER:
        return (double)x > n.exact_a;
    case VB_OP_AT_LEAST_NUMBER:
        return (double)x >= n.exact_a;
    default: /* VB_OP_COPY */
        return x;
    }
}

#endif
