/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_MODEL_MODULES_H
#define VB_MODEL_MODULES_H

/* The modules that a layer may name. To add one: write its function, list it in module_list.c. */

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
    uint32_t in;              /* channels of the first input */
    uint32_t out;             /* after width, limit and rounding, where the module takes channels */
    uint32_t repeats;         /* after depth */
    double args[VB_MAX_ARGS]; /* numbers and truth values, defaults filled in */
    uint32_t list[VB_MAX_FROM]; /* where the module takes a list of numbers */
    uint32_t n_list;
};

struct vb_module {
    const char *name;
    const char *usage; /* its arguments, for errors: "[channels, kernel=1, stride=1]" */
    uint32_t min_args, max_args;
    bool takes_channels; /* the first argument is out channels, scaled by width */
    bool is_attention;   /* gives as many channels as it reads; half of them make heads of 64 */
    bool takes_repeats;  /* the layer's repeats go into the module, not around it */
    bool joins;          /* takes a list of layers */
    bool reads_args;     /* its arguments are numbers that it needs */
    bool takes_list;     /* its one argument is a list of numbers */
    bool gives_parts;    /* as many values as its list has */
    bool is_head;        /* the last layer: its inputs may differ in size */
    uint32_t fractions;  /* bits: these arguments, after the channels, may be fractions */
    uint32_t nones;      /* bits: these may be -1, which is as if they were not given */
    double defaults[VB_MAX_ARGS]; /* after the channels */
    uint32_t (*run)(const struct vb_site *site);
};

/* Each gives the layer's value. modules.c: the plain ones. */
uint32_t vb_run_conv_module(const struct vb_site *site);
uint32_t vb_run_depthwise(const struct vb_site *site);
uint32_t vb_run_sppf(const struct vb_site *site);
uint32_t vb_run_spp(const struct vb_site *site);
uint32_t vb_run_focus(const struct vb_site *site);
uint32_t vb_run_concat_module(const struct vb_site *site);
uint32_t vb_run_upsample_module(const struct vb_site *site);
uint32_t vb_run_max_pool_module(const struct vb_site *site);
uint32_t vb_run_identity(const struct vb_site *site);
uint32_t vb_run_zero_pad(const struct vb_site *site);

/* modules_csp.c: a part of the channels goes through a row of blocks. */
uint32_t vb_run_bottleneck(const struct vb_site *site);
uint32_t vb_run_c3(const struct vb_site *site);
uint32_t vb_run_c2f(const struct vb_site *site);
uint32_t vb_run_c3k2(const struct vb_site *site);

/* modules_v10.c */
uint32_t vb_run_scdown(const struct vb_site *site);
uint32_t vb_run_c2f_cib(const struct vb_site *site);

/* gelan.c: YOLOv9's. */
uint32_t vb_run_rep_elan(const struct vb_site *site);
uint32_t vb_run_elan1(const struct vb_site *site);
uint32_t vb_run_aconv(const struct vb_site *site);
uint32_t vb_run_adown(const struct vb_site *site);
uint32_t vb_run_spp_elan(const struct vb_site *site);
uint32_t vb_run_cb_linear(const struct vb_site *site); /* the first of its parts */
uint32_t vb_run_cb_fuse(const struct vb_site *site);

/* modules_area.c: YOLO12's. */
uint32_t vb_run_a2c2f(const struct vb_site *site);

/* modules_attention.c */
uint32_t vb_run_psa(const struct vb_site *site);
uint32_t vb_run_c2psa(const struct vb_site *site);

/* heads.c: Detect with anchors where the description has some, else without; and YOLOv10's. */
uint32_t vb_run_detect(const struct vb_site *site);
uint32_t vb_run_v10_detect(const struct vb_site *site);

/* heads_tasks.c: of ultralytics' other tasks. */
uint32_t vb_run_segment(const struct vb_site *site);
uint32_t vb_run_pose(const struct vb_site *site);
uint32_t vb_run_obb(const struct vb_site *site);
uint32_t vb_run_classify(const struct vb_site *site);

/* resnet.c: torchvision's pieces of a ResNet: a convolution with a ReLU, a stage of bottlenecks,
 * and the end that averages and scores. */
uint32_t vb_run_conv_relu(const struct vb_site *site);
uint32_t vb_run_resnet_stage(const struct vb_site *site);
uint32_t vb_run_classifier(const struct vb_site *site);

/* What a module as C2f repeats, with as many channels in as out: built by its kind's function,
 * which keeps it in a block of the weave's arena; then run on x, which the caller holds. */
struct vb_inner {
    uint32_t (*run)(struct vb_weave *weave, const void *block, uint32_t x);
    const void *block;
};
typedef struct vb_inner vb_declare_inner(const struct vb_site *site, uint32_t channels);
struct vb_inner vb_declare_inner_narrow(const struct vb_site *site, uint32_t channels);
struct vb_inner vb_declare_inner_c3k(const struct vb_site *site, uint32_t channels);
struct vb_inner vb_declare_inner_attended(const struct vb_site *site, uint32_t channels);
/* NULL: no memory, and the weave has failed. */
void *vb_inner_block(struct vb_weave *weave, size_t bytes);

/* cv2(cat(halves of cv1(x), each block of the one before)); `hidden` channels each. */
uint32_t vb_run_c2f_of(const struct vb_site *site, uint32_t hidden, vb_declare_inner *declare);

/* Channels after width, limit and rounding. */
uint32_t vb_scaled_channels(const struct vb_description *description, uint32_t channels);

/* A classifier's scores [N,classes] become the graph's one output. */
void vb_add_scores(const struct vb_site *site, uint32_t scores);

/* NULL: there is none of that name. */
const struct vb_module *vb_module_find(const char *name);
/* Their names, in the order of the list: for errors. */
enum { VB_N_MODULES = 35 };
void vb_module_list_names(const char **names);

#endif
