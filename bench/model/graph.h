/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_MODEL_GRAPH_H
#define VB_MODEL_GRAPH_H

/* The graph: a model expanded to leaf operators in the order in which training runs them, with
 * shapes for one batch and image size. It knows values (tensors of the forward pass), who makes
 * them and how long Python holds them; it decides nothing about bytes or about the backward pass.
 */

#include <stddef.h>

#include "base/arena.h"
#include "base/error.h"
#include "model/op.h"

/* `held_until` of what lives until the forward pass returns: layers in the model's save list. */
#define VB_HELD_TO_END SIZE_MAX

struct vb_value {
    struct vb_shape shape;
    uint32_t storage; /* the value whose memory this is: its own index unless it is a view */
    /* The operator after which Python drops its last reference: the last that reads it, or later
     * where a variable, list or caller still holds it (torch-memory.md, part B, 2 and 3). */
    size_t held_until;
    bool is_int64;  /* max pooling's indices */
    bool is_output; /* a prediction: lives on after the forward pass */
};

struct vb_op {
    enum vb_op_kind kind;
    const char *module; /* "model.2.m.0.cv1.conv" */
    uint32_t n_inputs, n_outputs;
    uint32_t inputs[VB_MAX_INPUTS]; /* values */
    uint32_t outputs[VB_MAX_OUTPUTS];
    struct vb_window window; /* convolution and max pooling */
    uint32_t groups;
    uint32_t quarter; /* of a slice: which of Focus's four */
    bool has_bias;
    uint64_t
        weight_elements; /* convolution: its weight; batch normalisation: its weight (= bias) */
    uint64_t macs;       /* convolution: multiply-adds, bias not counted */
};

/* A parameter or buffer tensor, in the order of model.parameters() and model.buffers(): that in
 * which .to(device) allocates. */
struct vb_parameter {
    const char *name; /* "model.0.conv.weight" */
    struct vb_shape shape;
    uint64_t elements;
    /* That uses it; UINT32_MAX: none in training (v8's frozen DFL weight). Of the buffers, only
     * num_batches_tracked tells. */
    uint32_t op;
    enum vb_role { VB_ROLE_WEIGHT, VB_ROLE_NORM, VB_ROLE_BIAS, VB_ROLE_BUFFER } role;
    bool is_int64;  /* num_batches_tracked */
    bool is_frozen; /* gets no gradient; counted in parameters all the same */
};

enum vb_head { VB_HEAD_V5, VB_HEAD_V8, VB_HEAD_CLASSIFY };

/* One detection level; a classifier has one, for its scores. */
struct vb_level {
    uint32_t stride; /* 1 of a classifier's: it takes any size */
    uint32_t grid_h, grid_w;
    uint32_t output;      /* value: v5 [N,na,H,W,nc+5], v8 [N,64+nc,H,W], classifier [N,nc] */
    float anchors[2 * 8]; /* v5: width and height of each anchor in pixels */
    uint32_t n_anchors;
};

struct vb_graph {
    const char *model;              /* as the user named it */
    uint32_t batch, imgsz, classes; /* imgsz: the longer side of the images */
    enum vb_head head;
    uint32_t n_levels;
    struct vb_level levels[8];

    struct vb_value *values; /* value 0 is the image [N,3,H,W] */
    uint32_t n_values;
    struct vb_op *ops;
    uint32_t n_ops;
    struct vb_parameter *parameters; /* parameters first, then buffers */
    uint32_t n_parameters, n_buffers;
    uint64_t parameter_elements; /* as the repositories print: frozen ones too */
    uint64_t trainable_elements;
    uint32_t n_layers;  /* as the repository prints it */
    double gflops_640;  /* as the repository prints it: params.csv's thop_ultralytics column */
    uint64_t conv_macs; /* at this batch and size */
};

#endif
