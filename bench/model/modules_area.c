/* SPDX-License-Identifier: Apache-2.0 */
/* YOLO12's attention within areas of a plane, as ultralytics 8.3.220 writes it out: two products
 * and a softmax, never a fused kernel. What is a view and what a copy follows from where PyTorch's
 * axes lie: with areas each reshape of them is a copy, but that of an image alone; in one area only
 * that of the values is, where there are several heads. */

#include <math.h>
#include <stdio.h>

#include "model/attention.h"

enum { HEAD_CHANNELS = 32, PLACE_KERNEL = 7, IN_SEQUENTIAL = 2, MAX_REPEATS = 30 };

enum { Q, K, V, N_PARTS };

struct area_attention {
    struct vb_block qkv, proj, pe;
    uint32_t channels, heads, areas;
    char path[160];
};

static struct area_attention declare_attention(struct vb_weave *weave, const char *part,
                                               uint32_t channels, uint32_t areas)
{
    struct area_attention a = { .channels = channels,
                                .heads = channels / HEAD_CHANNELS,
                                .areas = areas };
    size_t length = vb_weave_enter(weave, part);
    (void)snprintf(a.path, sizeof a.path, "%s", weave->path);
    a.qkv = vb_declare_linear_conv(weave, "qkv", channels, N_PARTS * channels, 1, 1, 1);
    a.proj = vb_declare_linear_conv(weave, "proj", channels, channels, 1, 1, 1);
    a.pe = vb_declare_linear_conv(weave, "pe", channels, channels, PLACE_KERNEL, 1, channels);
    vb_weave_leave(weave, length);
    weave->n_modules++;
    return a;
}

/* [N,3C,H,W] to [N areas, heads, 3C / heads, pixels of an area]. */
static uint32_t run_to_areas(struct vb_weave *weave, const struct area_attention *a, uint32_t qkv)
{
    static const uint32_t pixels_last[] = { 0, 2, 3, 1 };
    const struct vb_shape image = *vb_weave_shape(weave, qkv);
    uint32_t n = image.dims[0], all = image.dims[1], pixels = image.dims[2] * image.dims[3];
    uint32_t channels = all / a->heads;
    if (a->areas == 1)
        return vb_run_view(weave, VB_VIEW, qkv,
                           &(struct vb_shape){ 4, { n, a->heads, channels, pixels } });
    uint32_t y = vb_run_view_through(weave, qkv, &(struct vb_shape){ 3, { n, all, pixels } });
    y = vb_weave_transpose(weave, y);
    const struct vb_shape areas = { 4, { n * a->areas, pixels / a->areas, a->heads, channels } };
    y = vb_weave_reshape(weave, y, n > 1, &areas);
    return vb_run_permute(weave, y, pixels_last);
}

/* A copy of what products read where their matrices do not lie one after the other. */
static uint32_t run_dense(struct vb_weave *weave, const struct area_attention *a, uint32_t x)
{
    return a->areas > 1 ? vb_run_clone(weave, x) : x;
}

/* [N areas, heads, C / heads, pixels] with the pixels before the heads, which are channels then:
 * [N,H,W,C]. */
static uint32_t run_from_areas(struct vb_weave *weave, const struct area_attention *a, uint32_t x,
                               const struct vb_shape *image)
{
    static const uint32_t pixels_second[] = { 0, 3, 1, 2 };
    const struct vb_shape last = {
        4, { image->dims[0], image->dims[2], image->dims[3], image->dims[1] }
    };
    uint32_t y = vb_run_permute(weave, x, pixels_second);
    if (a->areas > 1)
        return vb_weave_reshape(weave, y, true, &last);
    if (a->heads > 1)
        y = vb_run_clone(weave, y);
    return vb_run_view_through(weave, y, &last);
}

/* [N,H,W,C] as an image, whose channels are copied to where they belong. */
static uint32_t run_to_image(struct vb_weave *weave, uint32_t x)
{
    static const uint32_t channels_second[] = { 0, 3, 1, 2 };
    return vb_run_clone(weave, vb_run_permute(weave, x, channels_second));
}

/* What the products give, as images; and the weights of the second. */
struct attended {
    uint32_t seen, values, weights;
};

static struct attended run_products(struct vb_weave *weave, const struct area_attention *a,
                                    const uint32_t *parts, const struct vb_shape *image)
{
    struct attended given = { .values = parts[V] };
    uint32_t queries = run_dense(weave, a, vb_weave_transpose(weave, parts[Q]));
    uint32_t product = vb_weave_matmul(weave, queries, run_dense(weave, a, parts[K]));
    product = vb_weave_scale(weave, product, 1 / sqrt(HEAD_CHANNELS));
    given.weights = vb_weave_softmax(weave, product);
    uint32_t dense = run_dense(weave, a, parts[V]);
    uint32_t seen = vb_weave_matmul(weave, dense, vb_weave_transpose(weave, given.weights));
    if (a->areas > 1) {
        const struct vb_shape same = *vb_weave_shape(weave, seen);
        seen = vb_run_view(weave, VB_VIEW, seen, &same); /* whose gradient is copied */
        seen = run_from_areas(weave, a, seen, image);
    }
    given.values = run_from_areas(weave, a, given.values, image);
    given.seen =
        a->areas > 1 ? run_to_image(weave, seen) : vb_run_view(weave, VB_VIEW, seen, image);
    given.values = run_to_image(weave, given.values);
    return given;
}

/* What Python names (queries, keys, values, weights) it holds until the module returns. */
static uint32_t run_attention(struct vb_weave *weave, const struct area_attention *a, uint32_t x)
{
    const uint32_t sizes[] = { HEAD_CHANNELS, HEAD_CHANNELS, HEAD_CHANNELS };
    const struct vb_shape image = *vb_weave_shape(weave, x);
    uint32_t parts[N_PARTS];
    if ((uint64_t)image.dims[2] * image.dims[3] % a->areas != 0) {
        weave->failed = true;
        return 0;
    }
    uint32_t qkv = vb_run_conv(weave, &a->qkv, x);
    struct vb_place outer = vb_weave_move(weave, a->path);
    vb_run_split(weave, run_to_areas(weave, a, qkv), 2, sizes, N_PARTS, parts);
    struct attended given = run_products(weave, a, parts, &image);
    vb_weave_return(weave, &outer);

    uint32_t placed = vb_run_conv(weave, &a->pe, given.values);
    uint32_t y = vb_run_conv(weave, &a->proj, vb_run_add_at(weave, a->path, given.seen, placed));
    vb_weave_hold(weave, parts[Q]);
    vb_weave_hold(weave, parts[K]);
    vb_weave_hold(weave, given.values);
    vb_weave_hold(weave, given.weights);
    return y;
}

/* x + attention(x), then x + mlp(x). */
struct block {
    struct area_attention attention;
    struct vb_feed_forward feed;
};

static struct block declare_block(struct vb_weave *weave, uint32_t channels, uint32_t areas,
                                  double ratio)
{
    struct block b = { .attention = declare_attention(weave, "attn", channels, areas) };
    b.feed = vb_declare_feed_forward(weave, "mlp", channels, (uint32_t)(channels * ratio));
    weave->n_modules++;
    return b;
}

static uint32_t run_block(struct vb_weave *weave, const struct block *b, uint32_t x)
{
    return vb_weave_feed_forward(weave, &b->feed, x, run_attention(weave, &b->attention, x));
}

static uint32_t run_inner_blocks(struct vb_weave *weave, const void *blocks, uint32_t x)
{
    const struct block *b = blocks;
    uint32_t y = x;
    for (uint32_t i = 0; i < IN_SEQUENTIAL; i++)
        y = run_block(weave, &b[i], y);
    vb_weave_hold(weave, x);
    return y;
}

enum { ATTENDS, AREAS, IS_RESIDUAL, RATIO };

/* The two larger scales of a description with scales are residual, and their ratio is 1.2. */
static bool is_large(const struct vb_site *site)
{
    return site->description->scale == 'l' || site->description->scale == 'x';
}

static double ratio_of(const struct vb_site *site)
{
    return is_large(site) ? 1.2 : site->args[RATIO];
}

static struct vb_inner declare_inner_blocks(const struct vb_site *site, uint32_t channels)
{
    struct vb_weave *weave = site->weave;
    struct block *blocks = vb_inner_block(weave, IN_SEQUENTIAL * sizeof *blocks);
    for (uint32_t i = 0; i < IN_SEQUENTIAL && blocks != NULL; i++) {
        size_t length = vb_weave_enter_number(weave, i);
        blocks[i] = declare_block(weave, channels, (uint32_t)site->args[AREAS], ratio_of(site));
        vb_weave_leave(weave, length);
    }
    weave->n_modules++; /* the Sequential */
    return (struct vb_inner){ run_inner_blocks, blocks };
}

/* cv2(cat(cv1(x), each block of the one before)), and times a number a channel added to x where it
 * is residual; args: pairs of attention blocks or C3k, areas, residual, the hidden channels of a
 * block's mlp for each of its own. */
uint32_t vb_run_a2c2f(const struct vb_site *site)
{
    struct vb_weave *weave = site->weave;
    uint32_t hidden = site->out / 2, n = site->repeats;
    bool attends = site->args[ATTENDS] != 0;
    bool is_residual = attends && (is_large(site) || site->args[IS_RESIDUAL] != 0);
    struct vb_inner list[MAX_REPEATS];
    uint32_t pieces[1 + MAX_REPEATS];
    if (hidden % HEAD_CHANNELS != 0 || hidden == 0 || n > MAX_REPEATS ||
        (attends && (site->args[AREAS] < 1 || hidden * ratio_of(site) < 1)) ||
        (is_residual && site->in != site->out)) {
        weave->failed = true;
        return 0;
    }
    uint32_t gain = is_residual ? vb_weave_declare_gain(weave, "gamma", site->out) : 0;
    struct vb_block cv1 = vb_declare_conv(weave, "cv1", site->in, hidden, 1, 1, 1);
    struct vb_block cv2 = vb_declare_conv(weave, "cv2", (1 + n) * hidden, site->out, 1, 1, 1);
    size_t outer = vb_weave_enter(weave, "m");
    for (uint32_t i = 0; i < n; i++) {
        size_t inner = vb_weave_enter_number(weave, i);
        list[i] = attends ? declare_inner_blocks(site, hidden) : vb_declare_inner_c3k(site, hidden);
        vb_weave_leave(weave, inner);
    }
    vb_weave_leave(weave, outer);
    weave->n_modules += 2; /* it, and the ModuleList inside */
    if (weave->failed)
        return 0;

    pieces[0] = vb_run_conv(weave, &cv1, site->inputs[0]);
    for (uint32_t i = 0; i < n; i++)
        pieces[1 + i] = list[i].run(weave, list[i].block, pieces[i]);
    uint32_t y = vb_run_conv(weave, &cv2, vb_run_concat(weave, pieces, 1 + n));
    if (is_residual)
        y = vb_run_add(weave, site->inputs[0], vb_run_gain(weave, gain, y));
    return y;
}
