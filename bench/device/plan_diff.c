/* SPDX-License-Identifier: Apache-2.0 */
#include "device/plan_diff.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static uint64_t distance(const struct vb_plan_change *change)
{
    const uint64_t was = change->was.workspace_bytes;
    const uint64_t is = change->is.workspace_bytes;
    return was > is ? was - is : is - was;
}

/* The largest change first; what ties in the order of the questions, so that a table is stable. */
static int by_distance(const void *a, const void *b)
{
    const uint64_t x = distance(a);
    const uint64_t y = distance(b);
    if (x != y)
        return x < y ? 1 : -1;
    return memcmp(&((const struct vb_plan_change *)a)->key,
                  &((const struct vb_plan_change *)b)->key, sizeof(struct vb_plan_key));
}

static void add_to_totals(struct vb_plan_totals *totals, uint64_t was, uint64_t is)
{
    totals->n++;
    totals->sum_was_bytes += was;
    totals->sum_is_bytes += is;
    totals->largest_was_bytes = was > totals->largest_was_bytes ? was : totals->largest_was_bytes;
    totals->largest_is_bytes = is > totals->largest_is_bytes ? is : totals->largest_is_bytes;
}

static enum vb_status check_comparable(const struct vb_plan_table *was,
                                       const struct vb_plan_table *is, struct vb_error *err)
{
    if (was->identity != is->identity)
        return vb_fail(err, VB_E_INPUT,
                       "%.120s is of %s (identity %016" PRIx64 "), %.120s of %s (identity "
                       "%016" PRIx64 "); two tables of one GPU can be compared",
                       was->path, was->gpu, was->identity, is->path, is->gpu, is->identity);
    return VB_OK;
}

enum vb_status vb_plan_diff(const struct vb_plan_table *was, const struct vb_plan_table *is,
                            struct vb_arena *arena, struct vb_plan_diff *out, struct vb_error *err)
{
    enum vb_status status = check_comparable(was, is, err);
    struct vb_plan_diff diff = { 0 };
    struct vb_plan_change *changes = vb_arena_alloc(arena, was->map.n + 1, sizeof *changes);
    if (status != VB_OK)
        return status;
    if (changes == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for %zu answers", was->map.n);

    for (size_t i = 0; i < was->map.n; i++) {
        const struct vb_plan_entry *entry = &was->map.entries[i];
        const struct vb_plan_answer *now = vb_plan_map_find(&is->map, &entry->key);
        if (now == NULL)
            continue;
        const bool has_engine = now->engine != entry->answer.engine;
        const bool has_workspace = now->workspace_bytes != entry->answer.workspace_bytes;
        diff.n_common++;
        diff.n_engine += has_engine;
        diff.n_workspace += has_workspace;
        add_to_totals(&diff.totals[entry->key.deterministic != 0][entry->key.direction],
                      entry->answer.workspace_bytes, now->workspace_bytes);
        if (has_engine || has_workspace)
            changes[diff.n++] = (struct vb_plan_change){ entry->key, entry->answer, *now };
    }
    if (diff.n_common == 0)
        return vb_fail(err, VB_E_INPUT,
                       "%.160s and %.160s have no question in common: other convolutions, or "
                       "nondeterministic engines allowed in one and left out in the other",
                       was->path, is->path);
    qsort(changes, diff.n, sizeof *changes, by_distance);
    diff.changes = changes;
    diff.n_only_was = was->map.n - diff.n_common;
    diff.n_only_is = is->map.n - diff.n_common;
    *out = diff;
    return VB_OK;
}
