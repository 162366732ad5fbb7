/* SPDX-License-Identifier: Apache-2.0 */
/* The facade: finds the kind by the device's name, checks and rounds once, hands on. */
#include "device/device.h"

#include <assert.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "base/bytes.h"
#include "config.h"
#include "device/kind.h"

/* All kinds of this build. */
static const struct vb_device_kind *const kinds[] = {
    &vb_device_virtual,
    &vb_device_cpu,
#if VB_WITH_CUDA
    &vb_device_cuda,
#endif
};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

enum vb_status vb_device_open(const char *name, struct vb_device **out, struct vb_error *err)
{
    const size_t length = strcspn(name, ":");
    const char *selector = name[length] == ':' ? name + length + 1 : "";

    for (size_t i = 0; i < N_KINDS; i++) {
        if (strlen(kinds[i]->prefix) == length && strncmp(kinds[i]->prefix, name, length) == 0)
            return kinds[i]->open(selector, out, err);
    }
    return vb_fail(err, VB_E_INPUT,
                   "no device is called '%.64s'; this build has cpu, cpu:THREADS, %s and "
                   "virtual:GPU, as virtual:rtx3090 ('vrambench devices' lists the GPUs)",
                   name, VB_WITH_CUDA ? "cuda:N" : "no cuda:N (it was built without nvcc)");
}

enum vb_status vb_device_limit(struct vb_device *device, uint64_t bytes, struct vb_error *err)
{
    struct vb_device_info *info = &device->info;
    if (bytes <= info->context_bytes)
        return vb_fail(err, VB_E_INPUT,
                       "%s: %" PRIu64 " B are no memory, its context takes %" PRIu64, info->name,
                       bytes, info->context_bytes);
    if (bytes < info->capacity_bytes)
        info->capacity_bytes = bytes;
    return VB_OK;
}

void vb_device_close(struct vb_device *device)
{
    if (device != NULL)
        device->kind->close(device);
}

const struct vb_device_info *vb_device_info(const struct vb_device *device)
{
    return &device->info;
}

enum vb_status vb_device_reserve(struct vb_device *device, uint64_t bytes, struct vb_segment *out,
                                 struct vb_error *err)
{
    assert(bytes > 0);
    const uint64_t granularity = device->info.granularity_bytes;
    uint64_t rounded = vb_round_up(bytes, granularity);
    if (rounded == UINT64_MAX) /* more than there can be: the kind refuses it with its own words */
        rounded -= granularity - 1;
    return device->kind->reserve(device, rounded, out, err);
}

void vb_device_release(struct vb_device *device, struct vb_segment segment)
{
    /* A caller may know the segment by what it asked for. */
    segment.bytes = vb_round_up(segment.bytes, device->info.granularity_bytes);
    device->kind->release(device, segment);
}

uint64_t vb_device_free_bytes(const struct vb_device *device)
{
    return device->kind->free_bytes(device);
}

void vb_device_mark(struct vb_device *device, vb_address address, uint64_t bytes, bool is_taken)
{
    if (device->kind->mark != NULL)
        device->kind->mark(device, address, bytes, is_taken);
}

bool vb_device_plans(const struct vb_device *device)
{
    return device->kind->plan != NULL;
}

enum vb_status vb_device_time_plans(struct vb_device *device, const struct vb_work *work,
                                    uint64_t workspace_bytes, struct vb_error *err)
{
    if (device->kind->time_plans == NULL)
        return VB_OK;
    return device->kind->time_plans(device, work, workspace_bytes, err);
}

enum vb_status vb_device_plan(struct vb_device *device, const struct vb_conv *conv,
                              const struct vb_conv_rules *rules, struct vb_conv_plan *out,
                              struct vb_error *err)
{
    if (!vb_device_plans(device))
        return vb_fail(err, VB_E_UNSUPPORTED, "%s plans nothing: it runs what it is given",
                       device->info.name);
    return device->kind->plan(device, conv, rules, out, err);
}

enum vb_status vb_device_workspace(struct vb_device *device, const struct vb_call *call,
                                   uint64_t *bytes, struct vb_error *err)
{
    assert(device->info.layout != VB_ONLY_PLANNED);
    return device->kind->workspace(device, call, bytes, err);
}

enum vb_status vb_device_read(struct vb_device *device, vb_address address, void *out, size_t bytes,
                              struct vb_error *err)
{
    assert(device->info.layout != VB_ONLY_PLANNED);
    return device->kind->read(device, address, out, bytes, err);
}

enum vb_status vb_device_run(struct vb_device *device, const struct vb_work *work,
                             struct vb_error *err)
{
    return device->kind->run(device, work, err);
}

enum vb_status vb_device_elapsed(struct vb_device *device, double *seconds, struct vb_error *err)
{
    return device->kind->elapsed(device, seconds, err);
}

bool vb_device_watch(struct vb_device *device, bool records)
{
    return device->kind->watch != NULL && device->kind->watch(device, records);
}

void vb_device_note(struct vb_device *device, enum vb_moment moment)
{
    if (device->kind->note != NULL)
        device->kind->note(device, moment);
}

enum vb_status vb_device_tell(struct vb_device *device, struct vb_record *record,
                              struct vb_error *err)
{
    return device->kind->tell != NULL ? device->kind->tell(device, record, err) : VB_OK;
}

enum vb_status vb_device_tell_work(struct vb_device *device, uint32_t steps,
                                   struct vb_record *record, struct vb_error *err)
{
    if (device->kind->tell_work == NULL)
        return VB_OK;
    return device->kind->tell_work(device, steps, record, err);
}

enum vb_layout vb_device_layout(const struct vb_device *device, bool channels_last)
{
    const enum vb_layout layout = device->info.layout;
    return layout == VB_IN_ORDER && channels_last ? VB_CHANNELS_LAST : layout;
}

enum vb_status vb_device_describe(struct vb_device *device, char **json, struct vb_error *err)
{
    if (device->kind->describe == NULL)
        return vb_fail(err, VB_E_UNSUPPORTED, "%s is no GPU that is there", device->info.name);
    return device->kind->describe(device, json, err);
}
