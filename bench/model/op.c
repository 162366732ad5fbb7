/* SPDX-License-Identifier: Apache-2.0 */
#include "model/op.h"

#include "base/bytes.h"

const char *const vb_op_kind_names[VB_N_OP_KINDS] = {
    [VB_CONV] = "Conv2d",
    [VB_BATCHNORM] = "BatchNorm2d",
    [VB_SILU] = "SiLU",
    [VB_MAXPOOL] = "MaxPool2d",
    [VB_UPSAMPLE] = "Upsample",
    [VB_CONCAT] = "Concat",
    [VB_ADD] = "Add",
    [VB_SPLIT] = "Split",
    [VB_VIEW] = "View",
    [VB_PERMUTE] = "Permute",
    [VB_CLONE] = "Clone",
    [VB_SLICE] = "Slice",
    [VB_RELU] = "ReLU",
    [VB_ADD_IN_PLACE] = "Add_",
    [VB_AVERAGE] = "Mean",
    [VB_LINEAR] = "Linear",
    [VB_DETACH] = "Detach",
    [VB_TRANSPOSE] = "Transpose",
    [VB_STACK] = "_reshape_alias",
    [VB_UNSTACK] = "View",
    [VB_MATMUL] = "MatMul",
    [VB_SCALE] = "Mul",
    [VB_SOFTMAX] = "Softmax",
    [VB_CONV_TRANSPOSE] = "ConvTranspose2d",
    [VB_AVGPOOL] = "AvgPool2d",
    [VB_PAD] = "ConstantPadNd",
    [VB_ADD_ZERO] = "Add",
    [VB_PILE] = "Stack",
    [VB_SUM_FIRST] = "Sum",
    [VB_GAIN] = "Mul",
};

uint64_t vb_shape_elements(const struct vb_shape *shape)
{
    uint64_t elements = 1;
    for (uint32_t i = 0; i < shape->n_dims; i++) {
        if (!vb_mul(elements, shape->dims[i], &elements))
            return UINT64_MAX;
    }
    return elements;
}
