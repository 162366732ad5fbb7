/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#if VB_WITH_CUDA
#include "device/cuda_driver.h"

#define FUNCTION(name, field)                                                                      \
    {                                                                                              \
        name, offsetof(struct vb_cuda_driver, field), false                                        \
    }

static const struct vb_symbol symbols[] = {
    FUNCTION("cuInit", init),
    FUNCTION("cuDriverGetVersion", get_version),
    FUNCTION("cuGetErrorName", get_error_name),
    FUNCTION("cuGetErrorString", get_error_string),
    FUNCTION("cuDeviceGetCount", device_count),
    FUNCTION("cuDeviceGet", device_get),
    FUNCTION("cuDeviceGetName", device_name),
    FUNCTION("cuDeviceGetAttribute", device_attribute),
    FUNCTION("cuDeviceTotalMem_v2", device_total),
    FUNCTION("cuDeviceGetPCIBusId", device_pci),
    FUNCTION("cuDevicePrimaryCtxRetain", context_retain),
    FUNCTION("cuDevicePrimaryCtxRelease_v2", context_release),
    FUNCTION("cuCtxSetCurrent", context_set),
    FUNCTION("cuModuleLoadFatBinary", module_load),
    FUNCTION("cuModuleUnload", module_unload),
    FUNCTION("cuModuleGetFunction", module_function),
    FUNCTION("cuMemAlloc_v2", alloc),
    FUNCTION("cuMemFree_v2", free),
    FUNCTION("cuMemGetInfo_v2", get_info),
    FUNCTION("cuMemcpyHtoDAsync_v2", copy_in),
    FUNCTION("cuMemcpyDtoHAsync_v2", copy_out),
    FUNCTION("cuMemsetD8Async", set_bytes),
    FUNCTION("cuStreamCreate", stream_create),
    FUNCTION("cuStreamDestroy_v2", stream_destroy),
    FUNCTION("cuStreamSynchronize", stream_synchronize),
    FUNCTION("cuEventCreate", event_create),
    FUNCTION("cuEventRecord", event_record),
    FUNCTION("cuEventSynchronize", event_synchronize),
    FUNCTION("cuEventElapsedTime", event_elapsed),
    FUNCTION("cuEventDestroy_v2", event_destroy),
    FUNCTION("cuLaunchKernel", launch),
};

enum vb_status vb_cuda_driver_open(struct vb_cuda_driver *out, struct vb_error *err)
{
    static const struct vb_library_query query = { .names = { "libcuda.so.1" },
                                                   .symbols = symbols,
                                                   .n_symbols = sizeof symbols / sizeof *symbols };
    struct vb_library library;
    *out = (struct vb_cuda_driver){ 0 };
    enum vb_status status = vb_library_open(&query, out, &library, err);
    if (status == VB_OK)
        out->library = library;
    return status;
}

void vb_cuda_driver_close(struct vb_cuda_driver *driver)
{
    vb_library_close(&driver->library);
}

enum vb_status vb_cuda_check(const struct vb_cuda_driver *driver, CUresult code, const char *what,
                             struct vb_error *err)
{
    const char *name = "an unknown error", *text = "";
    if (code == CUDA_SUCCESS)
        return VB_OK;
    (void)driver->get_error_name(code, &name);
    (void)driver->get_error_string(code, &text);
    return vb_fail(err, code == CUDA_ERROR_OUT_OF_MEMORY ? VB_E_NO_FIT : VB_E_DEVICE,
                   "%s: %s (%d): %s", what, name, (int)code, text);
}
#endif
