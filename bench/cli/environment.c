/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/environment.h"

#include <gnu/libc-version.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "base/file.h"
#include "config.h"

static void add_device(json_t *root, const struct vb_device *device)
{
    const struct vb_device_info *info = vb_device_info(device);
    (void)json_object_set_new(root, "device", json_string(info->name));
    (void)json_object_set_new(root, "gpu", json_string(info->product));
    (void)json_object_set_new(root, "provenance",
                              json_string(info->measures ? "measured" : "planned"));
    (void)json_object_set_new(root, "capacity_bytes",
                              json_integer((json_int_t)info->capacity_bytes));
    (void)json_object_set_new(
        root, "usable_bytes",
        json_integer((json_int_t)(info->capacity_bytes - info->context_bytes)));
    if (info->cudnn_version > 0)
        (void)json_object_set_new(root, "cudnn", json_integer((json_int_t)info->cudnn_version));
    if (info->onednn[0] != '\0')
        (void)json_object_set_new(root, "onednn", json_string(info->onednn));
    if (info->threads > 0)
        (void)json_object_set_new(root, "threads", json_integer((json_int_t)info->threads));
}

static void add_machine(json_t *root)
{
    struct utsname name;
    char text[32];
    time_t now = time(NULL);
    struct tm parts;
    if (gmtime_r(&now, &parts) != NULL &&
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts) > 0)
        (void)json_object_set_new(root, "started_utc", json_string(text));
    if (uname(&name) == 0)
        (void)json_object_set_new(root, "kernel", json_string(name.release));
    (void)json_object_set_new(root, "glibc", json_string(gnu_get_libc_version()));
}

enum vb_status cli_write_environment(const char *folder, const struct vb_device *device, int argc,
                                     char *const *argv, struct vb_error *err)
{
    char path[PATH_MAX];
    json_t *root = json_object();
    json_t *command = json_array();
    (void)json_array_append_new(command, json_string("vrambench"));
    for (int i = 0; i < argc; i++)
        (void)json_array_append_new(command, json_string(argv[i]));
    (void)json_object_set_new(root, "schema", json_integer(1));
    (void)json_object_set_new(root, "version", json_string(VB_VERSION));
    (void)json_object_set_new(root, "commit", json_string(VB_COMMIT));
    (void)json_object_set_new(root, "command", command);
    add_device(root, device);
    add_machine(root);
    (void)snprintf(path, sizeof path, "%s/env.json", folder);
    char *text = json_dumps(root, JSON_INDENT(2));
    json_decref(root);
    if (text == NULL)
        return vb_fail(err, VB_E_SYSTEM, "%s: no host memory left to write it", path);
    enum vb_status status = vb_file_write(path, text, strlen(text), err);
    free(text);
    return status;
}
