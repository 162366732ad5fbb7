/* SPDX-License-Identifier: Apache-2.0 */
/* Attention over the pixels of a plane, as ultralytics writes it out: two products and a softmax,
 * N x N numbers a head for N pixels. */

#include "model/attention.h"

#include <math.h>
#include <stdio.h>

#include "base/bytes.h"

enum { HEAD_CHANNELS = 64, MAX_BLOCKS = 64 };

uint32_t vb_weave_transpose(struct vb_weave *weave, uint32_t x)
{
    struct vb_shape shape = *vb_weave_shape(weave, x);
    uint32_t rows = shape.dims[shape.n_dims - 2];
    shape.dims[shape.n_dims - 2] = shape.dims[shape.n_dims - 1];
    shape.dims[shape.n_dims - 1] = rows;
    return vb_run_view(weave, VB_TRANSPOSE, x, &shape);
}

/* All axes but the last two as one. */
static uint32_t as_stack(struct vb_weave *weave, uint32_t x)
{
    const uint32_t *dims = vb_weave_shape(weave, x)->dims;
    struct vb_shape stack = { 3, { dims[0] * dims[1], dims[2], dims[3] } };
    return vb_run_view(weave, VB_STACK, x, &stack);
}

uint32_t vb_weave_matmul(struct vb_weave *weave, uint32_t a, uint32_t b)
{
    struct vb_shape shape = *vb_weave_shape(weave, a);
    uint32_t both[] = { as_stack(weave, a), as_stack(weave, b) };
    const uint32_t *left = vb_weave_shape(weave, both[0])->dims;
    uint64_t inner = left[2];
    shape.dims[3] = vb_weave_shape(weave, both[1])->dims[2];
    struct vb_shape stack = { 3, { left[0], left[1], shape.dims[3] } };

    struct vb_op *op = vb_weave_op(weave, VB_MATMUL, both, 2);
    if (!vb_mul(vb_shape_elements(&stack), inner, &op->macs))
        weave->failed = true;
    weave->graph.matmul_macs += op->macs;
    uint32_t y = vb_weave_result(weave, &stack);
    return vb_run_view(weave, VB_UNSTACK, y, &shape);
}

uint32_t vb_weave_scale(struct vb_weave *weave, uint32_t x, double factor)
{
    vb_weave_op(weave, VB_SCALE, &x, 1)->factor = factor;
    return vb_weave_result(weave, vb_weave_shape(weave, x));
}

uint32_t vb_weave_softmax(struct vb_weave *weave, uint32_t x)
{
    (void)vb_weave_op(weave, VB_SOFTMAX, &x, 1);
    return vb_weave_result(weave, vb_weave_shape(weave, x));
}

uint32_t vb_weave_reshape(struct vb_weave *weave, uint32_t x, bool copies,
                          const struct vb_shape *shape)
{
    return vb_run_view(weave, VB_VIEW, copies ? vb_run_clone(weave, x) : x, shape);
}

struct vb_attention vb_declare_attention(struct vb_weave *weave, const char *part,
                                         uint32_t channels)
{
    uint32_t heads = channels / HEAD_CHANNELS;
    struct vb_attention a = { .channels = channels, .heads = heads > 0 ? heads : 1 };
    if (channels < 2 || channels % a.heads != 0) {
        weave->failed = true;
        return a;
    }
    a.head_channels = channels / a.heads;
    a.key_channels = a.head_channels / 2;
    a.scale = 1 / sqrt(a.key_channels);
    uint32_t all = channels + 2 * a.key_channels * a.heads;
    size_t length = vb_weave_enter(weave, part);
    (void)snprintf(a.path, sizeof a.path, "%s", weave->path);
    a.qkv = vb_declare_linear_conv(weave, "qkv", channels, all, 1, 1, 1);
    a.proj = vb_declare_linear_conv(weave, "proj", channels, channels, 1, 1, 1);
    a.pe = vb_declare_linear_conv(weave, "pe", channels, channels, 3, 1, channels);
    vb_weave_leave(weave, length);
    weave->n_modules++;
    return a;
}

/* Queries, keys and values of each head, [N,heads,channels,pixels]. */
static void run_qkv(struct vb_weave *weave, const struct vb_attention *a, uint32_t x,
                    uint32_t *parts)
{
    uint32_t qkv = vb_run_conv(weave, &a->qkv, x);
    const uint32_t *dims = vb_weave_shape(weave, qkv)->dims;
    const uint32_t sizes[] = { a->key_channels, a->key_channels, a->head_channels };
    const struct vb_shape heads = {
        4, { dims[0], a->heads, 2 * a->key_channels + a->head_channels, dims[2] * dims[3] }
    };
    struct vb_place outer = vb_weave_move(weave, a->path);
    uint32_t view = vb_run_view(weave, VB_VIEW, qkv, &heads);
    vb_run_split(weave, view, 2, sizes, 3, parts);
    vb_weave_return(weave, &outer);
}

/* The scale is 1 / sqrt of a key's channels. What Python names (the parts and their weights) it
 * holds until the module returns. */
uint32_t vb_weave_attention(struct vb_weave *weave, const struct vb_attention *a, uint32_t x)
{
    uint32_t parts[3];
    enum { Q, K, V };
    const struct vb_shape plane = *vb_weave_shape(weave, x);
    run_qkv(weave, a, x, parts);
    struct vb_place outer = vb_weave_move(weave, a->path);
    uint32_t product = vb_weave_matmul(weave, vb_weave_transpose(weave, parts[Q]), parts[K]);
    uint32_t weights = vb_weave_softmax(weave, vb_weave_scale(weave, product, a->scale));
    uint32_t seen = vb_weave_matmul(weave, parts[V], vb_weave_transpose(weave, weights));
    seen = vb_run_view(weave, VB_VIEW, seen, &plane);
    uint32_t values = vb_weave_reshape(weave, parts[V], a->heads > 1, &plane);
    vb_weave_return(weave, &outer);

    uint32_t placed = vb_run_conv(weave, &a->pe, values);
    uint32_t y = vb_run_conv(weave, &a->proj, vb_run_add_at(weave, a->path, seen, placed));
    for (uint32_t i = Q; i <= V; i++)
        vb_weave_hold(weave, parts[i]);
    vb_weave_hold(weave, weights);
    return y;
}

struct vb_feed_forward vb_declare_feed_forward(struct vb_weave *weave, const char *part,
                                               uint32_t channels, uint32_t wide)
{
    struct vb_feed_forward feed;
    (void)snprintf(feed.path, sizeof feed.path, "%s", weave->path);
    size_t length = vb_weave_enter(weave, part);
    feed.widen = vb_declare_conv(weave, "0", channels, wide, 1, 1, 1);
    feed.narrow = vb_declare_linear_conv(weave, "1", wide, channels, 1, 1, 1);
    vb_weave_leave(weave, length);
    weave->n_modules++; /* the Sequential */
    return feed;
}

uint32_t vb_weave_feed_forward(struct vb_weave *weave, const struct vb_feed_forward *feed,
                               uint32_t x, uint32_t attended)
{
    uint32_t sum = vb_run_add_at(weave, feed->path, x, attended);
    uint32_t y = vb_run_conv(weave, &feed->narrow, vb_run_conv(weave, &feed->widen, sum));
    y = vb_run_add_at(weave, feed->path, sum, y);
    vb_weave_hold(weave, x);
    return y;
}

/* x + attention(x), then x + ffn(x), by twice the channels. */
struct block {
    struct vb_attention attention;
    struct vb_feed_forward feed;
};

static struct block declare_block(struct vb_weave *weave, uint32_t channels)
{
    struct block b = { .attention = vb_declare_attention(weave, "attn", channels) };
    b.feed = vb_declare_feed_forward(weave, "ffn", channels, 2 * channels);
    return b;
}

static uint32_t run_block(struct vb_weave *weave, const struct block *b, uint32_t x)
{
    return vb_weave_feed_forward(weave, &b->feed, x, vb_weave_attention(weave, &b->attention, x));
}

/* A bottleneck, then a block. */
struct attended {
    struct vb_inner bottleneck;
    struct block block;
};

static uint32_t run_attended(struct vb_weave *weave, const void *block, uint32_t x)
{
    const struct attended *both = block;
    uint32_t y = both->bottleneck.run(weave, both->bottleneck.block, x);
    y = run_block(weave, &both->block, y);
    vb_weave_hold(weave, x);
    return y;
}

struct vb_inner vb_declare_inner_attended(const struct vb_site *site, uint32_t channels)
{
    struct vb_weave *weave = site->weave;
    struct attended *both = vb_inner_block(weave, sizeof *both);
    if (both != NULL) {
        size_t length = vb_weave_enter(weave, "0");
        both->bottleneck = vb_declare_inner_narrow(site, channels);
        vb_weave_leave(weave, length);
        (void)vb_weave_enter(weave, "1");
        both->block = declare_block(weave, channels);
        vb_weave_leave(weave, length);
    }
    weave->n_modules += 2; /* the Sequential, and the block */
    return (struct vb_inner){ run_attended, both };
}

/* cv2(cat(half of cv1(x), blocks of the other half)) */
static uint32_t run_halves(const struct vb_site *site, const struct vb_block *cv1,
                           const struct vb_block *cv2, const struct block *blocks, uint32_t n)
{
    struct vb_weave *weave = site->weave;
    const uint32_t sizes[] = { cv1->out / 2, cv1->out / 2 };
    uint32_t halves[2];
    vb_run_split(weave, vb_run_conv(weave, cv1, site->inputs[0]), 1, sizes, 2, halves);
    for (uint32_t i = 0; i < n; i++)
        halves[1] = run_block(weave, &blocks[i], halves[1]);
    uint32_t y = vb_run_conv(weave, cv2, vb_run_concat(weave, halves, 2));
    vb_weave_hold(weave, halves[0]);
    vb_weave_hold(weave, halves[1]);
    return y;
}

uint32_t vb_run_psa(const struct vb_site *site)
{
    struct vb_weave *weave = site->weave;
    uint32_t half = site->in / 2;
    weave->failed = weave->failed || site->in != site->out;
    struct vb_block cv1 = vb_declare_conv(weave, "cv1", site->in, 2 * half, 1, 1, 1);
    struct vb_block cv2 = vb_declare_conv(weave, "cv2", 2 * half, site->in, 1, 1, 1);
    struct block block = declare_block(weave, half);
    weave->n_modules++;
    return weave->failed ? 0 : run_halves(site, &cv1, &cv2, &block, 1);
}

uint32_t vb_run_c2psa(const struct vb_site *site)
{
    struct vb_weave *weave = site->weave;
    struct block blocks[MAX_BLOCKS];
    uint32_t half = site->in / 2;
    weave->failed = weave->failed || site->in != site->out || site->repeats > MAX_BLOCKS;
    struct vb_block cv1 = vb_declare_conv(weave, "cv1", site->in, 2 * half, 1, 1, 1);
    struct vb_block cv2 = vb_declare_conv(weave, "cv2", 2 * half, site->in, 1, 1, 1);
    size_t outer = vb_weave_enter(weave, "m");
    for (uint32_t i = 0; i < site->repeats && !weave->failed; i++) {
        size_t inner = vb_weave_enter_number(weave, i);
        blocks[i] = declare_block(weave, half);
        vb_weave_leave(weave, inner);
    }
    vb_weave_leave(weave, outer);
    weave->n_modules += 2 + site->repeats; /* it, the Sequential, and each block */
    return weave->failed ? 0 : run_halves(site, &cv1, &cv2, blocks, site->repeats);
}
