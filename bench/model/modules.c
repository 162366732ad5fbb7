/* SPDX-License-Identifier: Apache-2.0 */
#include "model/modules.h"

#include <stdio.h>
#include <string.h>

enum { MAX_REPEATS = 64 };

static uint32_t gcd(uint32_t a, uint32_t b)
{
    while (b != 0) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* args: kernel, stride, padding (-1: kernel / 2), groups */
static uint32_t run_conv_module(const struct vb_site *site)
{
    struct vb_block block =
        vb_declare_conv(site->weave, "", site->in, site->out, (uint32_t)site->args[0],
                        (uint32_t)site->args[1], (uint32_t)site->args[3]);
    if (site->args[2] >= 0)
        block.window.pad = (uint32_t)site->args[2];
    return vb_run_conv(site->weave, &block, site->inputs[0]);
}

static uint32_t run_depthwise(const struct vb_site *site)
{
    struct vb_block block =
        vb_declare_conv(site->weave, "", site->in, site->out, (uint32_t)site->args[0],
                        (uint32_t)site->args[1], gcd(site->in, site->out));
    return vb_run_conv(site->weave, &block, site->inputs[0]);
}

struct bottleneck {
    struct vb_block first, second;
    bool adds;
    char path[160];
};

static struct bottleneck declare_bottleneck(struct vb_weave *weave, uint32_t in, uint32_t hidden,
                                            uint32_t out, uint32_t first_kernel, bool shortcut)
{
    struct bottleneck b = { .adds = shortcut && in == out };
    (void)snprintf(b.path, sizeof b.path, "%s", weave->path);
    b.first = vb_declare_conv(weave, "cv1", in, hidden, first_kernel, 1, 1);
    b.second = vb_declare_conv(weave, "cv2", hidden, out, 3, 1, 1);
    weave->n_modules++;
    return b;
}

/* The input is the caller's until the module returns. */
static uint32_t run_bottleneck_block(struct vb_weave *weave, const struct bottleneck *b, uint32_t x)
{
    uint32_t y = vb_run_conv(weave, &b->second, vb_run_conv(weave, &b->first, x));
    if (b->adds) {
        char outer[sizeof weave->path];
        memcpy(outer, weave->path, sizeof outer);
        memcpy(weave->path, b->path, sizeof weave->path);
        y = vb_run_add(weave, x, y);
        memcpy(weave->path, outer, sizeof outer);
    }
    vb_weave_hold(weave, x);
    return y;
}

/* args: shortcut. YOLOv5's begins with 1 x 1, Ultralytics' with 3 x 3. */
static uint32_t run_bottleneck(const struct vb_site *site)
{
    uint32_t first = site->description->n_anchor_levels > 0 ? 1 : 3;
    struct bottleneck b = declare_bottleneck(site->weave, site->in, site->out / 2, site->out, first,
                                             site->args[0] != 0);
    return run_bottleneck_block(site->weave, &b, site->inputs[0]);
}

static uint32_t declare_bottlenecks(const struct vb_site *site, uint32_t channels,
                                    uint32_t first_kernel, bool shortcut, struct bottleneck *list)
{
    struct vb_weave *weave = site->weave;
    uint32_t n = site->repeats < MAX_REPEATS ? site->repeats : MAX_REPEATS;
    size_t outer = vb_weave_enter(weave, "m");
    for (uint32_t i = 0; i < n; i++) {
        size_t inner = vb_weave_enter_number(weave, i);
        list[i] = declare_bottleneck(weave, channels, channels, channels, first_kernel, shortcut);
        vb_weave_leave(weave, inner);
    }
    vb_weave_leave(weave, outer);
    weave->n_modules += 1; /* the Sequential or ModuleList around them */
    return n;
}

/* cv3(cat(m(cv1(x)), cv2(x))); args: shortcut */
static uint32_t run_c3(const struct vb_site *site)
{
    struct vb_weave *weave = site->weave;
    uint32_t hidden = site->out / 2;
    struct bottleneck list[MAX_REPEATS];
    struct vb_block cv1 = vb_declare_conv(weave, "cv1", site->in, hidden, 1, 1, 1);
    struct vb_block cv2 = vb_declare_conv(weave, "cv2", site->in, hidden, 1, 1, 1);
    struct vb_block cv3 = vb_declare_conv(weave, "cv3", 2 * hidden, site->out, 1, 1, 1);
    uint32_t n = declare_bottlenecks(site, hidden, 1, site->args[0] != 0, list);
    weave->n_modules++;

    uint32_t deep = vb_run_conv(weave, &cv1, site->inputs[0]);
    for (uint32_t i = 0; i < n; i++)
        deep = run_bottleneck_block(weave, &list[i], deep);
    uint32_t pieces[] = { deep, vb_run_conv(weave, &cv2, site->inputs[0]) };
    return vb_run_conv(weave, &cv3, vb_run_concat(weave, pieces, 2));
}

/* cv2(cat(halves of cv1(x), each bottleneck of the one before)); args: shortcut. The list of pieces
 * is held until the module returns. */
static uint32_t run_c2f(const struct vb_site *site)
{
    struct vb_weave *weave = site->weave;
    uint32_t hidden = site->out / 2;
    struct bottleneck list[MAX_REPEATS];
    uint32_t pieces[2 + MAX_REPEATS];
    struct vb_block cv1 = vb_declare_conv(weave, "cv1", site->in, 2 * hidden, 1, 1, 1);
    struct vb_block cv2 =
        vb_declare_conv(weave, "cv2", (2 + site->repeats) * hidden, site->out, 1, 1, 1);
    uint32_t n = declare_bottlenecks(site, hidden, 3, site->args[0] != 0, list);
    weave->n_modules++;
    if (n + 2 > VB_MAX_INPUTS) {
        weave->failed = true;
        return 0;
    }

    uint32_t both = vb_run_conv(weave, &cv1, site->inputs[0]);
    struct vb_shape half = *vb_weave_shape(weave, both);
    half.dims[1] = hidden;
    (void)vb_weave_op(weave, VB_SPLIT, &both, 1);
    for (uint32_t i = 0; i < 2; i++) {
        pieces[i] = vb_weave_view(weave, both, &half);
        vb_weave_produce(weave, pieces[i]);
    }
    for (uint32_t i = 0; i < n; i++)
        pieces[2 + i] = run_bottleneck_block(weave, &list[i], pieces[1 + i]);
    uint32_t y = vb_run_conv(weave, &cv2, vb_run_concat(weave, pieces, 2 + n));
    for (uint32_t i = 0; i < 2 + n; i++)
        vb_weave_hold(weave, pieces[i]);
    return y;
}

static uint32_t pool(const struct vb_site *site, uint32_t x, uint32_t kernel, const char *part)
{
    size_t length = vb_weave_enter(site->weave, part);
    uint32_t y = vb_run_max_pool(site->weave, x, kernel, 1, kernel / 2);
    vb_weave_leave(site->weave, length);
    return y;
}

/* cv2(cat(x, pooled, pooled twice, three times)); args: kernel. YOLOv5 names the first three of
 * them, Ultralytics' list holds all four. */
static uint32_t run_sppf(const struct vb_site *site)
{
    struct vb_weave *weave = site->weave;
    struct vb_block cv1 = vb_declare_conv(weave, "cv1", site->in, site->in / 2, 1, 1, 1);
    struct vb_block cv2 = vb_declare_conv(weave, "cv2", site->in / 2 * 4, site->out, 1, 1, 1);
    weave->n_modules += 2;
    weave->n_leaves++;
    uint32_t n_named = site->description->n_anchor_levels > 0 ? 3 : 4;
    uint32_t pieces[4] = { vb_run_conv(weave, &cv1, site->inputs[0]) };
    for (uint32_t i = 1; i < 4; i++)
        pieces[i] = pool(site, pieces[i - 1], (uint32_t)site->args[0], "m");
    uint32_t y = vb_run_conv(weave, &cv2, vb_run_concat(weave, pieces, 4));
    for (uint32_t i = 0; i < n_named; i++)
        vb_weave_hold(weave, pieces[i]);
    return y;
}

/* cv2(cat(x, x pooled by 5, 9 and 13)) */
static uint32_t run_spp(const struct vb_site *site)
{
    static const uint32_t kernels[] = { 5, 9, 13 };
    struct vb_weave *weave = site->weave;
    struct vb_block cv1 = vb_declare_conv(weave, "cv1", site->in, site->in / 2, 1, 1, 1);
    struct vb_block cv2 = vb_declare_conv(weave, "cv2", site->in / 2 * 4, site->out, 1, 1, 1);
    weave->n_modules += 5;
    weave->n_leaves += 3;
    uint32_t pieces[4] = { vb_run_conv(weave, &cv1, site->inputs[0]) };
    size_t length = vb_weave_enter(weave, "m");
    for (uint32_t i = 0; i < 3; i++)
        pieces[1 + i] = pool(site, pieces[0], kernels[i], (const char *[]){ "0", "1", "2" }[i]);
    vb_weave_leave(weave, length);
    uint32_t y = vb_run_conv(weave, &cv2, vb_run_concat(weave, pieces, 4));
    vb_weave_hold(weave, pieces[0]);
    return y;
}

/* Four shifted quarters side by side, then a convolution; args: kernel, stride */
static uint32_t run_focus(const struct vb_site *site)
{
    struct vb_weave *weave = site->weave;
    struct vb_shape quarter = *vb_weave_shape(weave, site->inputs[0]);
    quarter.dims[2] /= 2;
    quarter.dims[3] /= 2;
    struct vb_block conv = vb_declare_conv(weave, "conv", site->in * 4, site->out,
                                           (uint32_t)site->args[0], (uint32_t)site->args[1], 1);
    weave->n_modules++;
    uint32_t pieces[4];
    for (uint32_t i = 0; i < 4; i++) {
        pieces[i] = vb_run_view(weave, VB_SLICE, site->inputs[0], &quarter);
        weave->graph.ops[weave->graph.n_ops - 1].quarter = i;
    }
    return vb_run_conv(weave, &conv, vb_run_concat(weave, pieces, 4));
}

static uint32_t run_concat_module(const struct vb_site *site)
{
    site->weave->n_modules++;
    site->weave->n_leaves++;
    return vb_run_concat(site->weave, site->inputs, site->n_inputs);
}

static uint32_t run_upsample_module(const struct vb_site *site)
{
    site->weave->n_modules++;
    site->weave->n_leaves++;
    const uint32_t *dims = vb_weave_shape(site->weave, site->inputs[0])->dims;
    return vb_run_upsample(site->weave, site->inputs[0], 2 * dims[2], 2 * dims[3]);
}

/* A layer that gives what it is given. */
static uint32_t run_identity(const struct vb_site *site)
{
    site->weave->n_modules++;
    site->weave->n_leaves++;
    return site->inputs[0];
}

/* args: [left, right, above, below] */
static uint32_t run_zero_pad(const struct vb_site *site)
{
    struct vb_weave *weave = site->weave;
    struct vb_shape shape = *vb_weave_shape(weave, site->inputs[0]);
    shape.dims[2] += site->list[3];
    shape.dims[3] += site->list[1];
    weave->n_modules++;
    weave->n_leaves++;
    (void)vb_weave_op(weave, VB_PAD, site->inputs, 1);
    uint32_t y = vb_weave_value(weave, &shape);
    vb_weave_produce(weave, y);
    return y;
}

/* args: kernel, stride, padding */
static uint32_t run_max_pool_module(const struct vb_site *site)
{
    site->weave->n_modules++;
    site->weave->n_leaves++;
    long stride = site->args[1] > 0 ? site->args[1] : site->args[0];
    return vb_run_max_pool(site->weave, site->inputs[0], (uint32_t)site->args[0], (uint32_t)stride,
                           (uint32_t)site->args[2]);
}

static const struct vb_module modules[] = {
    { "Conv",
      "[channels, kernel=1, stride=1, padding=kernel/2, groups=1]",
      1,
      5,
      true,
      false,
      false,
      VB_ARGS_NUMBERS,
      { 1, 1, -1, 1 },
      run_conv_module },
    { "DWConv",
      "[channels, kernel=1, stride=1]",
      1,
      3,
      true,
      false,
      false,
      VB_ARGS_NUMBERS,
      { 1, 1 },
      run_depthwise },
    { "Bottleneck",
      "[channels, shortcut=True]",
      1,
      2,
      true,
      false,
      false,
      VB_ARGS_NUMBERS,
      { 1 },
      run_bottleneck },
    { "C3", "[channels, shortcut=True]", 1, 2, true, true, false, VB_ARGS_NUMBERS, { 1 }, run_c3 },
    { "C2f",
      "[channels, shortcut=False]",
      1,
      2,
      true,
      true,
      false,
      VB_ARGS_NUMBERS,
      { 0 },
      run_c2f },
    { "SPP", "[channels, [5, 9, 13]]", 1, 2, true, false, false, VB_ARGS_IGNORED, { 0 }, run_spp },
    { "SPPF", "[channels, kernel=5]", 1, 2, true, false, false, VB_ARGS_NUMBERS, { 5 }, run_sppf },
    { "Focus",
      "[channels, kernel=1, stride=1]",
      1,
      3,
      true,
      false,
      false,
      VB_ARGS_NUMBERS,
      { 1, 1 },
      run_focus },
    { "Concat", "[1]", 0, 1, false, false, true, VB_ARGS_IGNORED, { 1 }, run_concat_module },
    { "nn.Identity", "[]", 0, 0, false, false, false, VB_ARGS_IGNORED, { 0 }, run_identity },
    { "nn.ZeroPad2d",
      "[[0, right, 0, below]]",
      1,
      1,
      false,
      false,
      false,
      VB_ARGS_LIST,
      { 0 },
      run_zero_pad },
    { "RepNCSPELAN4",
      "[channels, split channels, branch channels, repeats=1]",
      3,
      4,
      true,
      false,
      false,
      VB_ARGS_NUMBERS,
      { 0, 0, 1 },
      vb_run_rep_elan },
    { "ELAN1",
      "[channels, split channels, branch channels]",
      3,
      3,
      true,
      false,
      false,
      VB_ARGS_NUMBERS,
      { 0, 0 },
      vb_run_elan1 },
    { "AConv", "[channels]", 1, 1, true, false, false, VB_ARGS_IGNORED, { 0 }, vb_run_aconv },
    { "ADown", "[channels]", 1, 1, true, false, false, VB_ARGS_IGNORED, { 0 }, vb_run_adown },
    { "SPPELAN",
      "[channels, inner channels, kernel=5]",
      2,
      3,
      true,
      false,
      false,
      VB_ARGS_NUMBERS,
      { 0, 5 },
      vb_run_spp_elan },
    { "CBLinear",
      "[[channels of each part]]",
      1,
      1,
      false,
      false,
      false,
      VB_ARGS_LIST,
      { 0 },
      vb_run_cb_linear },
    { "CBFuse",
      "[[part of each layer but the last]]",
      1,
      1,
      false,
      false,
      true,
      VB_ARGS_LIST,
      { 0 },
      vb_run_cb_fuse },
    { "nn.Upsample",
      "[None, 2, 'nearest']",
      0,
      3,
      false,
      false,
      false,
      VB_ARGS_IGNORED,
      { 0 },
      run_upsample_module },
    { "nn.MaxPool2d",
      "[kernel, stride=kernel, padding=0]",
      1,
      3,
      false,
      false,
      false,
      VB_ARGS_NUMBERS,
      { 0, 0, 0 },
      run_max_pool_module },
    { "Detect", "[nc, anchors]", 1, 2, false, false, true, VB_ARGS_IGNORED, { 0 }, vb_run_detect },
    { "ConvReLU",
      "[channels, kernel=1, stride=1]",
      1,
      3,
      true,
      false,
      false,
      VB_ARGS_NUMBERS,
      { 1, 1 },
      vb_run_conv_relu },
    { "ResNetStage",
      "[channels, stride=1]",
      1,
      2,
      true,
      true,
      false,
      VB_ARGS_NUMBERS,
      { 1 },
      vb_run_resnet_stage },
    { "Classifier", "[nc]", 1, 1, false, false, false, VB_ARGS_IGNORED, { 0 }, vb_run_classifier },
};

const size_t vb_module_count = sizeof modules / sizeof *modules;
const char *const vb_module_names[] = { "Conv",     "DWConv",      "Bottleneck",   "C3",
                                        "C2f",      "SPP",         "SPPF",         "Focus",
                                        "Concat",   "nn.Identity", "nn.ZeroPad2d", "RepNCSPELAN4",
                                        "ELAN1",    "AConv",       "ADown",        "SPPELAN",
                                        "CBLinear", "CBFuse",      "nn.Upsample",  "nn.MaxPool2d",
                                        "Detect",   "ConvReLU",    "ResNetStage",  "Classifier" };

const struct vb_module *vb_module_find(const char *name)
{
    for (size_t i = 0; i < vb_module_count; i++) {
        if (strcmp(modules[i].name, name) == 0)
            return &modules[i];
    }
    return NULL;
}
