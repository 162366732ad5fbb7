/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_TARGETS_H
#define VB_STEP_TARGETS_H

/* The boxes of a batch. A loss's memory depends on how many there are and, for YOLOv5, on which
 * grid cells and anchors they match: so a program is built for given boxes. Where a point gives
 * only their number, the boxes are drawn by a fixed generator, the same for everyone. */

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "model/graph.h"

struct vb_target {
    uint32_t image; /* of the batch, from 0 */
    uint32_t label;
    float cx, cy, w, h; /* of the image's sides, 0 to 1 */
};

struct vb_targets {
    const struct vb_target *items;
    uint32_t n;
    uint32_t most_in_an_image;
    /* Anchors that YOLOv8's assigner takes as foreground: that depends on the network's output.
     * Drawn boxes take ten each, which is what the assigner picks where boxes do not contend. */
    uint32_t n_foreground;
};

/* `per_image` boxes for each of `batch` images, 80 classes: centres within 0.1 to 0.9, sides 0.05
 * to 0.5 of the image's, clipped to it. Real images are not equally full, and YOLOv8 pads all to
 * the fullest: that one is taken to have three times as many (an assumption, as the number of boxes
 * itself is). A linear congruential generator seeded with 12345 + image. NULL items where the host
 * has no memory left. */
struct vb_targets vb_targets_draw(struct vb_arena *arena, uint32_t batch, uint32_t per_image);

/* How many boxes match an anchor of the level (shape ratio below 4), before and after each is also
 * given to the neighbouring cells that its centre is nearest to. */
struct vb_matches {
    uint32_t n_anchor_boxes;
    uint32_t n;
};
struct vb_matches vb_targets_match(const struct vb_targets *targets, const struct vb_level *level);

/* How many (box, anchor) pairs of YOLOv8 there are in which the anchor's cell centre lies in the
 * box. */
uint32_t vb_targets_count_inside(const struct vb_targets *targets, const struct vb_level *level);

#endif
