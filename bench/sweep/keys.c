/* SPDX-License-Identifier: Apache-2.0 */
#include "sweep/keys.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT(member)                                                                               \
    VB_KEY_TEXT, offsetof(struct vb_point, member), sizeof(((struct vb_point *)0)->member), 0, 0,  \
        NULL, 0
#define NUMBER(member, low, high)                                                                  \
    VB_KEY_NUMBER, offsetof(struct vb_point, member), 0, low, high, NULL, 0
#define SWITCH(member) VB_KEY_SWITCH, offsetof(struct vb_point, member), 0, 0, 0, NULL, 0
#define NAME(member, names)                                                                        \
    VB_KEY_NAME, offsetof(struct vb_point, member), 0, 0, 0, names, sizeof names / sizeof *names

const struct vb_key vb_keys[] = {
    { "model", "yolov5s, yolov8n, ... or a .yaml file", "the model to train", TEXT(model) },
    { "batch", "1 to 65536", "images in a batch", NUMBER(batch, 1, 65536) },
    { "imgsz", "a multiple of the model's stride", "pixels a side, square",
      NUMBER(imgsz, 1, 16384) },
    { "precision", "fp32, fp16, bf16",
      "of the arithmetic; fp16 and bf16 are autocast over fp32 weights",
      NAME(precision, vb_precision_names) },
    { "mosaic", "off, cpu, on", "where four images are composed into one: nowhere, host, device",
      NAME(mosaic, vb_mosaic_names) },
    { "optimizer", "sgd, adam, adamw", "whose state stays on the device",
      NAME(optimizer, vb_optimizer_names) },
    { "accumulate", "1 to 1024", "batches whose gradients are summed before a step",
      NUMBER(accumulate, 1, 1024) },
    { "targets", "1 to 1000", "boxes an image: what the loss takes depends on it",
      NUMBER(targets, 1, 1000) },
    { "classes", "0 to 10000", "classes to tell apart; 0: as many as the model's file says",
      NUMBER(classes, 0, 10000) },
    { "ema", "on, off", "an averaged copy of the weights is kept", SWITCH(ema) },
    { "deterministic", "on, off", "plans that may differ from run to run are left out",
      SWITCH(deterministic) },
    { "benchmark", "on, off", "cuDNN times several plans and takes the fastest",
      SWITCH(benchmark) },
    { "tf32", "on, off", "fp32 convolutions may use tensor cores", SWITCH(tf32) },
    { "channels_last", "on, off", "images are stored NHWC", SWITCH(channels_last) },
    { "alloc_conf", "as PYTORCH_CUDA_ALLOC_CONF", "settings of the caching allocator",
      TEXT(alloc_conf) },
    { "pool", "caching, native", "the allocator: PyTorch's, or none",
      NAME(pool, vb_pool_kind_names) },
    { "workload", "train, profile", "a training step, or what AutoBatch times",
      NAME(workload, vb_workload_names) },
    { "warmup", "0 to 1000", "steps before those that count", NUMBER(warmup, 0, 1000) },
    { "steps", "1 to 1000", "steps that count", NUMBER(steps, 1, 1000) },
};
const size_t vb_key_count = sizeof vb_keys / sizeof *vb_keys;

const struct vb_key *vb_key_find(const char *name)
{
    for (size_t i = 0; i < vb_key_count; i++) {
        if (strcmp(vb_keys[i].name, name) == 0)
            return &vb_keys[i];
    }
    return NULL;
}

const char *vb_key_nearest(const char *name)
{
    const char *names[sizeof vb_keys / sizeof *vb_keys];
    for (size_t i = 0; i < vb_key_count; i++)
        names[i] = vb_keys[i].name;
    return vb_text_nearest(name, names, vb_key_count);
}

static enum vb_status set_number(const struct vb_key *key, const char *text, uint32_t *out,
                                 struct vb_error *err)
{
    char *end = NULL;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0)
        return vb_fail(err, VB_E_INPUT, "%s is '%s', expected a whole number, %s", key->name, text,
                       key->values);
    if (value < (long)key->low || value > (long)key->high)
        return vb_fail(err, VB_E_INPUT, "%s is %ld, expected %" PRIu32 " to %" PRIu32, key->name,
                       value, key->low, key->high);
    *out = (uint32_t)value;
    return VB_OK;
}

static enum vb_status set_switch(const struct vb_key *key, const char *text, bool *out,
                                 struct vb_error *err)
{
    static const char *const yes[] = { "on", "true", "yes", "1" };
    static const char *const no[] = { "off", "false", "no", "0" };
    for (size_t i = 0; i < 4; i++) {
        if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
            *out = strcmp(text, yes[i]) == 0;
            return VB_OK;
        }
    }
    return vb_fail(err, VB_E_INPUT, "%s is '%s', expected on or off", key->name, text);
}

/* Enums are ints as far as this table goes. */
static enum vb_status set_name(const struct vb_key *key, const char *text, int *out,
                               struct vb_error *err)
{
    for (size_t i = 0; i < key->n_names; i++) {
        if (strcmp(key->names[i], text) == 0) {
            *out = (int)i;
            return VB_OK;
        }
    }
    const char *near = vb_text_nearest(text, key->names, key->n_names);
    if (near != NULL)
        return vb_fail(err, VB_E_INPUT, "%s is '%s'; did you mean %s? (there is %s)", key->name,
                       text, near, key->values);
    return vb_fail(err, VB_E_INPUT, "%s is '%s', expected %s", key->name, text, key->values);
}

enum vb_status vb_key_set(const struct vb_key *key, const char *text, struct vb_point *point,
                          struct vb_error *err)
{
    void *member = (char *)point + key->offset;
    switch (key->kind) {
    case VB_KEY_TEXT:
        if (strlen(text) >= key->room)
            return vb_fail(err, VB_E_INPUT, "%s is longer than %zu characters", key->name,
                           key->room - 1);
        (void)snprintf(member, key->room, "%s", text);
        return VB_OK;
    case VB_KEY_NUMBER:
        return set_number(key, text, member, err);
    case VB_KEY_SWITCH:
        return set_switch(key, text, member, err);
    case VB_KEY_NAME:
        return set_name(key, text, member, err);
    }
    return VB_OK;
}

void vb_key_get(const struct vb_key *key, const struct vb_point *point, char *text, size_t room)
{
    const void *member = (const char *)point + key->offset;
    switch (key->kind) {
    case VB_KEY_TEXT:
        (void)snprintf(text, room, "%s", (const char *)member);
        break;
    case VB_KEY_NUMBER:
        (void)snprintf(text, room, "%" PRIu32, *(const uint32_t *)member);
        break;
    case VB_KEY_SWITCH:
        (void)snprintf(text, room, "%s", *(const bool *)member ? "on" : "off");
        break;
    case VB_KEY_NAME:
        (void)snprintf(text, room, "%s", key->names[*(const int *)member]);
        break;
    }
}

void vb_keys_reference(struct vb_text *out)
{
    struct vb_point point = vb_point_default();
    vb_text_append(out, "| key | takes | default | what it is |\n| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < vb_key_count; i++) {
        char value[256];
        vb_key_get(&vb_keys[i], &point, value, sizeof value);
        bool is_given = value[0] == '\0' || (vb_keys[i].kind == VB_KEY_NUMBER &&
                                             vb_keys[i].low > 0 && strcmp(value, "0") == 0);
        vb_text_append(out, "| %s | %s | %s | %s |\n", vb_keys[i].name, vb_keys[i].values,
                       is_given ? "" : value, vb_keys[i].help);
    }
}
