/* SPDX-License-Identifier: Apache-2.0 */
/* Along the last axis: the product with a vector, and what a class's score costs. */

#include <math.h>

#include "cpu/kernel.h"
#include "cpu/prepare.h"

enum { X, VECTOR, Y };
enum { GRADIENT, TARGET, GRADIENT_OF_X };

static void matvec_line(const struct vb_lines *lines, const struct vb_strip *strips)
{
    union vb_buffer buffers[2];
    double sum = 0;
    for (size_t at = 0; at < lines->lengths[X]; at += VB_STRIP) {
        size_t left = lines->lengths[X] - at, n = left < VB_STRIP ? left : VB_STRIP;
        struct vb_strip parts[] = { vb_strip_from(strips[X], at),
                                    vb_strip_from(strips[VECTOR], at) };
        const float *x = vb_strip_read(&parts[0], n, VB_FLOAT32, &buffers[0]);
        const float *z = vb_strip_read(&parts[1], n, VB_FLOAT32, &buffers[1]);
        for (size_t i = 0; i < n; i++)
            sum += (double)x[i] * (double)z[i];
    }
    float y = (float)sum;
    vb_strip_write(&strips[Y], 1, VB_FLOAT32, &y);
}

enum vb_status vb_prepare_matvec(const struct vb_cpu_work *work, struct vb_lines *out,
                                 struct vb_error *err)
{
    struct vb_array *vector = &out->arrays[VECTOR];
    *out = (struct vb_lines){ .n_arrays = 3 };
    enum vb_status status = vb_arrays_of(work, 3, 0, out->arrays, err);
    if (status != VB_OK)
        return status;
    for (uint32_t i = 0; i < 3; i++) {
        if (!vb_is_float(&out->arrays[i]))
            return vb_refuse_types(work, err);
    }
    const struct vb_shape *shape = &out->arrays[X].shape;
    if (shape->n_dims == 0 || vector->shape.n_dims != 1 ||
        vector->shape.dims[0] != shape->dims[shape->n_dims - 1])
        return vb_refuse_shapes(work, err);
    if (!vb_is_distinct(&out->arrays[Y]))
        return vb_refuse_result(work, err);
    *vector = vb_array_expanded(vector, shape);
    return vb_plan_lines(work, out, 3, err);
}

enum vb_status vb_run_matvec(struct vb_cpu *cpu, const struct vb_cpu_work *work,
                             struct vb_error *err)
{
    struct vb_lines lines;
    (void)cpu;
    enum vb_status status = vb_prepare_matvec(work, &lines, err);
    if (status != VB_OK)
        return status;
    lines.line = matvec_line;
    vb_run_lines(&lines);
    return VB_OK;
}

/* x [n,k], target [n], y [n] or []: `x` is the gradient of x in the backward pass. */
static enum vb_status check_nll(const struct vb_cpu_work *work, const struct vb_array *x,
                                const struct vb_array *target, const struct vb_array *y,
                                struct vb_error *err)
{
    bool is_mean = y->shape.n_dims == 0;
    if (x->shape.n_dims != 2 || target->shape.n_dims != 1 ||
        x->shape.dims[0] != target->shape.dims[0] ||
        (!is_mean && !vb_same_shape(&y->shape, &target->shape)))
        return vb_refuse_shapes(work, err);
    if (!vb_is_float(x) || target->dtype != VB_INT64 || !vb_is_float(y))
        return vb_refuse_types(work, err);
    return VB_OK;
}

enum vb_status vb_prepare_nll(const struct vb_cpu_work *work, struct vb_array *arrays,
                              struct vb_error *err)
{
    enum vb_status status = vb_arrays_of(work, 3, 0, arrays, err);
    if (status == VB_OK)
        status = check_nll(work, &arrays[X], &arrays[TARGET], &arrays[Y], err);
    if (status == VB_OK && !vb_is_distinct(&arrays[Y]))
        status = vb_refuse_result(work, err);
    return status;
}

enum vb_status vb_run_nll(struct vb_cpu *cpu, const struct vb_cpu_work *work, struct vb_error *err)
{
    struct vb_array arrays[3];
    const struct vb_array *x = &arrays[X], *target = &arrays[TARGET], *y = &arrays[Y];
    double sum = 0;
    (void)cpu;
    enum vb_status status = vb_prepare_nll(work, arrays, err);
    if (status == VB_OK)
        status = vb_check_places(work, target, x->shape.dims[1], err);
    if (status != VB_OK)
        return status;
    size_t n = target->shape.dims[0];
    for (size_t i = 0; i < n; i++) {
        size_t at = (size_t)vb_whole_at(target, i * target->strides[0]);
        float loss = -vb_float_at(x, i * x->strides[0] + at * x->strides[1]);
        if (y->shape.n_dims == 1)
            vb_set_float(y, i * y->strides[0], loss);
        sum += (double)loss;
    }
    if (y->shape.n_dims == 0)
        vb_set_float(y, 0, (float)(sum / (double)n));
    return VB_OK;
}

static void nll_backward_line(const struct vb_lines *lines, const struct vb_strip *strips)
{
    float zero = 0;
    const struct vb_strip zeros = { (char *)&zero, VB_FLOAT32, 0 };
    union vb_buffer buffers[2];
    const float *g = vb_strip_read(&strips[GRADIENT], 1, VB_FLOAT32, &buffers[0]);
    const int64_t *target = vb_strip_read(&strips[TARGET], 1, VB_INT64, &buffers[1]);
    float value = (float)(-(double)*g * lines->a);
    vb_strip_copy(&zeros, &strips[GRADIENT_OF_X], lines->lengths[GRADIENT_OF_X]);
    struct vb_strip at = vb_strip_from(strips[GRADIENT_OF_X], (size_t)*target);
    vb_strip_write(&at, 1, VB_FLOAT32, &value);
}

enum vb_status vb_prepare_nll_backward(const struct vb_cpu_work *work, struct vb_lines *out,
                                       struct vb_error *err)
{
    struct vb_array *gradient = &out->arrays[GRADIENT];
    const struct vb_array *target = &out->arrays[TARGET], *dx = &out->arrays[GRADIENT_OF_X];
    *out = (struct vb_lines){ .n_arrays = 3, .a = 1 };
    enum vb_status status = vb_arrays_of(work, 3, 0, out->arrays, err);
    if (status == VB_OK)
        status = check_nll(work, dx, target, gradient, err);
    if (status == VB_OK && !vb_is_distinct(dx))
        status = vb_refuse_result(work, err);
    if (status != VB_OK)
        return status;
    if (gradient->shape.n_dims == 0) {
        out->a = 1.0 / target->shape.dims[0];
        *gradient = vb_array_expanded(gradient, &target->shape);
    }
    return vb_plan_lines(work, out, 1U << GRADIENT_OF_X, err);
}

enum vb_status vb_run_nll_backward(struct vb_cpu *cpu, const struct vb_cpu_work *work,
                                   struct vb_error *err)
{
    struct vb_lines lines;
    (void)cpu;
    enum vb_status status = vb_prepare_nll_backward(work, &lines, err);
    if (status == VB_OK)
        status = vb_check_places(work, &lines.arrays[TARGET], lines.lengths[GRADIENT_OF_X], err);
    if (status != VB_OK)
        return status;
    lines.line = nll_backward_line;
    vb_run_lines(&lines);
    return VB_OK;
}
