/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/export_gpu.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/bytes.h"
#include "config.h"
#include "device/device.h"

/* The keys of sweeps/gpus/README.md that cuDNN does not know. The rates of arithmetic and of memory
 * cannot be read off a device. */
static void add_own_keys(json_t *root, const struct vb_device_info *info)
{
    char day[32] = "", text[256];
    const time_t now = time(NULL);
    struct tm parts;
    if (gmtime_r(&now, &parts) != NULL)
        (void)strftime(day, sizeof day, "%Y-%m-%d", &parts);
    (void)snprintf(text, sizeof text,
                   "read off the device by cuDNN %" PRIu64 ".%" PRIu64 ".%" PRIu64
                   ", vrambench " VB_VERSION " " VB_COMMIT ", %s",
                   info->cudnn_version / 10000, info->cudnn_version / 100 % 100,
                   info->cudnn_version % 100, day);
    (void)json_object_set_new(root, "source", json_string(text));
    (void)json_object_set_new(root, "contextGiB", json_real(vb_to_gib(info->context_bytes)));
    (void)json_object_set_new(root, "contextSource",
                              json_string("measured: what is gone with vrambench's own kernels, "
                                          "cuDNN's handle and whatever other processes had; "
                                          "PyTorch has more kernels"));
}

enum vb_status cli_export_gpu(const char *name, struct vb_error *err)
{
    struct vb_device *device = NULL;
    char *text = NULL;
    enum vb_status status = vb_device_open(name, &device, err);
    if (status == VB_OK)
        status = vb_device_describe(device, &text, err);
    json_t *root = status == VB_OK ? json_loads(text, 0, NULL) : NULL;
    if (status == VB_OK && !json_is_object(root))
        status = vb_fail(err, VB_E_DEVICE, "%s: what cuDNN says of it is no JSON object", name);
    if (status == VB_OK) {
        add_own_keys(root, vb_device_info(device));
        (void)json_dumpf(root, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(4));
        putchar('\n');
    }
    json_decref(root);
    free(text);
    vb_device_close(device);
    return status;
}
