/* SPDX-License-Identifier: Apache-2.0 */
/* ResNet as torchvision writes it: activations and the residual sum are in place. */

#include <stdio.h>
#include <string.h>

#include "model/modules.h"

enum { MAX_BLOCKS = 64, EXPANSION = 4 };

static struct vb_block declare_conv(struct vb_weave *weave, const char *part, uint32_t in,
                                    uint32_t out, uint32_t kernel, uint32_t stride, bool has_relu)
{
    struct vb_block block = vb_declare_conv(weave, part, in, out, kernel, stride, 1);
    block.activation = has_relu ? VB_ACT_RELU : VB_ACT_NONE;
    return block;
}

/* args: kernel, stride */
uint32_t vb_run_conv_relu(const struct vb_site *site)
{
    struct vb_block block = declare_conv(site->weave, "", site->in, site->out,
                                         (uint32_t)site->args[0], (uint32_t)site->args[1], true);
    return vb_run_conv(site->weave, &block, site->inputs[0]);
}

struct bottleneck {
    struct vb_block convs[3];
    struct vb_block downsample;
    bool has_downsample;
    char path[160];
};

/* The stride is the 3 x 3 convolution's. */
static struct bottleneck declare_bottleneck(struct vb_weave *weave, uint32_t in, uint32_t out,
                                            uint32_t stride)
{
    uint32_t width = out / EXPANSION;
    struct bottleneck b = { .has_downsample = stride != 1 || in != out };
    (void)snprintf(b.path, sizeof b.path, "%s", weave->path);
    b.convs[0] = declare_conv(weave, "conv1", in, width, 1, 1, true);
    b.convs[1] = declare_conv(weave, "conv2", width, width, 3, stride, true);
    b.convs[2] = declare_conv(weave, "conv3", width, out, 1, 1, false);
    if (b.has_downsample)
        b.downsample = declare_conv(weave, "downsample", in, out, 1, stride, false);
    weave->n_modules++;
    return b;
}

/* The variable `identity` holds the other summand until the block returns. */
static uint32_t run_bottleneck(struct vb_weave *weave, const struct bottleneck *b, uint32_t x)
{
    char outer[sizeof weave->path];
    uint32_t y = x;
    for (uint32_t i = 0; i < 3; i++)
        y = vb_run_conv(weave, &b->convs[i], y);
    uint32_t identity = b->has_downsample ? vb_run_conv(weave, &b->downsample, x) : x;

    memcpy(outer, weave->path, sizeof outer);
    memcpy(weave->path, b->path, sizeof weave->path);
    y = vb_run_add_in_place(weave, y, identity);
    y = vb_run_activation(weave, VB_RELU, y);
    memcpy(weave->path, outer, sizeof outer);
    vb_weave_hold(weave, identity);
    vb_weave_hold(weave, x);
    return y;
}

/* args: stride, of the first block */
uint32_t vb_run_resnet_stage(const struct vb_site *site)
{
    struct vb_weave *weave = site->weave;
    struct bottleneck blocks[MAX_BLOCKS];
    uint32_t n = site->repeats < MAX_BLOCKS ? site->repeats : MAX_BLOCKS;
    if (site->out < EXPANSION || site->repeats > MAX_BLOCKS)
        weave->failed = true;
    for (uint32_t i = 0; i < n; i++) {
        size_t length = vb_weave_enter_number(weave, i);
        blocks[i] = declare_bottleneck(weave, i == 0 ? site->in : site->out, site->out,
                                       i == 0 ? (uint32_t)site->args[0] : 1);
        vb_weave_leave(weave, length);
    }
    weave->n_modules++;
    uint32_t y = site->inputs[0];
    for (uint32_t i = 0; i < n; i++)
        y = run_bottleneck(weave, &blocks[i], y);
    return y;
}

void vb_add_scores(const struct vb_site *site, uint32_t scores)
{
    struct vb_weave *weave = site->weave;
    struct vb_graph *graph = &weave->graph;
    if (graph->n_levels > 0)
        weave->failed = true; /* a graph has one head */
    graph->head = VB_HEAD_CLASSIFY;
    graph->n_levels = 1;
    graph->levels[0] = (struct vb_level){ .stride = 1, .grid_h = 1, .grid_w = 1, .output = scores };
    if (!weave->failed)
        graph->values[scores].is_output = true;
}

uint32_t vb_run_classifier(const struct vb_site *site)
{
    struct vb_weave *weave = site->weave;
    uint32_t classes = weave->graph.classes;
    uint32_t linear = vb_weave_declare_linear(weave, "fc", site->in, classes);
    vb_add_scores(site, vb_run_scores(weave, linear, site->inputs[0], classes));
    return 0;
}
