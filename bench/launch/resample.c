/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu/images.h"

#include "launch/parts.h"

/* By how much a side is enlarged, or its gradient made smaller. */
static uint32_t factor_of(size_t side, size_t other)
{
    return (uint32_t)(side > other ? side / other : other / side);
}

enum vb_status vb_launch_resample(const struct vb_cpu_work *work, struct vb_launches *out,
                                  struct vb_error *err)
{
    static const enum vb_kernel_number kernels[VB_N_OPERATORS][2] = {
        [VB_OP_UPSAMPLE] = { VB_KERNEL_upsample, VB_KERNEL_upsample_eight },
        [VB_OP_UPSAMPLE_BACKWARD] = { VB_KERNEL_upsample_backward,
                                      VB_KERNEL_upsample_backward_eight },
        [VB_OP_RESIZE] = { VB_KERNEL_resize, VB_KERNEL_resize_eight },
    };
    struct vb_resample_images images;
    enum vb_status status = vb_resample_images_of(work, &images, err);
    if (status != VB_OK)
        return status;
    const struct vb_image *all[] = { &images.x, &images.y };
    const bool eights = vb_has_eights(all, 2);
    const struct vb_image_walk walk = eights ? vb_walk_eights(&images.y) : vb_walk_image(&images.y);
    vb_add_launch(out, kernels[work->call->op][eights], walk.axes.n)->arguments.upsample =
        (struct vb_resample){ .walk = walk,
                              .x = vb_lay_image(&images.x),
                              .y = vb_lay_image(&images.y),
                              .factor_h = factor_of(images.x.h, images.y.h),
                              .factor_w = factor_of(images.x.w, images.y.w) };
    return VB_OK;
}
