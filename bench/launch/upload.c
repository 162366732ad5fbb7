/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/upload.h"

#include "cpu/kernel.h"

enum vb_status vb_upload_bytes(const struct vb_call *call, uint64_t *bytes, struct vb_error *err)
{
    const struct vb_operand *y = &call->operands[0];
    const uint64_t n = vb_shape_elements(&y->shape);
    uint64_t last = 0;
    for (uint32_t i = 0; i < y->shape.n_dims; i++)
        last += n > 0 ? (uint64_t)(y->shape.dims[i] - 1) * y->strides[i] : 0;
    *bytes = n * vb_dtype_bytes[y->dtype];
    if (n > 0 && last + 1 != n)
        return vb_fail(err, VB_E_UNSUPPORTED, "upload in '%s' goes to a tensor with gaps",
                       call->module);
    return VB_OK;
}

enum vb_status vb_upload_stage(const struct vb_call *call, void *staged, struct vb_error *err)
{
    struct vb_operand y = call->operands[0];
    struct vb_call of = *call;
    y.offset = 0;
    of.operands = &y;
    const struct vb_cpu_work work = { .call = &of, .tensors = &staged };
    return vb_run_source(NULL, &work, err);
}
