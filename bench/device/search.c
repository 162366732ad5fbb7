/* SPDX-License-Identifier: Apache-2.0 */
/* cuDNN's timing of its plans, as PyTorch runs it once for each question: a workspace that serves
 * all candidates is taken, the cache is emptied while it is held, then it goes into the cache. */

#include "device/walk.h"

struct largest {
    uint64_t bytes;
};

static void keep_largest(void *context, uint64_t address, uint64_t bytes, bool is_taken)
{
    struct largest *largest = context;
    (void)address;
    if (!is_taken && bytes > largest->bytes)
        largest->bytes = bytes;
}

/* The largest workspace among the candidates that one free stretch holds: of the device, or cached.
 * Of the candidates the largest, the least and the first are known. */
static uint64_t candidate(const struct vb_walk *walk, const struct vb_conv_plan *plan)
{
    const uint64_t sizes[] = { plan->high_bytes, plan->workspace_bytes, plan->low_bytes };
    struct largest room = { vb_walk_free_bytes(walk) };
    if (plan->high_bytes > room.bytes)
        vb_pool_each_block(walk->pool, keep_largest, &room);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (sizes[i] <= room.bytes)
            return sizes[i];
    }
    return 0;
}

enum vb_status vb_walk_search(struct vb_walk *walk, const struct vb_conv *conv,
                              const struct vb_conv_plan *plan, size_t instruction,
                              struct vb_error *err)
{
    const struct vb_conv_rules rules = { walk->program->deterministic, walk->point->tf32, true,
                                         false };
    const struct vb_plan_key key = vb_plan_key(conv, &rules);
    const struct vb_plan_answer known = { 0 };
    struct vb_block *workspace = NULL;
    if (vb_plan_map_find(&walk->searched, &key) != NULL)
        return VB_OK;
    enum vb_status status = vb_plan_map_put(&walk->searched, &key, &known, err);
    if (status == VB_OK)
        status =
            vb_walk_take(walk, candidate(walk, plan), VB_WORKSPACE, instruction, &workspace, err);
    if (status != VB_OK)
        return status;
    vb_pool_empty_cache(walk->pool);
    vb_walk_give(walk, workspace, VB_WORKSPACE);
    return VB_OK;
}
