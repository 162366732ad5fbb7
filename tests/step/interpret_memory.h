/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_TESTS_STEP_INTERPRET_MEMORY_H
#define VB_TESTS_STEP_INTERPRET_MEMORY_H

/* Part of interpret.h: where numbers are, and how types round them. */

#include <criterion/criterion.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "step/program.h"

struct interpreter {
    const struct vb_program *program;
    double **values; /* of each tensor while it is allocated, else NULL */
    bool rounds;
    const char *now; /* the operator that is being computed, for what a failure says */
};

/* Elements of a shape; an operand's element `i` of the shape `over`, to which it is broadcast. */
static inline uint64_t interpret_elements(const struct vb_shape *shape)
{
    uint64_t n = 1;
    for (uint32_t i = 0; i < shape->n_dims; i++)
        n *= shape->dims[i];
    return n;
}

static inline double *interpret_memory(const struct interpreter *in, const struct vb_operand *x)
{
    cr_assert_neq(x->tensor, VB_NONE, "%s: an operand is not given", in->now);
    cr_assert_not_null(in->values[x->tensor], "%s: %s is not there", in->now,
                       in->program->tensors[x->tensor].name);
    return in->values[x->tensor];
}

static inline double *interpret_at(const struct interpreter *in, const struct vb_operand *x,
                                   const struct vb_shape *over, uint64_t i)
{
    uint64_t at = x->offset;
    cr_assert_leq(x->shape.n_dims, over->n_dims, "%s: an operand has more axes than the result",
                  in->now);
    for (uint32_t back = 1; back <= x->shape.n_dims; back++) {
        uint32_t size = over->dims[over->n_dims - back], axis = x->shape.n_dims - back;
        bool repeats = x->shape.dims[axis] == 1;
        cr_assert(repeats || x->shape.dims[axis] == size, "%s: shapes do not go together: %u, %u",
                  in->now, x->shape.dims[axis], size);
        at += repeats ? 0 : i % size * x->strides[axis];
        i /= size;
    }
    cr_assert_lt(at, interpret_elements(&in->program->tensors[x->tensor].shape));
    return interpret_memory(in, x) + at;
}

/* The nearest number with a significand of `bits` bits, of multiples of 2 ** least. */
static inline double interpret_narrow(double value, int bits, int least)
{
    int exponent;
    (void)frexp(value, &exponent);
    int unit = exponent - bits > least ? exponent - bits : least;
    return isfinite(value) ? ldexp(rint(ldexp(value, -unit)), unit) : value;
}

/* What a tensor of the operand's type holds once it is given `value`. */
static inline double interpret_typed(const struct interpreter *in, const struct vb_operand *y,
                                     double value)
{
    switch (in->program->tensors[y->tensor].dtype) {
    case VB_BOOL:
        return value != 0;
    case VB_UINT8:
    case VB_INT64:
        cr_assert(isfinite(value), "%s: not a whole number", in->program->tensors[y->tensor].name);
        return trunc(value);
    case VB_FLOAT32:
        return in->rounds ? (double)(float)value : value;
    case VB_FLOAT16:
        return in->rounds ? interpret_narrow((double)(float)value, 11, -24) : value;
    case VB_BFLOAT16:
        return in->rounds ? interpret_narrow((double)(float)value, 8, -133) : value;
    }
    return NAN;
}

#endif
