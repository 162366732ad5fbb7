/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CPU_PREPARE_H
#define VB_CPU_PREPARE_H

/* All of a call but its running: operands that were found to go together, and the walks along them.
 * The cpu's kernels begin with these, and so do launches on a GPU, whose memory the host cannot
 * look at: what depends on the data is not checked here. For kernels.
 *
 * All give VB_E_DEVICE where operands do not go together, or are of types that the operator is not
 * for.
 */

#include "cpu/array.h"
#include "cpu/fold.h"
#include "cpu/lines.h"

/* VB_OP_SUM, MEAN, MAX_OF, NORM. */
struct vb_reduction {
    struct vb_array x, y;
    struct vb_walk kept; /* arrays: x, y */
    struct vb_walk gone; /* array: x */
    size_t n_gone;
    bool in_rows; /* the innermost axis stays */
    enum vb_dtype compute;
    const struct vb_fold *fold;
};
VB_CHECKED enum vb_status vb_prepare_reduction(const struct vb_cpu_work *work,
                                               struct vb_reduction *out, struct vb_error *err);

struct vb_argmax_job {
    struct vb_array x, y;
    struct vb_walk walk; /* over the results; arrays: x, y */
    size_t n, stride;    /* of the axis that goes */
    enum vb_dtype compute;
};
VB_CHECKED enum vb_status vb_prepare_argmax(const struct vb_cpu_work *work,
                                            struct vb_argmax_job *out, struct vb_error *err);

/* Whose arrays stand as the operator has them, broadcast where they are; `line` is not set. */
VB_CHECKED enum vb_status vb_prepare_softmax(const struct vb_cpu_work *work, struct vb_lines *out,
                                             struct vb_error *err);
VB_CHECKED enum vb_status vb_prepare_matvec(const struct vb_cpu_work *work, struct vb_lines *out,
                                            struct vb_error *err);
VB_CHECKED enum vb_status vb_prepare_top_k(const struct vb_cpu_work *work, struct vb_lines *out,
                                           struct vb_error *err);
VB_CHECKED enum vb_status vb_prepare_scatter(const struct vb_cpu_work *work, struct vb_lines *out,
                                             struct vb_error *err);
/* out->a: the part of the gradient that each line gets. */
VB_CHECKED enum vb_status vb_prepare_nll_backward(const struct vb_cpu_work *work,
                                                  struct vb_lines *out, struct vb_error *err);
/* arrays: x, target, y. */
VB_CHECKED enum vb_status vb_prepare_nll(const struct vb_cpu_work *work, struct vb_array *arrays,
                                         struct vb_error *err);
/* arrays: overlaps, claims. */
VB_CHECKED enum vb_status vb_prepare_claims(const struct vb_cpu_work *work, struct vb_array *arrays,
                                            struct vb_error *err);

/* VB_OP_INDEX, INDEX_PUT, INDEX_ADD. */
struct vb_rows {
    struct vb_array whole; /* whose rows are picked */
    struct vb_array other; /* the rows, as an array of S and the row's axes */
    struct vb_array indices[VB_MAX_DIMS];
    uint32_t n_indices;
    struct vb_walk picks; /* over S; arrays: the indices, other */
    struct vb_walk row;   /* arrays: whole, other */
    size_t row_elements;
    enum vb_operator op;
    enum vb_dtype compute;
};
VB_CHECKED enum vb_status vb_prepare_index(const struct vb_cpu_work *work, struct vb_rows *out,
                                           struct vb_error *err);

/* arrays: mask, places. */
VB_CHECKED enum vb_status vb_prepare_nonzero(const struct vb_cpu_work *work,
                                             struct vb_array *arrays, struct vb_error *err);
/* arrays: x, values, places, counts. */
VB_CHECKED enum vb_status vb_prepare_unique(const struct vb_cpu_work *work, struct vb_array *arrays,
                                            struct vb_error *err);

/* VB_OP_UPLOAD, RANGE, UNIFORM. */
struct vb_source_job {
    struct vb_array y;
    struct vb_walk walk; /* in order */
    enum vb_dtype compute;
};
VB_CHECKED enum vb_status vb_prepare_source(const struct vb_cpu_work *work,
                                            struct vb_source_job *out, struct vb_error *err);

#endif
