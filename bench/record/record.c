/* SPDX-License-Identifier: Apache-2.0 */
#include "record/record.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "record/json.h"
#include "record/profile.h"

enum { SCHEMA = 5 };

const char *const vb_state_names[VB_N_STATES] = {
    "ok", "lower-bound", "oom", "backstop", "unsupported", "throttled", "timeout", "error",
};

const char *const vb_provenance_names[2] = { "measured", "planned" };

const char *const vb_category_names[VB_N_CATEGORIES] = {
    "weights", "ema",          "optimizer", "gradients", "activations",
    "input",   "augmentation", "loss",      "workspace", "temporary",
};

const char *const vb_phase_names[] = {
    "setup",     "augment",   "input", "forward", "loss", "backward", "clip",
    "optimizer", "zero_grad", "ema",   "check",   "draw", "validate",
};

_Static_assert(sizeof vb_phase_names / sizeof *vb_phase_names == VB_N_PHASES, "a name a phase");

#define MEMBER VB_MEMBER
#define NAMED(type, member, names)                                                                 \
    {                                                                                              \
#member, VB_MEMBER_NAME, offsetof(struct type, member), 0, names,                          \
            sizeof names / sizeof *names                                                           \
    }

const struct vb_member vb_point_members[] = {
    MEMBER(vb_point, model, VB_MEMBER_TEXT),
    MEMBER(vb_point, trainer, VB_MEMBER_TEXT),
    MEMBER(vb_point, torch, VB_MEMBER_TEXT),
    MEMBER(vb_point, batch, VB_MEMBER_U32),
    MEMBER(vb_point, imgsz, VB_MEMBER_U32),
    NAMED(vb_point, precision, vb_precision_names),
    NAMED(vb_point, mosaic, vb_mosaic_names),
    MEMBER(vb_point, mixup, VB_MEMBER_BOOL),
    MEMBER(vb_point, copy_paste, VB_MEMBER_BOOL),
    NAMED(vb_point, optimizer, vb_optimizer_names),
    MEMBER(vb_point, accumulate, VB_MEMBER_U32),
    MEMBER(vb_point, targets, VB_MEMBER_U32),
    MEMBER(vb_point, most, VB_MEMBER_U32),
    MEMBER(vb_point, classes, VB_MEMBER_U32),
    MEMBER(vb_point, single_cls, VB_MEMBER_FLAG),
    MEMBER(vb_point, rect, VB_MEMBER_POSITIVE),
    MEMBER(vb_point, freeze, VB_MEMBER_COUNT),
    NAMED(vb_point, thop, vb_choice_names),
    MEMBER(vb_point, ema, VB_MEMBER_BOOL),
    NAMED(vb_point, deterministic, vb_choice_names),
    NAMED(vb_point, benchmark, vb_choice_names),
    MEMBER(vb_point, tf32, VB_MEMBER_BOOL),
    MEMBER(vb_point, channels_last, VB_MEMBER_BOOL),
    MEMBER(vb_point, multiscale, VB_MEMBER_BOOL),
    MEMBER(vb_point, alloc_conf, VB_MEMBER_TEXT),
    NAMED(vb_point, pool, vb_pool_kind_names),
    NAMED(vb_point, workspace, vb_scratch_names),
    NAMED(vb_point, workload, vb_workload_names),
    MEMBER(vb_point, warmup, VB_MEMBER_U32),
    MEMBER(vb_point, steps, VB_MEMBER_U32),
};
const size_t vb_point_member_count = sizeof vb_point_members / sizeof *vb_point_members;

const struct vb_member vb_record_members[] = {
    NAMED(vb_record, state, vb_state_names),
    NAMED(vb_record, provenance, vb_provenance_names),
    MEMBER(vb_record, reason, VB_MEMBER_TEXT),
    MEMBER(vb_record, repro, VB_MEMBER_TEXT),
    MEMBER(vb_record, device, VB_MEMBER_TEXT),
    MEMBER(vb_record, gpu, VB_MEMBER_TEXT),
    MEMBER(vb_record, recipe, VB_MEMBER_TEXT),
    MEMBER(vb_record, cudnn, VB_MEMBER_TEXT),
    MEMBER(vb_record, onednn, VB_MEMBER_TEXT),
    MEMBER(vb_record, threads, VB_MEMBER_BYTES),
    MEMBER(vb_record, workspaces, VB_MEMBER_TEXT),
    MEMBER(vb_record, usable_bytes, VB_MEMBER_BYTES),
    MEMBER(vb_record, capacity_bytes, VB_MEMBER_BYTES),
    MEMBER(vb_record, context_bytes, VB_MEMBER_BYTES),
    MEMBER(vb_record, peak_requested_bytes, VB_MEMBER_BYTES),
    MEMBER(vb_record, peak_allocated_bytes, VB_MEMBER_BYTES),
    MEMBER(vb_record, peak_reserved_bytes, VB_MEMBER_BYTES),
    MEMBER(vb_record, peak_device_bytes, VB_MEMBER_BYTES),
    MEMBER(vb_record, peak_rss_bytes, VB_MEMBER_BYTES),
    MEMBER(vb_record, end_reserved_bytes, VB_MEMBER_BYTES),
    MEMBER(vb_record, epoch_reserved_bytes, VB_MEMBER_BYTES),
    MEMBER(vb_record, later_reserved_bytes, VB_MEMBER_BYTES),
    MEMBER(vb_record, unit, VB_MEMBER_TEXT),
    MEMBER(vb_record, peak_workspace_bytes, VB_MEMBER_BYTES),
    MEMBER(vb_record, workspace_low_bytes, VB_MEMBER_BYTES),
    MEMBER(vb_record, workspace_high_bytes, VB_MEMBER_BYTES),
    MEMBER(vb_record, oom_asked_bytes, VB_MEMBER_BYTES),
    MEMBER(vb_record, oom_free_bytes, VB_MEMBER_BYTES),
    NAMED(vb_record, peak_phase, vb_phase_names),
    MEMBER(vb_record, parameters, VB_MEMBER_BYTES),
    MEMBER(vb_record, rule_of_thumb_bytes, VB_MEMBER_BYTES),
    MEMBER(vb_record, step_seconds, VB_MEMBER_POSITIVE),
    MEMBER(vb_record, step_p10_seconds, VB_MEMBER_POSITIVE),
    MEMBER(vb_record, step_p90_seconds, VB_MEMBER_POSITIVE),
    MEMBER(vb_record, timed_steps, VB_MEMBER_BYTES),
    MEMBER(vb_record, step_low_seconds, VB_MEMBER_POSITIVE),
    MEMBER(vb_record, step_high_seconds, VB_MEMBER_POSITIVE),
    MEMBER(vb_record, step_flops, VB_MEMBER_POSITIVE),
    MEMBER(vb_record, flops_per_second, VB_MEMBER_POSITIVE),
    MEMBER(vb_record, loss_first, VB_MEMBER_POSITIVE),
    MEMBER(vb_record, loss_last, VB_MEMBER_POSITIVE),
    MEMBER(vb_record, time_is_modelled, VB_MEMBER_BOOL),
};
const size_t vb_record_member_count = sizeof vb_record_members / sizeof *vb_record_members;

static json_t *write_member(const struct vb_member *member, const void *base)
{
    const char *at = (const char *)base + member->offset;
    switch (member->kind) {
    case VB_MEMBER_TEXT:
        return at[0] != '\0' ? json_string(at) : NULL;
    case VB_MEMBER_BYTES: {
        uint64_t value = *(const uint64_t *)(const void *)at;
        return value > 0 && value <= INT64_MAX ? json_integer((json_int_t)value) : NULL;
    }
    case VB_MEMBER_U32:
        return json_integer(*(const uint32_t *)(const void *)at);
    case VB_MEMBER_COUNT: {
        uint32_t value = *(const uint32_t *)(const void *)at;
        return value > 0 ? json_integer(value) : NULL;
    }
    case VB_MEMBER_BOOL:
        return json_boolean(*(const bool *)(const void *)at);
    case VB_MEMBER_FLAG:
        return *(const bool *)(const void *)at ? json_true() : NULL;
    case VB_MEMBER_NAME:
        return json_string(member->names[*(const int *)(const void *)at]);
    case VB_MEMBER_POSITIVE: {
        double value = *(const double *)(const void *)at;
        return value > 0 ? json_real(value) : NULL;
    }
    }
    return NULL;
}

void vb_members_write(json_t *object, const struct vb_member *members, size_t n, const void *base)
{
    for (size_t i = 0; i < n; i++) {
        json_t *value = write_member(&members[i], base);
        if (value != NULL)
            (void)json_object_set_new(object, members[i].key, value);
    }
}

/* {"weights": 1, ...}: those that are not 0. */
static json_t *write_named(const uint64_t *bytes, const char *const *names, size_t n)
{
    json_t *object = json_object();
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] > 0)
            (void)json_object_set_new(object, names[i], json_integer((json_int_t)bytes[i]));
    }
    return object;
}

static json_t *write_largest(const struct vb_record *record)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < record->n_largest; i++)
        (void)json_array_append_new(list, json_pack("{s:s, s:s, s:I}", "name",
                                                    record->largest[i].name, "category",
                                                    vb_category_names[record->largest[i].category],
                                                    "bytes", (json_int_t)record->largest[i].bytes));
    return list;
}

/* [[instruction, phase, bytes of each category...], ...] */
static json_t *write_curve(const struct vb_record *record)
{
    json_t *list = json_array();
    for (size_t i = 0; i < record->n_curve; i++) {
        const struct vb_curve_point *point = &record->curve[i];
        json_t *row = json_array();
        (void)json_array_append_new(row, json_integer(point->index));
        (void)json_array_append_new(row, json_integer((json_int_t)point->phase));
        for (size_t c = 0; c < VB_N_CATEGORIES; c++)
            (void)json_array_append_new(row, json_integer((json_int_t)point->bytes[c]));
        (void)json_array_append_new(list, row);
    }
    return list;
}

enum vb_status vb_record_print(const struct vb_record *record, char **line, struct vb_error *err)
{
    json_t *object = json_object();
    char id[17];
    vb_record_cell_id(&record->point, record->device, id);
    (void)json_object_set_new(object, "schema", json_integer(SCHEMA));
    (void)json_object_set_new(object, "tool", json_string("vrambench " VB_VERSION " " VB_COMMIT));
    (void)json_object_set_new(object, "cell_id", json_string(id));
    vb_members_write(object, vb_point_members, vb_point_member_count, &record->point);
    vb_members_write(object, vb_record_members, vb_record_member_count, record);
    if (record->peak_allocated_bytes > 0) {
        (void)json_object_set_new(
            object, "phase_peak_bytes",
            write_named(record->phase_peak_bytes, vb_phase_names, VB_N_PHASES));
        (void)json_object_set_new(
            object, "peak_category_bytes",
            write_named(record->peak_category_bytes, vb_category_names, VB_N_CATEGORIES));
        (void)json_object_set_new(object, "largest", write_largest(record));
    }
    vb_record_write_samples(record, object);
    vb_record_write_parts(record, object);
    vb_on_gpu_write(&record->on_gpu, object);
    if (record->profile.n > 0)
        (void)json_object_set_new(object, "profile", vb_profile_write(&record->profile));
    if (record->n_curve > 0)
        (void)json_object_set_new(object, "curve", write_curve(record));
    *line = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    return *line != NULL ? VB_OK : vb_fail(err, VB_E_SYSTEM, "no host memory left for a record");
}

static enum vb_status bad_member(const struct vb_member *member, struct vb_error *err)
{
    return vb_fail(err, VB_E_INPUT, "\"%s\" is missing, or not what a record has there",
                   member->key);
}

static enum vb_status read_name(const struct vb_member *member, const json_t *value, int *out,
                                struct vb_error *err)
{
    const char *text = json_string_value(value);
    for (size_t i = 0; text != NULL && i < member->n_names; i++) {
        if (strcmp(member->names[i], text) == 0) {
            *out = (int)i;
            return VB_OK;
        }
    }
    return bad_member(member, err);
}

static enum vb_status read_member(const struct vb_member *member, const json_t *value, void *base,
                                  struct vb_error *err)
{
    void *at = (char *)base + member->offset;
    bool must_be = member->kind == VB_MEMBER_U32 || member->kind == VB_MEMBER_BOOL ||
                   member->kind == VB_MEMBER_NAME;
    if (value == NULL)
        return must_be ? bad_member(member, err) : VB_OK;
    json_int_t number = json_integer_value(value);
    switch (member->kind) {
    case VB_MEMBER_TEXT:
        if (!json_is_string(value) || json_string_length(value) >= member->room)
            return bad_member(member, err);
        (void)snprintf(at, member->room, "%s", json_string_value(value));
        return VB_OK;
    case VB_MEMBER_BYTES:
        if (!json_is_integer(value) || number < 0)
            return bad_member(member, err);
        *(uint64_t *)at = (uint64_t)number;
        return VB_OK;
    case VB_MEMBER_U32:
    case VB_MEMBER_COUNT:
        if (!json_is_integer(value) || number < 0 || number > UINT32_MAX)
            return bad_member(member, err);
        *(uint32_t *)at = (uint32_t)number;
        return VB_OK;
    case VB_MEMBER_BOOL:
    case VB_MEMBER_FLAG:
        if (!json_is_boolean(value))
            return bad_member(member, err);
        *(bool *)at = json_is_true(value);
        return VB_OK;
    case VB_MEMBER_NAME:
        return read_name(member, value, at, err);
    case VB_MEMBER_POSITIVE:
        if (!json_is_number(value) || json_number_value(value) < 0)
            return bad_member(member, err);
        *(double *)at = json_number_value(value);
        return VB_OK;
    }
    return VB_OK;
}

enum vb_status vb_members_read(const json_t *object, const struct vb_member *members, size_t n,
                               void *base, struct vb_error *err)
{
    for (size_t i = 0; i < n; i++) {
        enum vb_status status =
            read_member(&members[i], json_object_get(object, members[i].key), base, err);
        if (status != VB_OK)
            return status;
    }
    return VB_OK;
}

static void read_named(const json_t *object, const char *const *names, size_t n, uint64_t *bytes)
{
    for (size_t i = 0; i < n; i++) {
        json_int_t value = json_integer_value(json_object_get(object, names[i]));
        bytes[i] = value > 0 ? (uint64_t)value : 0;
    }
}

static void read_largest(const json_t *list, struct vb_record *out)
{
    for (size_t i = 0; i < json_array_size(list) && i < VB_N_LARGEST; i++) {
        const json_t *item = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(item, "name"));
        const char *category = json_string_value(json_object_get(item, "category"));
        json_int_t bytes = json_integer_value(json_object_get(item, "bytes"));
        struct vb_named_bytes *largest = &out->largest[out->n_largest];
        if (name == NULL || category == NULL || bytes < 0)
            continue;
        (void)snprintf(largest->name, sizeof largest->name, "%s", name);
        largest->bytes = (uint64_t)bytes;
        for (size_t c = 0; c < VB_N_CATEGORIES; c++) {
            if (strcmp(category, vb_category_names[c]) == 0)
                largest->category = (enum vb_category)c;
        }
        out->n_largest++;
    }
}

static enum vb_status read_curve(const json_t *list, struct vb_arena *arena, struct vb_record *out,
                                 struct vb_error *err)
{
    size_t n = json_array_size(list);
    struct vb_curve_point *curve = vb_arena_alloc(arena, n + 1, sizeof *curve);
    if (curve == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for a record");
    for (size_t i = 0; i < n; i++) {
        const json_t *row = json_array_get(list, i);
        json_int_t phase = json_integer_value(json_array_get(row, 1));
        json_int_t index = json_integer_value(json_array_get(row, 0));
        if (json_array_size(row) != 2 + VB_N_CATEGORIES || phase < 0 || phase >= VB_N_PHASES ||
            index < 0 || index > UINT32_MAX)
            return vb_fail(err, VB_E_INPUT, "\"curve\" is not what a record has there");
        curve[i].index = (uint32_t)index;
        curve[i].phase = (enum vb_phase)phase;
        for (size_t c = 0; c < VB_N_CATEGORIES; c++) {
            json_int_t bytes = json_integer_value(json_array_get(row, 2 + c));
            curve[i].bytes[c] = bytes > 0 ? (uint64_t)bytes : 0;
        }
    }
    out->curve = n > 0 ? curve : NULL;
    out->n_curve = n;
    return VB_OK;
}

static enum vb_status read_record(const json_t *object, struct vb_arena *arena,
                                  struct vb_record *out, struct vb_error *err)
{
    if (!json_is_object(object))
        return vb_fail(err, VB_E_INPUT, "no record: expected a JSON object");
    if (json_integer_value(json_object_get(object, "schema")) != SCHEMA)
        return vb_fail(err, VB_E_INPUT, "no record of schema %d, which this version reads", SCHEMA);
    enum vb_status status =
        vb_members_read(object, vb_point_members, vb_point_member_count, &out->point, err);
    if (status == VB_OK)
        status = vb_members_read(object, vb_record_members, vb_record_member_count, out, err);
    if (status != VB_OK)
        return status;
    read_named(json_object_get(object, "phase_peak_bytes"), vb_phase_names, VB_N_PHASES,
               out->phase_peak_bytes);
    read_named(json_object_get(object, "peak_category_bytes"), vb_category_names, VB_N_CATEGORIES,
               out->peak_category_bytes);
    read_largest(json_object_get(object, "largest"), out);
    vb_record_read_parts(object, out);
    vb_profile_read(json_object_get(object, "profile"), &out->profile);
    status = vb_on_gpu_read(object, &out->on_gpu, err);
    if (status == VB_OK)
        status = vb_record_read_samples(object, arena, out, err);
    if (status != VB_OK)
        return status;
    return read_curve(json_object_get(object, "curve"), arena, out, err);
}

enum vb_status vb_record_parse(const char *line, struct vb_arena *arena, struct vb_record *out,
                               struct vb_error *err)
{
    json_error_t fault;
    *out = (struct vb_record){ 0 };
    json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, &fault);
    if (object == NULL)
        return vb_fail(err, VB_E_INPUT, "not JSON: %s", fault.text);
    enum vb_status status = read_record(object, arena, out, err);
    json_decref(object);
    return status;
}

/* FNV-1a over the point's members as text and the device: padding and order of members do not
 * count. */
void vb_record_cell_id(const struct vb_point *point, const char *device, char id[17])
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    json_t *object = json_object();
    vb_members_write(object, vb_point_members, vb_point_member_count, point);
    (void)json_object_set_new(object, "device", json_string(device));
    char *text = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
    for (const char *at = text; at != NULL && *at != '\0'; at++)
        hash = (hash ^ (unsigned char)*at) * UINT64_C(0x100000001b3);
    free(text);
    json_decref(object);
    (void)snprintf(id, 17, "%016" PRIx64, hash);
}
