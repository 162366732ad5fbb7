/* SPDX-License-Identifier: Apache-2.0 */
#include "fit/advise_rules.h"

uint32_t vb_chain_count(const struct vb_chain *chain)
{
    uint32_t n = 0;
    for (int change = 0; change < VB_N_CHANGES; change++)
        n += chain->levels[change] > 0;
    return n;
}

uint32_t vb_axis_strongest(const struct vb_axis *axis)
{
    return axis->change == VB_CHANGE_ALLOCATOR && axis->n > 0 ? 1 : (uint32_t)axis->n;
}

uint64_t vb_cost_alone(const struct vb_grid *grid, enum vb_change change, uint32_t level)
{
    struct vb_chain chain = { { 0 } };
    chain.levels[change] = level;
    return vb_chain_cost(grid, &chain);
}

bool vb_chain_is_as_strong(const struct vb_chain *strong, const struct vb_chain *weak)
{
    const uint32_t *a = strong->levels, *b = weak->levels;
    for (int i = 0; i < VB_N_CHANGES; i++) {
        bool is_part = i == VB_CHANGE_MIXUP || i == VB_CHANGE_COPY_PASTE;
        if (a[i] < b[i] && !(is_part && a[VB_CHANGE_ON_HOST] > 0))
            return false;
    }
    return a[VB_CHANGE_ALLOCATOR] == b[VB_CHANGE_ALLOCATOR] &&
           a[VB_CHANGE_CHANNELS_LAST] == b[VB_CHANGE_CHANNELS_LAST] &&
           a[VB_CHANGE_GPU] == b[VB_CHANGE_GPU] &&
           (a[VB_CHANGE_GPUS] > 0) == (b[VB_CHANGE_GPUS] > 0);
}

bool vb_is_for_chains(const struct vb_grid *grid, enum vb_change change)
{
    if (change == VB_CHANGE_GPUS)
        return grid->axes[VB_CHANGE_BATCH].n == 0;
    return grid->axes[VB_CHANGE_ON_HOST].n == 0 ||
           (change != VB_CHANGE_MOSAIC && change != VB_CHANGE_MIXUP &&
            change != VB_CHANGE_COPY_PASTE);
}

bool vb_is_worth_telling(enum vb_change change)
{
    return change == VB_CHANGE_PRECISION || change == VB_CHANGE_BATCH ||
           change == VB_CHANGE_IMGSZ || change == VB_CHANGE_MODEL || change == VB_CHANGE_GPU ||
           change == VB_CHANGE_GPUS;
}

int vb_cheapest_left(const struct vb_grid *grid, const struct vb_chain *chain,
                     const struct vb_chain *so_far)
{
    uint64_t least = UINT64_MAX;
    int found = -1;
    for (int i = 0; i < VB_N_CHANGES; i++) {
        if (chain->levels[i] == so_far->levels[i])
            continue;
        uint64_t cost = vb_cost_alone(grid, (enum vb_change)i, chain->levels[i]);
        if (cost < least) {
            least = cost;
            found = i;
        }
    }
    return found;
}
