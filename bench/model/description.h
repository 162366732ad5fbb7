/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_MODEL_DESCRIPTION_H
#define VB_MODEL_DESCRIPTION_H

/* A model's description: Ultralytics' YAML schema, read and checked, nothing expanded. */

#include <stdbool.h>

#include "model/yaml.h"

enum { VB_MAX_FROM = 16, VB_MAX_LAYERS = 1000 };

struct vb_layer {
    uint32_t line;
    int32_t from[VB_MAX_FROM]; /* layers, counted from 0; -1 is the one before */
    uint32_t n_from;
    bool from_is_list;
    uint32_t repeats;
    const char *module;
    const struct vb_yaml *args; /* a list */
};

struct vb_description {
    const char *file;
    const char *model; /* as the user named it; the file until somebody says otherwise */
    uint32_t classes;
    double depth, width;
    uint32_t max_channels;    /* UINT32_MAX: no limit */
    uint32_t n_anchor_levels; /* 0: an anchor-free head */
    uint32_t n_anchors;       /* a level */
    float anchors[8][16];     /* width and height of each, in pixels */
    struct vb_layer *layers;
    uint32_t n_layers;
    uint32_t frozen_layers; /* the first so many are not trained; a file does not say so */
};

/* Reads a description. Where it gives `scales`, the one that the file's name ends with is taken
 * ("yolov8s.yaml": s), else the first. VB_E_INPUT: file, line, what was expected. */
VB_CHECKED enum vb_status vb_description_parse(const char *file, const char *data, size_t bytes,
                                               struct vb_arena *arena, struct vb_description *out,
                                               struct vb_error *err);

/* A scalar as a number. VB_E_INPUT: it is none, or outside the range. */
VB_CHECKED enum vb_status vb_description_integer(const char *file, const struct vb_yaml *node,
                                                 const char *what, long low, long high, long *out,
                                                 struct vb_error *err);

#endif
