/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_MODEL_WEAVE_H
#define VB_MODEL_WEAVE_H

/* For those who expand modules: a graph while it is being made. As in PyTorch a module is first
 * built (its parameters are registered, in its constructor's order) and then run (its operators
 * follow one another): so each block here has a `declare` and a `run`.
 *
 * A value lives until the last operator that reads it, unless vb_weave_hold() says that a variable
 * of the module still has it. Host memory that runs out, and shapes that overflow, set `failed`. */

#include "model/graph.h"

struct vb_weave {
    struct vb_arena *arena;
    const char *file; /* for errors */
    uint32_t line;
    struct vb_graph graph;
    size_t values_room, ops_room, parameters_room, buffers_room;
    struct vb_parameter *buffers;
    char path[160];               /* of the module being built */
    uint32_t n_modules, n_leaves; /* as model.modules() counts */
    bool has_silu;                /* one instance serves all */
    bool has_rep_silu;            /* and another all RepConvs */
    bool failed;
};

/* A name's part pushed on the path; gives the length to go back to. */
size_t vb_weave_enter(struct vb_weave *weave, const char *part);
size_t vb_weave_enter_number(struct vb_weave *weave, uint32_t part);
void vb_weave_leave(struct vb_weave *weave, size_t length);

/* The path becomes a block's own while its operators run; what it was comes back. */
struct vb_place {
    char path[160];
};
struct vb_place vb_weave_move(struct vb_weave *weave, const char *path);
void vb_weave_return(struct vb_weave *weave, const struct vb_place *place);

uint32_t vb_weave_value(struct vb_weave *weave, const struct vb_shape *shape);
/* A view of `of`'s storage. */
uint32_t vb_weave_view(struct vb_weave *weave, uint32_t of, const struct vb_shape *shape);
/* An operator of the module at the path, with these inputs; outputs are added by the caller. */
struct vb_op *vb_weave_op(struct vb_weave *weave, enum vb_op_kind kind, const uint32_t *inputs,
                          uint32_t n_inputs);
void vb_weave_produce(struct vb_weave *weave, uint32_t value);
/* A new tensor, the last operator's output. */
uint32_t vb_weave_result(struct vb_weave *weave, const struct vb_shape *shape);
/* Held until the last operator so far, or to the end. */
void vb_weave_hold(struct vb_weave *weave, uint32_t value);
void vb_weave_hold_to_end(struct vb_weave *weave, uint32_t value);

static inline const struct vb_shape *vb_weave_shape(const struct vb_weave *weave, uint32_t value)
{
    return &weave->graph.values[value].shape;
}

/* A convolution with or without batch normalisation and an activation, which is in place. */
struct vb_block {
    const char *path;
    uint32_t in, out, groups;
    struct vb_window window;
    bool has_bias, has_norm;
    enum { VB_ACT_NONE, VB_ACT_SILU, VB_ACT_RELU } activation;
    uint32_t conv_parameter, norm_parameter; /* the first of each */
    uint32_t counter;                        /* buffer: num_batches_tracked */
};

/* Conv: no bias, batch normalisation, SiLU, padding k/2. */
struct vb_block vb_declare_conv(struct vb_weave *weave, const char *part, uint32_t in, uint32_t out,
                                uint32_t kernel, uint32_t stride, uint32_t groups);
/* The same without its SiLU: in its place is an Identity, which counts as a layer. */
struct vb_block vb_declare_linear_conv(struct vb_weave *weave, const char *part, uint32_t in,
                                       uint32_t out, uint32_t kernel, uint32_t stride,
                                       uint32_t groups);
/* A bare convolution with a bias, as heads end with. */
struct vb_block vb_declare_plain(struct vb_weave *weave, const char *part, uint32_t in,
                                 uint32_t out);
/* A transposed convolution with a bias and no overlap: its stride is its kernel. */
struct vb_block vb_declare_transposed(struct vb_weave *weave, const char *part, uint32_t in,
                                      uint32_t out, uint32_t kernel);
uint32_t vb_run_transposed(struct vb_weave *weave, const struct vb_block *block, uint32_t x);
/* A linear layer's weight and bias; the first of them. */
uint32_t vb_weave_declare_linear(struct vb_weave *weave, const char *part, uint32_t in,
                                 uint32_t out);
/* x [N,C,H,W] averaged, flattened and scored: [N,out]. */
uint32_t vb_run_scores(struct vb_weave *weave, uint32_t linear, uint32_t x, uint32_t out);
/* The v5 head keeps its anchors as a buffer: [levels, anchors, 2]. */
void vb_weave_declare_anchors(struct vb_weave *weave, uint32_t levels, uint32_t anchors);
/* Weights that training neither runs nor changes. */
void vb_weave_declare_frozen(struct vb_weave *weave, const char *part, uint32_t elements);
/* A number a channel: a parameter of the module at the path, not of one inside. */
uint32_t vb_weave_declare_gain(struct vb_weave *weave, const char *name, uint32_t channels);
uint32_t vb_run_conv(struct vb_weave *weave, const struct vb_block *block, uint32_t x);

/* Views of `n` stretches along `axis`, `sizes` long. */
void vb_run_split(struct vb_weave *weave, uint32_t x, uint32_t axis, const uint32_t *sizes,
                  uint32_t n, uint32_t *views);
/* Along channels, or another axis. */
uint32_t vb_run_concat(struct vb_weave *weave, const uint32_t *pieces, uint32_t n);
uint32_t vb_run_concat_along(struct vb_weave *weave, const uint32_t *pieces, uint32_t n,
                             uint32_t axis);
uint32_t vb_run_add(struct vb_weave *weave, uint32_t a, uint32_t b);
/* The same as an operator of the module `path`. */
uint32_t vb_run_add_at(struct vb_weave *weave, const char *path, uint32_t a, uint32_t b);
/* Into a's storage, and one input into its own. */
uint32_t vb_run_add_in_place(struct vb_weave *weave, uint32_t a, uint32_t b);
uint32_t vb_run_activation(struct vb_weave *weave, enum vb_op_kind kind, uint32_t x);
uint32_t vb_run_max_pool(struct vb_weave *weave, uint32_t x, uint32_t kernel, uint32_t stride,
                         uint32_t pad);
/* To this height and width, whole multiples of x's. */
uint32_t vb_run_upsample(struct vb_weave *weave, uint32_t x, uint32_t height, uint32_t width);
uint32_t vb_run_view(struct vb_weave *weave, enum vb_op_kind kind, uint32_t x,
                     const struct vb_shape *shape);
/* A view in another shape whose gradient can be seen in x's shape, too, however it lies. */
uint32_t vb_run_view_through(struct vb_weave *weave, uint32_t x, const struct vb_shape *shape);
/* A view whose axis i is x's `order[i]`. */
uint32_t vb_run_permute(struct vb_weave *weave, uint32_t x, const uint32_t *order);
/* A copy in the order of x's axes. */
uint32_t vb_run_clone(struct vb_weave *weave, uint32_t x);
/* x [N,C,H,W] times one number a channel: a new tensor. */
uint32_t vb_run_gain(struct vb_weave *weave, uint32_t parameter, uint32_t x);

#endif
