/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu/picture.h"

#include "cpu/parallel.h"

enum { N, C, H, W, GRAIN_ROWS = 8 };

struct vb_strip vb_picture_row(const struct vb_array *array, size_t picture, size_t channel,
                               size_t row)
{
    size_t offset =
        picture * array->strides[N] + channel * array->strides[C] + row * array->strides[H];
    return vb_strip_of(array, offset, array->strides[W]);
}

static uint32_t n_arrays_of(enum vb_operator op)
{
    if (op == VB_OP_NOISE)
        return 1;
    return op == VB_OP_COPY_PASTE ? 3 : 2;
}

/* What is read beside what is written. */
static bool go_together(enum vb_operator op, const struct vb_shape *x, const struct vb_shape *y)
{
    if (op != VB_OP_MOSAIC)
        return vb_same_shape(x, y);
    return x->dims[N] == (uint64_t)y->dims[N] * 4 && x->dims[C] == y->dims[C] &&
           (uint64_t)x->dims[H] * 2 == y->dims[H] && (uint64_t)x->dims[W] * 2 == y->dims[W];
}

enum vb_status vb_pictures_of(const struct vb_cpu_work *work, struct vb_pictures *pictures,
                              struct vb_error *err)
{
    const enum vb_operator op = work->call->op;
    const uint32_t n = n_arrays_of(op);
    const struct vb_array *arrays = pictures->arrays, *y = &arrays[n - 1];
    *pictures = (struct vb_pictures){ .n_arrays = n, .a = work->call->a };
    enum vb_status status = vb_arrays_of(work, n, 0, pictures->arrays, err);
    for (uint32_t i = 0; i < n && status == VB_OK; i++) {
        if (arrays[i].dtype != VB_UINT8)
            return vb_refuse_types(work, err);
        if (arrays[i].shape.n_dims != 4 || y->shape.n_dims != 4 ||
            (i < n - 1 && !go_together(op, &arrays[i].shape, &y->shape)))
            return vb_refuse_shapes(work, err);
    }
    if (status == VB_OK && !vb_is_distinct(y))
        status = vb_refuse_result(work, err);
    return status;
}

static void run_stretch(void *context, size_t begin, size_t end)
{
    const struct vb_pictures *pictures = context;
    size_t height = pictures->arrays[pictures->n_arrays - 1].shape.dims[H];
    for (; begin < end; begin++)
        pictures->row(pictures, begin / height, begin % height);
}

void vb_run_rows(struct vb_pictures *pictures)
{
    const struct vb_array *y = &pictures->arrays[pictures->n_arrays - 1];
    if (vb_array_elements(y) > 0)
        vb_parallel((size_t)y->shape.dims[N] * y->shape.dims[H], GRAIN_ROWS, run_stretch, pictures);
}
