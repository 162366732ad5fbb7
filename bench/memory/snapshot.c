/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/snapshot.h"

#include <inttypes.h>
#include <math.h>

#include "memory/pool.h"
#include "memory/trace.h"

enum { N_INTERVALS = 16, MAX_DIVISIONS = 1 << 16 };

const char *const vb_words[VB_N_WORDS] = {
    [VB_WORD_SEGMENTS] = "segments",
    [VB_WORD_TRACES] = "device_traces",
    [VB_WORD_SETTINGS] = "allocator_settings",
    [VB_WORD_DEVICE] = "device",
    [VB_WORD_ADDRESS] = "address",
    [VB_WORD_TOTAL_SIZE] = "total_size",
    [VB_WORD_STREAM] = "stream",
    [VB_WORD_SEGMENT_TYPE] = "segment_type",
    [VB_WORD_POOL_ID] = "segment_pool_id",
    [VB_WORD_IS_EXPANDABLE] = "is_expandable",
    [VB_WORD_BLOCKS] = "blocks",
    [VB_WORD_SIZE] = "size",
    [VB_WORD_REQUESTED] = "requested_size",
    [VB_WORD_STATE] = "state",
    [VB_WORD_ACTION] = "action",
    [VB_WORD_ADDR] = "addr",
    [VB_WORD_DEVICE_FREE] = "device_free",
    [VB_WORD_MAX_SPLIT] = "max_split_size",
    [VB_WORD_GARBAGE] = "garbage_collection_threshold",
    [VB_WORD_EXPANDABLE] = "expandable_segments",
    [VB_WORD_ROUNDUP] = "roundup_power2_divisions",
    [VB_WORD_SMALL] = "small",
    [VB_WORD_LARGE] = "large",
    [VB_WORD_ALLOCATED] = "active_allocated",
    [VB_WORD_WAITING] = "active_awaiting_free",
    [VB_WORD_PENDING] = "active_pending_free",
    [VB_WORD_INACTIVE] = "inactive",
    [VB_WORD_ACTIONS] = "alloc",
    "free_requested",
    "free_completed",
    "segment_alloc",
    "segment_free",
    "segment_map",
    "segment_unmap",
    "oom",
    "snapshot",
    [VB_WORD_INTERVALS] = "1",
    "2",
    "4",
    "8",
    "16",
    "32",
    "64",
    "128",
    "256",
    "512",
    "1024",
    "2048",
    "4096",
    "8192",
    "16384",
    "32768",
};

static enum vb_status bad_key(struct vb_snapshot *snapshot, const struct vb_pickle_value *at,
                              enum vb_word word, const char *found, const char *expected)
{
    return vb_fail(snapshot->err, VB_E_INPUT, "%s: byte %" PRIu64 ": %s is %s, expected %s",
                   snapshot->name, (uint64_t)at->at, vb_words[word], found, expected);
}

enum vb_status vb_snapshot_get(struct vb_snapshot *snapshot, const struct vb_pickle_value *dict,
                               enum vb_word word, enum vb_pickle_kind kind,
                               const struct vb_pickle_value **out)
{
    const struct vb_pickle_value *value = vb_pickle_get(dict, word);
    if (value == NULL)
        return vb_fail(snapshot->err, VB_E_INPUT, "%s: byte %" PRIu64 ": a dict without %s",
                       snapshot->name, (uint64_t)dict->at, vb_words[word]);
    if (value->kind != kind)
        return bad_key(snapshot, value, word, vb_pickle_kind_name((enum vb_pickle_kind)value->kind),
                       kind == VB_PICKLE_WORD ? "one of the words that PyTorch writes"
                                              : vb_pickle_kind_name(kind));
    *out = value;
    return VB_OK;
}

enum vb_status vb_snapshot_number(struct vb_snapshot *snapshot, const struct vb_pickle_value *dict,
                                  enum vb_word word, uint64_t *out)
{
    const struct vb_pickle_value *value = NULL;
    enum vb_status status = vb_snapshot_get(snapshot, dict, word, VB_PICKLE_NATURAL, &value);
    if (status == VB_OK)
        *out = value->number;
    return status;
}

enum vb_status vb_snapshot_check_list(struct vb_snapshot *snapshot,
                                      const struct vb_pickle_value *list, enum vb_pickle_kind kind,
                                      const char *what)
{
    const struct vb_pickle_node *node = list->node;
    if (node->n_forgotten > 0)
        return vb_fail(snapshot->err, VB_E_INPUT,
                       "%s: byte %" PRIu64 ": %" PRIu64 " of the %" PRIu64
                       " elements of %s have nothing that PyTorch writes there",
                       snapshot->name, (uint64_t)list->at, node->n_forgotten,
                       node->n + node->n_forgotten, what);
    for (uint32_t i = 0; i < node->n; i++) {
        if (node->items[i].kind != kind)
            return vb_fail(snapshot->err, VB_E_INPUT,
                           "%s: byte %" PRIu64 ": element %" PRIu32 " of %s is %s, expected %s",
                           snapshot->name, (uint64_t)node->items[i].at, i, what,
                           vb_pickle_kind_name((enum vb_pickle_kind)node->items[i].kind),
                           vb_pickle_kind_name(kind));
    }
    return VB_OK;
}

static enum vb_status read_roundup(struct vb_snapshot *snapshot,
                                   const struct vb_pickle_value *settings,
                                   struct vb_pool_options *out)
{
    const struct vb_pickle_value *dict = vb_pickle_get(settings, VB_WORD_ROUNDUP);
    if (dict == NULL)
        return VB_OK;
    if (dict->kind != VB_PICKLE_DICT)
        return bad_key(snapshot, dict, VB_WORD_ROUNDUP,
                       vb_pickle_kind_name((enum vb_pickle_kind)dict->kind), "a dict");
    for (unsigned i = 0; i < N_INTERVALS; i++) {
        enum vb_word word = VB_WORD_INTERVALS + i;
        uint64_t n = 0;
        if (vb_pickle_get(dict, word) == NULL)
            continue;
        enum vb_status status = vb_snapshot_number(snapshot, dict, word, &n);
        if (status != VB_OK)
            return status;
        if (n > MAX_DIVISIONS || (n & (n - 1)) != 0)
            return bad_key(snapshot, vb_pickle_get(dict, word), VB_WORD_ROUNDUP, "another number",
                           "a power of two");
        out->roundup_divisions[i] = (uint32_t)n;
    }
    return VB_OK;
}

static enum vb_status read_threshold(struct vb_snapshot *snapshot,
                                     const struct vb_pickle_value *settings, double *out)
{
    const struct vb_pickle_value *value = vb_pickle_get(settings, VB_WORD_GARBAGE);
    if (value == NULL)
        return VB_OK;
    if (value->kind == VB_PICKLE_FLOAT && value->real >= 0 && value->real < 1) {
        *out = value->real;
        return VB_OK;
    }
    return bad_key(snapshot, value, VB_WORD_GARBAGE,
                   value->kind == VB_PICKLE_FLOAT
                       ? "another float"
                       : vb_pickle_kind_name((enum vb_pickle_kind)value->kind),
                   "a float from 0 to below 1");
}

/* PyTorch writes none as -1. */
static enum vb_status read_max_split(struct vb_snapshot *snapshot,
                                     const struct vb_pickle_value *settings, uint64_t *out)
{
    const struct vb_pickle_value *value = vb_pickle_get(settings, VB_WORD_MAX_SPLIT);
    if (value == NULL || (value->kind == VB_PICKLE_NEGATIVE && value->number == UINT64_MAX))
        return VB_OK;
    return vb_snapshot_number(snapshot, settings, VB_WORD_MAX_SPLIT, out);
}

enum vb_status vb_snapshot_read_options(struct vb_snapshot *snapshot, struct vb_pool_options *out)
{
    const struct vb_pickle_value *settings = vb_pickle_get(&snapshot->root, VB_WORD_SETTINGS);
    const struct vb_pickle_value *expandable = NULL;
    *out = (struct vb_pool_options){ 0 };
    if (settings == NULL)
        return VB_OK;
    enum vb_status status =
        vb_snapshot_get(snapshot, &snapshot->root, VB_WORD_SETTINGS, VB_PICKLE_DICT, &settings);
    if (status == VB_OK)
        status = read_max_split(snapshot, settings, &out->max_split_bytes);
    if (status == VB_OK)
        status = read_threshold(snapshot, settings, &out->garbage_threshold);
    if (status == VB_OK && vb_pickle_get(settings, VB_WORD_EXPANDABLE) != NULL)
        status =
            vb_snapshot_get(snapshot, settings, VB_WORD_EXPANDABLE, VB_PICKLE_BOOL, &expandable);
    if (status == VB_OK)
        status = read_roundup(snapshot, settings, out);
    if (status == VB_OK)
        out->expandable_segments = expandable != NULL && expandable->number == 1;
    return status;
}
