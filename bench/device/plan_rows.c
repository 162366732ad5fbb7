/* SPDX-License-Identifier: Apache-2.0 */
#include "device/plan_rows.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const char *const vb_conv_direction_names[3] = { "forward", "backward-data", "backward-filter" };
const char *const vb_conv_type_names[3] = { "fp32", "fp16", "bf16" };
const char *const vb_conv_source_names[3] = { "library", "table", "fitted" };

static const char *const layout_names[2] = { "nchw", "nhwc" };

void vb_plan_row_write(struct vb_text *text, const char *gpu, const struct vb_plan_key *key,
                       const struct vb_plan_answer *answer, enum vb_conv_source source)
{
    vb_text_append(text,
                   "%s,%s,%s,%s,%" PRIu32 ",%" PRIu32 ",%" PRIu32 ",%" PRIu32 ",%" PRIu32
                   ",%" PRIu32 ",%" PRIu32 ",%" PRIu32 ",%" PRIu32 ",%" PRIu32 ",%" PRIu32
                   ",%" PRIu32 ",%" PRId64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%s\n",
                   gpu, vb_conv_direction_names[key->direction], vb_conv_type_names[key->type],
                   layout_names[key->channels_last], key->n, key->c, key->h, key->w, key->k,
                   key->kernel_h, key->kernel_w, key->stride, key->pad, key->dilation, key->groups,
                   key->deterministic, answer->engine, answer->workspace_bytes, answer->low_bytes,
                   answer->high_bytes, vb_conv_source_names[source]);
}

/* Takes the cell at `*at`, one of the names, and what ends it; false where it is none of them. */
static bool take_name(const char **at, const char *const *names, size_t n, uint32_t *out)
{
    const size_t length = strcspn(*at, ",");
    for (size_t i = 0; i < n; i++) {
        if (strlen(names[i]) != length || strncmp(names[i], *at, length) != 0)
            continue;
        *out = (uint32_t)i;
        *at += length + ((*at)[length] == ',');
        return true;
    }
    return false;
}

/* Takes a whole number and the comma after it. */
static bool take_number(const char **at, int64_t least, int64_t most, int64_t *out)
{
    char *end = NULL;
    errno = 0;
    *out = strtoll(*at, &end, 10);
    if (end == *at || *end != ',' || errno != 0 || *out < least || *out > most)
        return false;
    *at = end + 1;
    return true;
}

bool vb_plan_key_is_sane(const struct vb_plan_key *key)
{
    return key->n > 0 && key->c > 0 && key->h > 0 && key->w > 0 && key->k > 0 &&
           key->kernel_h > 0 && key->kernel_w > 0 && key->stride > 0 && key->dilation > 0 &&
           key->groups > 0 && key->c % key->groups == 0 && key->channels_last <= 1;
}

bool vb_plan_row_read(const char *line, struct vb_plan_entry *out)
{
    struct vb_plan_key *key = &out->key;
    uint32_t *const numbers[] = { &key->n,   &key->c,        &key->h,        &key->w,
                                  &key->k,   &key->kernel_h, &key->kernel_w, &key->stride,
                                  &key->pad, &key->dilation, &key->groups,   &key->deterministic };
    uint64_t *const bytes[] = { &out->answer.workspace_bytes, &out->answer.low_bytes,
                                &out->answer.high_bytes };
    int64_t number = 0;
    uint32_t source = 0;
    *out = (struct vb_plan_entry){ .key.tf32 = 1 };
    const char *at = strchr(line, ',');
    if (at == NULL)
        return false;
    at++;
    if (!take_name(&at, vb_conv_direction_names, 3, &key->direction) ||
        !take_name(&at, vb_conv_type_names, 3, &key->type) ||
        !take_name(&at, layout_names, 2, &key->channels_last))
        return false;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (!take_number(&at, 0, UINT32_MAX, &number))
            return false;
        *numbers[i] = (uint32_t)number;
    }
    if (!take_number(&at, VB_PLAN_NONE, INT32_MAX, &out->answer.engine))
        return false;
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
        if (!take_number(&at, 0, INT64_MAX, &number))
            return false;
        *bytes[i] = (uint64_t)number;
    }
    return take_name(&at, vb_conv_source_names, 3, &source) && *at == '\0' &&
           key->deterministic <= 1 && vb_plan_key_is_sane(key);
}
