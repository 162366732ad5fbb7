/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu/picture.h"

#include "cpu/parallel.h"
#include "cpu/random.h"

enum { N, C, H, W, GRAIN_ROWS = 8, A_PICTURES_DRAWS = 1024 };

struct vb_strip vb_picture_row(const struct vb_array *array, size_t picture, size_t channel,
                               size_t row)
{
    size_t offset =
        picture * array->strides[N] + channel * array->strides[C] + row * array->strides[H];
    return vb_strip_of(array, offset, array->strides[W]);
}

enum vb_status vb_pictures_of(const struct vb_cpu_work *work, uint32_t n,
                              struct vb_pictures *pictures, struct vb_error *err)
{
    *pictures = (struct vb_pictures){ .n_arrays = n, .a = work->call->a };
    enum vb_status status = vb_arrays_of(work, n, 0, pictures->arrays, err);
    for (uint32_t i = 0; i < n && status == VB_OK; i++) {
        const struct vb_array *array = &pictures->arrays[i];
        if (array->dtype != VB_UINT8)
            return vb_refuse_types(work, err);
        if (array->shape.n_dims != 4)
            return vb_refuse_shapes(work, err);
        if (i == n - 1 && !vb_is_distinct(array))
            return vb_refuse_result(work, err);
    }
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

struct vb_rectangle vb_draw_rectangle(uint64_t seed, size_t picture, size_t i,
                                      const struct vb_shape *shape)
{
    uint64_t place = picture * A_PICTURES_DRAWS + 4 * i;
    size_t height = shape->dims[H], width = shape->dims[W];
    struct vb_rectangle r = { .top = vb_random_below(seed, place, height),
                              .left = vb_random_below(seed, place + 1, width) };
    r.bottom = r.top + 1 + vb_random_below(seed, place + 2, height - r.top);
    r.right = r.left + 1 + vb_random_below(seed, place + 3, width - r.left);
    return r;
}
