/* SPDX-License-Identifier: Apache-2.0 */
/* One picture of several: mosaics, flips, pasted rectangles. */

#include "cpu/drawing.h"
#include "cpu/lines.h"
#include "cpu/picture.h"

enum { N, C, H, W };

/* Fills a row from `begin` to `end` with what source row `from` has there, `begin` being its column
 * `first`. */
static void copy_part(struct vb_strip from, size_t first, const struct vb_strip *to, size_t begin,
                      size_t end)
{
    struct vb_strip x = vb_strip_from(from, first), y = vb_strip_from(*to, begin);
    vb_strip_copy(&x, &y, end - begin);
}

static void mosaic_row(const struct vb_pictures *pictures, size_t picture, size_t row)
{
    const struct vb_array *sources = &pictures->arrays[0], *canvas = &pictures->arrays[1];
    size_t height = sources->shape.dims[H], width = sources->shape.dims[W];
    const uint32_t middle = vb_mosaic_centre(picture, 0, (uint32_t)height);
    size_t centre = vb_mosaic_centre(picture, 1, (uint32_t)width);
    bool is_top = row < middle;
    size_t source_row = vb_mosaic_source((uint32_t)row, middle, (uint32_t)height);
    size_t left = centre > width ? centre - width : 0;
    size_t right = centre < width ? centre + width : 2 * width;
    for (size_t channel = 0; channel < canvas->shape.dims[C]; channel++) {
        struct vb_strip y = vb_picture_row(canvas, picture, channel, row);
        for (size_t i = 0; i < 2 * width; i++)
            y.data[i * y.stride] = (char)VB_GREY;
        if (source_row >= height)
            continue;
        size_t first = 4 * picture + (is_top ? 0 : 2);
        copy_part(vb_picture_row(sources, first, channel, source_row), left + width - centre, &y,
                  left, centre);
        copy_part(vb_picture_row(sources, first + 1, channel, source_row), 0, &y, centre, right);
    }
}

enum vb_status vb_run_mosaic(struct vb_cpu *cpu, const struct vb_cpu_work *work,
                             struct vb_error *err)
{
    struct vb_pictures pictures;
    (void)cpu;
    enum vb_status status = vb_pictures_of(work, &pictures, err);
    if (status != VB_OK)
        return status;
    pictures.row = mosaic_row;
    vb_run_rows(&pictures);
    return VB_OK;
}

/* From both ends, so that a picture may be turned where it lies. */
static void flip_line(const struct vb_lines *lines, const struct vb_strip *strips)
{
    size_t n = lines->lengths[0], in_x = strips[0].stride, in_y = strips[1].stride;
    const char *x = strips[0].data;
    char *y = strips[1].data;
    for (size_t i = 0; i < n - n / 2; i++) {
        char first = x[i * in_x], last = x[(n - 1 - i) * in_x];
        y[i * in_y] = last;
        y[(n - 1 - i) * in_y] = first;
    }
}

enum vb_status vb_run_flip(struct vb_cpu *cpu, const struct vb_cpu_work *work, struct vb_error *err)
{
    struct vb_pictures pictures;
    (void)cpu;
    enum vb_status status = vb_pictures_of(work, &pictures, err);
    if (status != VB_OK)
        return status;
    struct vb_lines lines = { .arrays = { pictures.arrays[0], pictures.arrays[1] },
                              .n_arrays = 2,
                              .line = flip_line };
    status = vb_plan_lines(work, &lines, 3, err);
    if (status == VB_OK)
        vb_run_lines(&lines);
    return status;
}

static void paste_row(const struct vb_pictures *pictures, size_t picture, size_t row)
{
    const struct vb_array *arrays = pictures->arrays;
    const struct vb_shape *shape = &arrays[2].shape;
    uint64_t seed = vb_seed_of(pictures->a);
    struct vb_rectangle rectangles[VB_PASTED_RECTANGLES];
    for (uint32_t i = 0; i < VB_PASTED_RECTANGLES; i++)
        rectangles[i] = vb_draw_rectangle(seed, picture, i, shape->dims[H], shape->dims[W]);
    for (size_t channel = 0; channel < shape->dims[C]; channel++) {
        struct vb_strip x = vb_picture_row(&arrays[0], picture, channel, row);
        struct vb_strip z = vb_picture_row(&arrays[1], picture, channel, row);
        struct vb_strip y = vb_picture_row(&arrays[2], picture, channel, row);
        for (uint32_t i = 0; i < shape->dims[W]; i++) {
            const bool is_inside = vb_is_inside(rectangles, VB_PASTED_RECTANGLES, (uint32_t)row, i);
            y.data[i * y.stride] = is_inside ? z.data[i * z.stride] : x.data[i * x.stride];
        }
    }
}

enum vb_status vb_run_copy_paste(struct vb_cpu *cpu, const struct vb_cpu_work *work,
                                 struct vb_error *err)
{
    struct vb_pictures pictures;
    (void)cpu;
    enum vb_status status = vb_pictures_of(work, &pictures, err);
    if (status != VB_OK)
        return status;
    pictures.row = paste_row;
    vb_run_rows(&pictures);
    return VB_OK;
}
