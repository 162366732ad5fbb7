/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_DEVICE_CUDA_DRIVER_H
#define VB_DEVICE_CUDA_DRIVER_H

/* The CUDA driver, opened at run time, so that one binary runs on any machine. Private to
 * device/cuda*. Source: CUDA Driver API reference; names with a _v2 are the functions that cuda.h's
 * own macros stand for. */

#include <cuda.h>

#include "base/library.h"

struct vb_cuda_driver {
    struct vb_library library;

    CUresult (*init)(unsigned flags);
    CUresult (*get_version)(int *version);
    CUresult (*get_error_name)(CUresult code, const char **name);
    CUresult (*get_error_string)(CUresult code, const char **text);

    CUresult (*device_count)(int *n);
    CUresult (*device_get)(CUdevice *out, int ordinal);
    CUresult (*device_name)(char *name, int room, CUdevice device);
    CUresult (*device_attribute)(int *value, CUdevice_attribute attribute, CUdevice device);
    CUresult (*device_total)(size_t *bytes, CUdevice device);
    CUresult (*device_pci)(char *text, int room, CUdevice device);
    CUresult (*context_retain)(CUcontext *out, CUdevice device);
    CUresult (*context_release)(CUdevice device);
    CUresult (*context_set)(CUcontext context);

    CUresult (*module_load)(CUmodule *out, const void *fat_binary);
    CUresult (*module_unload)(CUmodule module);
    CUresult (*module_function)(CUfunction *out, CUmodule module, const char *name);

    CUresult (*alloc)(CUdeviceptr *out, size_t bytes);
    CUresult (*free)(CUdeviceptr address);
    CUresult (*get_info)(size_t *free_bytes, size_t *total_bytes);
    CUresult (*copy_in)(CUdeviceptr to, const void *from, size_t bytes, CUstream stream);
    CUresult (*copy_out)(void *to, CUdeviceptr from, size_t bytes, CUstream stream);
    CUresult (*set_bytes)(CUdeviceptr to, unsigned char value, size_t bytes, CUstream stream);

    CUresult (*stream_create)(CUstream *out, unsigned flags);
    CUresult (*stream_destroy)(CUstream stream);
    CUresult (*stream_synchronize)(CUstream stream);
    CUresult (*event_create)(CUevent *out, unsigned flags);
    CUresult (*event_record)(CUevent event, CUstream stream);
    CUresult (*event_synchronize)(CUevent event);
    CUresult (*event_elapsed)(float *milliseconds, CUevent from, CUevent to);
    CUresult (*event_destroy)(CUevent event);

    CUresult (*launch)(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                       unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                       CUstream stream, void **parameters, void **extra);
};

/* VB_E_UNSUPPORTED: there is no driver; the text says which library was not found, or what it
 * lacks. Close it after use; zeroed is valid. */
VB_CHECKED enum vb_status vb_cuda_driver_open(struct vb_cuda_driver *out, struct vb_error *err);
void vb_cuda_driver_close(struct vb_cuda_driver *driver);

/* Turns the driver's result into ours: VB_E_DEVICE with its name and text, VB_E_NO_FIT where it has
 * no memory left. `what` is what was done. */
VB_CHECKED enum vb_status vb_cuda_check(const struct vb_cuda_driver *driver, CUresult code,
                                        const char *what, struct vb_error *err);

#endif
