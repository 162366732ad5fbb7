/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu/fold.h"

#include <math.h>

#include "cpu/clones.h"

/* A fold whose sum `s` of x is `value`; a run of it is a loop `how`. */
#define FOLD(name, how, member, element, total, convert, value, joined)                            \
    VB_CLONES static void name##_run(union vb_sum *sum, const void *elements, size_t n)            \
    {                                                                                              \
        const element *from = elements;                                                            \
        total s = sum->member;                                                                     \
        how for (size_t i = 0; i < n; i++)                                                         \
        {                                                                                          \
            const total x = convert from[i];                                                       \
            s = value;                                                                             \
        }                                                                                          \
        sum->member = s;                                                                           \
    }                                                                                              \
    VB_CLONES static void name##_row(union vb_sum *sums, const void *elements, size_t n)           \
    {                                                                                              \
        const element *from = elements;                                                            \
        _Pragma("omp simd") for (size_t i = 0; i < n; i++)                                         \
        {                                                                                          \
            const total x = convert from[i], s = sums[i].member;                                   \
            sums[i].member = value;                                                                \
        }                                                                                          \
    }                                                                                              \
    static void name##_combine(union vb_sum *sums, const union vb_sum *more, size_t n)             \
    {                                                                                              \
        for (size_t i = 0; i < n; i++) {                                                           \
            const total x = more[i].member, s = sums[i].member;                                    \
            sums[i].member = joined;                                                               \
        }                                                                                          \
    }

#define SUMMED _Pragma("omp simd reduction(+ : s)")
#define IN_ORDER

FOLD(sum, SUMMED, real, float, double, (double), s + x, s + x)
FOLD(squares, SUMMED, real, float, double, (double), s + x * x, s + x)
FOLD(largest, IN_ORDER, real, float, double, (double), (s > x || isnan(s) ? s : x),
     (s > x || isnan(s) ? s : x))
FOLD(whole_sum, IN_ORDER, whole, int64_t, int64_t, , (int64_t)((uint64_t)s + (uint64_t)x),
     (int64_t)((uint64_t)s + (uint64_t)x))
FOLD(whole_largest, IN_ORDER, whole, int64_t, int64_t, , (s > x ? s : x), (s > x ? s : x))

const struct vb_fold *vb_fold_of(enum vb_operator op, enum vb_dtype compute)
{
    static const struct vb_fold real_sum = { { .real = 0 }, sum_run, sum_row, sum_combine };
    static const struct vb_fold real_squares = {
        { .real = 0 }, squares_run, squares_row, squares_combine
    };
    static const struct vb_fold real_largest = {
        { .real = -HUGE_VAL }, largest_run, largest_row, largest_combine
    };
    static const struct vb_fold in_wholes = {
        { .whole = 0 }, whole_sum_run, whole_sum_row, whole_sum_combine
    };
    static const struct vb_fold largest_whole = {
        { .whole = INT64_MIN }, whole_largest_run, whole_largest_row, whole_largest_combine
    };
    bool in_floats = compute == VB_FLOAT32;
    if (op == VB_OP_SUM)
        return in_floats ? &real_sum : &in_wholes;
    if (op == VB_OP_MAX_OF)
        return in_floats ? &real_largest : &largest_whole;
    if ((op == VB_OP_MEAN || op == VB_OP_NORM) && in_floats)
        return op == VB_OP_MEAN ? &real_sum : &real_squares;
    return NULL;
}
