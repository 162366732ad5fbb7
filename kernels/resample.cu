/* SPDX-License-Identifier: Apache-2.0 */
/* Images of other sizes: a thread computes one element of what it writes, or eight channels of a
 * pixel. Bound by memory: all is read and written about once. */

#include "kernels/resample.h"

#include "cpu/neighbours.h"
#include "kernels/eight.h"
#include "kernels/pixel.h"

template <uint32_t N>
VB_DEVICE struct vb_eight read_pixel(const struct vb_resample &a, const struct vb_pixel &pixel)
{
    return vb_get_some<N>(a.x.data, a.x.dtype, vb_pixel_offset(a.x, pixel));
}

template <uint32_t N>
VB_DEVICE void write_pixel(const struct vb_resample &a, const struct vb_pixel &pixel,
                           const struct vb_eight &value)
{
    vb_put_some<N>(a.y.data, a.y.dtype, vb_pixel_offset(a.y, pixel), value);
}

template <uint32_t N> VB_DEVICE void upsample_pixel(const struct vb_resample &a, struct vb_pixel to)
{
    to.c *= N;
    write_pixel<N>(a, to, read_pixel<N>(a, { to.n, to.c, to.h / a.factor_h, to.w / a.factor_w }));
}

VB_PIXEL_KERNELS(upsample, vb_resample, upsample_pixel)

template <uint32_t N> VB_DEVICE void sum_upsampled(const struct vb_resample &a, struct vb_pixel to)
{
    struct vb_eight sum = {};
    to.c *= N;
    for (uint32_t i = 0; i < a.factor_h; i++) {
        VB_UNROLL(1)
        for (uint32_t j = 0; j < a.factor_w; j++) {
            const struct vb_eight g =
                read_pixel<N>(a, { to.n, to.c, to.h * a.factor_h + i, to.w * a.factor_w + j });
            VB_UNROLL(8)
            for (uint32_t k = 0; k < N; k++)
                sum.x[k] += g.x[k];
        }
    }
    write_pixel<N>(a, to, sum);
}

VB_PIXEL_KERNELS(upsample_backward, vb_resample, sum_upsampled)

/* Of four neighbours, those above first. */
template <uint32_t N> VB_DEVICE void resize_pixel(const struct vb_resample &a, struct vb_pixel to)
{
    struct vb_eight sum = {};
    to.c *= N;
    const struct vb_between rows = vb_between_of(to.h, a.x.h, a.y.h);
    const struct vb_between columns = vb_between_of(to.w, a.x.w, a.y.w);
    VB_UNROLL(1)
    for (uint32_t i = 0; i < 4; i++) {
        const bool is_below = i >= 2, is_right = i % 2 == 1;
        const float weight = (is_below ? rows.weight : 1.0F - rows.weight) *
                             (is_right ? columns.weight : 1.0F - columns.weight);
        const struct vb_eight x = read_pixel<N>(a, { to.n, to.c, is_below ? rows.high : rows.low,
                                                     is_right ? columns.high : columns.low });
        VB_UNROLL(8)
        for (uint32_t k = 0; k < N; k++)
            sum.x[k] += weight * x.x[k];
    }
    write_pixel<N>(a, to, sum);
}

VB_PIXEL_KERNELS(resize, vb_resample, resize_pixel)
