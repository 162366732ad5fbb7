/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_MODEL_CATALOGUE_H
#define VB_MODEL_CATALOGUE_H

/* Models by name: the built-in ones (sweeps/models/) and a user's own YAML file. */

#include "model/description.h"
#include "model/graph.h"

/* The built-in names, families in order, small to large. */
extern const char *const vb_catalogue_names[];
extern const size_t vb_catalogue_size;

/* Whether there is such a model: a built-in name, or a path ending in .yaml or .yml, which is not
 * opened. VB_E_INPUT: neither; with a suggestion. */
VB_CHECKED enum vb_status vb_catalogue_check(const char *model, struct vb_error *err);

/* Finds and reads `model`'s file. VB_E_INPUT: as below, but for imgsz. */
VB_CHECKED enum vb_status vb_catalogue_describe(const char *model, struct vb_arena *arena,
                                                struct vb_description *out, struct vb_error *err);

/* Finds `model` (a built-in name, "yolov5s", or a path ending in .yaml or .yml) and expands it for
 * training. All of the graph lives in the arena. `classes` 0 keeps the file's nc.
 * VB_E_INPUT: no such model (with a suggestion), a fault in the file (with file and line), or imgsz
 * not a multiple of the model's largest stride (with the nearest two that are). */
VB_CHECKED enum vb_status vb_catalogue_expand(const char *model, uint32_t batch, uint32_t imgsz,
                                              uint32_t classes, struct vb_arena *arena,
                                              struct vb_graph *out, struct vb_error *err);

/* The number of classes with which the model has exactly so many parameters: `*classes` is 0 where
 * there is none up to 10000. VB_E_INPUT: no such model, or a fault in its file. */
VB_CHECKED enum vb_status vb_catalogue_classes(const char *model, uint64_t parameters,
                                               uint32_t *classes, struct vb_error *err);

#endif
