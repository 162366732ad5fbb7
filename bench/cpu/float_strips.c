/* SPDX-License-Identifier: Apache-2.0 */
/* What the elementwise operators compute in fp32. Comparisons are written so that what is no number
 * stays none. */

#include <math.h>

#include "cpu/clones.h"
#include "cpu/elementwise.h"
#include "cpu/exponential.h"

#define VECTORS _Pragma("omp simd")
#define ONE_BY_ONE

/* A loop `how` that makes `value` of x (of x and z, ..) and the numbers a and b. */
#define UNARY(name, how, value)                                                                    \
    VB_CLONES static void name(void *const *strips, size_t n, const struct vb_numbers *numbers)    \
    {                                                                                              \
        const float a = (float)numbers->a, b = (float)numbers->b;                                  \
        const float *first = strips[0];                                                            \
        float *y = strips[1];                                                                      \
        (void)a, (void)b;                                                                          \
        how for (size_t i = 0; i < n; i++)                                                         \
        {                                                                                          \
            const float x = first[i];                                                              \
            y[i] = value;                                                                          \
        }                                                                                          \
    }

#define BINARY(name, value)                                                                        \
    VB_CLONES static void name(void *const *strips, size_t n, const struct vb_numbers *numbers)    \
    {                                                                                              \
        const float a = (float)numbers->a;                                                         \
        const float *first = strips[0], *second = strips[1];                                       \
        float *y = strips[2];                                                                      \
        (void)a;                                                                                   \
        VECTORS for (size_t i = 0; i < n; i++)                                                     \
        {                                                                                          \
            const float x = first[i], z = second[i];                                               \
            y[i] = value;                                                                          \
        }                                                                                          \
    }

BINARY(add, x + z)
BINARY(add_scaled, x + a * z)
BINARY(sub, x - z)
BINARY(mul, (x * z))
BINARY(div_by, x / z)
BINARY(minimum, x < z || isnan(x) ? x : z)
BINARY(maximum, x > z || isnan(x) ? x : z)
BINARY(equal, x == z ? 1.0F : 0.0F)
BINARY(less, x < z ? 1.0F : 0.0F)
BINARY(sigmoid_backward, (x * (1.0F - z) * z))
BINARY(relu_backward, z <= 0.0F ? 0.0F : x)
BINARY(mix, (floorf(a * x + (1.0F - a) * z + 0.5F)))

UNARY(copy, VECTORS, x)
UNARY(add_number, VECTORS, x + a)
UNARY(mul_number, VECTORS, (a * x))
UNARY(subtract_from, VECTORS, a - x)
UNARY(remainder_of, VECTORS, x - a * floorf(x / a))
UNARY(clamp, VECTORS, x < a ? a : (x > b ? b : x))
UNARY(less_number, VECTORS, x < a ? 1.0F : 0.0F)
UNARY(greater_number, VECTORS, x > a ? 1.0F : 0.0F)
UNARY(at_least_number, VECTORS, x >= a ? 1.0F : 0.0F)
UNARY(reciprocal, VECTORS, 1.0F / x)
UNARY(square, VECTORS, (x * x))
UNARY(power_of, ONE_BY_ONE, powf(x, a))
UNARY(root, VECTORS, sqrtf(x))
UNARY(exp_of, VECTORS, vb_exp(x))
UNARY(log_of, VECTORS, vb_log(x))
UNARY(atan_of, ONE_BY_ONE, atanf(x))
UNARY(sigmoid, VECTORS, vb_sigmoid(x))
UNARY(log_sigmoid, VECTORS, (x > 0.0F ? 0.0F : x) - vb_log_1_plus(vb_exp(-fabsf(x))))
UNARY(silu, VECTORS, x / (1.0F + vb_exp(-x)))
UNARY(relu, VECTORS, x < 0.0F ? 0.0F : x)

/* s (1 + x (1 - s)) times the gradient, where s is the sigmoid of x. */
static inline float silu_slope(float x)
{
    float s = vb_sigmoid(x);
    return s * (1.0F + x * (1.0F - s));
}
BINARY(silu_backward, (x * silu_slope(z)))

/* The powers of losses are squares, for the most part. */
static void power(void *const *strips, size_t n, const struct vb_numbers *numbers)
{
    if (numbers->a == 2.0)
        square(strips, n, numbers);
    else if (numbers->a == 1.0)
        copy(strips, n, numbers);
    else
        power_of(strips, n, numbers);
}

VB_CLONES static void fill(void *const *strips, size_t n, const struct vb_numbers *numbers)
{
    const float a = (float)numbers->a;
    float *y = strips[0];
    for (size_t i = 0; i < n; i++)
        y[i] = a;
}

VB_CLONES static void where(void *const *strips, size_t n, const struct vb_numbers *numbers)
{
    const float *mask = strips[0], *x = strips[1], *z = strips[2];
    float *y = strips[3];
    (void)numbers;
    VECTORS for (size_t i = 0; i < n; i++)
    {
        const float yes = x[i], no = z[i];
        y[i] = mask[i] != 0.0F ? yes : no;
    }
}

VB_CLONES static void masked_fill(void *const *strips, size_t n, const struct vb_numbers *numbers)
{
    const float a = (float)numbers->a;
    const float *mask = strips[0];
    float *y = strips[1];
    VECTORS for (size_t i = 0; i < n; i++)
    {
        const float before = y[i];
        y[i] = mask[i] != 0.0F ? a : before;
    }
}

vb_strip_function *const vb_float_strips[VB_N_OPERATORS] = {
    [VB_OP_COPY] = copy,
    [VB_OP_FILL] = fill,
    [VB_OP_ADD] = add,
    [VB_OP_ADD_SCALED] = add_scaled,
    [VB_OP_SUB] = sub,
    [VB_OP_MUL] = mul,
    [VB_OP_DIV] = div_by,
    [VB_OP_MINIMUM] = minimum,
    [VB_OP_MAXIMUM] = maximum,
    [VB_OP_EQUAL] = equal,
    [VB_OP_LESS] = less,
    [VB_OP_WHERE] = where,
    [VB_OP_MASKED_FILL] = masked_fill,
    [VB_OP_ADD_NUMBER] = add_number,
    [VB_OP_MUL_NUMBER] = mul_number,
    [VB_OP_SUBTRACT_FROM] = subtract_from,
    [VB_OP_POWER] = power,
    [VB_OP_REMAINDER] = remainder_of,
    [VB_OP_CLAMP] = clamp,
    [VB_OP_LESS_NUMBER] = less_number,
    [VB_OP_GREATER_NUMBER] = greater_number,
    [VB_OP_AT_LEAST_NUMBER] = at_least_number,
    [VB_OP_RECIPROCAL] = reciprocal,
    [VB_OP_SQRT] = root,
    [VB_OP_EXP] = exp_of,
    [VB_OP_LOG] = log_of,
    [VB_OP_ATAN] = atan_of,
    [VB_OP_SIGMOID] = sigmoid,
    [VB_OP_SIGMOID_BACKWARD] = sigmoid_backward,
    [VB_OP_LOG_SIGMOID] = log_sigmoid,
    [VB_OP_SILU] = silu,
    [VB_OP_SILU_BACKWARD] = silu_backward,
    [VB_OP_RELU] = relu,
    [VB_OP_RELU_BACKWARD] = relu_backward,
    [VB_OP_MIX] = mix,
};
