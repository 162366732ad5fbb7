/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu/image.h"

enum vb_status vb_images_of(const struct vb_cpu_work *work, uint32_t n, struct vb_array *arrays,
                            uint32_t images, struct vb_error *err)
{
    enum vb_status status = vb_arrays_of(work, n, 0, arrays, err);
    for (uint32_t i = 0; i < n && status == VB_OK; i++) {
        uint32_t n_dims = arrays[i].shape.n_dims;
        if ((images >> i & 1U) == 0)
            continue;
        if ((n_dims != 2 && n_dims != 4) || !vb_is_float(&arrays[i]))
            status = vb_refuse(work, "takes images [N,C,H,W] of floating-point numbers", err);
        else if (vb_array_elements(&arrays[i]) == 0)
            status = vb_refuse(work, "has an image without elements", err);
    }
    return status;
}

struct vb_image vb_image_of(const struct vb_array *array)
{
    const uint32_t *dims = array->shape.dims;
    bool has_plane = array->shape.n_dims == 4;
    return (struct vb_image){
        .data = array->data,
        .dtype = array->dtype,
        .n = dims[0],
        .c = dims[1],
        .h = has_plane ? dims[2] : 1,
        .w = has_plane ? dims[3] : 1,
        .stride_n = array->strides[0],
        .stride_c = array->strides[1],
        .stride_h = has_plane ? array->strides[2] : 0,
        .stride_w = has_plane ? array->strides[3] : 0,
    };
}
