/* SPDX-License-Identifier: Apache-2.0 */
/* Pooling. The rules are PyTorch's: of equal ones the first in scan order, of NaN the last; beyond
 * the border there is nothing. Backward each pixel of x gathers from the windows that have it, so
 * that nobody writes where another does. A thread computes one element of what it writes, or eight
 * channels of a pixel; what it reads the threads beside it have read into the cache. */

#include "kernels/pool.h"

#include "cpu/neighbours.h"
#include "kernels/eight.h"
#include "kernels/pixel.h"

/* int64, of planes that 32 bits can count. */
template <uint32_t N>
VB_DEVICE void put_places(const struct vb_image_lying &to, uint64_t at, const uint32_t *places)
{
    int64_t *out = (int64_t *)to.data + at;
    if constexpr (N == 1) {
        *out = places[0];
    } else {
        VB_UNROLL(4)
        for (uint32_t k = 0; k < N / 2; k++)
            ((struct vb_pack *)out)[k] = { { places[2 * k], 0, places[2 * k + 1], 0 } };
    }
}

template <uint32_t N> struct best {
    float values[VB_EIGHT];
    uint32_t places[N];
};

template <uint32_t N>
VB_DEVICE void take_larger(struct best<N> *best, const struct vb_eight &x, uint32_t place)
{
    VB_UNROLL(8)
    for (uint32_t k = 0; k < N; k++) {
        const bool takes = x.x[k] > best->values[k] || x.x[k] != x.x[k];
        best->values[k] = takes ? x.x[k] : best->values[k];
        best->places[k] = takes ? place : best->places[k];
    }
}

template <uint32_t N> VB_DEVICE void pool_pixel(const struct vb_pool &a, struct vb_pixel pixel)
{
    pixel.c *= N;
    const struct vb_taps rows = vb_taps_of(pixel.h, a.window.kernel_h, &a.window, a.x.h);
    const struct vb_taps columns = vb_taps_of(pixel.w, a.window.kernel_w, &a.window, a.x.w);
    struct best<N> best;
    VB_UNROLL(8)
    for (uint32_t k = 0; k < N; k++) {
        best.values[k] = -INFINITY;
        best.places[k] = rows.first * a.x.w + columns.first;
    }
    for (uint32_t i = 0; i < rows.n; i++) {
        for (uint32_t k = 0; k < columns.n; k++) {
            const uint32_t h = rows.first + i * a.window.dilation;
            const uint32_t w = columns.first + k * a.window.dilation;
            const uint64_t from = vb_pixel_offset(a.x, { pixel.n, pixel.c, h, w });
            take_larger(&best, vb_get_some<N>(a.x.data, a.x.dtype, from), h * a.x.w + w);
        }
    }
    struct vb_eight y;
    VB_UNROLL(8)
    for (uint32_t k = 0; k < N; k++)
        y.x[k] = best.values[k];
    vb_put_some<N>(a.y.data, a.y.dtype, vb_pixel_offset(a.y, pixel), y);
    put_places<N>(a.places, vb_pixel_offset(a.places, pixel), best.places);
}

VB_PIXEL_KERNELS(max_pool, vb_pool, pool_pixel)

/* Adds what went to `place`. */
template <uint32_t N>
VB_DEVICE void add_where(struct vb_eight *sum, const struct vb_pool &a, const struct vb_pixel &at,
                         uint32_t place)
{
    const struct vb_eight g = vb_get_some<N>(a.y.data, a.y.dtype, vb_pixel_offset(a.y, at));
    const int64_t *places = (const int64_t *)a.places.data + vb_pixel_offset(a.places, at);
    if constexpr (N == 1) {
        sum->x[0] += *places == place ? g.x[0] : 0.0F;
    } else {
        VB_UNROLL(4)
        for (uint32_t k = 0; k < N / 2; k++) {
            const struct vb_pack two = ((const struct vb_pack *)places)[k];
            sum->x[2 * k] += two.words[0] == place && two.words[1] == 0 ? g.x[2 * k] : 0.0F;
            sum->x[2 * k + 1] += two.words[2] == place && two.words[3] == 0 ? g.x[2 * k + 1] : 0.0F;
        }
    }
}

template <uint32_t N> VB_DEVICE void gather_pixel(const struct vb_pool &a, struct vb_pixel pixel)
{
    pixel.c *= N;
    const struct vb_taps rows = vb_windows_of(pixel.h, a.window.kernel_h, &a.window, a.y.h);
    const struct vb_taps columns = vb_windows_of(pixel.w, a.window.kernel_w, &a.window, a.y.w);
    struct vb_eight sum = {};
    for (uint32_t i = 0; i < rows.n; i++) {
        for (uint32_t k = 0; k < columns.n; k++)
            add_where<N>(&sum, a, { pixel.n, pixel.c, rows.first + i, columns.first + k },
                         pixel.h * a.x.w + pixel.w);
    }
    vb_put_some<N>(a.x.data, a.x.dtype, vb_pixel_offset(a.x, pixel), sum);
}

VB_PIXEL_KERNELS(max_pool_backward, vb_pool, gather_pixel)

/* A thread's plane, of those of its block, and its place among the threads that share it. */
struct seat {
    uint32_t plane, lane;
};

VB_DEVICE struct seat seat_of(const struct vb_average &a, uint32_t t)
{
    const uint32_t lanes = VB_BLOCK / VB_AVERAGED;
    if (a.is_channels_last)
        return { t % VB_AVERAGED_LAST, t / VB_AVERAGED_LAST };
    return { t / lanes, t % lanes };
}

VB_DEVICE double sum_plane(const struct vb_average &a, const struct vb_pixel &first, uint32_t begin,
                           uint32_t step)
{
    const uint64_t n = (uint64_t)a.x.h * a.x.w, plane = vb_pixel_offset(a.x, first);
    double sum = 0;
    for (uint64_t i = begin; i < n; i += step) {
        const struct vb_pixel pixel = { 0, 0, (uint32_t)(i / a.x.w), (uint32_t)(i % a.x.w) };
        sum += (double)vb_get_float(a.x.data, a.x.dtype, plane + vb_pixel_offset(a.x, pixel));
    }
    return sum;
}

VB_KERNEL(average_pool, vb_average)
{
    VB_SHARED(double, sums, [VB_BLOCK]);
    const uint32_t in_block = a.is_channels_last ? VB_AVERAGED_LAST : VB_AVERAGED;
    const uint32_t lanes = VB_BLOCK / in_block;
    for (uint64_t first = (uint64_t)VB_BLOCK_X * in_block; first < a.planes;
         first += (uint64_t)VB_BLOCKS_X * in_block) {
        VB_THREADS(t)
        {
            const struct seat seat = seat_of(a, t);
            const uint64_t plane = first + seat.plane;
            const struct vb_pixel pixel = { (uint32_t)(plane / a.x.c), (uint32_t)(plane % a.x.c), 0,
                                            0 };
            sums[seat.lane * in_block + seat.plane] =
                plane < a.planes ? sum_plane(a, pixel, seat.lane, lanes) : 0;
        }
        VB_BARRIER();
        for (uint32_t left = VB_BLOCK / 2; left >= in_block; left /= 2) {
            VB_THREADS(t)
            {
                if (t < left)
                    sums[t] += sums[t + left];
            }
            VB_BARRIER();
        }
        VB_THREADS(t)
        {
            const uint64_t plane = first + t;
            const struct vb_pixel pixel = { (uint32_t)(plane / a.x.c), (uint32_t)(plane % a.x.c), 0,
                                            0 };
            if (t < in_block && plane < a.planes)
                vb_put_float(a.y.data, a.y.dtype, vb_pixel_offset(a.y, pixel),
                             (float)(sums[t] / ((double)a.x.h * a.x.w)));
        }
        VB_BARRIER();
    }
}
