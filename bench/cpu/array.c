/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu/array.h"

#include <stdio.h>

#include "base/bytes.h"

/* The bytes of as many elements must be countable. */
static bool is_countable(const struct vb_operand *operand)
{
    uint64_t bytes;
    return operand->shape.n_dims <= VB_MAX_DIMS &&
           vb_mul(vb_shape_elements(&operand->shape), vb_dtype_bytes[operand->dtype], &bytes) &&
           bytes <= SIZE_MAX / 2;
}

static struct vb_array array_of(const struct vb_operand *operand, void *tensor)
{
    struct vb_array array = { .dtype = operand->dtype, .shape = operand->shape, .is_given = true };
    for (uint32_t i = 0; i < operand->shape.n_dims; i++)
        array.strides[i] = operand->strides[i];
    if (vb_shape_elements(&operand->shape) > 0)
        array.data = (char *)tensor + operand->offset * vb_dtype_bytes[operand->dtype];
    return array;
}

enum vb_status vb_arrays_of(const struct vb_cpu_work *work, uint32_t n, uint32_t optional,
                            struct vb_array *arrays, struct vb_error *err)
{
    const struct vb_call *call = work->call;
    if (call->n_operands != n || call->operands == NULL)
        return vb_refuse(work, "takes another number of operands", err);
    for (uint32_t i = 0; i < n; i++) {
        const struct vb_operand *operand = &call->operands[i];
        bool is_missing = operand->tensor == VB_NONE;
        arrays[i] = (struct vb_array){ 0 };
        if (is_missing && (optional >> i & 1U) == 1)
            continue;
        if (!is_missing && !is_countable(operand))
            return vb_refuse(work, "has an operand of more elements than can be", err);
        if (is_missing || (work->tensors[i] == NULL && vb_shape_elements(&operand->shape) > 0))
            return vb_refuse(work, "lacks an operand", err);
        arrays[i] = array_of(operand, work->tensors[i]);
    }
    return VB_OK;
}

/* "[4,64] fp32, " */
static size_t write_operand(char *text, size_t room, const struct vb_operand *operand)
{
    int n = snprintf(text, room, "[");
    for (uint32_t i = 0; i < operand->shape.n_dims && i < VB_MAX_DIMS && (size_t)n < room; i++)
        n += snprintf(text + n, room - (size_t)n, "%s%u", i > 0 ? "," : "", operand->shape.dims[i]);
    if ((size_t)n < room)
        n += snprintf(text + n, room - (size_t)n, "] %s", vb_dtype_names[operand->dtype]);
    return (size_t)n < room ? (size_t)n : room - 1;
}

enum vb_status vb_refuse(const struct vb_cpu_work *work, const char *what, struct vb_error *err)
{
    const struct vb_call *call = work->call;
    char text[sizeof err->text / 2] = "";
    size_t n = 0;
    for (uint32_t i = 0; i < call->n_operands && call->operands != NULL; i++) {
        const struct vb_operand *operand = &call->operands[i];
        if (n > 0 && n + 2 < sizeof text)
            n += (size_t)snprintf(text + n, sizeof text - n, ", ");
        if (operand->tensor == VB_NONE)
            n += (size_t)snprintf(text + n, sizeof text - n, "%.*s", (int)(sizeof text - n - 1),
                                  "none");
        else
            n += write_operand(text + n, sizeof text - n, operand);
        if (n + 1 >= sizeof text)
            break;
    }
    return vb_fail(err, VB_E_DEVICE, "%s in '%s' %s: %s", vb_operator_names[call->op],
                   call->module != NULL ? call->module : "", what, text);
}

enum vb_status vb_refuse_shapes(const struct vb_cpu_work *work, struct vb_error *err)
{
    return vb_refuse(work, "has operands of shapes that do not go together", err);
}

enum vb_status vb_refuse_types(const struct vb_cpu_work *work, struct vb_error *err)
{
    return vb_refuse(work, "is not for operands of these types", err);
}

enum vb_status vb_refuse_result(const struct vb_cpu_work *work, struct vb_error *err)
{
    return vb_refuse(work, "has a result whose elements are not all there", err);
}

size_t vb_array_elements(const struct vb_array *array)
{
    return array->is_given ? (size_t)vb_shape_elements(&array->shape) : 0;
}

bool vb_same_shape(const struct vb_shape *a, const struct vb_shape *b)
{
    bool same = a->n_dims == b->n_dims;
    for (uint32_t i = 0; i < a->n_dims && same; i++)
        same = a->dims[i] == b->dims[i];
    return same;
}

bool vb_broadcasts_to(const struct vb_shape *from, const struct vb_shape *to)
{
    if (from->n_dims > to->n_dims)
        return false;
    const uint32_t *last = to->dims + (to->n_dims - from->n_dims);
    for (uint32_t i = 0; i < from->n_dims; i++) {
        if (from->dims[i] != last[i] && from->dims[i] != 1)
            return false;
    }
    return true;
}

bool vb_is_distinct(const struct vb_array *array)
{
    for (uint32_t i = 0; i < array->shape.n_dims && array->data != NULL; i++) {
        if (array->strides[i] == 0 && array->shape.dims[i] > 1)
            return false;
    }
    return true;
}

enum vb_dtype vb_compute_type(const struct vb_array *arrays, uint32_t n)
{
    enum vb_dtype compute = VB_INT64;
    for (uint32_t i = 0; i < n; i++)
        compute = arrays[i].is_given && vb_is_float(&arrays[i]) ? VB_FLOAT32 : compute;
    return compute;
}

float vb_float_at(const struct vb_array *array, size_t offset)
{
    union vb_buffer buffer;
    struct vb_strip strip = vb_strip_of(array, offset, 1);
    return *(const float *)vb_strip_read(&strip, 1, VB_FLOAT32, &buffer);
}

int64_t vb_whole_at(const struct vb_array *array, size_t offset)
{
    union vb_buffer buffer;
    struct vb_strip strip = vb_strip_of(array, offset, 1);
    return *(const int64_t *)vb_strip_read(&strip, 1, VB_INT64, &buffer);
}

void vb_set_float(const struct vb_array *array, size_t offset, float value)
{
    struct vb_strip strip = vb_strip_of(array, offset, 1);
    vb_strip_write(&strip, 1, VB_FLOAT32, &value);
}

void vb_set_whole(const struct vb_array *array, size_t offset, int64_t value)
{
    struct vb_strip strip = vb_strip_of(array, offset, 1);
    vb_strip_write(&strip, 1, VB_INT64, &value);
}

struct vb_array vb_array_expanded(const struct vb_array *array, const struct vb_shape *shape)
{
    struct vb_array y = *array;
    uint32_t more = shape->n_dims - array->shape.n_dims;
    y.shape = *shape;
    for (uint32_t i = 0; i < shape->n_dims; i++) {
        bool repeats = i < more || array->shape.dims[i - more] != shape->dims[i];
        y.strides[i] = repeats ? 0 : array->strides[i - more];
    }
    return y;
}

struct vb_array vb_without_first(const struct vb_array *array, uint32_t n_axes)
{
    struct vb_array rest = *array;
    rest.shape.n_dims -= n_axes;
    for (uint32_t i = 0; i < rest.shape.n_dims; i++) {
        rest.shape.dims[i] = array->shape.dims[i + n_axes];
        rest.strides[i] = array->strides[i + n_axes];
    }
    return rest;
}

struct vb_array vb_without_last(const struct vb_array *array)
{
    struct vb_array rest = *array;
    rest.shape.n_dims--;
    return rest;
}
