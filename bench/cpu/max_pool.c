/* SPDX-License-Identifier: Apache-2.0 */
/* Max pooling, the channels innermost: a pixel of y is the maximum of the window's pixels, channel
 * by channel, so that all loops are vectors. The rules are PyTorch's: of equal ones the first in
 * scan order, of NaN the last; beyond the border there is nothing. Backward each pixel of x gathers
 * from the windows that have it, so that nobody writes where another does. */
#include <math.h>
#include <string.h>

#include "cpu/clones.h"
#include "cpu/images.h"
#include "cpu/kernel.h"
#include "cpu/neighbours.h"
#include "cpu/parallel.h"

enum { PIECE = 128 }; /* channels at a time: a window's rows stay in the cache */

VB_CLONES static void take_larger(const float *restrict x, int32_t place, float *restrict best,
                                  int32_t *restrict places, size_t n)
{
    for (size_t c = 0; c < n; c++) {
        int32_t takes = (x[c] > best[c]) | (x[c] != x[c]);
        best[c] = takes ? x[c] : best[c];
        places[c] = takes ? place : places[c];
    }
}

static void write_places(const struct vb_image *to, char *pixel, const int32_t *places, size_t n)
{
    int64_t *out = (int64_t *)(void *)pixel;
    for (size_t c = 0; c < n; c++)
        out[c * to->stride_c] = places[c];
}

static void pool_pixel(const struct vb_pool_images *pool, size_t image, size_t h, size_t w,
                       size_t c, size_t n)
{
    const struct vb_image *x = &pool->x;
    const struct vb_window *window = pool->window;
    float room[PIECE], best[PIECE];
    int32_t places[PIECE];
    struct vb_taps rows = vb_taps_of((uint32_t)h, window->kernel_h, window, (uint32_t)x->h);
    struct vb_taps columns = vb_taps_of((uint32_t)w, window->kernel_w, window, (uint32_t)x->w);
    for (size_t i = 0; i < n; i++) {
        best[i] = -INFINITY;
        places[i] = (int32_t)(rows.first * x->w + columns.first);
    }
    for (size_t i = 0; i < rows.n; i++) {
        for (size_t k = 0; k < columns.n; k++) {
            size_t row = rows.first + i * (size_t)window->dilation;
            size_t column = columns.first + k * (size_t)window->dilation;
            take_larger(vb_read_channels(x, vb_pixel(x, image, row, column, c), n, room),
                        (int32_t)(row * x->w + column), best, places, n);
        }
    }
    vb_store_channels(&pool->y, vb_pixel(&pool->y, image, h, w, c), n, best);
    write_places(&pool->places, vb_pixel(&pool->places, image, h, w, c), places, n);
}

static void pool_lines(void *context, size_t begin, size_t end)
{
    const struct vb_pool_images *pool = context;
    const struct vb_image *y = &pool->y;
    for (size_t line = begin; line < end; line++) {
        for (size_t c = 0; c < y->c; c += PIECE) {
            for (size_t w = 0; w < y->w; w++)
                pool_pixel(pool, line / y->h, line % y->h, w, c,
                           y->c - c < PIECE ? y->c - c : PIECE);
        }
    }
}

/* 0: there is no such size. */
static size_t size_after(size_t size, size_t kernel, const struct vb_window *window)
{
    size_t reach = window->dilation * (kernel - 1) + 1, padded = size + 2 * (size_t)window->pad;
    return padded < reach || padded > UINT32_MAX ? 0 : (padded - reach) / window->stride + 1;
}

enum vb_status vb_pool_images_of(const struct vb_cpu_work *work, uint32_t x, uint32_t y,
                                 uint32_t places, struct vb_pool_images *out, struct vb_error *err)
{
    struct vb_array arrays[3];
    enum vb_status status = vb_images_of(work, 3, arrays, 1U << x | 1U << y, err);
    if (status != VB_OK)
        return status;
    if (arrays[places].dtype != VB_INT64)
        return vb_refuse(work, "takes places that are int64", err);
    const struct vb_window *window = &work->call->window->window;
    *out = (struct vb_pool_images){ window, vb_image_of(&arrays[x]), vb_image_of(&arrays[y]),
                                    vb_image_of(&arrays[places]) };
    if (!vb_same_shape(&arrays[y].shape, &arrays[places].shape) || out->x.n != out->y.n ||
        out->x.c != out->y.c || out->y.h != size_after(out->x.h, window->kernel_h, window) ||
        out->y.w != size_after(out->x.w, window->kernel_w, window))
        return vb_refuse_shapes(work, err);
    if (out->x.h * out->x.w > INT32_MAX)
        return vb_refuse(work, "takes planes of 2^31 pixels at most", err);
    return VB_OK;
}

enum vb_status vb_kernel_max_pool(struct vb_cpu *cpu, const struct vb_cpu_work *work,
                                  struct vb_error *err)
{
    struct vb_pool_images pool;
    (void)cpu;
    enum vb_status status = vb_pool_images_of(work, 0, 1, 2, &pool, err);
    if (status == VB_OK)
        vb_parallel(pool.y.n * pool.y.h, 1, pool_lines, &pool);
    return status;
}

VB_CLONES static void add_where(const float *restrict gradient, const int64_t *restrict places,
                                int64_t place, float *restrict sum, size_t n)
{
    for (size_t c = 0; c < n; c++)
        sum[c] += places[c] == place ? gradient[c] : 0.0F;
}

static const int64_t *read_places(const struct vb_image *places, const char *pixel, size_t n,
                                  int64_t *room)
{
    const int64_t *from = (const int64_t *)(const void *)pixel;
    for (size_t c = 0; c < n && places->stride_c != 1; c++)
        room[c] = from[c * places->stride_c];
    return places->stride_c == 1 ? from : room;
}

static void gather_pixel(const struct vb_pool_images *pool, size_t image, size_t h, size_t w,
                         size_t c, size_t n)
{
    const struct vb_image *x = &pool->x, *y = &pool->y;
    float room[PIECE], sum[PIECE] = { 0 };
    int64_t places_room[PIECE];
    const struct vb_window *window = pool->window;
    struct vb_taps rows = vb_windows_of((uint32_t)h, window->kernel_h, window, (uint32_t)y->h);
    struct vb_taps columns = vb_windows_of((uint32_t)w, window->kernel_w, window, (uint32_t)y->w);
    for (size_t row = rows.first; row < rows.first + rows.n; row++) {
        for (size_t column = columns.first; column < columns.first + columns.n; column++) {
            const float *gradient =
                vb_read_channels(y, vb_pixel(y, image, row, column, c), n, room);
            const int64_t *places = read_places(
                &pool->places, vb_pixel(&pool->places, image, row, column, c), n, places_room);
            add_where(gradient, places, (int64_t)(h * x->w + w), sum, n);
        }
    }
    vb_store_channels(x, vb_pixel(x, image, h, w, c), n, sum);
}

static void gather_lines(void *context, size_t begin, size_t end)
{
    const struct vb_pool_images *pool = context;
    const struct vb_image *x = &pool->x;
    for (size_t line = begin; line < end; line++) {
        for (size_t c = 0; c < x->c; c += PIECE) {
            for (size_t w = 0; w < x->w; w++)
                gather_pixel(pool, line / x->h, line % x->h, w, c,
                             x->c - c < PIECE ? x->c - c : PIECE);
        }
    }
}

enum vb_status vb_kernel_max_pool_backward(struct vb_cpu *cpu, const struct vb_cpu_work *work,
                                           struct vb_error *err)
{
    struct vb_pool_images pool;
    (void)cpu;
    enum vb_status status = vb_pool_images_of(work, 2, 0, 1, &pool, err);
    if (status == VB_OK)
        vb_parallel(pool.x.n * pool.x.h, 1, gather_lines, &pool);
    return status;
}
