/* SPDX-License-Identifier: Apache-2.0 */
/* What the elementwise operators compute in int64. What does not fit wraps around, as it does in
 * PyTorch: hence the unsigned arithmetic. */

#include "cpu/clones.h"
#include "cpu/elementwise.h"

/* A loop that makes `value` of x (of x and z) and the numbers: the function whole_<name>. */
#define UNARY(name, value)                                                                         \
    VB_CLONES static void whole_##name(void *const *strips, size_t n,                              \
                                       const struct vb_numbers *numbers)                           \
    {                                                                                              \
        const int64_t a = numbers->whole_a, b = numbers->whole_b;                                  \
        const int64_t *first = strips[0];                                                          \
        int64_t *y = strips[1];                                                                    \
        (void)a, (void)b;                                                                          \
        _Pragma("omp simd") for (size_t i = 0; i < n; i++)                                         \
        {                                                                                          \
            const int64_t x = first[i];                                                            \
            y[i] = value;                                                                          \
        }                                                                                          \
    }

#define BINARY(name, value)                                                                        \
    VB_CLONES static void whole_##name(void *const *strips, size_t n,                              \
                                       const struct vb_numbers *numbers)                           \
    {                                                                                              \
        const int64_t a = numbers->whole_a;                                                        \
        const int64_t *first = strips[0], *second = strips[1];                                     \
        int64_t *y = strips[2];                                                                    \
        (void)a;                                                                                   \
        for (size_t i = 0; i < n; i++) {                                                           \
            const int64_t x = first[i], z = second[i];                                             \
            y[i] = value;                                                                          \
        }                                                                                          \
    }

static inline int64_t plus(int64_t x, int64_t z)
{
    return (int64_t)((uint64_t)x + (uint64_t)z);
}

static inline int64_t times(int64_t x, int64_t z)
{
    return (int64_t)((uint64_t)x * (uint64_t)z);
}

static inline int64_t minus(int64_t x, int64_t z)
{
    return (int64_t)((uint64_t)x - (uint64_t)z);
}

/* Rounded down; by 0 it is 0. */
static inline int64_t quotient(int64_t x, int64_t z)
{
    if (z == 0 || z == -1)
        return z == 0 ? 0 : minus(0, x);
    return x / z - (x % z != 0 && (x < 0) != (z < 0));
}

BINARY(add, plus(x, z))
BINARY(add_scaled, plus(x, times(a, z)))
BINARY(sub, minus(x, z))
BINARY(mul, times(x, z))
BINARY(div_by, quotient(x, z))
BINARY(minimum, x < z ? x : z)
BINARY(maximum, x > z ? x : z)
BINARY(and_of, x != 0 && z != 0)
BINARY(equal, x == z)
BINARY(less, x < z)

UNARY(copy, x)
UNARY(add_number, plus(x, a))
UNARY(mul_number, times(x, a))
UNARY(subtract_from, minus(a, x))
UNARY(clamp, x < a ? a : (x > b ? b : x))

static void fill(void *const *strips, size_t n, const struct vb_numbers *numbers)
{
    int64_t *y = strips[0];
    for (size_t i = 0; i < n; i++)
        y[i] = numbers->whole_a;
}

static void where(void *const *strips, size_t n, const struct vb_numbers *numbers)
{
    const int64_t *mask = strips[0], *x = strips[1], *z = strips[2];
    int64_t *y = strips[3];
    (void)numbers;
    for (size_t i = 0; i < n; i++)
        y[i] = mask[i] != 0 ? x[i] : z[i];
}

static void masked_fill(void *const *strips, size_t n, const struct vb_numbers *numbers)
{
    const int64_t *mask = strips[0];
    int64_t *y = strips[1];
    for (size_t i = 0; i < n; i++)
        y[i] = mask[i] != 0 ? numbers->whole_a : y[i];
}

static void remainder_of(void *const *strips, size_t n, const struct vb_numbers *numbers)
{
    const int64_t a = numbers->whole_a, *x = strips[0];
    int64_t *y = strips[1];
    for (size_t i = 0; i < n; i++)
        y[i] = minus(x[i], times(a, quotient(x[i], a)));
}

/* Whole numbers that a double does not hold are far from any number they are compared with. */
static void less_number(void *const *strips, size_t n, const struct vb_numbers *numbers)
{
    const int64_t *x = strips[0];
    int64_t *y = strips[1];
    for (size_t i = 0; i < n; i++)
        y[i] = (double)x[i] < numbers->a;
}

static void greater_number(void *const *strips, size_t n, const struct vb_numbers *numbers)
{
    const int64_t *x = strips[0];
    int64_t *y = strips[1];
    for (size_t i = 0; i < n; i++)
        y[i] = (double)x[i] > numbers->a;
}

static void at_least_number(void *const *strips, size_t n, const struct vb_numbers *numbers)
{
    const int64_t *x = strips[0];
    int64_t *y = strips[1];
    for (size_t i = 0; i < n; i++)
        y[i] = (double)x[i] >= numbers->a;
}

vb_strip_function *const vb_whole_strips[VB_N_OPERATORS] = {
    [VB_OP_COPY] = whole_copy,
    [VB_OP_FILL] = fill,
    [VB_OP_ADD] = whole_add,
    [VB_OP_ADD_SCALED] = whole_add_scaled,
    [VB_OP_SUB] = whole_sub,
    [VB_OP_MUL] = whole_mul,
    [VB_OP_DIV] = whole_div_by,
    [VB_OP_MINIMUM] = whole_minimum,
    [VB_OP_MAXIMUM] = whole_maximum,
    [VB_OP_AND] = whole_and_of,
    [VB_OP_EQUAL] = whole_equal,
    [VB_OP_LESS] = whole_less,
    [VB_OP_WHERE] = where,
    [VB_OP_MASKED_FILL] = masked_fill,
    [VB_OP_ADD_NUMBER] = whole_add_number,
    [VB_OP_MUL_NUMBER] = whole_mul_number,
    [VB_OP_SUBTRACT_FROM] = whole_subtract_from,
    [VB_OP_REMAINDER] = remainder_of,
    [VB_OP_CLAMP] = whole_clamp,
    [VB_OP_LESS_NUMBER] = less_number,
    [VB_OP_GREATER_NUMBER] = greater_number,
    [VB_OP_AT_LEAST_NUMBER] = at_least_number,
};
