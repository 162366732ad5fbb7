/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures, uint8 [N,3,H,W]: one picture a block at a time, for which its threads first draw what
 * all pixels need. A thread writes a byte where its neighbours write theirs, or 16 pixels of a row.
 * They stand for what a data loader does, and are far from what bounds a step. */

#include "kernels/picture.h"

#include "cpu/drawing.h"
#include "kernels/pixel.h"

/* What is drawn for a picture before its pixels. */
struct drawn {
    struct vb_rectangle rectangles[VB_NOISE_RECTANGLES];
    uint32_t middle, centre;
};

/* N bytes, in registers. */
template <uint32_t N> struct bytes {
    uint32_t words[N < 4 ? 1 : N / 4];
};

template <uint32_t N> VB_DEVICE void set_byte(struct bytes<N> *to, uint32_t k, uint32_t value)
{
    to->words[k / 4] |= value << (k % 4 * 8);
}

VB_DEVICE uint32_t byte_at(const struct vb_image_lying &x, const struct vb_pixel &pixel)
{
    return ((const uint8_t *)x.data)[vb_pixel_offset(x, pixel)];
}

template <uint32_t N>
VB_DEVICE void put_bytes(const struct vb_image_lying &y, const struct vb_pixel &pixel,
                         const struct bytes<N> &bytes)
{
    uint8_t *to = (uint8_t *)y.data + vb_pixel_offset(y, pixel);
    if constexpr (N == 1)
        *to = (uint8_t)bytes.words[0];
    else
        *(struct vb_pack *)to = { { bytes.words[0], bytes.words[1], bytes.words[2],
                                    bytes.words[3] } };
}

struct of_noise {
    VB_DEVICE void draw(const struct vb_pictures_drawn &a, uint32_t picture, uint32_t t,
                        struct drawn *drawn)
    {
        if (t < VB_NOISE_RECTANGLES)
            drawn->rectangles[t] = vb_draw_rectangle(a.seed, picture, t, a.y.h, a.y.w);
    }

    /* Of two rectangles the later one lies above. */
    VB_DEVICE uint32_t colour(const struct drawn &drawn, uint64_t seed, uint32_t ground,
                              uint32_t row, uint32_t column)
    {
        uint32_t above = VB_NOISE_RECTANGLES;
        for (uint32_t i = 0; i < VB_NOISE_RECTANGLES; i++)
            above = vb_is_inside(&drawn.rectangles[i], 1, row, column) ? i : above;
        return above < VB_NOISE_RECTANGLES ? vb_noise_colour(seed, above) : ground;
    }

    template <uint32_t N>
    VB_DEVICE void take(const struct vb_pictures_drawn &a, const struct drawn &drawn,
                        const struct vb_pixel &pixel, struct bytes<N> *y)
    {
        const uint64_t seed = vb_noise_seed(a.seed, pixel.n, pixel.c);
        const struct vb_noise_slope slope = vb_noise_slope_of(seed, pixel.h, a.y.h, a.y.w);
        uint64_t bits = 0;
        VB_UNROLL(16)
        for (uint32_t k = 0; k < N; k++) {
            const uint32_t w = pixel.w + k;
            const uint32_t ground = (slope.start + w * slope.step) >> 16 & 255U;
            bits = k % 8 == 0 ? vb_noise_bits(seed, pixel.h, w / 8 * 8) >> (w % 8 * 8) : bits >> 8;
            const uint32_t own = colour(drawn, seed, ground, pixel.h, w);
            set_byte(y, k, vb_noisy((uint8_t)own, bits));
        }
    }
};

struct of_mosaic {
    VB_DEVICE void draw(const struct vb_pictures_drawn &a, uint32_t picture, uint32_t t,
                        struct drawn *drawn)
    {
        if (t == 0) {
            drawn->middle = vb_mosaic_centre(picture, 0, a.x.h);
            drawn->centre = vb_mosaic_centre(picture, 1, a.x.w);
        }
    }

    template <uint32_t N>
    VB_DEVICE void take(const struct vb_pictures_drawn &a, const struct drawn &drawn,
                        const struct vb_pixel &pixel, struct bytes<N> *y)
    {
        const uint32_t row = vb_mosaic_source(pixel.h, drawn.middle, a.x.h);
        const uint32_t first = 4 * pixel.n + (pixel.h < drawn.middle ? 0 : 2);
        VB_UNROLL(16)
        for (uint32_t k = 0; k < N; k++) {
            const uint32_t w = pixel.w + k, column = vb_mosaic_source(w, drawn.centre, a.x.w);
            const uint32_t source = first + (w < drawn.centre ? 0 : 1);
            const bool is_covered = row < a.x.h && column < a.x.w;
            set_byte(y, k,
                     is_covered ? byte_at(a.x, { source, pixel.c, row, column })
                                : (uint32_t)VB_GREY);
        }
    }
};

struct of_paste {
    VB_DEVICE void draw(const struct vb_pictures_drawn &a, uint32_t picture, uint32_t t,
                        struct drawn *drawn)
    {
        if (t < VB_PASTED_RECTANGLES)
            drawn->rectangles[t] = vb_draw_rectangle(a.seed, picture, t, a.y.h, a.y.w);
    }

    template <uint32_t N>
    VB_DEVICE void take(const struct vb_pictures_drawn &a, const struct drawn &drawn,
                        const struct vb_pixel &pixel, struct bytes<N> *y)
    {
        VB_UNROLL(16)
        for (uint32_t k = 0; k < N; k++) {
            const struct vb_pixel at = { pixel.n, pixel.c, pixel.h, pixel.w + k };
            const bool is_inside = vb_is_inside(drawn.rectangles, VB_PASTED_RECTANGLES, at.h, at.w);
            set_byte(y, k, byte_at(is_inside ? a.z : a.x, at));
        }
    }
};

/* `kind` draws, and then takes N pixels. */
template <class kind, uint32_t N> VB_DEVICE void run_pictures(const struct vb_pictures_drawn &a)
{
    VB_SHARED(struct drawn, drawn);
    for (uint32_t picture = VB_BLOCK_X / a.blocks; picture < a.pictures;
         picture += VB_BLOCKS_X / a.blocks) {
        VB_THREADS(t)
        {
            kind::draw(a, picture, t, &drawn);
        }
        VB_BARRIER();
        VB_THREADS(t)
        {
            const uint64_t first = (uint64_t)(VB_BLOCK_X % a.blocks) * VB_BLOCK + t;
            for (uint64_t i = first; i < a.walk.axes.n; i += (uint64_t)a.blocks * VB_BLOCK) {
                struct vb_pixel pixel = vb_pixel_of(a.walk, i);
                struct bytes<N> bytes = {
                };
                pixel.n = picture;
                pixel.w *= N;
                kind::template take<N>(a, drawn, pixel, &bytes);
                put_bytes<N>(a.y, pixel, bytes);
            }
        }
        VB_BARRIER();
    }
}

VB_KERNEL(noise, vb_pictures_drawn)
{
    run_pictures<of_noise, 1>(a);
}

VB_KERNEL(noise_sixteen, vb_pictures_drawn)
{
    run_pictures<of_noise, VB_SIXTEEN>(a);
}

VB_KERNEL(mosaic, vb_pictures_drawn)
{
    run_pictures<of_mosaic, 1>(a);
}

VB_KERNEL(mosaic_sixteen, vb_pictures_drawn)
{
    run_pictures<of_mosaic, VB_SIXTEEN>(a);
}

VB_KERNEL(copy_paste, vb_pictures_drawn)
{
    run_pictures<of_paste, 1>(a);
}

VB_KERNEL(copy_paste_sixteen, vb_pictures_drawn)
{
    run_pictures<of_paste, VB_SIXTEEN>(a);
}

/* Both ends of a row are read before either is written, so that a picture may be turned where it
 * lies. */
VB_KERNEL(flip, vb_flip)
{
    VB_STRIDE(i, a.walk.axes.n)
    {
        const struct vb_pixel left = vb_pixel_of(a.walk, i);
        const struct vb_pixel right = { left.n, left.c, left.h, a.y.w - 1 - left.w };
        const struct bytes<1> first = {
            {
                byte_at(a.x, left)
            }
        };
        const struct bytes<1> last = {
            {
                byte_at(a.x, right)
            }
        };
        put_bytes<1>(a.y, left, last);
        put_bytes<1>(a.y, right, first);
    }
}

VB_DEVICE uint32_t turned(uint32_t word)
{
    return word << 24 | (word << 8 & 0xff0000U) | (word >> 8 & 0xff00U) | word >> 24;
}

VB_DEVICE struct bytes<VB_SIXTEEN> turned_at(const struct vb_image_lying &x,
                                             const struct vb_pixel &pixel) {
    const struct vb_pack pack =
        *(const struct vb_pack *)((const uint8_t *)x.data + vb_pixel_offset(x, pixel));
    return { { turned(pack.words[3]), turned(pack.words[2]), turned(pack.words[1]),
               turned(pack.words[0]) } };
}

VB_KERNEL(flip_sixteen, vb_flip)
{
    VB_STRIDE(i, a.walk.axes.n)
    {
        struct vb_pixel left = vb_pixel_of(a.walk, i);
        left.w *= VB_SIXTEEN;
        const struct vb_pixel right = { left.n, left.c, left.h, a.y.w - VB_SIXTEEN - left.w };
        const struct bytes<VB_SIXTEEN> first = turned_at(a.x, left), last = turned_at(a.x, right);
        put_bytes<VB_SIXTEEN>(a.y, left, last);
        put_bytes<VB_SIXTEEN>(a.y, right, first);
    }
}
