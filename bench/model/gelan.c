/* SPDX-License-Identifier: Apache-2.0 */
/* YOLOv9's modules: convolutions in two branches that are added, stages that keep all they have
 * made side by side, two ways to halve the size, and the bridges of its second backbone. Source:
 * the architecture as ultralytics 8.3.220 builds it. */

#include <stdio.h>
#include <string.h>

#include "model/modules.h"

enum { MAX_REPEATS = 16, N_POOLED = 3 };

/* An operator of the module at the path that makes a new tensor. */
static uint32_t run_new(struct vb_weave *weave, enum vb_op_kind kind, const uint32_t *inputs,
                        uint32_t n, const struct vb_shape *shape)
{
    (void)vb_weave_op(weave, kind, inputs, n);
    return vb_weave_result(weave, shape);
}

/* x's channels in two halves, views of it. */
static void run_halves(struct vb_weave *weave, uint32_t x, uint32_t *halves)
{
    uint32_t channels = vb_weave_shape(weave, x)->dims[1];
    const uint32_t sizes[] = { channels / 2, channels / 2 };
    vb_run_split(weave, x, 1, sizes, 2, halves);
}

/* A 3 x 3 and a 1 x 1 convolution of one input, added. */
struct rep_conv {
    struct vb_block wide, narrow;
    char path[160];
};

static struct rep_conv declare_rep_conv(struct vb_weave *weave, const char *part, uint32_t in,
                                        uint32_t out)
{
    struct rep_conv rep;
    size_t length = vb_weave_enter(weave, part);
    (void)snprintf(rep.path, sizeof rep.path, "%s", weave->path);
    rep.wide = vb_declare_linear_conv(weave, "conv1", in, out, 3, 1, 1);
    rep.narrow = vb_declare_linear_conv(weave, "conv2", in, out, 1, 1, 1);
    vb_weave_leave(weave, length);
    weave->n_modules++;
    weave->has_rep_silu = true;
    return rep;
}

/* SiLU of (wide + narrow) + 0: the 0 stands where other models have a third branch. */
static uint32_t run_rep_conv(struct vb_weave *weave, const struct rep_conv *rep, uint32_t x)
{
    uint32_t wide = vb_run_conv(weave, &rep->wide, x);
    uint32_t narrow = vb_run_conv(weave, &rep->narrow, x);
    struct vb_place outer = vb_weave_move(weave, rep->path);
    uint32_t sum = vb_run_add(weave, wide, narrow);
    sum = run_new(weave, VB_ADD_ZERO, &sum, 1, vb_weave_shape(weave, sum));
    (void)vb_weave_enter(weave, "act");
    sum = vb_run_activation(weave, VB_SILU, sum);
    vb_weave_return(weave, &outer);
    return sum;
}

struct rep_bottleneck {
    struct rep_conv first;
    struct vb_block second;
    char path[160];
};

static struct rep_bottleneck declare_rep_bottleneck(struct vb_weave *weave, uint32_t channels)
{
    struct rep_bottleneck b;
    (void)snprintf(b.path, sizeof b.path, "%s", weave->path);
    b.first = declare_rep_conv(weave, "cv1", channels, channels);
    b.second = vb_declare_conv(weave, "cv2", channels, channels, 3, 1, 1);
    weave->n_modules++;
    return b;
}

/* x + second(first(x)); x is the caller's until the module returns. */
static uint32_t run_rep_bottleneck(struct vb_weave *weave, const struct rep_bottleneck *b,
                                   uint32_t x)
{
    uint32_t y = vb_run_conv(weave, &b->second, run_rep_conv(weave, &b->first, x));
    y = vb_run_add_at(weave, b->path, x, y);
    vb_weave_hold(weave, x);
    return y;
}

/* RepCSP: C3 with such bottlenecks. */
struct rep_csp {
    struct vb_block cv1, cv2, cv3;
    struct rep_bottleneck list[MAX_REPEATS];
    uint32_t n;
    char path[160];
};

static void declare_rep_csp(struct vb_weave *weave, const char *part, uint32_t in, uint32_t out,
                            uint32_t n, struct rep_csp *csp)
{
    uint32_t hidden = out / 2;
    size_t length = vb_weave_enter(weave, part);
    (void)snprintf(csp->path, sizeof csp->path, "%s", weave->path);
    csp->cv1 = vb_declare_conv(weave, "cv1", in, hidden, 1, 1, 1);
    csp->cv2 = vb_declare_conv(weave, "cv2", in, hidden, 1, 1, 1);
    csp->cv3 = vb_declare_conv(weave, "cv3", 2 * hidden, out, 1, 1, 1);
    size_t list = vb_weave_enter(weave, "m");
    csp->n = n < MAX_REPEATS ? n : MAX_REPEATS;
    for (uint32_t i = 0; i < csp->n; i++) {
        size_t one = vb_weave_enter_number(weave, i);
        csp->list[i] = declare_rep_bottleneck(weave, hidden);
        vb_weave_leave(weave, one);
    }
    vb_weave_leave(weave, list);
    vb_weave_leave(weave, length);
    weave->n_modules += 2; /* itself and the Sequential around the bottlenecks */
    weave->failed = weave->failed || n > MAX_REPEATS;
}

static uint32_t run_rep_csp(struct vb_weave *weave, const struct rep_csp *csp, uint32_t x)
{
    uint32_t deep = vb_run_conv(weave, &csp->cv1, x);
    for (uint32_t i = 0; i < csp->n; i++)
        deep = run_rep_bottleneck(weave, &csp->list[i], deep);
    uint32_t pieces[] = { deep, vb_run_conv(weave, &csp->cv2, x) };
    struct vb_place outer = vb_weave_move(weave, csp->path);
    uint32_t both = vb_run_concat(weave, pieces, 2);
    vb_weave_return(weave, &outer);
    uint32_t y = vb_run_conv(weave, &csp->cv3, both);
    vb_weave_hold(weave, x);
    return y;
}

/* A branch of an ELAN stage: a RepCSP and a convolution in a Sequential, or the latter alone. */
struct elan_branch {
    struct rep_csp csp;
    struct vb_block conv;
    bool has_csp;
};

static void declare_branch(struct vb_weave *weave, const char *part, uint32_t in, uint32_t out,
                           uint32_t n, struct elan_branch *branch)
{
    branch->has_csp = n > 0;
    if (!branch->has_csp) {
        branch->conv = vb_declare_conv(weave, part, in, out, 3, 1, 1);
        return;
    }
    size_t length = vb_weave_enter(weave, part);
    declare_rep_csp(weave, "0", in, out, n, &branch->csp);
    branch->conv = vb_declare_conv(weave, "1", out, out, 3, 1, 1);
    vb_weave_leave(weave, length);
    weave->n_modules++;
}

static uint32_t run_branch(struct vb_weave *weave, const struct elan_branch *branch, uint32_t x)
{
    if (branch->has_csp)
        x = run_rep_csp(weave, &branch->csp, x);
    return vb_run_conv(weave, &branch->conv, x);
}

/* cv4(cat(halves of cv1(x), cv2 of the second, cv3 of that)); args: channels of cv1, of the
 * branches. The list of pieces is held until the module returns. */
static uint32_t run_elan(const struct vb_site *site, uint32_t n)
{
    struct vb_weave *weave = site->weave;
    uint32_t split = (uint32_t)site->args[0], deep = (uint32_t)site->args[1];
    struct elan_branch branches[2];
    uint32_t pieces[4];
    struct vb_block cv1 = vb_declare_conv(weave, "cv1", site->in, split, 1, 1, 1);
    declare_branch(weave, "cv2", split / 2, deep, n, &branches[0]);
    declare_branch(weave, "cv3", deep, deep, n, &branches[1]);
    struct vb_block cv4 = vb_declare_conv(weave, "cv4", split + 2 * deep, site->out, 1, 1, 1);
    weave->n_modules++;
    if (split < 2 || split % 2 != 0 || deep < 2)
        weave->failed = true;

    run_halves(weave, vb_run_conv(weave, &cv1, site->inputs[0]), pieces);
    for (uint32_t i = 0; i < 2; i++)
        pieces[2 + i] = run_branch(weave, &branches[i], pieces[1 + i]);
    uint32_t y = vb_run_conv(weave, &cv4, vb_run_concat(weave, pieces, 4));
    for (uint32_t i = 0; i < 4; i++)
        vb_weave_hold(weave, pieces[i]);
    return y;
}

uint32_t vb_run_rep_elan(const struct vb_site *site)
{
    return run_elan(site, (uint32_t)site->args[2]);
}

uint32_t vb_run_elan1(const struct vb_site *site)
{
    return run_elan(site, 0);
}

/* The mean of each 2 x 2 pixels, one row and one column fewer. */
static uint32_t run_average(struct vb_weave *weave, uint32_t x)
{
    struct vb_shape shape = *vb_weave_shape(weave, x);
    if (shape.dims[2] < 2 || shape.dims[3] < 2) {
        weave->failed = true;
        return 0;
    }
    shape.dims[2]--;
    shape.dims[3]--;
    struct vb_window window = { .kernel_h = 2, .kernel_w = 2, .stride = 1, .dilation = 1 };
    vb_weave_op(weave, VB_AVGPOOL, &x, 1)->window = window;
    return vb_weave_result(weave, &shape);
}

uint32_t vb_run_aconv(const struct vb_site *site)
{
    struct vb_weave *weave = site->weave;
    struct vb_block conv = vb_declare_conv(weave, "cv1", site->in, site->out, 3, 2, 1);
    weave->n_modules++;
    return vb_run_conv(weave, &conv, run_average(weave, site->inputs[0]));
}

/* One half of the averaged channels by a convolution, the other by pooling and one of 1 x 1. */
uint32_t vb_run_adown(const struct vb_site *site)
{
    struct vb_weave *weave = site->weave;
    struct vb_block cv1 = vb_declare_conv(weave, "cv1", site->in / 2, site->out / 2, 3, 2, 1);
    struct vb_block cv2 = vb_declare_conv(weave, "cv2", site->in / 2, site->out / 2, 1, 1, 1);
    uint32_t halves[2];
    weave->n_modules++;
    if (site->in % 2 != 0 || site->out % 2 != 0)
        weave->failed = true;

    uint32_t average = run_average(weave, site->inputs[0]);
    run_halves(weave, average, halves);
    uint32_t pieces[2] = { vb_run_conv(weave, &cv1, halves[0]) };
    pieces[1] = vb_run_conv(weave, &cv2, vb_run_max_pool(weave, halves[1], 3, 2, 1));
    uint32_t y = vb_run_concat(weave, pieces, 2);
    for (uint32_t i = 0; i < 2; i++)
        vb_weave_hold(weave, pieces[i]);
    vb_weave_hold(weave, average);
    return y;
}

/* cv5(cat(x, pooled, pooled twice, three times)), of cv1(x); args: channels inside, kernel. */
uint32_t vb_run_spp_elan(const struct vb_site *site)
{
    static const char *const parts[N_POOLED] = { "cv2", "cv3", "cv4" };
    struct vb_weave *weave = site->weave;
    uint32_t hidden = (uint32_t)site->args[0], kernel = (uint32_t)site->args[1];
    struct vb_block cv1 = vb_declare_conv(weave, "cv1", site->in, hidden, 1, 1, 1);
    struct vb_block cv5 =
        vb_declare_conv(weave, "cv5", (1 + N_POOLED) * hidden, site->out, 1, 1, 1);
    weave->n_modules += 1 + N_POOLED;
    weave->n_leaves += N_POOLED;
    if (hidden == 0)
        weave->failed = true;

    uint32_t pieces[1 + N_POOLED] = { vb_run_conv(weave, &cv1, site->inputs[0]) };
    for (uint32_t i = 0; i < N_POOLED; i++) {
        size_t length = vb_weave_enter(weave, parts[i]);
        pieces[1 + i] = vb_run_max_pool(weave, pieces[i], kernel, 1, kernel / 2);
        vb_weave_leave(weave, length);
    }
    uint32_t y = vb_run_conv(weave, &cv5, vb_run_concat(weave, pieces, 1 + N_POOLED));
    for (uint32_t i = 0; i < 1 + N_POOLED; i++)
        vb_weave_hold(weave, pieces[i]);
    return y;
}

/* A convolution with a bias, its channels taken apart; args: the channels of each part. */
uint32_t vb_run_cb_linear(const struct vb_site *site)
{
    struct vb_weave *weave = site->weave;
    uint32_t parts[VB_MAX_FROM];
    uint32_t sum = 0;
    for (uint32_t i = 0; i < site->n_list; i++)
        sum += site->list[i];
    struct vb_block conv = vb_declare_plain(weave, "conv", site->in, sum);
    weave->n_modules++;

    uint32_t whole = vb_run_conv(weave, &conv, site->inputs[0]);
    vb_run_split(weave, whole, 1, site->list, site->n_list, parts);
    return parts[0];
}

/* One part of each layer but the last, brought to the last one's size, and all of them added;
 * args: which part of each. */
uint32_t vb_run_cb_fuse(const struct vb_site *site)
{
    struct vb_weave *weave = site->weave;
    uint32_t n = site->n_inputs;
    uint32_t pieces[VB_MAX_FROM];
    pieces[n - 1] = site->inputs[n - 1];
    const struct vb_shape last = *vb_weave_shape(weave, pieces[n - 1]);
    weave->n_modules++;
    weave->n_leaves++;

    for (uint32_t i = 0; i + 1 < n; i++)
        pieces[i] =
            vb_run_upsample(weave, site->inputs[i] + site->list[i], last.dims[2], last.dims[3]);
    struct vb_shape piled = { 5, { n, last.dims[0], last.dims[1], last.dims[2], last.dims[3] } };
    uint32_t pile = run_new(weave, VB_PILE, pieces, n, &piled);
    uint32_t y = run_new(weave, VB_SUM_FIRST, &pile, 1, &last);
    for (uint32_t i = 0; i + 1 < n; i++)
        vb_weave_hold(weave, pieces[i]);
    return y;
}
