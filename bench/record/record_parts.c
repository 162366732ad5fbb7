/* SPDX-License-Identifier: Apache-2.0 */
/* "parts": {"check": {"peak_allocated_bytes": 1, "peak_reserved_bytes": 2}, ...}: those that the
 * run came to, in no order. */

#include <string.h>

#include "record/json.h"

const char *const vb_part_names[VB_N_PARTS] = {
    "setup",        "check",         "drawing",    "first step", "steps",
    "largest size", "fullest batch", "last batch", "validation", "later epoch",
};

static bool is_of_a_run(const struct vb_record *record)
{
    for (size_t i = 0; i < VB_N_PARTS; i++) {
        if (record->parts[i].allocated_bytes > 0)
            return true;
    }
    return false;
}

void vb_record_write_parts(const struct vb_record *record, json_t *object)
{
    if (!is_of_a_run(record))
        return;
    json_t *parts = json_object();
    for (size_t i = 0; i < VB_N_PARTS; i++) {
        const struct vb_part_peaks *part = &record->parts[i];
        if (part->allocated_bytes > 0)
            (void)json_object_set_new(
                parts, vb_part_names[i],
                json_pack("{s:I, s:I}", "peak_allocated_bytes", (json_int_t)part->allocated_bytes,
                          "peak_reserved_bytes", (json_int_t)part->reserved_bytes));
    }
    (void)json_object_set_new(object, "parts", parts);
    (void)json_object_set_new(object, "peak_part", json_string(vb_part_names[record->peak_part]));
    if (record->state == VB_STATE_OOM)
        (void)json_object_set_new(object, "oom_part", json_string(vb_part_names[record->oom_part]));
}

static uint64_t read_bytes(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));
    return value > 0 ? (uint64_t)value : 0;
}

static void read_part(const json_t *object, const char *key, enum vb_part *out)
{
    const char *name = json_string_value(json_object_get(object, key));
    for (size_t i = 0; name != NULL && i < VB_N_PARTS; i++) {
        if (strcmp(name, vb_part_names[i]) == 0)
            *out = (enum vb_part)i;
    }
}

void vb_record_read_parts(const json_t *object, struct vb_record *out)
{
    const json_t *parts = json_object_get(object, "parts");
    for (size_t i = 0; i < VB_N_PARTS; i++) {
        const json_t *part = json_object_get(parts, vb_part_names[i]);
        out->parts[i].allocated_bytes = read_bytes(part, "peak_allocated_bytes");
        out->parts[i].reserved_bytes = read_bytes(part, "peak_reserved_bytes");
    }
    read_part(object, "peak_part", &out->peak_part);
    read_part(object, "oom_part", &out->oom_part);
}
