/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/trace.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/order.h"

static const size_t MAX_FILE_BYTES = (size_t)1 << 36;

static enum vb_status no_memory(struct vb_error *err)
{
    return vb_fail(err, VB_E_SYSTEM, "no host memory for what the program's processes recorded");
}

/* Arguments, each with its 0, as one line. */
static const char *join_arguments(const char *at, size_t n, struct vb_arena *arena)
{
    char *line = vb_arena_alloc(arena, n + 1, 1);
    for (size_t i = 0; i < n && line != NULL; i++)
        line[i] = (unsigned char)at[i] < ' ' ? ' ' : at[i];
    if (line != NULL && n > 0 && at[n - 1] == '\0')
        line[n - 1] = '\0';
    return line;
}

static bool add_why(struct vb_watch_trace *trace, const char *at, size_t n, struct vb_arena *arena)
{
    bool is_first = trace->why[0] == '\0';
    trace->why = vb_arena_format(arena, "%s%s%.*s", trace->why, is_first ? "" : "; ", (int)n, at);
    return trace->why != NULL;
}

static bool add_events(struct vb_watch_trace *trace, const char *at, size_t n,
                       struct vb_arena *arena)
{
    for (size_t i = 0; i < n / sizeof *trace->events; i++) {
        struct vb_watch_event *grown = vb_arena_grow(arena, trace->events, trace->n_events,
                                                     &trace->room_events, sizeof *grown);
        if (grown == NULL)
            return false;
        trace->events = grown;
        memcpy(&grown[trace->n_events++], at + i * sizeof *grown, sizeof *grown);
    }
    return true;
}

static bool add_device(struct vb_watch_trace *trace, const char *at, struct vb_arena *arena)
{
    struct vb_watch_device *grown =
        vb_arena_grow(arena, trace->devices, trace->n_devices, &trace->room_devices, sizeof *grown);
    if (grown == NULL)
        return false;
    trace->devices = grown;
    memcpy(&grown[trace->n_devices], at, sizeof *grown);
    grown[trace->n_devices++].bus_id[sizeof grown->bus_id - 1] = '\0';
    return true;
}

static bool add_code(struct vb_watch_trace *trace, const char *at, size_t n, struct vb_arena *arena)
{
    struct vb_watch_code *grown =
        vb_arena_grow(arena, trace->code, trace->n_code, &trace->room_code, sizeof *grown);
    if (grown == NULL)
        return false;
    trace->code = grown;
    memcpy(&grown[trace->n_code].at, at, sizeof grown->at);
    grown[trace->n_code].path =
        vb_arena_format(arena, "%.*s", (int)(n - sizeof grown->at), at + sizeof grown->at);
    return grown[trace->n_code++].path != NULL;
}

/* Bytes that a chunk of the kind has at least. */
static size_t least_bytes(uint32_t kind)
{
    switch (kind) {
    case VB_WATCH_START:
        return sizeof(struct vb_watch_start);
    case VB_WATCH_DEVICE:
        return sizeof(struct vb_watch_device);
    case VB_WATCH_MODULE:
        return sizeof(struct vb_watch_module);
    case VB_WATCH_REACHED:
    case VB_WATCH_END:
        return sizeof(uint64_t);
    default:
        return 0;
    }
}

static bool take_start(struct vb_watch_trace *trace, const char *at, size_t n,
                       struct vb_arena *arena)
{
    memcpy(&trace->start, at, sizeof trace->start);
    trace->command = join_arguments(at + sizeof trace->start, n - sizeof trace->start, arena);
    return trace->command != NULL;
}

/* False: no host memory. Kinds that are not known are passed over. */
static bool take_chunk(struct vb_watch_trace *trace, uint32_t kind, const char *at, size_t n,
                       struct vb_arena *arena)
{
    uint64_t number = 0;
    if (n >= sizeof number)
        memcpy(&number, at, sizeof number);
    switch (kind) {
    case VB_WATCH_START:
        return take_start(trace, at, n, arena);
    case VB_WATCH_OFF:
        return add_why(trace, at, n, arena);
    case VB_WATCH_EVENTS:
        return add_events(trace, at, n, arena);
    case VB_WATCH_DEVICE:
        return add_device(trace, at, arena);
    case VB_WATCH_MODULE:
        return add_code(trace, at, n, arena);
    case VB_WATCH_REACHED:
        trace->reached_ns = number;
        return true;
    case VB_WATCH_END:
        trace->end_ns = number;
        return true;
    default:
        return true;
    }
}

enum vb_status vb_watch_trace_parse(const char *bytes, size_t n, struct vb_watch_trace *out,
                                    bool *is_one, struct vb_arena *arena, struct vb_error *err)
{
    struct vb_watch_trace trace = { .why = "" };
    struct vb_watch_head head;
    size_t at = 0;
    *is_one = false;
    for (; n - at >= sizeof head; at += sizeof head + (size_t)head.bytes) {
        memcpy(&head, bytes + at, sizeof head);
        if (head.magic != VB_WATCH_MAGIC || head.bytes > n - at - sizeof head ||
            head.bytes < least_bytes(head.kind))
            break;
        if (at == 0 && head.kind != VB_WATCH_START)
            return VB_OK;
        if (!take_chunk(&trace, head.kind, bytes + at + sizeof head, (size_t)head.bytes, arena))
            return no_memory(err);
    }
    trace.is_cut = at != n;
    *is_one = at > 0 && trace.start.version == VB_WATCH_VERSION;
    *out = trace;
    return VB_OK;
}

static int compare_starts(const void *left, const void *right)
{
    const struct vb_watch_trace *a = left, *b = right;
    int by_time = vb_order(a->start.monotonic_ns, b->start.monotonic_ns);
    return by_time != 0 ? by_time : vb_order((uint64_t)a->start.pid, (uint64_t)b->start.pid);
}

static enum vb_status read_one(const char *folder, const char *name, struct vb_watch_traces *traces,
                               size_t *room, struct vb_arena *arena, struct vb_error *err)
{
    char path[PATH_MAX];
    char *data = NULL;
    size_t bytes = 0;
    bool is_one = false;
    struct vb_watch_trace *grown =
        vb_arena_grow(arena, traces->items, traces->n, room, sizeof *grown);
    if (grown == NULL)
        return no_memory(err);
    traces->items = grown;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    enum vb_status status = vb_file_read(path, MAX_FILE_BYTES, &data, &bytes, err);
    if (status == VB_OK)
        status = vb_watch_trace_parse(data, bytes, &grown[traces->n], &is_one, arena, err);
    free(data);
    const char *dash = strrchr(name, '-');
    if (status == VB_OK && is_one && dash != NULL)
        grown[traces->n++].nth = (uint32_t)strtoul(dash + 1, NULL, 10);
    return status == VB_E_INPUT ? VB_E_SYSTEM : status;
}

enum vb_status vb_watch_traces_read(const char *folder, struct vb_watch_traces *out,
                                    struct vb_arena *arena, struct vb_error *err)
{
    struct vb_watch_traces traces = { 0 };
    size_t room = 0;
    DIR *files = opendir(folder);
    if (files == NULL)
        return vb_fail(err, VB_E_SYSTEM, "%s: %s", folder, strerror(errno));
    enum vb_status status = VB_OK;
    const struct dirent *file = readdir(files);
    for (; file != NULL && status == VB_OK; file = readdir(files)) {
        const char *ending = strrchr(file->d_name, '.');
        if (ending != NULL && strcmp(ending, VB_WATCH_ENDING) == 0)
            status = read_one(folder, file->d_name, &traces, &room, arena, err);
    }
    (void)closedir(files);
    if (status != VB_OK)
        return status;
    if (traces.n > 0)
        qsort(traces.items, traces.n, sizeof *traces.items, compare_starts);
    *out = traces;
    return VB_OK;
}

const char *vb_watch_trace_caller(const struct vb_watch_trace *trace, uint64_t address,
                                  struct vb_arena *arena)
{
    for (size_t i = 0; i < trace->n_code; i++) {
        const struct vb_watch_code *code = &trace->code[i];
        if (address < code->at.from || address >= code->at.to)
            continue;
        const char *slash = strrchr(code->path, '/');
        const char *name = slash != NULL ? slash + 1 : code->path;
        return vb_arena_format(arena, "%s+0x%" PRIx64, name[0] != '\0' ? name : "program",
                               address - code->at.from + code->at.offset);
    }
    return "";
}
