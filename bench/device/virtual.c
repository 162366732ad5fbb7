/* SPDX-License-Identifier: Apache-2.0 */
/* The virtual device: the capacity and the address space of a GPU, without the GPU.
 *
 * Nothing is behind its addresses. Each segment lies below the one before, as a driver places them:
 * which of two equally large free blocks a pool takes depends on it (torch-memory.md, part
 * A, 1.13). They are never given out twice, so that a tensor used after its segment was released
 * cannot be taken for another one.
 */

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/conv_plan.h"
#include "device/gpu_spec.h"
#include "device/kind.h"

enum { GRANULARITY_BYTES = 2 << 20 }; /* as cuMemGetAllocationGranularity() gives it */

/* Above any address that a driver gives, with room below for more segments than can be reserved in
 * years. */
#define FIRST_ADDRESS ((vb_address)1 << 62)

#define BOUNDLESS_BYTES ((uint64_t)1 << 60) /* addresses reach further */

struct virtual_device {
    struct vb_device base;
    struct vb_gpu_spec gpu; /* the planner borrows it */
    struct vb_conv_planner *planner;
    bool borrows;      /* both, from another device; else they are owned */
    vb_address lowest; /* of the segments so far */
    uint64_t reserved_bytes;
    double seconds; /* modelled since the last virtual_elapsed() */
};

static struct virtual_device *from_base(struct vb_device *base)
{
    return (struct virtual_device *)base;
}

/* Also closes what virtual_open() left half open. */
static void virtual_close(struct vb_device *base)
{
    struct virtual_device *self = from_base(base);

    if (!self->borrows) {
        vb_conv_planner_close(self->planner);
        vb_gpu_spec_clear(&self->gpu);
    }
    free(self);
}

enum vb_status vb_device_open_virtual(const char *selector, const struct vb_conv_origin *origin,
                                      struct vb_device **out, struct vb_error *err)
{
    struct virtual_device *self = calloc(1, sizeof *self);
    if (self == NULL)
        return vb_fail(err, VB_E_SYSTEM, "virtual:%s: no host memory left", selector);

    enum vb_status status = vb_gpu_spec_find(selector, &self->gpu, err);
    if (status != VB_OK)
        goto fail;
    status = vb_conv_planner_open_from(&self->gpu, origin, &self->planner, err);
    if (status != VB_OK)
        goto fail;

    struct vb_device_info *info = &self->base.info;
    (void)snprintf(info->name, sizeof info->name, "virtual:%s", selector);
    (void)snprintf(info->product, sizeof info->product, "%s", self->gpu.product);
    info->capacity_bytes = self->gpu.capacity_bytes;
    info->context_bytes = self->gpu.context_bytes;
    info->context_eager_bytes = self->gpu.context_eager_bytes;
    info->granularity_bytes = GRANULARITY_BYTES;
    info->cudnn_version = vb_conv_planner_version(self->planner);
    info->compute_capability = self->gpu.compute_capability;
    info->measures = false;

    self->base.kind = &vb_device_virtual;
    self->lowest = FIRST_ADDRESS;
    *out = &self->base;
    return VB_OK;

fail:
    virtual_close(&self->base);
    return status;
}

static enum vb_status virtual_open(const char *selector, struct vb_device **out,
                                   struct vb_error *err)
{
    static const struct vb_conv_origin any;
    return vb_device_open_virtual(selector, &any, out, err);
}

enum vb_status vb_device_open_boundless(const char *name, struct vb_device **out,
                                        struct vb_error *err)
{
    static const char prefix[] = "virtual:";
    struct vb_device *device = NULL;
    if (strncmp(name, prefix, strlen(prefix)) != 0)
        return vb_fail(err, VB_E_INPUT, "'%.64s' is no virtual device: its memory is what it is",
                       name);
    enum vb_status status = virtual_open(name + strlen(prefix), &device, err);
    if (status != VB_OK)
        return status;
    device->info.capacity_bytes = BOUNDLESS_BYTES;
    *out = device;
    return VB_OK;
}

enum vb_status vb_device_open_boundless_of(struct vb_device *device, struct vb_device **out,
                                           struct vb_error *err)
{
    const char *name = device->info.name;
    if (device->kind != &vb_device_virtual)
        return vb_fail(err, VB_E_INPUT, "%s is no virtual device: its memory is what it is", name);
    struct virtual_device *self = malloc(sizeof *self);
    if (self == NULL)
        return vb_fail(err, VB_E_SYSTEM, "%s: no host memory left", name);
    *self = *from_base(device);
    self->base.info.capacity_bytes = BOUNDLESS_BYTES;
    self->borrows = true;
    self->lowest = FIRST_ADDRESS;
    self->reserved_bytes = 0;
    self->seconds = 0;
    *out = &self->base;
    return VB_OK;
}

bool vb_device_has_asked(const struct vb_device *device)
{
    return device->kind == &vb_device_virtual &&
           vb_conv_planner_has_asked(((const struct virtual_device *)device)->planner);
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
    if (bytes >= self->lowest)
        return vb_fail(err, VB_E_DEVICE, "%s: no addresses left", base->info.name);

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

/* The rate of arithmetic, 0 where the GPU's file does not say: only convolutions and products use
 * tensor cores, and everything else computes in fp32 whatever the type it reads. bf16 runs at
 * fp16's rate where the GPU has it. PyTorch lets convolutions use TF32, products not. */
static double rate_of(const struct vb_gpu_spec *gpu, const struct vb_work *work)
{
    const bool is_convolution = vb_operator_is_conv(work->call->op);
    const bool is_product = work->call->op == VB_OP_MATMUL;
    double narrow = 0.0;
    if ((is_convolution || is_product) && work->call->dtype != VB_FLOAT32)
        narrow = gpu->fp16_flops;
    else if (is_convolution)
        narrow = gpu->tf32_flops;
    return narrow > 0.0 ? narrow : gpu->fp32_flops;
}

/* The roofline: the longer of computing and of moving the bytes, both at their peak. A bound from
 * below; launches are not in it. */
static enum vb_status virtual_run(struct vb_device *base, const struct vb_work *work,
                                  struct vb_error *err)
{
    struct virtual_device *self = from_base(base);
    const double rate = rate_of(&self->gpu, work);
    const double bandwidth = self->gpu.bandwidth_bytes_per_second;
    const double computing = rate > 0.0 ? work->call->flops / rate : 0.0;
    const double moving = bandwidth > 0.0 ? (double)work->call->bytes / bandwidth : 0.0;

    (void)err;
    self->seconds += computing > moving ? computing : moving;
    return VB_OK;
}

static enum vb_status virtual_elapsed(struct vb_device *base, double *seconds, struct vb_error *err)
{
    struct virtual_device *self = from_base(base);

    (void)err;
    *seconds = self->seconds;
    self->seconds = 0.0;
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
