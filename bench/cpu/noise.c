/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures that look a bit like pictures: colours that change slowly, rectangles of one colour, and
 * noise on all of it. */

#include "cpu/picture.h"
#include "cpu/random.h"

enum { N, C, H, W, RECTANGLES = 6, NOISE_BITS = 4, CHANNELS = 8 };

/* What channel `channel` of a picture is drawn with. */
static uint64_t seed_of(const struct vb_pictures *pictures, size_t picture, size_t channel)
{
    return vb_random(vb_seed_of(pictures->a), picture * CHANNELS + channel);
}

/* From a colour at the left to another at the right, both of which move with the row. */
static void draw_slope(uint64_t seed, size_t row, const struct vb_shape *shape,
                       const struct vb_strip *y)
{
    size_t height = shape->dims[H], width = shape->dims[W];
    size_t ends[2];
    for (size_t i = 0; i < 2; i++) {
        size_t top = vb_random_below(seed, 2 * i, 256),
               bottom = vb_random_below(seed, 2 * i + 1, 256);
        ends[i] = (top * (height - row) + bottom * row) / height;
    }
    uint32_t at = (uint32_t)ends[0] << 16, slope = 0;
    slope = (uint32_t)(((int64_t)ends[1] - (int64_t)ends[0]) * 65536 / (int64_t)width);
    for (size_t i = 0; i < width; i++, at += slope)
        y->data[i * y->stride] = (char)(uint8_t)(at >> 16);
}

static void draw_rectangles(const struct vb_pictures *pictures, size_t picture, uint64_t seed,
                            size_t row, const struct vb_strip *y)
{
    const struct vb_shape *shape = &pictures->arrays[0].shape;
    for (size_t i = 0; i < RECTANGLES; i++) {
        struct vb_rectangle r = vb_draw_rectangle(vb_seed_of(pictures->a), picture, i, shape);
        char colour = (char)(uint8_t)vb_random_below(seed, 4 + i, 256);
        if (row < r.top || row >= r.bottom)
            continue;
        for (size_t k = r.left; k < r.right; k++)
            y->data[k * y->stride] = colour;
    }
}

/* Up to 15 more, where that is still a colour; a random number is good for eight pixels. */
static void add_noise(uint64_t seed, size_t row, size_t width, const struct vb_strip *y)
{
    uint64_t row_seed = vb_random(seed, 100 + row), bits = 0;
    for (size_t i = 0; i < width; i++, bits >>= 8) {
        bits = i % 8 == 0 ? vb_random(row_seed, i) : bits;
        uint8_t *pixel = (uint8_t *)&y->data[i * y->stride];
        uint32_t sum = *pixel + (uint32_t)(bits & ((1U << NOISE_BITS) - 1));
        *pixel = (uint8_t)(sum > 255 ? 255 : sum);
    }
}

static void draw_row(const struct vb_pictures *pictures, size_t picture, size_t row)
{
    const struct vb_shape *shape = &pictures->arrays[0].shape;
    for (size_t channel = 0; channel < shape->dims[C]; channel++) {
        struct vb_strip y = vb_picture_row(&pictures->arrays[0], picture, channel, row);
        uint64_t seed = seed_of(pictures, picture, channel);
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
    enum vb_status status = vb_pictures_of(work, 1, &pictures, err);
    if (status != VB_OK)
        return status;
    pictures.row = draw_row;
    vb_run_rows(&pictures);
    return VB_OK;
}
