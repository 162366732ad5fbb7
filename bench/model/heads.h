/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_MODEL_HEADS_H
#define VB_MODEL_HEADS_H

/* For those who expand heads: what all heads without anchors are made of. */

#include "model/modules.h"

/* Two convolutions, then a bare one. The first two may each be a depthwise and a pointwise one. */
struct vb_branch {
    struct vb_block depthwise[2], convs[2], last;
    bool is_light;
};

/* A branch's channels, and its module's name. */
struct vb_branch_shape {
    const char *part;
    uint32_t hidden, out;
    bool is_light;
};

/* One for each of the site's inputs. */
void vb_declare_branches(const struct vb_site *site, const struct vb_branch_shape *shape,
                         struct vb_branch *branches);
uint32_t vb_run_branch(struct vb_weave *weave, const struct vb_branch *branch, uint32_t x);

/* Two branches a level: distances and class scores. */
struct vb_detect {
    struct vb_branch boxes[VB_MAX_FROM];
    struct vb_branch scores[VB_MAX_FROM];
};

/* Detect's own: its score branches are light where a model has YOLO11's modules. */
void vb_declare_detect(const struct vb_site *site, struct vb_detect *detect);
/* The graph's levels. */
void vb_run_detect_levels(const struct vb_site *site, const struct vb_detect *detect);

static inline uint32_t vb_at_least(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

#endif
