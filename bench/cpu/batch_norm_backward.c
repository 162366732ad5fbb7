/* SPDX-License-Identifier: Apache-2.0 */
/* Batch normalisation backward: with m pixels and n = (x - mean) / deviation,
 * gradient of bias = sum g, of weight = sum g n,
 * of x = weight / deviation (g - sum g / m - n (sum g n) / m). Two passes over g and x. */
#include <string.h>

#include "cpu/clones.h"
#include "cpu/norm_patch.h"
#include "cpu/parallel.h"

enum { GRADIENT, X, WEIGHT, MEAN, DEVIATION, GRADIENT_X, GRADIENT_WEIGHT, GRADIENT_BIAS };
enum { OF_MEAN, OF_SCALE, OF_SHIFT, OF_SLOPE, OF_WEIGHT }; /* the vectors */

/* Sums of g and of g (x - mean), in fp32 within the patch. */
VB_CLONES static void sum_patch(const float *g, size_t g_stride, const float *x, size_t x_stride,
                                size_t n_w, size_t n, const float *mean, double *restrict first,
                                double *restrict second)
{
    float sum[VB_CHANNELS_AT_ONCE] = { 0 }, product[VB_CHANNELS_AT_ONCE] = { 0 };
    for (size_t w = 0; w < n_w; w++) {
        for (size_t c = 0; c < n; c++) {
            sum[c] += g[w * g_stride + c];
            product[c] += g[w * g_stride + c] * (x[w * x_stride + c] - mean[c]);
        }
    }
    for (size_t c = 0; c < n; c++) {
        first[c] += (double)sum[c];
        second[c] += (double)product[c];
    }
}

static void sum_parts(void *context, size_t begin, size_t end)
{
    const struct vb_norm *norm = context;
    float room[VB_NORM_PATCH], other_room[VB_NORM_PATCH];
    size_t channels = norm->x.c, g_stride, x_stride;
    for (size_t part = begin; part < end; part++) {
        double *sums = vb_norm_part(norm, part);
        size_t last = vb_norm_part_begin(norm, part + 1);
        memset(sums, 0, 2 * channels * sizeof *sums);
        for (size_t i = vb_norm_part_begin(norm, part); i < last; i++) {
            struct vb_patch patch = vb_norm_patch(norm, i);
            for (size_t c = 0; c < channels; c += VB_CHANNELS_AT_ONCE) {
                size_t n = channels - c < VB_CHANNELS_AT_ONCE ? channels - c : VB_CHANNELS_AT_ONCE;
                const float *x = vb_read_patch(&norm->x, &patch, c, n, room, &x_stride);
                const float *g =
                    vb_read_patch(&norm->gradient, &patch, c, n, other_room, &g_stride);
                sum_patch(g, g_stride, x, x_stride, patch.n_w, n, norm->vectors[OF_MEAN] + c,
                          sums + c, sums + channels + c);
            }
        }
    }
}

/* scale (g - shift - slope (x - mean)) */
VB_CLONES static void turn_patch(const float *g, size_t g_stride, const float *x, size_t x_stride,
                                 float *y, size_t y_stride, size_t n_w, size_t n,
                                 float *const *vectors, size_t first)
{
    const float *mean = vectors[OF_MEAN] + first, *scale = vectors[OF_SCALE] + first;
    const float *shift = vectors[OF_SHIFT] + first, *slope = vectors[OF_SLOPE] + first;
    for (size_t w = 0; w < n_w; w++) {
        for (size_t c = 0; c < n; c++)
            y[w * y_stride + c] = scale[c] * (g[w * g_stride + c] - shift[c] -
                                              slope[c] * (x[w * x_stride + c] - mean[c]));
    }
}

static void turn_patches(void *context, size_t begin, size_t end)
{
    const struct vb_norm *norm = context;
    float room[VB_NORM_PATCH], other_room[VB_NORM_PATCH], result[VB_NORM_PATCH];
    size_t channels = norm->x.c, g_stride, x_stride, y_stride;
    for (size_t i = begin; i < end; i++) {
        struct vb_patch patch = vb_norm_patch(norm, i);
        for (size_t c = 0; c < channels; c += VB_CHANNELS_AT_ONCE) {
            size_t n = channels - c < VB_CHANNELS_AT_ONCE ? channels - c : VB_CHANNELS_AT_ONCE;
            const float *x = vb_read_patch(&norm->x, &patch, c, n, room, &x_stride);
            const float *g = vb_read_patch(&norm->gradient, &patch, c, n, other_room, &g_stride);
            float *y = vb_patch_to_write(&norm->y, &patch, c, n, result, &y_stride);
            turn_patch(g, g_stride, x, x_stride, y, y_stride, patch.n_w, n, norm->vectors, c);
            vb_write_patch(&norm->y, &patch, c, n, y);
        }
    }
}

/* From all parts' sums: the gradients of weight and bias, and the vectors for x's. */
static void finish_sums(struct vb_norm *norm)
{
    size_t channels = norm->x.c;
    double *sums = vb_norm_part(norm, 0), pixels = (double)vb_norm_pixels(norm);
    float *scale = norm->vectors[OF_SCALE], *shift = norm->vectors[OF_SHIFT];
    float *slope = norm->vectors[OF_SLOPE];
    for (size_t part = 1; part < VB_NORM_PARTS; part++) {
        const double *more = vb_norm_part(norm, part);
        for (size_t c = 0; c < 2 * channels; c++)
            sums[c] += more[c];
    }
    vb_read_vector(norm, DEVIATION, scale);
    for (size_t c = 0; c < channels; c++) {
        shift[c] = (float)sums[c];
        slope[c] = (float)(sums[channels + c] * (double)scale[c]);
    }
    vb_write_vector(norm, GRADIENT_BIAS, shift);
    vb_write_vector(norm, GRADIENT_WEIGHT, slope);
    for (size_t c = 0; c < channels; c++) {
        double inverse = (double)scale[c];
        shift[c] = (float)(sums[c] / pixels);
        slope[c] = (float)(sums[channels + c] * inverse * inverse / pixels);
    }
    vb_read_vector(norm, WEIGHT, norm->vectors[OF_WEIGHT]);
    for (size_t c = 0; c < channels; c++)
        scale[c] *= norm->vectors[OF_WEIGHT][c];
}

enum vb_status vb_kernel_batch_norm_backward(struct vb_cpu *cpu, const struct vb_cpu_work *work,
                                             struct vb_error *err)
{
    const struct vb_norm_images images = { X, GRADIENT_X, GRADIENT };
    struct vb_array arrays[GRADIENT_BIAS + 1];
    struct vb_norm norm;
    (void)cpu;
    enum vb_status status = vb_norm_open(work, GRADIENT_BIAS + 1, &images, arrays, &norm, err);
    if (status != VB_OK)
        return status;
    vb_read_vector(&norm, MEAN, norm.vectors[OF_MEAN]);
    vb_parallel(VB_NORM_PARTS, 1, sum_parts, &norm);
    finish_sums(&norm);
    vb_parallel(norm.n_patches, 1, turn_patches, &norm);
    return VB_OK;
}
