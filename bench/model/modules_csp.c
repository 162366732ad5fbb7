/* SPDX-License-Identifier: Apache-2.0 */
/* Bottlenecks and the modules that send a part of the channels through a row of them: C3 and C3k,
 * C2f and what is built as C2f is. */

#include <stdio.h>

#include "model/modules.h"

enum { MAX_REPEATS = 64, IN_C3K = 2 };

struct bottleneck {
    struct vb_block first, second;
    bool adds;
    char path[160];
};

/* cv2(cv1(x)), and x added where `shortcut` and the channels allow it. */
struct bottleneck_shape {
    uint32_t in, hidden, out, first_kernel;
    bool shortcut;
};

static struct bottleneck declare_bottleneck(struct vb_weave *weave,
                                            const struct bottleneck_shape *shape)
{
    struct bottleneck b = { .adds = shape->shortcut && shape->in == shape->out };
    (void)snprintf(b.path, sizeof b.path, "%s", weave->path);
    b.first = vb_declare_conv(weave, "cv1", shape->in, shape->hidden, shape->first_kernel, 1, 1);
    b.second = vb_declare_conv(weave, "cv2", shape->hidden, shape->out, 3, 1, 1);
    weave->n_modules++;
    return b;
}

/* The input is the caller's until the module returns. */
static uint32_t run_bottleneck_block(struct vb_weave *weave, const struct bottleneck *b, uint32_t x)
{
    uint32_t y = vb_run_conv(weave, &b->second, vb_run_conv(weave, &b->first, x));
    if (b->adds)
        y = vb_run_add_at(weave, b->path, x, y);
    vb_weave_hold(weave, x);
    return y;
}

/* args: shortcut. YOLOv5's begins with 1 x 1, ultralytics' with 3 x 3. */
uint32_t vb_run_bottleneck(const struct vb_site *site)
{
    const struct bottleneck_shape shape = { site->in, site->out / 2, site->out,
                                            site->description->n_anchor_levels > 0 ? 1 : 3,
                                            site->args[0] != 0 };
    struct bottleneck b = declare_bottleneck(site->weave, &shape);
    return run_bottleneck_block(site->weave, &b, site->inputs[0]);
}

/* cv3(cat(m(cv1(x)), cv2(x))) */
struct c3 {
    struct vb_block cv1, cv2, cv3;
    struct bottleneck list[MAX_REPEATS];
    uint32_t n;
    char path[160];
};

static void declare_c3(struct vb_weave *weave, uint32_t in, uint32_t out,
                       const struct bottleneck_shape *inner, uint32_t n, struct c3 *c3)
{
    uint32_t hidden = inner->in;
    (void)snprintf(c3->path, sizeof c3->path, "%s", weave->path);
    c3->cv1 = vb_declare_conv(weave, "cv1", in, hidden, 1, 1, 1);
    c3->cv2 = vb_declare_conv(weave, "cv2", in, hidden, 1, 1, 1);
    c3->cv3 = vb_declare_conv(weave, "cv3", 2 * hidden, out, 1, 1, 1);
    c3->n = n < MAX_REPEATS ? n : MAX_REPEATS;
    size_t outer = vb_weave_enter(weave, "m");
    for (uint32_t i = 0; i < c3->n; i++) {
        size_t length = vb_weave_enter_number(weave, i);
        c3->list[i] = declare_bottleneck(weave, inner);
        vb_weave_leave(weave, length);
    }
    vb_weave_leave(weave, outer);
    weave->n_modules += 2; /* it, and the Sequential inside */
}

static uint32_t run_c3_block(struct vb_weave *weave, const struct c3 *c3, uint32_t x)
{
    uint32_t deep = vb_run_conv(weave, &c3->cv1, x);
    for (uint32_t i = 0; i < c3->n; i++)
        deep = run_bottleneck_block(weave, &c3->list[i], deep);
    uint32_t pieces[] = { deep, vb_run_conv(weave, &c3->cv2, x) };
    struct vb_place outer = vb_weave_move(weave, c3->path);
    uint32_t both = vb_run_concat(weave, pieces, 2);
    vb_weave_return(weave, &outer);
    return vb_run_conv(weave, &c3->cv3, both);
}

/* args: shortcut */
uint32_t vb_run_c3(const struct vb_site *site)
{
    uint32_t hidden = site->out / 2;
    struct c3 c3;
    const struct bottleneck_shape inner = { hidden, hidden, hidden, 1, site->args[0] != 0 };
    declare_c3(site->weave, site->in, site->out, &inner, site->repeats, &c3);
    return run_c3_block(site->weave, &c3, site->inputs[0]);
}

/* The halves of cv1(x), and each block of the one before: all are held until the module returns. */
static uint32_t run_c2f_blocks(const struct vb_site *site, const struct vb_block *cv1,
                               const struct vb_block *cv2, const struct vb_inner *list, uint32_t n)
{
    struct vb_weave *weave = site->weave;
    uint32_t pieces[2 + MAX_REPEATS];
    const uint32_t halves[] = { cv1->out / 2, cv1->out / 2 };
    vb_run_split(weave, vb_run_conv(weave, cv1, site->inputs[0]), 1, halves, 2, pieces);
    for (uint32_t i = 0; i < n; i++)
        pieces[2 + i] = list[i].run(weave, list[i].block, pieces[1 + i]);
    uint32_t y = vb_run_conv(weave, cv2, vb_run_concat(weave, pieces, 2 + n));
    for (uint32_t i = 0; i < 2 + n; i++)
        vb_weave_hold(weave, pieces[i]);
    return y;
}

uint32_t vb_run_c2f_of(const struct vb_site *site, uint32_t hidden, vb_declare_inner *declare)
{
    struct vb_weave *weave = site->weave;
    struct vb_inner list[MAX_REPEATS];
    uint32_t n = site->repeats;
    if (n > MAX_REPEATS || n + 2 > VB_MAX_INPUTS || hidden == 0) {
        weave->failed = true;
        return 0;
    }
    struct vb_block cv1 = vb_declare_conv(weave, "cv1", site->in, 2 * hidden, 1, 1, 1);
    struct vb_block cv2 = vb_declare_conv(weave, "cv2", (2 + n) * hidden, site->out, 1, 1, 1);
    size_t outer = vb_weave_enter(weave, "m");
    for (uint32_t i = 0; i < n; i++) {
        size_t inner = vb_weave_enter_number(weave, i);
        list[i] = declare(site, hidden);
        vb_weave_leave(weave, inner);
    }
    vb_weave_leave(weave, outer);
    weave->n_modules += 2; /* it, and the ModuleList inside */
    return weave->failed ? 0 : run_c2f_blocks(site, &cv1, &cv2, list, n);
}

void *vb_inner_block(struct vb_weave *weave, size_t bytes)
{
    void *block = vb_arena_alloc(weave->arena, 1, bytes);
    if (block == NULL)
        weave->failed = true;
    return block;
}

static uint32_t run_inner_bottleneck(struct vb_weave *weave, const void *block, uint32_t x)
{
    return run_bottleneck_block(weave, block, x);
}

static struct vb_inner inner_bottleneck(const struct vb_site *site,
                                        const struct bottleneck_shape *shape)
{
    struct bottleneck *b = vb_inner_block(site->weave, sizeof *b);
    if (b != NULL)
        *b = declare_bottleneck(site->weave, shape);
    return (struct vb_inner){ run_inner_bottleneck, b };
}

static struct vb_inner declare_inner_wide(const struct vb_site *site, uint32_t channels)
{
    const struct bottleneck_shape shape = { channels, channels, channels, 3, site->args[0] != 0 };
    return inner_bottleneck(site, &shape);
}

/* args: shortcut */
uint32_t vb_run_c2f(const struct vb_site *site)
{
    return vb_run_c2f_of(site, site->out / 2, declare_inner_wide);
}

static uint32_t run_inner_c3k(struct vb_weave *weave, const void *block, uint32_t x)
{
    uint32_t y = run_c3_block(weave, block, x);
    vb_weave_hold(weave, x);
    return y;
}

/* A C3k is a C3 of two 3 x 3 bottlenecks. */
struct vb_inner vb_declare_inner_c3k(const struct vb_site *site, uint32_t channels)
{
    uint32_t hidden = channels / 2;
    const struct bottleneck_shape shape = { hidden, hidden, hidden, 3, true };
    struct c3 *c3 = vb_inner_block(site->weave, sizeof *c3);
    if (c3 != NULL)
        declare_c3(site->weave, channels, channels, &shape, IN_C3K, c3);
    return (struct vb_inner){ run_inner_c3k, c3 };
}

struct vb_inner vb_declare_inner_narrow(const struct vb_site *site, uint32_t channels)
{
    const struct bottleneck_shape shape = { channels, channels / 2, channels, 3, true };
    return inner_bottleneck(site, &shape);
}

/* args: of C3k or of bottlenecks, the hidden channels' share of all, of bottlenecks that attention
 * follows. In the three larger scales of a description with scales it is of C3k in place of
 * bottlenecks. */
uint32_t vb_run_c3k2(const struct vb_site *site)
{
    const char scale = site->description->scale;
    bool is_large = scale == 'm' || scale == 'l' || scale == 'x';
    uint32_t hidden = (uint32_t)(site->out * site->args[1]);
    vb_declare_inner *declare =
        is_large || site->args[0] != 0 ? vb_declare_inner_c3k : vb_declare_inner_narrow;
    return vb_run_c2f_of(site, hidden, site->args[2] != 0 ? vb_declare_inner_attended : declare);
}
