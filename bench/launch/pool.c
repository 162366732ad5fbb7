/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu/images.h"

#include "launch/parts.h"

/* What is written is x's gradient, or y and the places. */
static void add_pool(const struct vb_pool_images *images, bool is_backward, struct vb_launches *out)
{
    static const enum vb_kernel_number kernels[2][2] = {
        { VB_KERNEL_max_pool, VB_KERNEL_max_pool_eight },
        { VB_KERNEL_max_pool_backward, VB_KERNEL_max_pool_backward_eight },
    };
    const struct vb_image *all[] = { &images->x, &images->y, &images->places };
    const struct vb_image *written = is_backward ? &images->x : &images->y;
    const bool eights = vb_has_eights(all, 3);
    const struct vb_image_walk walk = eights ? vb_walk_eights(written) : vb_walk_image(written);
    vb_add_launch(out, kernels[is_backward][eights], walk.axes.n)->arguments.max_pool =
        (struct vb_pool){ .walk = walk,
                          .x = vb_lay_image(&images->x),
                          .y = vb_lay_image(&images->y),
                          .places = vb_lay_image(&images->places),
                          .window = *images->window };
}

enum vb_status vb_launch_max_pool(const struct vb_cpu_work *work, struct vb_launches *out,
                                  struct vb_error *err)
{
    struct vb_pool_images images;
    enum vb_status status = vb_pool_images_of(work, 0, 1, 2, &images, err);
    if (status == VB_OK)
        add_pool(&images, false, out);
    return status;
}

enum vb_status vb_launch_max_pool_backward(const struct vb_cpu_work *work, struct vb_launches *out,
                                           struct vb_error *err)
{
    struct vb_pool_images images;
    enum vb_status status = vb_pool_images_of(work, 2, 0, 1, &images, err);
    if (status == VB_OK)
        add_pool(&images, true, out);
    return status;
}

enum vb_status vb_launch_average_pool(const struct vb_cpu_work *work, struct vb_launches *out,
                                      struct vb_error *err)
{
    struct vb_resample_images images;
    enum vb_status status = vb_resample_images_of(work, &images, err);
    if (status != VB_OK)
        return status;
    const uint64_t planes = (uint64_t)images.x.n * images.x.c;
    const bool is_channels_last = vb_walk_image(&images.x).is_channels_last;
    const uint32_t sharing =
        (uint32_t)VB_BLOCK / (is_channels_last ? (uint32_t)VB_AVERAGED_LAST : VB_AVERAGED);
    vb_add_launch(out, VB_KERNEL_average_pool, planes * sharing)->arguments.average_pool =
        (struct vb_average){ .x = vb_lay_image(&images.x),
                             .y = vb_lay_image(&images.y),
                             .planes = planes,
                             .is_channels_last = is_channels_last };
    return VB_OK;
}
