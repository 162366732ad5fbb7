/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CPU_ELEMENTWISE_H
#define VB_CPU_ELEMENTWISE_H

/* Operators that go element by element: what each computes is a function of strips, and one engine
 * brings the strips. For kernels. */

#include <stdatomic.h>

#include "cpu/array.h"
#include "cpu/kernel.h"

enum { VB_MAX_STRIPS = 4 };

/* A call's numbers as the functions want them. */
struct vb_numbers {
    double a, b;
    int64_t whole_a, whole_b; /* of int64 arithmetic: a rounded up, b down */
    uint32_t update;          /* the optimizer's step, from 1 */
    atomic_bool *found;       /* VB_OP_UNSCALE: set where a result is not finite */
};

struct vb_numbers vb_numbers_of(const struct vb_cpu_work *work);

/* Computes `n` elements of all strips, which are arrays of float, or of int64_t. One array may be
 * another one too. */
typedef void vb_strip_function(void *const *strips, size_t n, const struct vb_numbers *numbers);

/* By operator; NULL: not computed in that type. */
extern vb_strip_function *const vb_float_strips[VB_N_OPERATORS];
extern vb_strip_function *const vb_whole_strips[VB_N_OPERATORS];

/* Which operands a function takes: a bit of `reads` and `writes` for each. */
struct vb_strip_use {
    uint32_t n, reads, writes;
};

struct vb_strip_job {
    vb_strip_function *function;
    struct vb_strip_use use;
    enum vb_dtype compute; /* fp32 or int64 */
    struct vb_array arrays[VB_MAX_STRIPS];
    struct vb_numbers numbers;
    struct vb_walk walk; /* the engine's */
};

/* All of an elementwise call's job (VB_OP_COPY's too) but its running. VB_E_DEVICE: the operands do
 * not go together, or are of types or numbers that the operator is not for. */
VB_CHECKED enum vb_status vb_prepare_elementwise(const struct vb_cpu_work *work,
                                                 struct vb_strip_job *job, struct vb_error *err);

/* Has the job walk the shape of array `leader`, to which the others are broadcast. VB_E_DEVICE:
 * that cannot be, or a result would be. */
VB_CHECKED enum vb_status vb_walk_strips(const struct vb_cpu_work *work, struct vb_strip_job *job,
                                         uint32_t leader, struct vb_error *err);
void vb_run_strips(struct vb_strip_job *job);

/* The same of an update of a parameter (but VB_OP_RESCALE): `found` is not among the arrays; a and
 * b are what the update multiplies by. */
VB_CHECKED enum vb_status vb_prepare_update(const struct vb_cpu_work *work,
                                            struct vb_strip_job *job, struct vb_array *found,
                                            struct vb_error *err);
/* Of VB_OP_RESCALE its three scalars. */
VB_CHECKED enum vb_status vb_prepare_rescale(const struct vb_cpu_work *work,
                                             struct vb_array *arrays, struct vb_error *err);

#endif
