/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_MODEL_EXPAND_H
#define VB_MODEL_EXPAND_H

/* A description expanded to a graph, for training. Source: torch-memory.md, part B, section 2. */

#include "model/description.h"
#include "model/graph.h"

/* A batch of images: how many, and their sides in pixels. */
struct vb_extent {
    uint32_t batch, height, width;
};

/* All of the graph lives in the arena. `classes` 0 keeps the description's.
 * VB_E_INPUT: an unknown module, a wrong argument (file, line, what was expected), or `imgsz` no
 * multiple of the model's largest stride. */
VB_CHECKED enum vb_status vb_expand(const struct vb_description *description, uint32_t batch,
                                    uint32_t imgsz, uint32_t classes, struct vb_arena *arena,
                                    struct vb_graph *out, struct vb_error *err);

/* The same for images that need not be square; the graph's imgsz is the longer side. */
VB_CHECKED enum vb_status vb_expand_for(const struct vb_description *description,
                                        const struct vb_extent *extent, uint32_t classes,
                                        struct vb_arena *arena, struct vb_graph *out,
                                        struct vb_error *err);

#endif
