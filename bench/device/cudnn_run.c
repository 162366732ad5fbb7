/* SPDX-License-Identifier: Apache-2.0 */
/* What cuDNN does on a GPU that is there. */

#include <stdlib.h>

#include "device/cudnn_bag.h"

enum vb_status vb_cudnn_start(struct vb_cudnn_target *target, void *stream, struct vb_error *err)
{
    const struct vb_cudnn *cudnn = target->cudnn;
    void *handle = NULL;
    enum vb_status status =
        vb_cudnn_check(cudnn, cudnn->create_handle(&handle), "making a handle", err);
    if (status != VB_OK)
        return status;
    target->handle = handle;
    status = vb_cudnn_check(cudnn, cudnn->set_stream(handle, stream), "taking the stream", err);
    if (status != VB_OK)
        vb_cudnn_stop(target);
    return status;
}

void vb_cudnn_stop(struct vb_cudnn_target *target)
{
    if (target->handle != NULL)
        (void)target->cudnn->destroy_handle(target->handle);
    target->handle = NULL;
}

enum vb_status vb_cudnn_execute(const struct vb_cudnn_target *target, void *plan,
                                const struct vb_cudnn_operands *operands, struct vb_error *err)
{
    static const int64_t ids[] = { VB_UID_X, VB_UID_W, VB_UID_Y };
    void *const tensors[] = { operands->x, operands->w, operands->y };
    const struct vb_cudnn_setting settings[] = {
        { VB_CUDNN_VARIANT_PACK_UNIQUE_IDS, VB_CUDNN_TYPE_INT64, 3, ids },
        { VB_CUDNN_VARIANT_PACK_DATA_POINTERS, VB_CUDNN_TYPE_VOID_PTR, 3, tensors },
        { VB_CUDNN_VARIANT_PACK_WORKSPACE, VB_CUDNN_TYPE_VOID_PTR, 1, &operands->workspace },
    };
    struct vb_cudnn_bag bag = { .cudnn = target->cudnn };
    void *pack = NULL;
    enum vb_status status = VB_BAG_BUILD(&bag, VB_CUDNN_VARIANT_PACK, "naming a convolution's data",
                                         settings, &pack, err);
    if (status == VB_OK)
        status = vb_cudnn_check(target->cudnn, target->cudnn->execute(target->handle, plan, pack),
                                "running a convolution", err);
    vb_bag_shrink(&bag, 0);
    return status;
}

enum vb_status vb_cudnn_describe(const struct vb_cudnn_target *target, char **json,
                                 struct vb_error *err)
{
    const struct vb_cudnn *cudnn = target->cudnn;
    const struct vb_cudnn_setting settings[] = {
        { VB_CUDNN_DEVICEPROP_HANDLE, VB_CUDNN_TYPE_HANDLE, 1, &target->handle },
    };
    struct vb_cudnn_bag bag = { .cudnn = cudnn };
    void *properties = NULL;
    int64_t n = 0;
    enum vb_status status =
        VB_BAG_BUILD(&bag, VB_CUDNN_DEVICEPROP, "describing the GPU", settings, &properties, err);
    if (status == VB_OK)
        status = vb_cudnn_check(
            cudnn,
            cudnn->get(properties, VB_CUDNN_DEVICEPROP_JSON, VB_CUDNN_TYPE_CHAR, 0, &n, NULL),
            "measuring the GPU's description", err);
    char *text = status == VB_OK ? calloc((size_t)n + 1, 1) : NULL;
    if (status == VB_OK && text == NULL)
        status = vb_fail(err, VB_E_SYSTEM, "no host memory left for a GPU's description");
    if (status == VB_OK)
        status = vb_cudnn_check(
            cudnn,
            cudnn->get(properties, VB_CUDNN_DEVICEPROP_JSON, VB_CUDNN_TYPE_CHAR, n, &n, text),
            "reading the GPU's description", err);
    vb_bag_shrink(&bag, 0);
    if (status == VB_OK)
        *json = text;
    else
        free(text);
    return status;
}
