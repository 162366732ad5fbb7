/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_FIT_ADVISE_RULES_H
#define VB_FIT_ADVISE_RULES_H

/* What the search for advice knows of changes without planning them. Private to fit/advise. */

#include <stdbool.h>

#include "fit/advise_grid.h"

/* Its changes. */
uint32_t vb_chain_count(const struct vb_chain *chain);

/* Of the allocator's settings neither is the stronger one; the first is taken for all. */
uint32_t vb_axis_strongest(const struct vb_axis *axis);

/* Of that level of that change, with no other. */
uint64_t vb_cost_alone(const struct vb_grid *grid, enum vb_change change, uint32_t level);

/* Whether a chain is at least as strong as another: memory does not fall where all its levels do.
 * That is so of all but the settings of the allocator, the layout and the GPU, which have to be the
 * same, and the second GPU, with which buckets of gradients come. What the host composes the device
 * need not compose less of. */
bool vb_chain_is_as_strong(const struct vb_chain *strong, const struct vb_chain *weak);

/* Where the host may compose images, not composing them saves no more; nor do several GPUs where
 * the batch may be as small as each one's share: a chain does without. */
bool vb_is_for_chains(const struct vb_grid *grid, enum vb_change change);

/* Of what is not enough alone, only what saves much as a rule is worth the time of telling how
 * much. */
bool vb_is_worth_telling(enum vb_change change);

/* The cheapest change of the chain that is not in the other; -1: there is none. */
int vb_cheapest_left(const struct vb_grid *grid, const struct vb_chain *chain,
                     const struct vb_chain *so_far);

#endif
