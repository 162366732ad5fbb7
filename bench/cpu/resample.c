/* SPDX-License-Identifier: Apache-2.0 */
/* Images of other sizes: upsampling by a whole number, bilinear resizing, the average of a plane.
 */
#include <string.h>

#include "cpu/clones.h"
#include "cpu/images.h"
#include "cpu/kernel.h"
#include "cpu/neighbours.h"
#include "cpu/parallel.h"

static size_t piece_of(size_t channels, size_t c)
{
    return channels - c < VB_CHANNELS_AT_ONCE ? channels - c : VB_CHANNELS_AT_ONCE;
}

VB_CLONES static void add_to(float *restrict sum, const float *restrict x, size_t n)
{
    for (size_t c = 0; c < n; c++)
        sum[c] += x[c];
}

/* Nearest: y's pixel is x's at the place divided by the factor. */
static void upsample_lines(void *context, size_t begin, size_t end)
{
    const struct vb_resample_images *both = context;
    const struct vb_image *x = &both->x, *y = &both->y;
    size_t factor_h = y->h / x->h, factor_w = y->w / x->w;
    for (size_t line = begin; line < end; line++) {
        size_t image = line / y->h, h = line % y->h;
        for (size_t w = 0; w < y->w; w++) {
            const struct vb_strip from = { vb_pixel(x, image, h / factor_h, w / factor_w, 0),
                                           x->dtype, x->stride_c };
            const struct vb_strip to = { vb_pixel(y, image, h, w, 0), y->dtype, y->stride_c };
            vb_strip_copy(&from, &to, y->c);
        }
    }
}

/* y is what is written, the gradient of what was upsampled. */
static void upsample_backward_lines(void *context, size_t begin, size_t end)
{
    const struct vb_resample_images *both = context;
    const struct vb_image *x = &both->x, *y = &both->y;
    size_t factor_h = x->h / y->h, factor_w = x->w / y->w;
    float room[VB_CHANNELS_AT_ONCE], sum[VB_CHANNELS_AT_ONCE];
    for (size_t pixel = begin * y->w; pixel < end * y->w; pixel++) {
        size_t image = pixel / (y->h * y->w), h = pixel / y->w % y->h, w = pixel % y->w;
        for (size_t c = 0; c < y->c; c += VB_CHANNELS_AT_ONCE) {
            size_t n = piece_of(y->c, c);
            memset(sum, 0, n * sizeof *sum);
            for (size_t i = 0; i < factor_h * factor_w; i++) {
                size_t row = h * factor_h + i / factor_w, column = w * factor_w + i % factor_w;
                add_to(sum, vb_read_channels(x, vb_pixel(x, image, row, column, c), n, room), n);
            }
            vb_store_channels(y, vb_pixel(y, image, h, w, c), n, sum);
        }
    }
}

VB_CLONES static void blend(const float *const *corners, float down, float right, size_t n,
                            float *restrict to)
{
    for (size_t c = 0; c < n; c++) {
        float above = corners[0][c] * (1.0F - right) + corners[1][c] * right;
        float below = corners[2][c] * (1.0F - right) + corners[3][c] * right;
        to[c] = above * (1.0F - down) + below * down;
    }
}

static void resize_lines(void *context, size_t begin, size_t end)
{
    const struct vb_resample_images *both = context;
    const struct vb_image *x = &both->x, *y = &both->y;
    float room[4][VB_CHANNELS_AT_ONCE], to[VB_CHANNELS_AT_ONCE];
    const float *corners[4];
    for (size_t pixel = begin * y->w; pixel < end * y->w; pixel++) {
        size_t image = pixel / (y->h * y->w), h = pixel / y->w % y->h, w = pixel % y->w;
        struct vb_between rows = vb_between_of((uint32_t)h, (uint32_t)x->h, (uint32_t)y->h);
        struct vb_between columns = vb_between_of((uint32_t)w, (uint32_t)x->w, (uint32_t)y->w);
        for (size_t c = 0; c < y->c; c += VB_CHANNELS_AT_ONCE) {
            size_t n = piece_of(y->c, c);
            for (size_t i = 0; i < 4; i++)
                corners[i] = vb_read_channels(x,
                                              vb_pixel(x, image, i < 2 ? rows.low : rows.high,
                                                       i % 2 ? columns.high : columns.low, c),
                                              n, room[i]);
            blend(corners, rows.weight, columns.weight, n, to);
            vb_store_channels(y, vb_pixel(y, image, h, w, c), n, to);
        }
    }
}

VB_CLONES static void add_to_double(double *restrict sum, const float *restrict x, size_t n)
{
    for (size_t c = 0; c < n; c++)
        sum[c] += (double)x[c];
}

/* `begin` and `end` count images. */
static void average_images(void *context, size_t begin, size_t end)
{
    const struct vb_resample_images *both = context;
    const struct vb_image *x = &both->x, *y = &both->y;
    double sum[VB_CHANNELS_AT_ONCE];
    float room[VB_CHANNELS_AT_ONCE];
    for (size_t image = begin; image < end; image++) {
        for (size_t c = 0; c < x->c; c += VB_CHANNELS_AT_ONCE) {
            size_t n = piece_of(x->c, c);
            memset(sum, 0, n * sizeof *sum);
            for (size_t i = 0; i < x->h * x->w; i++) {
                char *pixel = vb_pixel(x, image, i / x->w, i % x->w, c);
                add_to_double(sum, vb_read_channels(x, pixel, n, room), n);
            }
            for (size_t i = 0; i < n; i++)
                room[i] = (float)(sum[i] / (double)(x->h * x->w));
            vb_store_channels(y, vb_pixel(y, image, 0, 0, c), n, room);
        }
    }
}

/* The sides of one divide the other's. */
static bool is_multiple(const struct vb_image *large, const struct vb_image *small)
{
    return large->h % small->h == 0 && large->w % small->w == 0;
}

enum vb_status vb_resample_images_of(const struct vb_cpu_work *work, struct vb_resample_images *out,
                                     struct vb_error *err)
{
    const enum vb_operator op = work->call->op;
    struct vb_array arrays[2];
    enum vb_status status = vb_images_of(work, 2, arrays, 3, err);
    if (status != VB_OK)
        return status;
    *out = (struct vb_resample_images){ vb_image_of(&arrays[0]), vb_image_of(&arrays[1]) };
    const struct vb_image *x = &out->x, *y = &out->y;
    if (x->n != y->n || x->c != y->c)
        return vb_refuse_shapes(work, err);
    if ((op == VB_OP_UPSAMPLE && !is_multiple(y, x)) ||
        (op == VB_OP_UPSAMPLE_BACKWARD && !is_multiple(x, y)))
        return vb_refuse(work, "does not enlarge by a whole number", err);
    if (op == VB_OP_AVERAGE_POOL && y->h * y->w != 1)
        return vb_refuse(work, "averages to one pixel", err);
    return VB_OK;
}

enum vb_status vb_kernel_upsample(struct vb_cpu *cpu, const struct vb_cpu_work *work,
                                  struct vb_error *err)
{
    struct vb_resample_images both;
    (void)cpu;
    enum vb_status status = vb_resample_images_of(work, &both, err);
    if (status == VB_OK)
        vb_parallel(both.y.n * both.y.h, 1, upsample_lines, &both);
    return status;
}

enum vb_status vb_kernel_upsample_backward(struct vb_cpu *cpu, const struct vb_cpu_work *work,
                                           struct vb_error *err)
{
    struct vb_resample_images both;
    (void)cpu;
    enum vb_status status = vb_resample_images_of(work, &both, err);
    if (status == VB_OK)
        vb_parallel(both.y.n * both.y.h, 1, upsample_backward_lines, &both);
    return status;
}

enum vb_status vb_kernel_resize(struct vb_cpu *cpu, const struct vb_cpu_work *work,
                                struct vb_error *err)
{
    struct vb_resample_images both;
    (void)cpu;
    enum vb_status status = vb_resample_images_of(work, &both, err);
    if (status == VB_OK)
        vb_parallel(both.y.n * both.y.h, 1, resize_lines, &both);
    return status;
}

enum vb_status vb_kernel_average_pool(struct vb_cpu *cpu, const struct vb_cpu_work *work,
                                      struct vb_error *err)
{
    struct vb_resample_images both;
    (void)cpu;
    enum vb_status status = vb_resample_images_of(work, &both, err);
    if (status == VB_OK)
        vb_parallel(both.x.n, 1, average_images, &both);
    return status;
}
