/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures that look a bit like pictures: colours that change slowly, rectangles of one colour, and
 * noise on all of it. */

#include "cpu/drawing.h"
#include "cpu/picture.h"

enum { N, C, H, W };

static void draw_slope(uint64_t seed, size_t row, const struct vb_shape *shape,
                       const struct vb_strip *y)
{
    const struct vb_noise_slope slope =
        vb_noise_slope_of(seed, (uint32_t)row, shape->dims[H], shape->dims[W]);
    for (uint32_t i = 0; i < shape->dims[W]; i++)
        y->data[i * y->stride] = (char)(uint8_t)((slope.start + i * slope.step) >> 16);
}

static void draw_rectangles(const struct vb_pictures *pictures, size_t picture, uint64_t seed,
                            size_t row, const struct vb_strip *y)
{
    const uint32_t *dims = pictures->arrays[0].shape.dims;
    for (uint32_t i = 0; i < VB_NOISE_RECTANGLES; i++) {
        struct vb_rectangle r =
            vb_draw_rectangle(vb_seed_of(pictures->a), picture, i, dims[H], dims[W]);
        char colour = (char)vb_noise_colour(seed, i);
        if (row < r.top || row >= r.bottom)
            continue;
        for (size_t k = r.left; k < r.right; k++)
            y->data[k * y->stride] = colour;
    }
}

/* A random number is good for eight pixels. */
static void add_noise(uint64_t seed, size_t row, size_t width, const struct vb_strip *y)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < width; i++, bits >>= 8) {
        bits = i % 8 == 0 ? vb_noise_bits(seed, (uint32_t)row, (uint32_t)i) : bits;
        uint8_t *pixel = (uint8_t *)&y->data[i * y->stride];
        *pixel = vb_noisy(*pixel, bits);
    }
}

static void draw_row(const struct vb_pictures *pictures, size_t picture, size_t row)
{
    const struct vb_shape *shape = &pictures->arrays[0].shape;
    for (uint32_t channel = 0; channel < shape->dims[C]; channel++) {
        struct vb_strip y = vb_picture_row(&pictures->arrays[0], picture, channel, row);
        uint64_t seed = vb_noise_seed(vb_seed_of(pictures->a), picture, channel);
        draw_slope(seed, row, shape, &y);
        draw_rectangles(pictures, picture, seed, row, &y);
        add_noise(seed, row, shape->dims[W], &y);
    }
}

enum vb_status vb_run_noise(struct vb_cpu *cpu, const struct vb_cpu_work *work,
                            struct vb_error *err)
{
    struct vb_pictures pictures;
    (void)cpu;
    enum vb_status status = vb_pictures_of(work, &pictures, err);
    if (status != VB_OK)
        return status;
    pictures.row = draw_row;
    vb_run_rows(&pictures);
    return VB_OK;
}
