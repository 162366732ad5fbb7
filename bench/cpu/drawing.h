/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CPU_DRAWING_H
#define VB_CPU_DRAWING_H

/* What pictures are drawn with. C and CUDA. */

#include "cpu/random.h"

/* The canvas of a mosaic where no source lies, as in YOLOv5 and ultralytics. */
enum { VB_GREY = 114 };

struct vb_rectangle {
    uint32_t top, bottom, left, right; /* the last of each pair is outside */
};

/* Number `i` of a picture, within height x width. */
VB_BOTH struct vb_rectangle vb_draw_rectangle(uint64_t seed, uint64_t picture, uint32_t i,
                                              uint32_t height, uint32_t width)
{
    enum { A_PICTURES_DRAWS = 1024 };
    const uint64_t place = picture * A_PICTURES_DRAWS + 4 * (uint64_t)i;
    struct vb_rectangle r;
    r.top = (uint32_t)vb_random_below(seed, place, height);
    r.left = (uint32_t)vb_random_below(seed, place + 1, width);
    r.bottom = r.top + 1 + (uint32_t)vb_random_below(seed, place + 2, height - r.top);
    r.right = r.left + 1 + (uint32_t)vb_random_below(seed, place + 3, width - r.left);
    return r;
}

/* The point at which a mosaic's four sources meet: within half a source of the canvas's middle. */
VB_BOTH uint32_t vb_mosaic_centre(uint64_t picture, uint32_t axis, uint32_t size)
{
    return size / 2 + (uint32_t)vb_random_below(vb_random(0, picture), axis, (uint64_t)size + 1);
}

/* Which row, or column, of its source the canvas shows at `at`; `size` or beyond: of none. */
VB_BOTH uint32_t vb_mosaic_source(uint32_t at, uint32_t centre, uint32_t size)
{
    return at < centre ? at + size - centre : at - centre;
}

/* Noise: colours that change slowly, rectangles of one colour on them, and up to 15 more. */
enum { VB_NOISE_RECTANGLES = 6 };

/* What a channel of a picture is drawn with. */
VB_BOTH uint64_t vb_noise_seed(uint64_t seed, uint64_t picture, uint32_t channel)
{
    enum { CHANNELS = 8 };
    return vb_random(seed, picture * CHANNELS + channel);
}

/* Of a row, in 65536ths: from a colour at the left to another at the right. Both move with the row.
 */
struct vb_noise_slope {
    uint32_t start, step;
};

VB_BOTH struct vb_noise_slope vb_noise_slope_of(uint64_t seed, uint32_t row, uint32_t height,
                                                uint32_t width)
{
    int64_t ends[2];
    for (uint32_t i = 0; i < 2; i++) {
        const uint64_t top = vb_random_below(seed, 2 * i, 256);
        const uint64_t bottom = vb_random_below(seed, 2 * i + 1, 256);
        ends[i] = (int64_t)((top * (height - row) + bottom * row) / height);
    }
    struct vb_noise_slope slope;
    slope.start = (uint32_t)ends[0] << 16;
    slope.step = (uint32_t)((ends[1] - ends[0]) * 65536 / (int64_t)width);
    return slope;
}

VB_BOTH uint8_t vb_noise_colour(uint64_t seed, uint32_t rectangle)
{
    return (uint8_t)vb_random_below(seed, 4 + (uint64_t)rectangle, 256);
}

/* Eight bits for each of eight pixels, from one on whose number is a multiple of that. */
VB_BOTH uint64_t vb_noise_bits(uint64_t seed, uint32_t row, uint32_t pixel)
{
    return vb_random(vb_random(seed, 100 + (uint64_t)row), pixel);
}

VB_BOTH uint8_t vb_noisy(uint8_t colour, uint64_t bits)
{
    enum { NOISE_BITS = 4 };
    const uint32_t sum = colour + (uint32_t)(bits & ((1U << NOISE_BITS) - 1));
    return (uint8_t)(sum > 255 ? 255 : sum);
}

/* Rectangles that are pasted from one picture into another. */
enum { VB_PASTED_RECTANGLES = 4 };

/* Whether one of `n` rectangles has the pixel. */
VB_BOTH int vb_is_inside(const struct vb_rectangle *rectangles, uint32_t n, uint32_t row,
                         uint32_t column)
{
    int is_inside = 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct vb_rectangle *r = &rectangles[i];
        is_inside |= row >= r->top && row < r->bottom && column >= r->left && column < r->right;
    }
    return is_inside;
}

#endif
