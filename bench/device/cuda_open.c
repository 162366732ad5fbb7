/* SPDX-License-Identifier: Apache-2.0 */
/* From a number to a GPU that is ready: capture first, so that it sees all that follows; then the
 * driver, the context, the kernels and cuDNN. */

#include "config.h"

#if VB_WITH_CUDA
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/cuda_state.h"
#include "kernels/images.h"

enum { GRANULARITY_BYTES = 2 << 20 }; /* as cuMemGetAllocationGranularity() gives it */

static enum vb_status find_gpu(struct vb_cuda *self, int ordinal, struct vb_error *err)
{
    const struct vb_cuda_driver *driver = &self->driver;
    int n = 0;
    enum vb_status status =
        vb_cuda_check(&self->driver, driver->init(0), "starting the CUDA driver", err);
    if (status == VB_OK)
        status = vb_cuda_check(&self->driver, driver->device_count(&n), "counting GPUs", err);
    if (status == VB_OK && ordinal >= n)
        status = vb_fail(err, VB_E_INPUT, "cuda:%d: there %s %d GPU%s, counted from 0", ordinal,
                         n == 1 ? "is" : "are", n, n == 1 ? "" : "s");
    if (status == VB_OK)
        status = vb_cuda_check(&self->driver, driver->device_get(&self->device, ordinal),
                               "finding the GPU", err);
    return status;
}

static enum vb_status read_attribute(const struct vb_cuda *self, CUdevice_attribute attribute,
                                     uint32_t *out, struct vb_error *err)
{
    int value = 0;
    enum vb_status status =
        vb_cuda_check(&self->driver, self->driver.device_attribute(&value, attribute, self->device),
                      "asking for the GPU's properties", err);
    *out = (uint32_t)value;
    return status;
}

/* What it is, before anything of it is used. */
static enum vb_status identify(struct vb_cuda *self, int ordinal, struct vb_error *err)
{
    const struct vb_cuda_driver *driver = &self->driver;
    struct vb_device_info *info = &self->base.info;
    uint32_t major = 0, minor = 0;
    size_t total = 0;
    (void)snprintf(info->name, sizeof info->name, "cuda:%d", ordinal);
    enum vb_status status = vb_cuda_check(
        &self->driver, driver->device_name(info->product, (int)sizeof info->product, self->device),
        "asking for the GPU's name", err);
    if (status == VB_OK)
        status = vb_cuda_check(&self->driver, driver->device_total(&total, self->device),
                               "asking for the GPU's memory", err);
    if (status == VB_OK)
        status = read_attribute(self, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, &major, err);
    if (status == VB_OK)
        status = read_attribute(self, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, &minor, err);
    if (status == VB_OK)
        status = vb_cuda_check(
            &self->driver, driver->device_pci(self->bus_id, (int)sizeof self->bus_id, self->device),
            "asking for the GPU's place", err);
    if (status == VB_OK)
        status = vb_cuda_check(&self->driver, driver->get_version(&self->cuda_version),
                               "asking for its version", err);
    info->capacity_bytes = total;
    info->compute_capability = major * 100 + minor * 10;
    info->granularity_bytes = GRANULARITY_BYTES;
    info->layout = VB_IN_ORDER;
    info->settles = true;
    info->measures = true;
    return status;
}

static enum vb_status make_context(struct vb_cuda *self, struct vb_error *err)
{
    const struct vb_cuda_driver *driver = &self->driver;
    enum vb_status status =
        vb_cuda_check(&self->driver, driver->context_retain(&self->context, self->device),
                      "making the GPU's context", err);
    if (status == VB_OK)
        status = vb_cuda_check(&self->driver, driver->context_set(self->context),
                               "taking the context", err);
    if (status == VB_OK)
        status = vb_cuda_check(&self->driver,
                               driver->stream_create(&self->stream, CU_STREAM_NON_BLOCKING),
                               "making a stream", err);
    if (status == VB_OK)
        status = vb_cuda_check(&self->driver, driver->event_create(&self->last, CU_EVENT_DEFAULT),
                               "making an event", err);
    if (status == VB_OK)
        status = vb_cuda_check(&self->driver, driver->event_create(&self->now, CU_EVENT_DEFAULT),
                               "making an event", err);
    return status;
}

/* Each kernel is in one of the images. */
static enum vb_status find_function(struct vb_cuda *self, uint32_t kernel, struct vb_error *err)
{
    CUresult code = CUDA_ERROR_NOT_FOUND;
    for (size_t i = 0; i < self->n_modules && code == CUDA_ERROR_NOT_FOUND; i++)
        code = self->driver.module_function(&self->functions[kernel], self->modules[i],
                                            vb_kernel_names[kernel]);
    char what[64];
    (void)snprintf(what, sizeof what, "finding kernel %s", vb_kernel_names[kernel]);
    return vb_cuda_check(&self->driver, code, what, err);
}

static enum vb_status load_kernels(struct vb_cuda *self, struct vb_error *err)
{
    const struct vb_cuda_driver *driver = &self->driver;
    enum vb_status status = VB_OK;
    self->modules = calloc(vb_n_kernel_images, sizeof(CUmodule));
    if (self->modules == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for kernels");
    for (size_t i = 0; i < vb_n_kernel_images && status == VB_OK; i++) {
        status = vb_cuda_check(&self->driver,
                               driver->module_load(&self->modules[i], vb_kernel_images[i]),
                               "loading kernels", err);
        self->n_modules += status == VB_OK;
    }
    for (uint32_t i = 0; i < VB_N_KERNELS && status == VB_OK; i++)
        status = find_function(self, i, err);
    if (status == VB_OK)
        status = vb_cuda_check(&self->driver,
                               driver->alloc(&self->scratch, sizeof(struct vb_kernel_scratch)),
                               "taking the kernels' scratch", err);
    if (status == VB_OK)
        status = vb_cuda_check(
            &self->driver,
            driver->set_bytes(self->scratch, 0, sizeof(struct vb_kernel_scratch), self->stream),
            "clearing the kernels' scratch", err);
    return status;
}

static enum vb_status start_cudnn(struct vb_cuda *self, struct vb_error *err)
{
    enum vb_status status = vb_cudnn_open(&self->cudnn, err);
    if (status != VB_OK)
        return status;
    self->base.info.cudnn_version = self->cudnn.version;
    self->target =
        (struct vb_cudnn_target){ .cudnn = &self->cudnn,
                                  .compute_capability = self->base.info.compute_capability };
    return vb_cudnn_start(&self->target, self->stream, err);
}

/* What is gone before the first segment. Of the GPU's memory in use, what others had in use before
 * is theirs; without NVML it cannot be told apart. */
static enum vb_status weigh_context(struct vb_cuda *self, struct vb_error *err)
{
    size_t left = 0, total = 0;
    uint64_t used = 0, others = 0;
    enum vb_status status = vb_cuda_check(
        &self->driver, self->driver.stream_synchronize(self->stream), "waiting for the GPU", err);
    if (status == VB_OK)
        status = vb_cuda_check(&self->driver, self->driver.get_info(&left, &total),
                               "asking what is free", err);
    if (status != VB_OK)
        return status;
    struct vb_device_info *info = &self->base.info;
    used = info->capacity_bytes > left ? info->capacity_bytes - left : 0;
    if (vb_nvml_used_at_start(self->nvml, &others))
        self->others_bytes = others < used ? others : used;
    info->context_bytes = used;
    self->lowest_free_bytes = left;
    return VB_OK;
}

enum vb_status vb_cuda_start(struct vb_cuda *self, int ordinal, struct vb_error *err)
{
    const char *capture = getenv("VRAMBENCH_CAPTURE");
    self->is_capture_off = capture != NULL && strcmp(capture, "off") == 0;
    enum vb_status status = self->is_capture_off ? VB_OK : vb_capture_open(0, &self->capture, err);
    (void)vb_capture_watch(self->capture, false); /* a few steps are, when all else is known */
    if (status == VB_OK)
        status = vb_cuda_driver_open(&self->driver, err);
    if (status == VB_OK)
        status = find_gpu(self, ordinal, err);
    if (status == VB_OK)
        status = identify(self, ordinal, err);
    if (status == VB_OK)
        status = vb_nvml_open(self->bus_id, &self->nvml, err);
    if (status == VB_OK)
        status = make_context(self, err);
    if (status == VB_OK)
        status = load_kernels(self, err);
    vb_capture_enter(self->capture, vb_tag(VB_OWNER_CUDNN, 0));
    if (status == VB_OK)
        status = start_cudnn(self, err);
    vb_capture_leave(self->capture);
    return status == VB_OK ? weigh_context(self, err) : status;
}

void vb_cuda_stop(struct vb_cuda *self)
{
    const struct vb_cuda_driver *driver = &self->driver;
    if (self->stream != NULL)
        (void)driver->stream_synchronize(self->stream);
    vb_cuda_drop_plans(self);
    vb_cudnn_stop(&self->target);
    vb_cudnn_close(&self->cudnn);
    if (self->scratch != 0)
        (void)driver->free(self->scratch);
    for (size_t i = 0; i < self->n_modules; i++)
        (void)driver->module_unload(self->modules[i]);
    free(self->modules);
    if (self->now != NULL)
        (void)driver->event_destroy(self->now);
    if (self->last != NULL)
        (void)driver->event_destroy(self->last);
    if (self->stream != NULL)
        (void)driver->stream_destroy(self->stream);
    vb_capture_close(self->capture);
    vb_nvml_close(self->nvml);
    if (self->context != NULL)
        (void)driver->context_release(self->device);
    /* Nothing is copied any more, even where the stream could not be waited for. */
    vb_cuda_drop_staged(self);
    free(self->landing);
    vb_cuda_driver_close(&self->driver);
}
#endif
