/* SPDX-License-Identifier: Apache-2.0 */
/* The segments of a snapshot. Each is tiled by its blocks: their sizes tell where they lie, which
 * is also how PyTorch works out the addresses that it writes. */

#include <inttypes.h>

#include "memory/snapshot.h"
#include "memory/trace.h"

enum { MAX_BLOCKS = 1 << 24 };

static enum vb_status read_block(struct vb_snapshot *snapshot, const struct vb_pickle_value *item,
                                 uint64_t address, struct vb_trace_block *out)
{
    const struct vb_pickle_value *state = NULL;
    uint64_t told = address;
    *out = (struct vb_trace_block){ .address = address };
    enum vb_status status = vb_snapshot_number(snapshot, item, VB_WORD_SIZE, &out->bytes);
    out->requested_bytes = out->bytes; /* what PyTorch 2.0 did not tell */
    if (status == VB_OK && vb_pickle_get(item, VB_WORD_REQUESTED) != NULL)
        status = vb_snapshot_number(snapshot, item, VB_WORD_REQUESTED, &out->requested_bytes);
    if (status == VB_OK && vb_pickle_get(item, VB_WORD_ADDRESS) != NULL)
        status = vb_snapshot_number(snapshot, item, VB_WORD_ADDRESS, &told);
    if (status == VB_OK)
        status = vb_snapshot_get(snapshot, item, VB_WORD_STATE, VB_PICKLE_WORD, &state);
    if (status != VB_OK)
        return status;
    bool is_state = state->word >= VB_WORD_ALLOCATED && state->word <= VB_WORD_INACTIVE;
    out->is_taken = state->word != VB_WORD_INACTIVE;
    if (!is_state)
        return vb_fail(snapshot->err, VB_E_INPUT,
                       "%s: byte %" PRIu64 ": state is '%s', expected active or inactive",
                       snapshot->name, (uint64_t)state->at, vb_words[state->word]);
    if (told != address)
        return vb_fail(snapshot->err, VB_E_INPUT,
                       "%s: byte %" PRIu64 ": a block at %" PRIu64 ", expected %" PRIu64
                       ", where the one before ends",
                       snapshot->name, (uint64_t)item->at, told, address);
    return VB_OK;
}

static enum vb_status read_blocks(struct vb_snapshot *snapshot, const struct vb_pickle_value *list,
                                  struct vb_trace_segment *out)
{
    enum vb_status status = vb_snapshot_check_list(snapshot, list, VB_PICKLE_DICT, "blocks");
    uint64_t bytes = 0;
    out->n_blocks = list->node->n;
    out->blocks = vb_arena_alloc(snapshot->arena, out->n_blocks + 1, sizeof *out->blocks);
    if (out->blocks == NULL)
        return vb_fail(snapshot->err, VB_E_SYSTEM, "%s: no host memory left to read it",
                       snapshot->name);
    for (size_t i = 0; i < out->n_blocks && status == VB_OK; i++) {
        const struct vb_pickle_value *item = &list->node->items[i];
        status = read_block(snapshot, item, out->address + bytes, &out->blocks[i]);
        if (status == VB_OK &&
            (out->blocks[i].bytes == 0 || out->blocks[i].bytes > out->bytes - bytes))
            return vb_fail(snapshot->err, VB_E_INPUT,
                           "%s: byte %" PRIu64 ": a block of %" PRIu64 " bytes where %" PRIu64
                           " of its segment are left",
                           snapshot->name, (uint64_t)item->at, out->blocks[i].bytes,
                           out->bytes - bytes);
        bytes += out->blocks[i].bytes;
    }
    if (status == VB_OK && bytes != out->bytes)
        return vb_fail(snapshot->err, VB_E_INPUT,
                       "%s: byte %" PRIu64 ": blocks of %" PRIu64 " bytes in a segment of %" PRIu64,
                       snapshot->name, (uint64_t)list->at, bytes, out->bytes);
    return status;
}

/* The pool that all share is (0, 0). */
static bool is_private(const struct vb_pickle_value *item)
{
    const struct vb_pickle_value *id = vb_pickle_get(item, VB_WORD_POOL_ID);
    if (id == NULL || (id->kind != VB_PICKLE_TUPLE && id->kind != VB_PICKLE_LIST))
        return false;
    for (uint32_t i = 0; i < id->node->n; i++) {
        if (id->node->items[i].kind != VB_PICKLE_NATURAL || id->node->items[i].number != 0)
            return true;
    }
    return false;
}

static enum vb_status read_segment(struct vb_snapshot *snapshot, const struct vb_pickle_value *item,
                                   struct vb_trace_segment *out)
{
    const struct vb_pickle_value *type = NULL, *blocks = NULL, *expandable = NULL;
    *out = (struct vb_trace_segment){ 0 };
    enum vb_status status = vb_snapshot_number(snapshot, item, VB_WORD_ADDRESS, &out->address);
    if (status == VB_OK)
        status = vb_snapshot_number(snapshot, item, VB_WORD_TOTAL_SIZE, &out->bytes);
    if (status == VB_OK)
        status = vb_snapshot_number(snapshot, item, VB_WORD_STREAM, &out->stream);
    if (status == VB_OK)
        status = vb_snapshot_get(snapshot, item, VB_WORD_SEGMENT_TYPE, VB_PICKLE_WORD, &type);
    if (status == VB_OK && vb_pickle_get(item, VB_WORD_IS_EXPANDABLE) != NULL)
        status =
            vb_snapshot_get(snapshot, item, VB_WORD_IS_EXPANDABLE, VB_PICKLE_BOOL, &expandable);
    if (status == VB_OK)
        status = vb_snapshot_get(snapshot, item, VB_WORD_BLOCKS, VB_PICKLE_LIST, &blocks);
    if (status != VB_OK)
        return status;
    if (type->word != VB_WORD_SMALL && type->word != VB_WORD_LARGE)
        return vb_fail(snapshot->err, VB_E_INPUT,
                       "%s: byte %" PRIu64 ": segment_type is '%s', expected small or large",
                       snapshot->name, (uint64_t)type->at, vb_words[type->word]);
    bool is_within = out->address > 0 && out->address <= INT64_MAX && out->bytes > 0 &&
                     out->bytes <= INT64_MAX - out->address;
    if (!is_within)
        return vb_fail(snapshot->err, VB_E_INPUT,
                       "%s: byte %" PRIu64 ": a segment of %" PRIu64 " bytes at %" PRIu64
                       ", expected both above 0 and below 2^63",
                       snapshot->name, (uint64_t)item->at, out->bytes, out->address);
    out->is_small = type->word == VB_WORD_SMALL;
    out->is_expandable = expandable != NULL && expandable->number == 1;
    return read_blocks(snapshot, blocks, out);
}

enum vb_status vb_snapshot_read_end(struct vb_snapshot *snapshot, uint64_t device,
                                    struct vb_trace_end *out, size_t *n_private)
{
    const struct vb_pickle_value *list = NULL;
    size_t n_blocks = 0;
    *out = (struct vb_trace_end){ 0 };
    *n_private = 0;
    enum vb_status status =
        vb_snapshot_get(snapshot, &snapshot->root, VB_WORD_SEGMENTS, VB_PICKLE_LIST, &list);
    if (status == VB_OK)
        status = vb_snapshot_check_list(snapshot, list, VB_PICKLE_DICT, "segments");
    if (status != VB_OK)
        return status;
    out->segments =
        vb_arena_alloc(snapshot->arena, (size_t)list->node->n + 1, sizeof *out->segments);
    if (out->segments == NULL)
        return vb_fail(snapshot->err, VB_E_SYSTEM, "%s: no host memory left to read it",
                       snapshot->name);
    for (uint32_t i = 0; i < list->node->n; i++) {
        const struct vb_pickle_value *item = &list->node->items[i];
        uint64_t its = 0;
        if (vb_pickle_get(item, VB_WORD_DEVICE) != NULL)
            status = vb_snapshot_number(snapshot, item, VB_WORD_DEVICE, &its);
        if (status == VB_OK && its == device) {
            status = read_segment(snapshot, item, &out->segments[out->n]);
            *n_private += is_private(item);
            n_blocks += out->segments[out->n++].n_blocks;
        }
        if (status == VB_OK && n_blocks > MAX_BLOCKS)
            return vb_fail(snapshot->err, VB_E_INPUT, "%s: more than the %d blocks that are read",
                           snapshot->name, MAX_BLOCKS);
        if (status != VB_OK)
            return status;
    }
    return VB_OK;
}
