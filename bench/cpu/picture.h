/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CPU_PICTURE_H
#define VB_CPU_PICTURE_H

/* Pictures, uint8 [N,3,H,W], worked on row by row. For kernels. */

#include "cpu/array.h"
#include "cpu/kernel.h"

struct vb_pictures {
    struct vb_array arrays[3]; /* what is written last */
    uint32_t n_arrays;
    double a;
    /* One row of one picture: of the last array, all channels. */
    void (*row)(const struct vb_pictures *pictures, size_t picture, size_t row);
};

/* Where a row of a channel lies. */
struct vb_strip vb_picture_row(const struct vb_array *array, size_t picture, size_t channel,
                               size_t row);

/* Takes the call's operands. VB_E_DEVICE: they are not pictures, or do not go together. */
VB_CHECKED enum vb_status vb_pictures_of(const struct vb_cpu_work *work,
                                         struct vb_pictures *pictures, struct vb_error *err);
void vb_run_rows(struct vb_pictures *pictures);

#endif
