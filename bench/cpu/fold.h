/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CPU_FOLD_H
#define VB_CPU_FOLD_H

/* How the elements of a reduction become one number: in double where they are read as fp32, else in
 * int64. For reduce.c. */

#include <stddef.h>

#include "step/program.h"

union vb_sum {
    double real;
    int64_t whole;
};

struct vb_fold {
    union vb_sum start;
    /* `n` elements (float or int64_t) into one sum. */
    void (*run)(union vb_sum *sum, const void *elements, size_t n);
    /* One element each into `n` sums. */
    void (*row)(union vb_sum *sums, const void *elements, size_t n);
    /* The sums of a later part into those of the parts before. */
    void (*combine)(union vb_sum *sums, const union vb_sum *more, size_t n);
};

/* NULL: there is no such reduction in that type, or `op` is none. */
const struct vb_fold *vb_fold_of(enum vb_operator op, enum vb_dtype compute);

#endif
