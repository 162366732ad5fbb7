/* SPDX-License-Identifier: Apache-2.0 */
/* The plain modules: convolutions, pooling, what joins and resizes. */

#include "model/modules.h"

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
uint32_t vb_run_conv_module(const struct vb_site *site)
{
    struct vb_block block =
        vb_declare_conv(site->weave, "", site->in, site->out, (uint32_t)site->args[0],
                        (uint32_t)site->args[1], (uint32_t)site->args[3]);
    if (site->args[2] >= 0)
        block.window.pad = (uint32_t)site->args[2];
    return vb_run_conv(site->weave, &block, site->inputs[0]);
}

uint32_t vb_run_depthwise(const struct vb_site *site)
{
    struct vb_block block =
        vb_declare_conv(site->weave, "", site->in, site->out, (uint32_t)site->args[0],
                        (uint32_t)site->args[1], gcd(site->in, site->out));
    return vb_run_conv(site->weave, &block, site->inputs[0]);
}

static uint32_t pool(const struct vb_site *site, uint32_t x, uint32_t kernel, const char *part)
{
    size_t length = vb_weave_enter(site->weave, part);
    uint32_t y = vb_run_max_pool(site->weave, x, kernel, 1, kernel / 2);
    vb_weave_leave(site->weave, length);
    return y;
}

/* cv2(cat(x, pooled, pooled twice, ..)), of cv1(x); args: kernel, pools, whether the layer's input
 * is added. YOLOv5 names the first three of four pieces, Ultralytics' list holds all. Where a layer
 * tells how often it pools, it is ultralytics 8.4's, whose cv1 has no SiLU. */
uint32_t vb_run_sppf(const struct vb_site *site)
{
    struct vb_weave *weave = site->weave;
    uint32_t hidden = site->in / 2, n = (uint32_t)site->args[1];
    uint32_t pieces[VB_MAX_INPUTS];
    bool is_newer = site->layer->args->n > 2;
    if (n < 1 || n >= VB_MAX_INPUTS) {
        weave->failed = true;
        return 0;
    }
    struct vb_block cv1 = is_newer ? vb_declare_linear_conv(weave, "cv1", site->in, hidden, 1, 1, 1)
                                   : vb_declare_conv(weave, "cv1", site->in, hidden, 1, 1, 1);
    struct vb_block cv2 = vb_declare_conv(weave, "cv2", hidden * (n + 1), site->out, 1, 1, 1);
    weave->n_modules += 2;
    weave->n_leaves++;
    pieces[0] = vb_run_conv(weave, &cv1, site->inputs[0]);
    for (uint32_t i = 1; i <= n; i++)
        pieces[i] = pool(site, pieces[i - 1], (uint32_t)site->args[0], "m");
    uint32_t y = vb_run_conv(weave, &cv2, vb_run_concat(weave, pieces, n + 1));
    if (site->args[2] != 0 && site->in == site->out)
        y = vb_run_add(weave, y, site->inputs[0]);
    uint32_t n_named = site->description->n_anchor_levels > 0 ? n : n + 1;
    for (uint32_t i = 0; i < n_named; i++)
        vb_weave_hold(weave, pieces[i]);
    return y;
}

/* cv2(cat(x, x pooled by 5, 9 and 13)) */
uint32_t vb_run_spp(const struct vb_site *site)
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
uint32_t vb_run_focus(const struct vb_site *site)
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

uint32_t vb_run_concat_module(const struct vb_site *site)
{
    site->weave->n_modules++;
    site->weave->n_leaves++;
    return vb_run_concat(site->weave, site->inputs, site->n_inputs);
}

uint32_t vb_run_upsample_module(const struct vb_site *site)
{
    site->weave->n_modules++;
    site->weave->n_leaves++;
    const uint32_t *dims = vb_weave_shape(site->weave, site->inputs[0])->dims;
    return vb_run_upsample(site->weave, site->inputs[0], 2 * dims[2], 2 * dims[3]);
}

/* A layer that gives what it is given. */
uint32_t vb_run_identity(const struct vb_site *site)
{
    site->weave->n_modules++;
    site->weave->n_leaves++;
    return site->inputs[0];
}

/* args: [left, right, above, below] */
uint32_t vb_run_zero_pad(const struct vb_site *site)
{
    struct vb_weave *weave = site->weave;
    struct vb_shape shape = *vb_weave_shape(weave, site->inputs[0]);
    shape.dims[2] += site->list[3];
    shape.dims[3] += site->list[1];
    weave->n_modules++;
    weave->n_leaves++;
    (void)vb_weave_op(weave, VB_PAD, site->inputs, 1);
    return vb_weave_result(weave, &shape);
}

/* args: kernel, stride, padding */
uint32_t vb_run_max_pool_module(const struct vb_site *site)
{
    site->weave->n_modules++;
    site->weave->n_leaves++;
    double stride = site->args[1] > 0 ? site->args[1] : site->args[0];
    return vb_run_max_pool(site->weave, site->inputs[0], (uint32_t)site->args[0], (uint32_t)stride,
                           (uint32_t)site->args[2]);
}
