/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_LAUNCH_PARTS_H
#define VB_LAUNCH_PARTS_H

/* For those who write a kind of launch; everyone else includes launch.h. The table in launch.c says
 * which function is whose operator's. */

#include "cpu/image.h"
#include "kernels/scratch.h"
#include "launch/launch.h"

typedef enum vb_status vb_launcher(const struct vb_cpu_work *work, struct vb_launches *out,
                                   struct vb_error *err);

/* In the file of that name, or in reduce.c (reduction); lines.c (softmax, matvec, nll); select.c
 * (argmax, top_k, scatter, claims); rows.c (index, nonzero, unique); pool.c (max and average
 * pooling); update.c (rescale); picture.c (pictures, flip). */
vb_launcher vb_launch_elementwise, vb_launch_reduction, vb_launch_source, vb_launch_matmul;
vb_launcher vb_launch_softmax, vb_launch_matvec, vb_launch_nll, vb_launch_nll_backward;
vb_launcher vb_launch_argmax, vb_launch_top_k, vb_launch_scatter, vb_launch_claims;
vb_launcher vb_launch_index, vb_launch_nonzero, vb_launch_unique;
vb_launcher vb_launch_batch_norm, vb_launch_batch_norm_backward, vb_launch_batch_norm_eval;
vb_launcher vb_launch_max_pool, vb_launch_max_pool_backward, vb_launch_average_pool;
vb_launcher vb_launch_resample, vb_launch_update, vb_launch_rescale;
vb_launcher vb_launch_pictures, vb_launch_flip;

/* One more launch of the call, of enough threads for `n` elements; its arguments are the caller's
 * to fill. n of 0 makes none, and gives one that is not launched. */
struct vb_launch *vb_add_launch(struct vb_launches *out, enum vb_kernel_number kernel, uint64_t n);
/* The same of so many blocks. */
struct vb_launch *vb_add_blocks(struct vb_launches *out, enum vb_kernel_number kernel,
                                uint32_t grid_x, uint32_t grid_y);

/* How blocks share lines of `length` elements; `across`: an element lies beside that of the next
 * line and not beside its line's next. The launch that this takes, of `n_lines`, is vb_add_lines().
 */
struct vb_seats vb_seats_for(uint64_t n_lines, uint64_t length, bool across);
struct vb_launch *vb_add_lines(struct vb_launches *out, enum vb_kernel_number kernel,
                               uint64_t n_lines, struct vb_seats seats);

/* A walk, and what goes along it, as kernels take them. False: a stride or a size does not fit. */
VB_CHECKED bool vb_lay_out(const struct vb_walk *walk, const struct vb_array *arrays,
                           struct vb_axes *axes, struct vb_lying *lying);
/* VB_E_DEVICE, because of that. */
VB_CHECKED enum vb_status vb_refuse_size(const struct vb_cpu_work *work, struct vb_error *err);

/* An image, and a walk over its elements in the order in which they lie. */
struct vb_image_lying vb_lay_image(const struct vb_image *image);
struct vb_image_walk vb_walk_image(const struct vb_image *image);
/* Channels of the images lie next to each other, from whole packs on: eight can be had at once.
 * Eights of a walk are then what it goes along. */
bool vb_has_eights(const struct vb_image *const *images, uint32_t n);
struct vb_image_walk vb_walk_eights(const struct vb_image *image);

static inline struct vb_kernel_scratch *vb_scratch_of(const struct vb_cpu_work *work)
{
    return work->workspace;
}

#endif
