/* SPDX-License-Identifier: Apache-2.0 */
/* A GPU that is there: memory from its driver, convolutions by cuDNN, all else by kernels/. All
 * work goes to one stream, so it is done in the order in which it comes, and nothing waits but
 * reads, times and what the driver itself makes wait. */

#include "config.h"

#if VB_WITH_CUDA
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/cuda_state.h"

enum { MOST_GPUS = 64, POISON = 0xff }; /* NaN in every type */

/* Of what cannot be told where it happens, the first is told with the next time. */
static void keep_fault(struct vb_cuda *self, enum vb_status status, const struct vb_error *err)
{
    if (status != VB_OK && self->late_status == VB_OK) {
        self->late_status = status;
        self->late = *err;
    }
}

static enum vb_status tell_fault(struct vb_cuda *self, struct vb_error *err)
{
    const enum vb_status status = self->late_status;
    self->late_status = VB_OK;
    return status == VB_OK ? VB_OK : vb_fail(err, status, "%s", self->late.text);
}

/* Also closes what cuda_open() left half open. */
static void cuda_close(struct vb_device *base)
{
    struct vb_cuda *self = vb_cuda_of(base);
    for (size_t i = 0; i < self->segments.n; i++)
        (void)self->driver.free(self->segments.items[i].address);
    free(self->segments.items);
    vb_cuda_stop(self);
    free(self);
}

static enum vb_status read_ordinal(const char *selector, int *out, struct vb_error *err)
{
    char *end = NULL;
    long n = selector[0] == '\0' ? 0 : strtol(selector, &end, 10);
    if ((selector[0] != '\0' && (selector[0] < '0' || selector[0] > '9' || *end != '\0')) ||
        n >= MOST_GPUS)
        return vb_fail(err, VB_E_INPUT,
                       "cuda:%.64s: expected cuda, or cuda:N with the number of a GPU, from 0",
                       selector);
    *out = (int)n;
    return VB_OK;
}

static enum vb_status cuda_open(const char *selector, struct vb_device **out, struct vb_error *err)
{
    const char *poison = getenv("VRAMBENCH_POISON");
    int ordinal = 0;
    enum vb_status status = read_ordinal(selector, &ordinal, err);
    if (status != VB_OK)
        return status;
    struct vb_cuda *self = calloc(1, sizeof *self);
    if (self == NULL)
        return vb_fail(err, VB_E_SYSTEM, "cuda:%d: no host memory left", ordinal);
    self->base.kind = &vb_device_cuda;
    self->poisons = poison != NULL && strcmp(poison, "1") == 0;
    struct vb_error reason = { 0 };
    status = vb_cuda_start(self, ordinal, &reason);
    if (status != VB_OK) {
        cuda_close(&self->base);
        return vb_fail(err, status == VB_E_NO_FIT ? VB_E_DEVICE : status, "%s%s",
                       status == VB_E_INPUT ? "" : "cuda: ", reason.text);
    }
    *out = &self->base;
    return VB_OK;
}

static uint64_t cuda_free_bytes(const struct vb_device *base)
{
    const struct vb_cuda *self = (const struct vb_cuda *)base;
    const struct vb_device_info *info = &base->info;
    const uint64_t taken = info->context_bytes + self->segments.bytes;
    const uint64_t allowed = info->capacity_bytes > taken ? info->capacity_bytes - taken : 0;
    size_t left = 0, total = 0;
    if (self->driver.get_info(&left, &total) != CUDA_SUCCESS)
        return allowed;
    return left < allowed ? left : allowed;
}

static enum vb_status cuda_reserve(struct vb_device *base, uint64_t bytes, struct vb_segment *out,
                                   struct vb_error *err)
{
    struct vb_cuda *self = vb_cuda_of(base);
    const uint64_t left = cuda_free_bytes(base);
    CUdeviceptr address = 0;
    if (bytes > left)
        return vb_fail(err, VB_E_NO_FIT, "%s: %" PRIu64 " B asked for, %" PRIu64 " B left",
                       base->info.name, bytes, left);
    enum vb_status status = vb_segments_make_room(&self->segments, base->info.name, err);
    if (status != VB_OK)
        return status;
    vb_capture_enter(self->capture, vb_tag(VB_OWNER_POOL, 0));
    status = vb_cuda_check(&self->driver, self->driver.alloc(&address, bytes),
                           "taking memory of the GPU", err);
    vb_capture_leave(self->capture);
    if (status != VB_OK)
        return status;
    *out = (struct vb_segment){ .address = address, .bytes = bytes };
    vb_segments_add(&self->segments, *out);
    const uint64_t after = cuda_free_bytes(base);
    self->lowest_free_bytes = after < self->lowest_free_bytes ? after : self->lowest_free_bytes;
    return VB_OK;
}

static void cuda_release(struct vb_device *base, struct vb_segment segment)
{
    struct vb_cuda *self = vb_cuda_of(base);
    struct vb_error err = { 0 };
    vb_segments_remove(&self->segments, segment);
    keep_fault(self, vb_cuda_flush(self, &err), &err);
    vb_capture_enter(self->capture, vb_tag(VB_OWNER_POOL, 0));
    keep_fault(self,
               vb_cuda_check(&self->driver, self->driver.free(segment.address),
                             "giving back memory", &err),
               &err);
    vb_capture_leave(self->capture);
}

static void cuda_mark(struct vb_device *base, vb_address address, uint64_t bytes, bool is_taken)
{
    struct vb_cuda *self = vb_cuda_of(base);
    struct vb_error err = { 0 };
    (void)is_taken;
    if (!self->poisons || bytes == 0)
        return;
    keep_fault(self, vb_cuda_flush(self, &err), &err);
    keep_fault(self,
               vb_cuda_check(&self->driver,
                             self->driver.set_bytes(address, POISON, bytes, self->stream),
                             "poisoning memory", &err),
               &err);
}

static enum vb_status cuda_workspace(struct vb_device *base, const struct vb_call *call,
                                     uint64_t *bytes, struct vb_error *err)
{
    (void)base;
    *bytes = 0;
    return call->op == VB_OP_UPLOAD ? VB_OK : vb_launch_find(call, err);
}

static enum vb_status cuda_read(struct vb_device *base, vb_address address, void *out, size_t bytes,
                                struct vb_error *err)
{
    struct vb_cuda *self = vb_cuda_of(base);
    enum vb_status status = tell_fault(self, err);
    return status == VB_OK ? vb_cuda_read(self, address, out, bytes, err) : status;
}

static enum vb_status cuda_run(struct vb_device *base, const struct vb_work *work,
                               struct vb_error *err)
{
    struct vb_cuda *self = vb_cuda_of(base);
    const enum vb_operator op = work->call->op;
    const bool is_conv = vb_operator_is_conv(op);
    enum vb_status status = tell_fault(self, err);
    if (status != VB_OK)
        return status;
    /* Our kernels take no memory: whose they are matters where each is recorded. */
    struct vb_capture *const capture = is_conv || self->is_watched ? self->capture : NULL;
    vb_capture_enter(capture, vb_cuda_tag(op));
    status = is_conv ? vb_cuda_run_conv(self, work, err) : vb_cuda_run_kernels(self, work, err);
    vb_capture_leave(capture);
    return status;
}

static enum vb_status cuda_elapsed(struct vb_device *base, double *seconds, struct vb_error *err)
{
    struct vb_cuda *self = vb_cuda_of(base);
    const struct vb_cuda_driver *driver = &self->driver;
    float milliseconds = 0;
    enum vb_status status = tell_fault(self, err);
    if (status == VB_OK)
        status = vb_cuda_flush(self, err);
    if (status == VB_OK)
        status = vb_cuda_check(&self->driver, driver->event_record(self->now, self->stream),
                               "taking the time", err);
    if (status == VB_OK)
        status = vb_cuda_synchronize(self, err);
    if (status == VB_OK && self->has_last)
        status = vb_cuda_check(&self->driver,
                               driver->event_elapsed(&milliseconds, self->last, self->now),
                               "taking the time", err);
    if (status != VB_OK)
        return status;
    const CUevent before = self->last;
    self->last = self->now;
    self->now = before;
    self->has_last = true;
    *seconds = (double)milliseconds * 1e-3;
    return VB_OK;
}

static enum vb_status cuda_describe(struct vb_device *base, char **json, struct vb_error *err)
{
    return vb_cudnn_describe(&vb_cuda_of(base)->target, json, err);
}

const struct vb_device_kind vb_device_cuda = {
    .prefix = "cuda",
    .open = cuda_open,
    .close = cuda_close,
    .reserve = cuda_reserve,
    .release = cuda_release,
    .free_bytes = cuda_free_bytes,
    .mark = cuda_mark,
    .plan = vb_cuda_plan,
    .time_plans = vb_cuda_time_plans,
    .workspace = cuda_workspace,
    .read = cuda_read,
    .run = cuda_run,
    .elapsed = cuda_elapsed,
    .watch = vb_cuda_watch,
    .note = vb_cuda_note,
    .tell = vb_cuda_tell,
    .tell_work = vb_cuda_tell_work,
    .describe = cuda_describe,
};
#endif
