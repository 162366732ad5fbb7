/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_MODEL_ATTENTION_H
#define VB_MODEL_ATTENTION_H

/* Attention, and the operators that it is made of, for those who expand modules. */

#include "model/modules.h"

/* The last two axes in the other order. */
uint32_t vb_weave_transpose(struct vb_weave *weave, uint32_t x);
/* a [N,H,m,k], b [N,H,k,n] -> [N,H,m,n]: PyTorch sees them as stacks [N H,..]. */
uint32_t vb_weave_matmul(struct vb_weave *weave, uint32_t a, uint32_t b);
uint32_t vb_weave_scale(struct vb_weave *weave, uint32_t x, double factor);
uint32_t vb_weave_softmax(struct vb_weave *weave, uint32_t x);
/* .reshape(): a view, of a copy where x's axes do not lie so that one could be. */
uint32_t vb_weave_reshape(struct vb_weave *weave, uint32_t x, bool copies,
                          const struct vb_shape *shape);

struct vb_attention {
    struct vb_block qkv, proj, pe;
    uint32_t channels, heads, head_channels, key_channels;
    double scale;
    char path[160];
};

/* A head for each 64 channels, one at least; its keys have half as many channels as its values. */
struct vb_attention vb_declare_attention(struct vb_weave *weave, const char *part,
                                         uint32_t channels);
/* x [N,C,H,W] -> the same. */
uint32_t vb_weave_attention(struct vb_weave *weave, const struct vb_attention *attention,
                            uint32_t x);

/* The second half of a block: two pointwise convolutions of `wide` channels in between, in a
 * Sequential of this name. Each half is added to what it read, by the module at the path. */
struct vb_feed_forward {
    struct vb_block widen, narrow;
    char path[160];
};
struct vb_feed_forward vb_declare_feed_forward(struct vb_weave *weave, const char *part,
                                               uint32_t channels, uint32_t wide);
/* x + attended, and what comes of that added to it. x is held until then. */
uint32_t vb_weave_feed_forward(struct vb_weave *weave, const struct vb_feed_forward *feed,
                               uint32_t x, uint32_t attended);

#endif
