/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_LAUNCH_PARTS_H
#define VB_LAUNCH_PARTS_H

/* For those who write a kind of launch; everyone else includes launch.h. The table in launch.c says
 * which function is whose operator's. */

#include "cpu/array.h"
#include "kernels/scratch.h"
#include "launch/launch.h"

typedef enum vb_status vb_launcher(const struct vb_cpu_work *work, struct vb_launches *out,
                                   struct vb_error *err);

/* In the file of that name. */
vb_launcher vb_launch_elementwise;

/* One more launch of the call, of enough threads for `n` elements; its arguments are the caller's
 * to fill. n of 0 makes none, and gives one that is not launched. */
struct vb_launch *vb_add_launch(struct vb_launches *out, enum vb_kernel_number kernel, uint64_t n);
/* The same of so many blocks. */
struct vb_launch *vb_add_blocks(struct vb_launches *out, enum vb_kernel_number kernel,
                                uint32_t grid_x, uint32_t grid_y);

/* A walk, and what goes along it, as kernels take them. False: a stride or a size does not fit. */
VB_CHECKED bool vb_lay_out(const struct vb_walk *walk, const struct vb_array *arrays,
                           struct vb_axes *axes, struct vb_lying *lying);

static inline struct vb_kernel_scratch *vb_scratch_of(const struct vb_cpu_work *work)
{
    return work->workspace;
}

#endif
