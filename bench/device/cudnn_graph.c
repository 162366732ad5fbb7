/* SPDX-License-Identifier: Apache-2.0 */
/* A convolution as cuDNN's graph of one operation. */

#include "device/cudnn_bag.h"

enum { BYTE_ALIGNMENT = 16, N_DIMS = 4, N_SPATIAL = 2 };

static int32_t data_type(enum vb_conv_type type)
{
    static const int32_t types[] = { [VB_CONV_FP32] = VB_CUDNN_FLOAT,
                                     [VB_CONV_FP16] = VB_CUDNN_HALF,
                                     [VB_CONV_BF16] = VB_CUDNN_BFLOAT16 };
    return types[type];
}

/* `dims` in the order N, C, H, W (a weight's: K, C, R, S), whatever the layout. */
static enum vb_status make_tensor(struct vb_cudnn_bag *bag, int64_t uid, const int64_t *dims,
                                  const struct vb_conv *conv, void **out, struct vb_error *err)
{
    const int64_t plane = dims[2] * dims[3];
    const int64_t nchw[N_DIMS] = { dims[1] * plane, plane, dims[3], 1 };
    const int64_t nhwc[N_DIMS] = { dims[1] * plane, 1, dims[3] * dims[1], dims[1] };
    const int64_t alignment = BYTE_ALIGNMENT;
    const int32_t type = data_type(conv->type);
    const struct vb_cudnn_setting settings[] = {
        { VB_CUDNN_TENSOR_DATA_TYPE, VB_CUDNN_TYPE_DATA_TYPE, 1, &type },
        { VB_CUDNN_TENSOR_DIMENSIONS, VB_CUDNN_TYPE_INT64, N_DIMS, dims },
        { VB_CUDNN_TENSOR_STRIDES, VB_CUDNN_TYPE_INT64, N_DIMS, conv->channels_last ? nhwc : nchw },
        { VB_CUDNN_TENSOR_UNIQUE_ID, VB_CUDNN_TYPE_INT64, 1, &uid },
        { VB_CUDNN_TENSOR_BYTE_ALIGNMENT, VB_CUDNN_TYPE_INT64, 1, &alignment },
    };
    return VB_BAG_BUILD(bag, VB_CUDNN_TENSOR, "describing a tensor", settings, out, err);
}

static enum vb_status make_convolution(struct vb_cudnn_bag *bag, const struct vb_conv *conv,
                                       void **out, struct vb_error *err)
{
    const int64_t spatial = N_SPATIAL;
    const int32_t compute = VB_CUDNN_FLOAT;
    const int32_t mode = VB_CUDNN_CROSS_CORRELATION;
    const int64_t pads[N_SPATIAL] = { conv->pad, conv->pad };
    const int64_t strides[N_SPATIAL] = { conv->stride, conv->stride };
    const int64_t dilations[N_SPATIAL] = { conv->dilation, conv->dilation };
    const struct vb_cudnn_setting settings[] = {
        { VB_CUDNN_CONVOLUTION_SPATIAL_DIMS, VB_CUDNN_TYPE_INT64, 1, &spatial },
        { VB_CUDNN_CONVOLUTION_COMP_TYPE, VB_CUDNN_TYPE_DATA_TYPE, 1, &compute },
        { VB_CUDNN_CONVOLUTION_CONV_MODE, VB_CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode },
        { VB_CUDNN_CONVOLUTION_PRE_PADDINGS, VB_CUDNN_TYPE_INT64, N_SPATIAL, pads },
        { VB_CUDNN_CONVOLUTION_POST_PADDINGS, VB_CUDNN_TYPE_INT64, N_SPATIAL, pads },
        { VB_CUDNN_CONVOLUTION_FILTER_STRIDES, VB_CUDNN_TYPE_INT64, N_SPATIAL, strides },
        { VB_CUDNN_CONVOLUTION_DILATIONS, VB_CUDNN_TYPE_INT64, N_SPATIAL, dilations },
    };
    return VB_BAG_BUILD(bag, VB_CUDNN_CONVOLUTION, "describing a convolution", settings, out, err);
}

enum vb_status vb_cudnn_graph(struct vb_cudnn_bag *bag, const struct vb_cudnn_target *target,
                              const struct vb_conv *conv, void **out, struct vb_error *err)
{
    static const struct {
        enum vb_cudnn_descriptor_type type;
        int alpha; /* the attribute; beta and the rest follow it in the same order each */
    } operations[] = {
        [VB_CONV_FORWARD] = { VB_CUDNN_OPERATION_FORWARD, VB_CUDNN_FORWARD_ALPHA },
        [VB_CONV_BACKWARD_DATA] = { VB_CUDNN_OPERATION_BACKWARD_DATA,
                                    VB_CUDNN_BACKWARD_DATA_ALPHA },
        [VB_CONV_BACKWARD_FILTER] = { VB_CUDNN_OPERATION_BACKWARD_FILTER,
                                      VB_CUDNN_BACKWARD_FILTER_ALPHA },
    };
    const int64_t x_dims[] = { conv->n, conv->c, conv->h, conv->w };
    const int64_t w_dims[] = { conv->k, conv->c / conv->groups, conv->kernel_h, conv->kernel_w };
    const int64_t y_dims[] = { conv->n, conv->k,
                               (int64_t)vb_conv_output_size(conv, conv->h, conv->kernel_h),
                               (int64_t)vb_conv_output_size(conv, conv->w, conv->kernel_w) };
    void *x = NULL, *w = NULL, *y = NULL, *convolution = NULL, *operation = NULL;
    enum vb_status status = make_tensor(bag, VB_UID_X, x_dims, conv, &x, err);
    if (status == VB_OK)
        status = make_tensor(bag, VB_UID_W, w_dims, conv, &w, err);
    if (status == VB_OK)
        status = make_tensor(bag, VB_UID_Y, y_dims, conv, &y, err);
    if (status == VB_OK)
        status = make_convolution(bag, conv, &convolution, err);
    if (status != VB_OK)
        return status;

    const float alpha = 1.0F, beta = 0.0F;
    const int first = operations[conv->direction].alpha;
    const struct vb_cudnn_setting settings[] = {
        { first, VB_CUDNN_TYPE_FLOAT, 1, &alpha },
        { first + 1, VB_CUDNN_TYPE_FLOAT, 1, &beta },
        { first + 2, VB_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &convolution },
        { first + 3, VB_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &w },
        { first + 4, VB_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &x },
        { first + 5, VB_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &y },
    };
    status = VB_BAG_BUILD(bag, operations[conv->direction].type, "describing the operation",
                          settings, &operation, err);
    if (status != VB_OK)
        return status;

    const struct vb_cudnn_setting ops[] = {
        { VB_CUDNN_OPERATIONGRAPH_OPS, VB_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &operation },
        { VB_CUDNN_OPERATIONGRAPH_HANDLE, VB_CUDNN_TYPE_HANDLE, 1, &target->handle },
    };
    return vb_bag_build(bag, VB_CUDNN_OPERATIONGRAPH, "making the graph", ops,
                        target->handle != NULL ? 2 : 1, out, err);
}
