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

/* Runs what could be chosen, where the device can. */
static enum vb_status time_plans(struct vb_walk *walk, const struct vb_conv_plan *plan,
                                 uint32_t index, const struct vb_block *workspace, uint64_t bytes,
                                 struct vb_error *err)
{
    const struct vb_call *call = &walk->program->calls[index];
    vb_address tensors[VB_MAX_OPERANDS];
    const struct vb_work work = { .call = call,
                                  .plan = plan,
                                  .tensors = tensors,
                                  .workspace = workspace != NULL ? vb_block_address(workspace) : 0,
                                  .update = 1 };
    if (vb_device_info(walk->device)->layout == VB_ONLY_PLANNED)
        return VB_OK;
    enum vb_status status = vb_walk_gather(walk, call, tensors, err);
    return status == VB_OK ? vb_device_time_plans(walk->device, &work, bytes, err) : status;
}

enum vb_status vb_walk_search(struct vb_walk *walk, const struct vb_conv *conv,
                              const struct vb_conv_plan *plan, uint32_t index, size_t instruction,
                              bool *is_new, struct vb_error *err)
{
    const struct vb_conv_rules rules = { walk->program->deterministic, walk->point->tf32, true,
                                         false };
    const struct vb_plan_key key = vb_plan_key(conv, &rules);
    const struct vb_plan_answer known = { 0 };
    struct vb_block *workspace = NULL;
    *is_new = vb_plan_map_find(&walk->searched, &key) == NULL;
    if (!*is_new)
        return VB_OK;
    const uint64_t bytes = candidate(walk, plan);
    enum vb_status status = vb_plan_map_put(&walk->searched, &key, &known, err);
    if (status == VB_OK)
        status = vb_walk_take(walk, bytes, VB_WORKSPACE, instruction, &workspace, err);
    if (status != VB_OK)
        return status;
    vb_pool_empty_cache(walk->pool);
    status = time_plans(walk, plan, index, workspace, bytes, err);
    vb_walk_give(walk, workspace, VB_WORKSPACE);
    return status;
}
