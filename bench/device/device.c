/* SPDX-License-Identifier: Apache-2.0 */
#include "device/device.h"

#include <string.h>

#include "base/bytes.h"
#include "device/kind.h"

static const struct vb_device_kind *const kinds[] = { &vb_device_virtual };

enum vb_status vb_device_open(const char *name, struct vb_device **out, struct vb_error *err)
{
    const char *colon = strchr(name, ':');
    size_t length = colon != NULL ? (size_t)(colon - name) : strlen(name);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strlen(kinds[i]->prefix) == length && strncmp(kinds[i]->prefix, name, length) == 0)
            return kinds[i]->open(colon != NULL ? colon + 1 : "", out, err);
    }
    return vb_fail(err, VB_E_INPUT, "no kind of device is called '%.*s'; expected auto or virtual:GPU",
                   (int)length, name);
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
    uint64_t rounded = vb_round_up(bytes, device->info.granularity_bytes);
    return device->kind->reserve(device, rounded, out, err);
}

void vb_device_release(struct vb_device *device, struct vb_segment segment)
{
    segment.bytes = vb_round_up(segment.bytes, device->info.granularity_bytes);
    device->kind->release(device, segment);
}

uint64_t vb_device_free_bytes(const struct vb_device *device)
{
    return device->kind->free_bytes(device);
}

enum vb_status vb_device_plan(struct vb_device *device, const struct vb_conv *conv,
                              const struct vb_conv_rules *rules, struct vb_conv_plan *out,
                              struct vb_error *err)
{
    return device->kind->plan(device, conv, rules, out, err);
}

enum vb_status vb_device_run(struct vb_device *device, const struct vb_work *work, struct vb_error *err)
{
    return device->kind->run(device, work, err);
}

enum vb_status vb_device_elapsed(struct vb_device *device, double *seconds, struct vb_error *err)
{
    return device->kind->elapsed(device, seconds, err);
}
