/* SPDX-License-Identifier: Apache-2.0 */
/* What the environment asks for, read once. README.md documents every variable. */
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "emulated.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct emulated_settings settings;
static json_t *properties;

static bool read_bytes(const char *variable, uint64_t *out)
{
    const char *text = getenv(variable);
    char *end = NULL;
    if (text == NULL)
        return true;
    *out = strtoull(text, &end, 10);
    if (text[0] >= '0' && text[0] <= '9' && *end == '\0')
        return true;
    emulated_log("settings: %s=%s: expected a number of bytes", variable, text);
    return false;
}

static void read_settings(void)
{
    const char *gpu = getenv("VRAMBENCH_EMULATED_GPU");
    struct vb_error err = { "" };
    if (vb_gpu_spec_find(gpu != NULL ? gpu : "rtx3090", &settings.gpu, &err) != VB_OK) {
        emulated_log("settings: VRAMBENCH_EMULATED_GPU: %s", err.text);
        return;
    }
    properties = json_loads(settings.gpu.json, 0, NULL);
    settings.capacity_bytes = settings.gpu.capacity_bytes;
    settings.cudnn_bytes = (uint64_t)8 << 20;
    settings.is_valid = read_bytes("VRAMBENCH_EMULATED_MEMORY", &settings.capacity_bytes) &&
                        read_bytes("VRAMBENCH_EMULATED_CUDNN_BYTES", &settings.cudnn_bytes);
}

const struct emulated_settings *emulated_settings(void)
{
    (void)pthread_once(&once, read_settings);
    return &settings;
}

int64_t emulated_property(const char *key)
{
    (void)emulated_settings();
    return json_integer_value(json_object_get(properties, key));
}

bool emulated_option(const char *variable, const char *name, uint64_t *number)
{
    const char *at = getenv(variable);
    const size_t length = strlen(name);
    while (at != NULL && *at != '\0') {
        const size_t part = strcspn(at, ",");
        if (part >= length && strncmp(at, name, length) == 0) {
            if (part == length)
                return true;
            if (at[length] == '=' && number != NULL) {
                *number = strtoull(at + length + 1, NULL, 10);
                return true;
            }
        }
        at += part + (at[part] == ',');
    }
    return false;
}
