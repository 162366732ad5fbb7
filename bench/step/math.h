/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_MATH_H
#define VB_STEP_MATH_H

/* The arithmetic that losses are made of, on a tape. Each gives its result held once; its arguments
 * stay the caller's, but vb_math_done() drops an intermediate that no name of the traced program
 * holds. Backward formulas and what they allocate: PyTorch's derivatives of these operators.
 */

#include "step/tape.h"

/* The name of what only a CPU's kernels put into memory to work with. */
#define VB_HOST_SCRATCH "host scratch"

enum vb_unary {
    VB_SIGMOID,       /* keeps its result */
    VB_SQUARE,        /* x ** 2; keeps x; autocast: in fp32 */
    VB_ATAN,          /* keeps x */
    VB_CLAMP,         /* at a lower bound; keeps x */
    VB_SCALE,         /* by a number: x * 2, x / 4; keeps the number */
    VB_SHIFT,         /* by a number: x + eps, x - 0.5 */
    VB_SUBTRACT_FROM, /* 1 - x */
    VB_RECIPROCAL,    /* no gradient is asked of the rest */
    VB_REMAINDER,
    VB_COMPARE, /* bool */
    VB_ZEROS_LIKE,
};
struct vb_variable vb_unary(struct vb_tape *tape, enum vb_unary kind, struct vb_variable x);

enum vb_binary { VB_PLUS, VB_MINUS, VB_TIMES, VB_OVER, VB_MINIMUM, VB_MAXIMUM, VB_AND };
/* The result has the larger shape and the wider type. */
struct vb_variable vb_binary(struct vb_tape *tape, enum vb_binary kind, struct vb_variable a,
                             struct vb_variable b);

/* x.clamp_(0): takes over the caller's hold of x; autograd keeps a copy of what was there. */
struct vb_variable vb_clamp_in_place(struct vb_tape *tape, struct vb_variable x);

/* `vector[i] = x` and `vector[i] *= number`: autograd keeps the vector whole. */
void vb_set_entry(struct vb_tape *tape, struct vb_variable *vector, struct vb_variable x);
void vb_scale_entry(struct vb_tape *tape, struct vb_variable *vector);

/* `*sum += x` and `*x *= number`: in place, as names of the traced program. */
void vb_add_in_place(struct vb_tape *tape, struct vb_variable *sum, struct vb_variable x);
void vb_scale_in_place(struct vb_tape *tape, struct vb_variable *x);

/* Of all elements, a scalar; vb_mean_of() leaves no node. */
struct vb_variable vb_mean_of(struct vb_tape *tape, struct vb_variable x);
struct vb_variable vb_mean(struct vb_tape *tape, struct vb_variable x);

/* Of all elements, a scalar; autocast: in fp32. Its gradient is one number seen as a whole tensor.
 */
struct vb_variable vb_sum(struct vb_tape *tape, struct vb_variable x);

/* x[indices]: rows picked by index tensors (which the node keeps), `out` of them. */
struct vb_variable vb_index(struct vb_tape *tape, struct vb_variable x,
                            const struct vb_variable *indices, uint32_t n_indices,
                            const struct vb_shape *out);

/* x[mask] with `n_true` of the mask's elements true: finds them first. `out` is the result's shape.
 */
struct vb_variable vb_mask(struct vb_tape *tape, struct vb_variable x, uint32_t mask_dims,
                           uint32_t n_true, const struct vb_shape *out);

/* The same for a mask that autograd keeps: x has a gradient. */
struct vb_variable vb_mask_rows(struct vb_tape *tape, struct vb_variable x, struct vb_variable mask,
                                uint32_t n_true, const struct vb_shape *out);

/* Along the last axis; autocast: in fp32. Both keep their result. */
struct vb_variable vb_softmax(struct vb_tape *tape, struct vb_variable x);
struct vb_variable vb_log_softmax(struct vb_tape *tape, struct vb_variable x);

/* x @ vector over x's last axis; keeps the vector, which gets no gradient. */
struct vb_variable vb_matvec(struct vb_tape *tape, struct vb_variable x, struct vb_variable vector);

/* -x[target] of each row [n,classes], int64 targets [n]: keeps x, the targets and their summed
 * weight. */
struct vb_variable vb_nll(struct vb_tape *tape, struct vb_variable x, struct vb_variable target);

/* Of each row: [n,k] -> [n,1]; keeps x. */
struct vb_variable vb_row_mean(struct vb_tape *tape, struct vb_variable x);

/* x[..., i]: a view; its gradient is zeros of x's size with the stretch filled in. */
struct vb_variable vb_select_last(struct vb_tape *tape, struct vb_variable x);

/* Binary cross entropy with logits, mean of all; `positive_weight` [1] is kept. Autocast: in fp32.
 */
struct vb_variable vb_bce_mean(struct vb_tape *tape, struct vb_variable logits,
                               struct vb_variable target, struct vb_variable positive_weight);
/* The same of each element, unweighted. */
struct vb_variable vb_bce(struct vb_tape *tape, struct vb_variable logits,
                          struct vb_variable target);

/* An operator that autograd does not follow: its result; and one that is gone at once. */
struct vb_variable vb_fresh(struct vb_tape *tape, const char *what, enum vb_dtype dtype,
                            struct vb_shape shape);
void vb_passing(struct vb_tape *tape, const char *what, enum vb_dtype dtype, struct vb_shape shape);

/* How many elements of a mask are true, int64. CUDA's kernel counts as it reads, the CPU's copies
 * the mask into int64 first. */
struct vb_variable vb_count(struct vb_tape *tape, struct vb_variable mask);

/* What the CPU's comparison in place makes of the number it compares with: a tensor, and one of the
 * other side's type. Nothing on CUDA. */
void vb_cpu_number(struct vb_tape *tape, enum vb_dtype dtype);

/* Drops an intermediate that only the expression held. */
static inline void vb_done(struct vb_tape *tape, struct vb_variable x)
{
    vb_tape_drop(tape, x);
}

#endif
