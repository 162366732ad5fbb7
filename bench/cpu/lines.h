/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CPU_LINES_H
#define VB_CPU_LINES_H

/* Operators along the last axis: each line is computed on its own. For kernels. */

#include "cpu/array.h"
#include "cpu/kernel.h"

enum { VB_MAX_LINES = 3 };

/* Operands whose shapes are one but for the last axis, or without it. */
struct vb_lines {
    struct vb_array arrays[VB_MAX_LINES];
    size_t lengths[VB_MAX_LINES]; /* of the last axis; 1 where the array goes without */
    size_t strides[VB_MAX_LINES];
    uint32_t n_arrays;
    double a; /* the operator's number */
    struct vb_walk walk;
    /* Computes one line of all arrays. */
    void (*line)(const struct vb_lines *lines, const struct vb_strip *strips);
};

/* Takes the last axis of the arrays whose bit is set in `lined` off, and plans a walk over the
 * shape that is left, the same for all. VB_E_DEVICE: it is not. */
VB_CHECKED enum vb_status vb_plan_lines(const struct vb_cpu_work *work, struct vb_lines *lines,
                                        uint32_t lined, struct vb_error *err);

/* Runs `line` for each place on the walk. */
void vb_run_lines(struct vb_lines *lines);

#endif
