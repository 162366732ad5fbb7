/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/trace_pickle.h"

#include <inttypes.h>
#include <string.h>

#include "memory/snapshot.h"

enum { MAX_DEVICES = 256, MAX_EVENTS = 1 << 25 };

/* What is said where there is nothing to replay. */
#define RECORD_FIRST                                                                               \
    "call torch.cuda.memory._record_memory_history() before the run and "                          \
    "torch.cuda.memory._dump_snapshot() after it"

static enum vb_status check_root(struct vb_snapshot *snapshot)
{
    const char *name = snapshot->name;
    const struct vb_pickle_value *root = &snapshot->root;
    bool is_snapshot =
        root->kind == VB_PICKLE_DICT && vb_pickle_get(root, VB_WORD_SEGMENTS) != NULL;
    if (root->kind == VB_PICKLE_LIST)
        return vb_fail(
            snapshot->err, VB_E_INPUT,
            "%s: a list, as memory_snapshot() gives: it has no events to replay; " RECORD_FIRST,
            name);
    if (root->kind != VB_PICKLE_DICT)
        return vb_fail(snapshot->err, VB_E_INPUT,
                       "%s: holds %s, expected what torch.cuda.memory._dump_snapshot() writes",
                       name, vb_pickle_kind_name((enum vb_pickle_kind)root->kind));
    if (!is_snapshot)
        return vb_fail(snapshot->err, VB_E_INPUT,
                       "%s: a dict without segments, expected what "
                       "torch.cuda.memory._dump_snapshot() writes",
                       name);
    return VB_OK;
}

static enum vb_status has_no_history(struct vb_snapshot *snapshot)
{
    return vb_fail(snapshot->err, VB_E_INPUT, "%s: no history was recorded; " RECORD_FIRST,
                   snapshot->name);
}

/* Where no history is wanted PyTorch keeps the last event all the same. */
static bool has_history(const struct vb_pickle_value *events)
{
    return events->node->n + events->node->n_forgotten > 1;
}

/* "0, 2, 3", for texts of errors. */
static void list_devices(const struct vb_pickle_node *traces, char *text, size_t room)
{
    size_t length = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < traces->n && length + 8 < room; i++) {
        if (has_history(&traces->items[i]))
            length += (size_t)snprintf(text + length, room - length, "%s%" PRIu32,
                                       length > 0 ? ", " : "", i);
    }
}

/* The list of events that is to be read: of the GPU that was asked for, or the only one. */
static enum vb_status pick_device(struct vb_snapshot *snapshot, const struct vb_pickle_node *traces,
                                  long device, uint32_t *out)
{
    uint32_t n_with_events = 0;
    char with_events[128];
    if (traces->n > MAX_DEVICES)
        return vb_fail(snapshot->err, VB_E_INPUT,
                       "%s: events of %" PRIu32 " GPUs, at most %d are read", snapshot->name,
                       traces->n, MAX_DEVICES);
    for (uint32_t i = 0; i < traces->n; i++) {
        if (has_history(&traces->items[i])) {
            *out = i;
            n_with_events++;
        }
    }
    list_devices(traces, with_events, sizeof with_events);
    if (n_with_events == 0)
        return has_no_history(snapshot);
    if (device != VB_TRACE_ANY_DEVICE) {
        *out = (uint32_t)device;
        if (device < 0 || device >= traces->n || !has_history(&traces->items[device]))
            return vb_fail(snapshot->err, VB_E_INPUT,
                           "%s: no events of GPU %ld; there are events of %s", snapshot->name,
                           device, with_events);
    } else if (n_with_events > 1) {
        return vb_fail(snapshot->err, VB_E_INPUT,
                       "%s: events of more than one GPU; name one of %s with --device",
                       snapshot->name, with_events);
    }
    return VB_OK;
}

static enum vb_status read_event(struct vb_snapshot *snapshot, const struct vb_pickle_value *item,
                                 struct vb_trace_event *out)
{
    const struct vb_pickle_value *action = NULL;
    enum vb_status status =
        vb_snapshot_get(snapshot, item, VB_WORD_ACTION, VB_PICKLE_WORD, &action);
    if (status != VB_OK)
        return status;
    if (!vb_trace_action_named(vb_words[action->word], &out->action))
        return vb_fail(snapshot->err, VB_E_INPUT,
                       "%s: byte %" PRIu64 ": action is '%s', expected alloc, free_requested, ..",
                       snapshot->name, (uint64_t)action->at, vb_words[action->word]);
    bool is_oom = out->action == VB_TRACE_OOM;
    bool has_free = vb_pickle_get(item, VB_WORD_DEVICE_FREE) != NULL;
    status = vb_snapshot_number(
        snapshot, item, is_oom && has_free ? VB_WORD_DEVICE_FREE : VB_WORD_ADDR, &out->address);
    if (status == VB_OK)
        status = vb_snapshot_number(snapshot, item, VB_WORD_SIZE, &out->bytes);
    if (status == VB_OK)
        status = vb_snapshot_number(snapshot, item, VB_WORD_STREAM, &out->stream);
    if (status == VB_OK && (out->bytes > INT64_MAX || out->address > INT64_MAX))
        return vb_fail(snapshot->err, VB_E_INPUT,
                       "%s: byte %" PRIu64 ": %" PRIu64 " bytes at %" PRIu64
                       ", expected both below 2^63",
                       snapshot->name, (uint64_t)item->at, out->bytes, out->address);
    return status;
}

static enum vb_status read_events(struct vb_snapshot *snapshot, const struct vb_pickle_value *list,
                                  struct vb_trace *out)
{
    enum vb_status status = vb_snapshot_check_list(snapshot, list, VB_PICKLE_DICT, "events");
    *out = (struct vb_trace){ 0 };
    if (status != VB_OK)
        return status;
    if (list->node->n > MAX_EVENTS)
        return vb_fail(snapshot->err, VB_E_INPUT, "%s: %" PRIu32 " events, at most %d are read",
                       snapshot->name, list->node->n, MAX_EVENTS);
    out->events = vb_arena_alloc(snapshot->arena, list->node->n, sizeof *out->events);
    if (out->events == NULL)
        return vb_fail(snapshot->err, VB_E_SYSTEM, "%s: no host memory left to read it",
                       snapshot->name);
    out->room = list->node->n;
    for (; out->n < list->node->n && status == VB_OK; out->n++) {
        out->events[out->n].line = out->n + 1;
        status = read_event(snapshot, &list->node->items[out->n], &out->events[out->n]);
    }
    return status;
}

static enum vb_status read_snapshot(struct vb_snapshot *snapshot, long device,
                                    struct vb_trace_pickle *out)
{
    const struct vb_pickle_value *traces = NULL;
    enum vb_status status = check_root(snapshot);
    if (status == VB_OK && vb_pickle_get(&snapshot->root, VB_WORD_TRACES) == NULL)
        return has_no_history(snapshot);
    if (status == VB_OK)
        status =
            vb_snapshot_get(snapshot, &snapshot->root, VB_WORD_TRACES, VB_PICKLE_LIST, &traces);
    if (status == VB_OK)
        status = vb_snapshot_check_list(snapshot, traces, VB_PICKLE_LIST, "device_traces");
    if (status == VB_OK)
        status = pick_device(snapshot, traces->node, device, &out->device);
    if (status == VB_OK)
        status = read_events(snapshot, &traces->node->items[out->device], &out->trace);
    if (status == VB_OK)
        status = vb_snapshot_read_end(snapshot, out->device, &out->end, &out->n_private);
    if (status == VB_OK)
        status = vb_snapshot_read_options(snapshot, &out->options);
    return status;
}

enum vb_status vb_trace_read_pickle(const char *name, FILE *file, long device,
                                    const struct vb_pickle_limits *limits, struct vb_arena *arena,
                                    struct vb_trace_pickle *out, struct vb_error *err)
{
    struct vb_arena kept = { 0 };
    struct vb_snapshot snapshot = { .name = name, .arena = arena, .err = err };
    *out = (struct vb_trace_pickle){ 0 };
    enum vb_status status = vb_pickle_read(name, file, vb_words, VB_N_WORDS,
                                           limits != NULL ? limits : &vb_pickle_usual_limits, &kept,
                                           &snapshot.root, err);
    if (status == VB_OK)
        status = read_snapshot(&snapshot, device, out);
    vb_arena_clear(&kept);
    return status;
}
