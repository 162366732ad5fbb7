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
#include "record/point.h"
#include "step/program.h"

struct vb_target {
    uint32_t image; /* of the batch, from 0 */
    uint32_t label;
    float cx, cy, w, h; /* of the image's sides, 0 to 1 */
};

struct vb_targets {
    const struct vb_target *items; /* in the order of their images */
    uint32_t n;
    uint32_t most_in_an_image; /* YOLOv8's loss leaves out what an image has beyond */
    /* Anchors that YOLOv8's assigner takes as foreground: that depends on the network's output.
     * Drawn boxes take ten each, which is what the assigner picks where boxes do not contend. */
    uint32_t n_foreground;
    uint32_t n_one_to_one; /* the same of an end-to-end head's other assigner: one each */
};

/* Images are not equally full, and YOLOv8 pads all to the fullest. How many boxes a picture holds
 * is taken to be geometrically distributed, as COCO's is (mean 7.3, deviation 7.4, and of its
 * 118,000 training images the fullest holds 93: 7.3 x ln 118,000 is 85). A mosaic shows parts of
 * four pictures, together as large as one: a sum of four with a quarter of the mean each, so less
 * uneven. The fullest of n images is expected to be the one that one in n + 1 exceeds.
 *
 * Boxes have centres within 0.1 to 0.9 and sides of 0.05 to 0.5 of the image's, clipped to it, and
 * 80 classes, from a linear congruential generator seeded with 12345 + image. NULL items where the
 * host has no memory left. */

/* A typical batch: the mean in each image, and as many in the fullest as is expected of the batch.
 */
struct vb_targets vb_targets_even(struct vb_arena *arena, const struct vb_point *point);

/* The batch of `images` images that is the `number`th of an epoch: their boxes drawn from the
 * distribution, none fuller than `most`. */
struct vb_targets vb_targets_drawn(struct vb_arena *arena, const struct vb_point *point,
                                   uint32_t images, uint32_t number, uint32_t most);

/* The boxes of the fullest of so many images: the point's `most`, or what is expected. */
uint32_t vb_targets_most(const struct vb_point *point, uint32_t images);

/* Between a box's sides and an anchor's, for a match: anchor_t of YOLOv5 v7.0's
 * data/hyps/hyp.scratch-low.yaml. */
enum { VB_MOST_RATIO = 4 };

/* The level's anchors in its cells: width and height of each, as YOLOv5's model holds them. */
void vb_anchors_in_cells(const struct vb_level *level, float *cells);

/* How many boxes match an anchor of the level, before and after each is also given to the
 * neighbouring cells that its centre is nearest to. The loss finds as many: each step here is one
 * of its operators in fp32 (match_v5.c), rounded once, in the same order. */
struct vb_matches {
    uint32_t n_anchor_boxes;
    uint32_t n;
};
struct vb_matches vb_targets_match(const struct vb_targets *targets, const struct vb_level *level);

/* How many (box, anchor) pairs of YOLOv8 there are in which the anchor's cell centre lies in the
 * box. Centres and the images' size are in `dtype`. The loss finds as many: each step here is one
 * of its operators (anchors.c, assign.c), rounded once, in the same order. */
uint32_t vb_targets_count_inside(const struct vb_targets *targets, const struct vb_graph *graph,
                                 enum vb_dtype dtype);

#endif
