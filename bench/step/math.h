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

/* The result of an operator that autograd does not follow: a new tensor, written by `call`, of
 * which op, the numbers and data are given, from `n` inputs. */
struct vb_variable vb_make(struct vb_tape *tape, const struct vb_call *call,
                           const struct vb_shape *shape, enum vb_dtype dtype,
                           const struct vb_variable *from, uint32_t n);
/* The same under a name of its own. */
struct vb_variable vb_make_named(struct vb_tape *tape, const char *what, const struct vb_call *call,
                                 const struct vb_shape *shape, enum vb_dtype dtype,
                                 const struct vb_variable *from, uint32_t n);
/* As vb_make(), of the shape and type of `like`, lying as that does. */
struct vb_variable vb_make_like(struct vb_tape *tape, const struct vb_call *call,
                                struct vb_variable like, const struct vb_variable *from,
                                uint32_t n);
/* The same of one tensor or, where `second` is defined, two, and the number a. */
struct vb_variable vb_make_of(struct vb_tape *tape, enum vb_operator op, double a,
                              const struct vb_variable *like, struct vb_variable first,
                              struct vb_variable second);
struct vb_variable vb_zeros_like(struct vb_tape *tape, struct vb_variable x);
/* A new tensor of one number. */
struct vb_variable vb_filled(struct vb_tape *tape, const char *what, double value,
                             enum vb_dtype dtype, struct vb_shape shape);

/* A node's backward: its first input's gradient is its output's. */
void vb_hand_on_backward(struct vb_tape *tape, const struct vb_node *node,
                         const struct vb_variable *outputs, struct vb_variable *inputs);

/* An operator of one tensor and the number a; what it keeps is autograd's. A power under autocast
 * is in fp32. Followed are sigmoid, power, atan, clamp, and x with a number added, multiplied or
 * taken from it. */
struct vb_variable vb_unary(struct vb_tape *tape, enum vb_operator op, struct vb_variable x,
                            double a);

/* An operator of two tensors: the result has the larger shape and the wider type. Followed are sum,
 * difference, product, quotient, minimum and maximum. */
struct vb_variable vb_binary(struct vb_tape *tape, enum vb_operator op, struct vb_variable a,
                             struct vb_variable b);

/* x.clamp_(0): takes over the caller's hold of x; autograd keeps a copy of what was there. */
struct vb_variable vb_clamp_in_place(struct vb_tape *tape, struct vb_variable x);

/* `vector[i] = x` and `vector[i] *= a`: autograd keeps the vector whole. */
void vb_set_entry(struct vb_tape *tape, struct vb_variable *vector, uint32_t i,
                  struct vb_variable x);
void vb_scale_entry(struct vb_tape *tape, struct vb_variable *vector, uint32_t i, double a);

/* `*sum += x` and `*x *= a`: in place, as names of the traced program. */
void vb_add_in_place(struct vb_tape *tape, struct vb_variable *sum, struct vb_variable x);
void vb_scale_in_place(struct vb_tape *tape, struct vb_variable *x, double a);

/* Of all elements, a scalar; vb_mean_of() leaves no node. */
struct vb_variable vb_mean_of(struct vb_tape *tape, struct vb_variable x);
struct vb_variable vb_mean(struct vb_tape *tape, struct vb_variable x);

/* Of all elements, a scalar; autocast: in fp32. Its gradient is one number seen as a whole tensor.
 */
struct vb_variable vb_sum(struct vb_tape *tape, struct vb_variable x);

/* x[i1,..,ik]: rows picked by index tensors of one shape (which the node keeps), `out` of them. */
struct vb_variable vb_index(struct vb_tape *tape, struct vb_variable x,
                            const struct vb_variable *indices, uint32_t n_indices,
                            const struct vb_shape *out);

/* The columns of places [n,axes], as index tensors; gives how many there are. */
uint32_t vb_columns(struct vb_variable places, struct vb_variable *columns);

/* x[mask] with `n_true` of the mask's elements true: finds them first. `out` is the result's shape.
 */
struct vb_variable vb_mask(struct vb_tape *tape, struct vb_variable x, struct vb_variable mask,
                           uint32_t n_true, const struct vb_shape *out);

/* The same for a mask that autograd keeps: x has a gradient. `n_true` are at most true; what is
 * false fills up. */
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
struct vb_variable vb_select_last(struct vb_tape *tape, struct vb_variable x, uint32_t i);

/* Binary cross entropy with logits, mean of all; `positive_weight` [1] is kept. Autocast: in fp32.
 */
struct vb_variable vb_bce_mean(struct vb_tape *tape, struct vb_variable logits,
                               struct vb_variable target, struct vb_variable positive_weight);
/* The same of each element, unweighted. */
struct vb_variable vb_bce(struct vb_tape *tape, struct vb_variable logits,
                          struct vb_variable target);

/* The result of an operator of a part that is only planned; and one that is gone at once. */
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
