/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_MODEL_MODULES_H
#define VB_MODEL_MODULES_H

/* The modules that a layer may name. To add one: write its function, list it in modules.c. */

#include "model/description.h"
#include "model/weave.h"

enum { VB_MAX_ARGS = 6 };

/* A layer about to be expanded. */
struct vb_site {
    struct vb_weave *weave;
    const struct vb_description *description;
    const struct vb_layer *layer;
    uint32_t inputs[VB_MAX_FROM];   /* values; of a layer that gives several, the first of them */
    uint32_t n_values[VB_MAX_FROM]; /* that each of them gives */
    uint32_t n_inputs;
    uint32_t in;            /* channels of the first input */
    uint32_t out;           /* after width, limit and rounding, where the module takes channels */
    uint32_t repeats;       /* after depth */
    long args[VB_MAX_ARGS]; /* whole numbers and truth values, defaults filled in */
    uint32_t list[VB_MAX_FROM]; /* an argument that is a list of numbers */
    uint32_t n_list;
};

struct vb_module {
    const char *name;
    const char *usage; /* its arguments, for errors: "[channels, kernel=1, stride=1]" */
    uint32_t min_args, max_args;
    bool takes_channels; /* the first argument is out channels, scaled by width */
    bool takes_repeats;  /* the layer's repeats go into the module, not around it */
    bool joins;          /* takes a list of layers */
    enum { VB_ARGS_IGNORED, VB_ARGS_NUMBERS, VB_ARGS_LIST } args;
    long defaults[VB_MAX_ARGS]; /* after the channels */
    uint32_t (*run)(const struct vb_site *site);
};

/* Detect: the head with anchors where the description has some, else the one without. */
uint32_t vb_run_detect(const struct vb_site *site);

/* torchvision's pieces of a ResNet: a convolution with a ReLU, a stage of bottlenecks, and the end
 * that averages and scores. */
uint32_t vb_run_conv_relu(const struct vb_site *site);
uint32_t vb_run_resnet_stage(const struct vb_site *site);
uint32_t vb_run_classifier(const struct vb_site *site);

/* YOLOv9's (gelan.c). */
uint32_t vb_run_rep_elan(const struct vb_site *site);
uint32_t vb_run_elan1(const struct vb_site *site);
uint32_t vb_run_aconv(const struct vb_site *site);
uint32_t vb_run_adown(const struct vb_site *site);
uint32_t vb_run_spp_elan(const struct vb_site *site);
/* Its views follow one another; gives the first. */
uint32_t vb_run_cb_linear(const struct vb_site *site);
uint32_t vb_run_cb_fuse(const struct vb_site *site);

/* NULL: there is none of that name. */
const struct vb_module *vb_module_find(const char *name);
extern const char *const vb_module_names[];
extern const size_t vb_module_count;

#endif
