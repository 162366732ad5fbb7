/* SPDX-License-Identifier: Apache-2.0 */
/* The virtual device: the capacity and the address space of a GPU, without the GPU.
 *
 * Nothing is behind its addresses. A new segment lies below the lowest so far, as cudaMalloc's do
 * (torch-memory.md, part A, 1.13). Time is a roofline: an operator takes as long as its arithmetic at the
 * peak rate or its traffic at the memory's, whichever is longer. */

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "device/conv_plan.h"
#include "device/gpu_spec.h"
#include "device/kind.h"

#define GRANULARITY_BYTES VB_MIB(2) /* as cuMemGetAllocationGranularity() gives it */
#define TOP_ADDRESS (UINT64_C(1) << 46)

struct virtual_device {
    struct vb_device base;
    struct vb_gpu_spec gpu;
    struct vb_conv_planner *planner; /* owned */
    vb_address lowest;
    uint64_t reserved_bytes;
    double seconds;
};

static struct virtual_device *from_base(struct vb_device *base)
{
    return (struct virtual_device *)base;
}

/* Also closes what virtual_open() left half open. */
static void virtual_close(struct vb_device *base)
{
    struct virtual_device *self = from_base(base);

    vb_conv_planner_close(self->planner);
    vb_gpu_spec_clear(&self->gpu);
    free(self);
}

static enum vb_status virtual_open(const char *selector, struct vb_device **out,
                                   struct vb_error *err)
{
    struct virtual_device *self = calloc(1, sizeof *self);
    if (self == NULL)
        return vb_fail(err, VB_E_SYSTEM, "virtual:%s: no host memory left", selector);
    self->base.kind = &vb_device_virtual;

    enum vb_status status = vb_gpu_spec_find(selector, &self->gpu, err);
    if (status == VB_OK)
        status = vb_conv_planner_open(&self->gpu, &self->planner, err);
    if (status != VB_OK) {
        virtual_close(&self->base);
        return status;
    }
    struct vb_device_info *info = &self->base.info;
    (void)snprintf(info->name, sizeof info->name, "virtual:%s", selector);
    (void)snprintf(info->product, sizeof info->product, "%s", self->gpu.product);
    info->capacity_bytes = self->gpu.capacity_bytes;
    info->context_bytes = self->gpu.context_bytes;
    info->granularity_bytes = GRANULARITY_BYTES;
    info->cudnn_version = vb_conv_planner_version(self->planner);
    info->compute_capability = self->gpu.compute_capability;
    self->lowest = TOP_ADDRESS;
    *out = &self->base;
    return VB_OK;
}

static uint64_t virtual_free_bytes(const struct vb_device *base)
{
    const struct virtual_device *self = (const struct virtual_device *)base;
    return base->info.capacity_bytes - base->info.context_bytes - self->reserved_bytes;
}

static enum vb_status virtual_reserve(struct vb_device *base, uint64_t bytes,
                                      struct vb_segment *out, struct vb_error *err)
{
    struct virtual_device *self = from_base(base);
    uint64_t left_bytes = virtual_free_bytes(base);

    if (bytes > left_bytes)
        return vb_fail(err, VB_E_NO_FIT, "%s: %" PRIu64 " B asked for, %" PRIu64 " B left",
                       base->info.name, bytes, left_bytes);
    self->lowest -= bytes;
    self->reserved_bytes += bytes;
    *out = (struct vb_segment){ .address = self->lowest, .bytes = bytes };
    return VB_OK;
}

static void virtual_release(struct vb_device *base, struct vb_segment segment)
{
    struct virtual_device *self = from_base(base);

    assert(segment.bytes <= self->reserved_bytes);
    self->reserved_bytes -= segment.bytes;
}

static enum vb_status virtual_plan(struct vb_device *base, const struct vb_conv *conv,
                                   const struct vb_conv_rules *rules, struct vb_conv_plan *out,
                                   struct vb_error *err)
{
    return vb_conv_planner_plan(from_base(base)->planner, conv, rules, out, err);
}

/* Convolutions in half precision run on tensor cores; all else at the fp32 rate. */
static double rate_of(const struct vb_gpu_spec *gpu, const struct vb_work *work)
{
    if (work->is_convolution && work->type != VB_CONV_FP32 && gpu->fp16_flops > 0)
        return gpu->fp16_flops;
    if (work->is_convolution && gpu->tf32_flops > 0)
        return gpu->tf32_flops;
    return gpu->fp32_flops;
}

static enum vb_status virtual_run(struct vb_device *base, const struct vb_work *work,
                                  struct vb_error *err)
{
    struct virtual_device *self = from_base(base);
    double rate = rate_of(&self->gpu, work);
    double arithmetic = rate > 0 ? work->flops / rate : 0;
    double traffic = self->gpu.bandwidth_bytes_per_second > 0
                         ? (double)work->bytes / self->gpu.bandwidth_bytes_per_second
                         : 0;
    (void)err;
    self->seconds += arithmetic > traffic ? arithmetic : traffic;
    return VB_OK;
}

static enum vb_status virtual_elapsed(struct vb_device *base, double *seconds, struct vb_error *err)
{
    struct virtual_device *self = from_base(base);
    (void)err;
    *seconds = self->seconds;
    self->seconds = 0;
    return VB_OK;
}

const struct vb_device_kind vb_device_virtual = {
    .prefix = "virtual",
    .open = virtual_open,
    .close = virtual_close,
    .reserve = virtual_reserve,
    .release = virtual_release,
    .free_bytes = virtual_free_bytes,
    .plan = virtual_plan,
    .run = virtual_run,
    .elapsed = virtual_elapsed,
};
