/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/trace.h"

#include <jansson.h>
#include <string.h>

#include "memory/trace_row.h"

static const char header[] = "seq,time_us,action,addr,size,stream";
enum { N_COLUMNS = 6 };

static const struct {
    const char *name;
    enum vb_trace_action action;
} actions[] = {
    { "alloc", VB_TRACE_ALLOC },          { "free_requested", VB_TRACE_FREE },
    { "free_completed", VB_TRACE_FREED }, { "segment_alloc", VB_TRACE_RESERVE },
    { "segment_free", VB_TRACE_RELEASE }, { "segment_map", VB_TRACE_MAP },
    { "segment_unmap", VB_TRACE_UNMAP },  { "oom", VB_TRACE_OOM },
    { "snapshot", VB_TRACE_SNAPSHOT },
};

bool vb_trace_action_named(const char *name, enum vb_trace_action *out)
{
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        if (strcmp(name, actions[i].name) == 0) {
            *out = actions[i].action;
            return true;
        }
    }
    return false;
}

static bool read_event(const char *text, size_t length, struct vb_trace_event *event)
{
    struct vb_trace_row row;
    return vb_trace_row_split(&row, text, length, N_COLUMNS) &&
           vb_trace_action_named(row.cells[2], &event->action) &&
           vb_trace_number(row.cells[3], &event->address) &&
           vb_trace_number(row.cells[4], &event->bytes) &&
           vb_trace_number(row.cells[5], &event->stream);
}

static enum vb_status add_row(const char *file, const char *row, size_t length, size_t line,
                              struct vb_arena *arena, struct vb_trace *out, struct vb_error *err)
{
    struct vb_trace_event event = { .line = line };
    if (length >= VB_TRACE_MAX_ROW)
        return vb_fail(err, VB_E_INPUT, "%s:%zu: longer than %d characters", file, line,
                       VB_TRACE_MAX_ROW - 1);
    if (!read_event(row, length, &event))
        return vb_fail(err, VB_E_INPUT, "%s:%zu: expected %s", file, line, header);
    struct vb_trace_event *events =
        vb_arena_grow(arena, out->events, out->n, &out->room, sizeof *events);
    if (events == NULL)
        return vb_fail(err, VB_E_SYSTEM, "%s: no host memory left to read it", file);
    out->events = events;
    events[out->n++] = event;
    return VB_OK;
}

enum vb_status vb_trace_parse(const char *file, const char *text, struct vb_arena *arena,
                              struct vb_trace *out, struct vb_error *err)
{
    size_t line = 0;
    *out = (struct vb_trace){ .has_lines = true };
    if (strncmp(text, header, strlen(header)) != 0)
        return vb_fail(err, VB_E_INPUT, "%s:1: expected %s", file, header);
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        line++;
        if (line > 1 && length > 0) {
            enum vb_status status = add_row(file, text, length, line, arena, out, err);
            if (status != VB_OK)
                return status;
        }
        text += length + (text[length] == '\n');
    }
    return VB_OK;
}

static bool read_block(const json_t *item, struct vb_trace_block *out)
{
    const char *state = json_string_value(json_array_get(item, 3));
    json_int_t numbers[3];
    for (size_t i = 0; i < 3; i++) {
        const json_t *number = json_array_get(item, i);
        numbers[i] = json_integer_value(number);
        if (!json_is_integer(number) || numbers[i] < 0)
            return false;
    }
    if (state == NULL)
        return false;
    *out = (struct vb_trace_block){ (uint64_t)numbers[0], (uint64_t)numbers[1],
                                    (uint64_t)numbers[2], strcmp(state, "inactive") != 0 };
    return true;
}

static enum vb_status read_segment(const char *file, const json_t *item, struct vb_arena *arena,
                                   struct vb_trace_segment *out, struct vb_error *err)
{
    const json_t *blocks = json_object_get(item, "blocks");
    const char *type = json_string_value(json_object_get(item, "segment_type"));
    json_int_t address = json_integer_value(json_object_get(item, "address"));
    json_int_t bytes = json_integer_value(json_object_get(item, "total_size"));
    json_int_t stream = json_integer_value(json_object_get(item, "stream"));
    if (!json_is_array(blocks) || type == NULL || address <= 0 || bytes <= 0 || stream < 0)
        return vb_fail(err, VB_E_INPUT,
                       "%s: a segment lacks address, total_size, segment_type or blocks", file);
    *out = (struct vb_trace_segment){ .address = (uint64_t)address,
                                      .bytes = (uint64_t)bytes,
                                      .stream = (uint64_t)stream,
                                      .is_small = strcmp(type, "small") == 0,
                                      .is_expandable =
                                          json_is_true(json_object_get(item, "is_expandable")),
                                      .n_blocks = json_array_size(blocks) };
    out->blocks = vb_arena_alloc(arena, out->n_blocks + 1, sizeof *out->blocks);
    if (out->blocks == NULL)
        return vb_fail(err, VB_E_SYSTEM, "%s: no host memory left to read it", file);
    for (size_t i = 0; i < out->n_blocks; i++) {
        if (!read_block(json_array_get(blocks, i), &out->blocks[i]))
            return vb_fail(err, VB_E_INPUT, "%s: a block is [address, size, requested, state]",
                           file);
    }
    return VB_OK;
}

enum vb_status vb_trace_parse_end(const char *file, const char *text, struct vb_arena *arena,
                                  struct vb_trace_end *out, struct vb_error *err)
{
    json_error_t fault;
    json_t *root = json_loads(text, 0, &fault);
    const json_t *list = json_object_get(root, "final_segments");
    enum vb_status status = VB_OK;
    *out = (struct vb_trace_end){ .n = json_array_size(list) };
    if (root == NULL)
        return vb_fail(err, VB_E_INPUT, "%s:%d: not JSON: %s", file, fault.line, fault.text);
    out->segments = vb_arena_alloc(arena, out->n + 1, sizeof *out->segments);
    if (!json_is_array(list))
        status = vb_fail(err, VB_E_INPUT, "%s: expected \"final_segments\", a list", file);
    else if (out->segments == NULL)
        status = vb_fail(err, VB_E_SYSTEM, "%s: no host memory left to read it", file);
    for (size_t i = 0; i < out->n && status == VB_OK; i++)
        status = read_segment(file, json_array_get(list, i), arena, &out->segments[i], err);
    json_decref(root);
    return status;
}
