/* SPDX-License-Identifier: Apache-2.0 */
/* Operators as launches of kernels/ (launch/launch.h), on one stream, as PyTorch's default. */

#include "config.h"

#if VB_WITH_CUDA
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "device/cuda_state.h"
#include "launch/group.h"
#include "launch/upload.h"

static enum vb_status launch(struct vb_cuda *self, struct vb_launch *of, struct vb_error *err)
{
    void *parameters[] = { &of->arguments };
    const CUresult code = self->driver.launch(self->functions[of->kernel], of->grid_x, of->grid_y,
                                              1, VB_BLOCK, 1, 1, 0, self->stream, parameters, NULL);
    if (code == CUDA_SUCCESS)
        return VB_OK;
    char what[64];
    (void)snprintf(what, sizeof what, "launching kernel %s", vb_kernel_names[of->kernel]);
    return vb_cuda_check(&self->driver, code, what, err);
}

enum vb_status vb_cuda_flush(struct vb_cuda *self, struct vb_error *err)
{
    if (!self->has_group)
        return VB_OK;
    self->has_group = false;
    vb_capture_enter(self->is_watched ? self->capture : NULL, self->group_tag);
    enum vb_status status = launch(self, &self->group, err);
    vb_capture_leave(self->is_watched ? self->capture : NULL);
    return status;
}

/* Launches it, or keeps it for others to join. */
static enum vb_status add(struct vb_cuda *self, struct vb_launch *next, enum vb_operator op,
                          struct vb_error *err)
{
    if (self->has_group && vb_launch_join(&self->group, next))
        return VB_OK;
    enum vb_status status = vb_cuda_flush(self, err);
    if (status != VB_OK || next->kernel != VB_KERNEL_update)
        return status == VB_OK ? launch(self, next, err) : status;
    self->group = *next;
    self->group_tag = vb_cuda_tag(op);
    self->has_group = true;
    return VB_OK;
}

void vb_cuda_drop_staged(struct vb_cuda *self)
{
    while (self->staged != NULL) {
        struct vb_cuda_staged *last = self->staged;
        self->staged = last->next;
        free(last);
    }
}

/* The host's data, laid out as the tensor lies, in one copy. Some GPUs read memory that is not
 * pinned when the copy's turn comes, so it is kept until then. */
static enum vb_status upload(struct vb_cuda *self, const struct vb_work *work, struct vb_error *err)
{
    const struct vb_operand *y = &work->call->operands[0];
    uint64_t bytes = 0;
    enum vb_status status = vb_upload_bytes(work->call, &bytes, err);
    if (status == VB_OK)
        status = vb_cuda_flush(self, err);
    if (status != VB_OK || bytes == 0)
        return status;
    struct vb_cuda_staged *staged = malloc(sizeof *staged + bytes);
    if (staged == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for an upload of %llu B",
                       (unsigned long long)bytes);
    staged->next = self->staged;
    self->staged = staged;
    status = vb_upload_stage(work->call, staged->bytes, err);
    if (status != VB_OK)
        return status;
    return vb_cuda_check(
        &self->driver,
        self->driver.copy_in(work->tensors[0] + y->offset * vb_dtype_bytes[y->dtype], staged->bytes,
                             bytes, self->stream),
        "copying to the GPU", err);
}

enum vb_status vb_cuda_run_kernels(struct vb_cuda *self, const struct vb_work *work,
                                   struct vb_error *err)
{
    void *tensors[VB_MAX_OPERANDS];
    struct vb_launches launches;
    if (work->call->op == VB_OP_UPLOAD)
        return upload(self, work, err);
    for (uint32_t i = 0; i < work->call->n_operands; i++)
        tensors[i] = (void *)(uintptr_t)work->tensors[i];
    const struct vb_cpu_work of = { .call = work->call,
                                    .tensors = tensors,
                                    .workspace = (void *)(uintptr_t)self->scratch,
                                    .update = work->update };
    enum vb_status status = vb_launch_call(&of, &launches, err);
    for (uint32_t i = 0; i < launches.n && status == VB_OK; i++)
        status = add(self, &launches.list[i], work->call->op, err);
    return status;
}

/* What the kernels say of the data that they found, and forget it. */
static enum vb_status look_for_fault(struct vb_cuda *self, uint32_t fault, struct vb_error *err)
{
    if (fault == VB_FAULT_NONE)
        return VB_OK;
    enum vb_status status = vb_cuda_check(
        &self->driver, self->driver.set_bytes(self->scratch, 0, sizeof fault, self->stream),
        "clearing a fault", err);
    if (status != VB_OK)
        return status;
    return vb_fail(err, VB_E_DEVICE, "%s: since the last step %s", self->base.info.name,
                   fault == VB_FAULT_PLACE
                       ? "an index went to a place outside of what it indexes"
                       : "a kernel found another count than the program was built for");
}

static bool make_landing(struct vb_cuda *self, size_t bytes)
{
    if (bytes <= self->landing_bytes)
        return true;
    unsigned char *landing = realloc(self->landing, bytes);
    if (landing == NULL)
        return false;
    self->landing = landing;
    self->landing_bytes = bytes;
    return true;
}

/* After what is read lies the kernels' word about faults. */
enum vb_status vb_cuda_read(struct vb_cuda *self, CUdeviceptr address, void *out, size_t bytes,
                            struct vb_error *err)
{
    const struct vb_cuda_driver *driver = &self->driver;
    uint32_t fault = VB_FAULT_NONE;
    enum vb_status status = vb_cuda_flush(self, err);
    if (status == VB_OK && !make_landing(self, bytes + sizeof fault))
        status = vb_fail(err, VB_E_SYSTEM, "no host memory left to read %zu B", bytes);
    if (status == VB_OK && bytes > 0)
        status =
            vb_cuda_check(driver, driver->copy_out(self->landing, address, bytes, self->stream),
                          "copying from the GPU", err);
    if (status == VB_OK)
        status = vb_cuda_check(
            driver,
            driver->copy_out(self->landing + bytes, self->scratch, sizeof fault, self->stream),
            "copying from the GPU", err);
    if (status == VB_OK)
        status = vb_cuda_check(driver, driver->stream_synchronize(self->stream),
                               "waiting for the GPU", err);
    if (status != VB_OK)
        return status;
    vb_cuda_drop_staged(self);
    if (bytes > 0)
        memcpy(out, self->landing, bytes);
    memcpy(&fault, self->landing + bytes, sizeof fault);
    return look_for_fault(self, fault, err);
}

enum vb_status vb_cuda_synchronize(struct vb_cuda *self, struct vb_error *err)
{
    return vb_cuda_read(self, 0, NULL, 0, err);
}
#endif
