/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu/lines.h"

#include "cpu/parallel.h"

enum { GRAIN_ELEMENTS = 8192 };

static void run_stretch(void *context, size_t begin, size_t end)
{
    const struct vb_lines *lines = context;
    struct vb_place place;
    vb_walk_seek(&lines->walk, begin, &place);
    for (; begin < end; begin++) {
        struct vb_strip strips[VB_MAX_LINES];
        for (uint32_t i = 0; i < lines->n_arrays; i++)
            strips[i] = vb_strip_of(&lines->arrays[i], place.offsets[i], lines->strides[i]);
        lines->line(lines, strips);
        vb_walk_advance(&lines->walk, 1, &place);
    }
}

enum vb_status vb_plan_lines(const struct vb_cpu_work *work, struct vb_lines *lines, uint32_t lined,
                             struct vb_error *err)
{
    struct vb_array outer[VB_MAX_LINES];
    for (uint32_t i = 0; i < lines->n_arrays; i++) {
        const struct vb_array *array = &lines->arrays[i];
        bool has_line = (lined >> i & 1U) == 1;
        if (has_line && array->shape.n_dims == 0)
            return vb_refuse(work, "has an operand without axes", err);
        outer[i] = has_line ? vb_without_last(array) : *array;
        lines->lengths[i] = has_line ? array->shape.dims[array->shape.n_dims - 1] : 1;
        lines->strides[i] = has_line ? vb_last_stride(array) : 0;
        if (!vb_same_shape(&outer[i].shape, &outer[0].shape))
            return vb_refuse_shapes(work, err);
    }
    vb_walk_in_order(&lines->walk, &outer[0].shape, outer, lines->n_arrays);
    return VB_OK;
}

void vb_run_lines(struct vb_lines *lines)
{
    size_t longest = 1;
    for (uint32_t i = 0; i < lines->n_arrays; i++)
        longest = lines->lengths[i] > longest ? lines->lengths[i] : longest;
    vb_parallel(vb_walk_elements(&lines->walk), 1 + GRAIN_ELEMENTS / longest, run_stretch, lines);
}
