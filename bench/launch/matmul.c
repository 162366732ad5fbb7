/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/parts.h"

static struct vb_lying matrix_of(const struct vb_array *array)
{
    return (
        struct vb_lying){ .data = array->data,
                          .dtype = (uint32_t)array->dtype,
                          .strides = { (uint32_t)array->strides[1], (uint32_t)array->strides[0] } };
}

enum vb_status vb_launch_matmul(const struct vb_cpu_work *work, struct vb_launches *out,
                                struct vb_error *err)
{
    struct vb_array arrays[3];
    const struct vb_array *x = &arrays[0], *z = &arrays[1], *y = &arrays[2];
    enum vb_status status = vb_arrays_of(work, 3, 0, arrays, err);
    for (uint32_t i = 0; i < 3 && status == VB_OK; i++) {
        if (!vb_is_float(&arrays[i]))
            return vb_refuse_types(work, err);
        if (arrays[i].shape.n_dims != 2)
            return vb_refuse_shapes(work, err);
    }
    if (status != VB_OK)
        return status;
    const uint32_t m = y->shape.dims[0], n = y->shape.dims[1], k = x->shape.dims[1];
    if (x->shape.dims[0] != m || z->shape.dims[0] != k || z->shape.dims[1] != n)
        return vb_refuse_shapes(work, err);
    if (!vb_is_distinct(y))
        return vb_refuse_result(work, err);
    const uint64_t rows = ((uint64_t)m + VB_MATMUL_TILE - 1) / VB_MATMUL_TILE;
    const uint64_t columns = ((uint64_t)n + VB_MATMUL_TILE - 1) / VB_MATMUL_TILE;
    struct vb_launch *launch = vb_add_launch(out, VB_KERNEL_matmul, rows * columns * VB_BLOCK);
    launch->arguments.matmul = (struct vb_matmul){
        .x = matrix_of(x), .z = matrix_of(z), .y = matrix_of(y), .m = m, .k = k, .n = n
    };
    return VB_OK;
}
