/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu/picture.h"
#include "cpu/random.h"

#include "launch/parts.h"

/* Blocks at a time, of all pictures. */
enum { MOST_BLOCKS = 4096 };

/* Strides of axes of length 1 are nobody's. */
static bool is_even(size_t size, size_t stride)
{
    return size == 1 || stride % VB_SIXTEEN == 0;
}

/* Rows are whole packs. */
static bool has_sixteens(const struct vb_image *image)
{
    return image->w % VB_SIXTEEN == 0 && image->stride_w == 1 &&
           is_even(image->n, image->stride_n) && is_even(image->c, image->stride_c) &&
           is_even(image->h, image->stride_h) && (uintptr_t)image->data % VB_SIXTEEN == 0;
}

/* A walk over so much of the image; strides stay its. */
static struct vb_image_walk walk_part(const struct vb_image *image, size_t n, size_t w)
{
    struct vb_image part = *image;
    part.n = n;
    part.w = w;
    return vb_walk_image(&part);
}

enum vb_status vb_launch_pictures(const struct vb_cpu_work *work, struct vb_launches *out,
                                  struct vb_error *err)
{
    static const enum vb_kernel_number kernels[VB_N_OPERATORS][2] = {
        [VB_OP_NOISE] = { VB_KERNEL_noise, VB_KERNEL_noise_sixteen },
        [VB_OP_MOSAIC] = { VB_KERNEL_mosaic, VB_KERNEL_mosaic_sixteen },
        [VB_OP_COPY_PASTE] = { VB_KERNEL_copy_paste, VB_KERNEL_copy_paste_sixteen },
    };
    struct vb_pictures pictures;
    enum vb_status status = vb_pictures_of(work, &pictures, err);
    if (status != VB_OK)
        return status;
    struct vb_image images[3];
    for (uint32_t i = 0; i < pictures.n_arrays; i++)
        images[i] = vb_image_of(&pictures.arrays[i]);
    const struct vb_image *y = &images[pictures.n_arrays - 1];
    const bool sixteens = has_sixteens(y);
    struct vb_pictures_drawn drawn = { .walk = walk_part(y, 1, y->w / (sixteens ? VB_SIXTEEN : 1)),
                                       .x = vb_lay_image(&images[0]),
                                       .z = vb_lay_image(&images[pictures.n_arrays / 2]),
                                       .y = vb_lay_image(y),
                                       .seed = vb_seed_of(pictures.a),
                                       .pictures = (uint32_t)y->n };
    const uint64_t blocks = drawn.walk.axes.n / VB_BLOCK + 1;
    const uint32_t at_once = drawn.pictures < MOST_BLOCKS ? drawn.pictures : MOST_BLOCKS;
    const uint32_t most = at_once > 0 ? MOST_BLOCKS / at_once : 1;
    drawn.blocks = blocks < most ? (uint32_t)blocks : most;
    const uint32_t grid = drawn.walk.axes.n > 0 ? at_once * drawn.blocks : 0;
    vb_add_blocks(out, kernels[work->call->op][sixteens], grid, 1)->arguments.noise = drawn;
    return VB_OK;
}

enum vb_status vb_launch_flip(const struct vb_cpu_work *work, struct vb_launches *out,
                              struct vb_error *err)
{
    struct vb_pictures pictures;
    enum vb_status status = vb_pictures_of(work, &pictures, err);
    if (status != VB_OK)
        return status;
    const struct vb_image x = vb_image_of(&pictures.arrays[0]);
    const struct vb_image y = vb_image_of(&pictures.arrays[1]);
    const bool sixteens = has_sixteens(&x) && has_sixteens(&y);
    const size_t in_row = y.w / (sixteens ? VB_SIXTEEN : 1);
    struct vb_flip flip = { .walk = walk_part(&y, y.n, in_row - in_row / 2),
                            .x = vb_lay_image(&x),
                            .y = vb_lay_image(&y) };
    const enum vb_kernel_number kernel = sixteens ? VB_KERNEL_flip_sixteen : VB_KERNEL_flip;
    vb_add_launch(out, kernel, flip.walk.axes.n)->arguments.flip = flip;
    return VB_OK;
}
