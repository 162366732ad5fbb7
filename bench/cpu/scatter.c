/* SPDX-License-Identifier: Apache-2.0 */
/* Into the last axis. The places of one line are taken one after the other: of two that are one,
 * the last stays, or both are added. */

#include "cpu/convert.h"
#include "cpu/kernel.h"
#include "cpu/prepare.h"

enum { PLACES, FIRST };

static struct vb_strip place_of(const struct vb_strip *places, const struct vb_strip *y, size_t i)
{
    struct vb_strip from = vb_strip_from(*places, i);
    return vb_strip_from(*y, (size_t) * (const int64_t *)(const void *)from.data);
}

static void scatter_line(const struct vb_lines *lines, const struct vb_strip *strips)
{
    const float a = (float)lines->a;
    const int64_t whole_a = vb_whole_of_float(lines->a);
    bool in_floats = vb_is_float(&lines->arrays[FIRST]);
    for (size_t i = 0; i < lines->lengths[PLACES]; i++) {
        struct vb_strip to = place_of(&strips[PLACES], &strips[FIRST], i);
        if (in_floats)
            vb_strip_write(&to, 1, VB_FLOAT32, &a);
        else
            vb_strip_write(&to, 1, VB_INT64, &whole_a);
    }
}

static void scatter_add_line(const struct vb_lines *lines, const struct vb_strip *strips)
{
    bool in_floats = vb_compute_type(lines->arrays, 3) == VB_FLOAT32;
    union vb_buffer buffers[2];
    for (size_t i = 0; i < lines->lengths[PLACES]; i++) {
        struct vb_strip from = vb_strip_from(strips[FIRST], i);
        struct vb_strip to = place_of(&strips[PLACES], &strips[FIRST + 1], i);
        if (in_floats) {
            const float *z = vb_strip_read(&from, 1, VB_FLOAT32, &buffers[0]);
            const float *y = vb_strip_read(&to, 1, VB_FLOAT32, &buffers[1]);
            float sum = *y + *z;
            vb_strip_write(&to, 1, VB_FLOAT32, &sum);
            continue;
        }
        const int64_t *z = vb_strip_read(&from, 1, VB_INT64, &buffers[0]);
        const int64_t *y = vb_strip_read(&to, 1, VB_INT64, &buffers[1]);
        int64_t sum = (int64_t)((uint64_t)*y + (uint64_t)*z);
        vb_strip_write(&to, 1, VB_INT64, &sum);
    }
}

enum vb_status vb_prepare_scatter(const struct vb_cpu_work *work, struct vb_lines *out,
                                  struct vb_error *err)
{
    bool adds = work->call->op == VB_OP_SCATTER_ADD;
    *out = (struct vb_lines){ .n_arrays = adds ? 3 : 2, .a = work->call->a };
    const struct vb_array *places = &out->arrays[PLACES], *y = &out->arrays[out->n_arrays - 1];
    enum vb_status status = vb_arrays_of(work, out->n_arrays, 0, out->arrays, err);
    if (status != VB_OK)
        return status;
    if (places->dtype != VB_INT64)
        return vb_refuse_types(work, err);
    if (y->shape.n_dims == 0 || (adds && !vb_same_shape(&out->arrays[FIRST].shape, &places->shape)))
        return vb_refuse_shapes(work, err);
    if (!vb_is_distinct(y))
        return vb_refuse_result(work, err);
    return vb_plan_lines(work, out, adds ? 7 : 3, err);
}

enum vb_status vb_run_scatter(struct vb_cpu *cpu, const struct vb_cpu_work *work,
                              struct vb_error *err)
{
    struct vb_lines lines;
    (void)cpu;
    enum vb_status status = vb_prepare_scatter(work, &lines, err);
    if (status == VB_OK)
        status =
            vb_check_places(work, &lines.arrays[PLACES], lines.lengths[lines.n_arrays - 1], err);
    if (status != VB_OK)
        return status;
    lines.line = lines.n_arrays == 3 ? scatter_add_line : scatter_line;
    vb_run_lines(&lines);
    return VB_OK;
}
