/* SPDX-License-Identifier: Apache-2.0 */
/* The detection heads: YOLOv5's with anchors, YOLOv8's without. */

#include <stdio.h>
#include <string.h>

#include "model/modules.h"

static void add_level(const struct vb_site *site, uint32_t index, uint32_t output, uint32_t h,
                      uint32_t w)
{
    struct vb_graph *graph = &site->weave->graph;
    struct vb_level *level = &graph->levels[index];
    graph->n_levels = index + 1;
    *level = (struct vb_level){
        .grid_h = h,
        .grid_w = w,
        .output = output,
        .stride = h > 0 ? graph->values[0].shape.dims[2] / h : 0,
    };
    level->n_anchors = site->description->n_anchors;
    memcpy(level->anchors, site->description->anchors[index], sizeof level->anchors);
    if (!site->weave->failed)
        graph->values[output].is_output = true;
}

/* A convolution a level; its channels become a last axis, copied into order. */
static uint32_t run_detect_v5(const struct vb_site *site)
{
    struct vb_weave *weave = site->weave;
    uint32_t anchors = site->description->n_anchors;
    uint32_t values = weave->graph.classes + 5;
    struct vb_block convs[VB_MAX_FROM];
    vb_weave_declare_anchors(weave, site->description->n_anchor_levels, anchors);
    size_t length = vb_weave_enter(weave, "m");
    for (uint32_t i = 0; i < site->n_inputs; i++) {
        char part[16];
        (void)snprintf(part, sizeof part, "%u", i);
        convs[i] = vb_declare_plain(weave, part, vb_weave_shape(weave, site->inputs[i])->dims[1],
                                    anchors * values);
    }
    vb_weave_leave(weave, length);
    weave->n_modules += 2;
    weave->graph.head = VB_HEAD_V5;

    for (uint32_t i = 0; i < site->n_inputs; i++) {
        uint32_t y = vb_run_conv(weave, &convs[i], site->inputs[i]);
        const uint32_t *dims = vb_weave_shape(weave, y)->dims;
        struct vb_shape split = { 5, { dims[0], anchors, values, dims[2], dims[3] } };
        struct vb_shape last = { 5, { dims[0], anchors, dims[2], dims[3], values } };
        uint32_t view = vb_run_view(weave, VB_VIEW, y, &split);
        uint32_t permuted = vb_run_view(weave, VB_PERMUTE, view, &last);
        (void)vb_weave_op(weave, VB_CLONE, &permuted, 1);
        uint32_t copy = vb_weave_value(weave, &last);
        vb_weave_produce(weave, copy);
        vb_weave_hold(weave, y);
        add_level(site, i, copy, last.dims[2], last.dims[3]);
    }
    return 0;
}

struct branch {
    struct vb_block first, second, last;
};

static struct branch declare_branch(struct vb_weave *weave, const char *part, uint32_t level,
                                    uint32_t in, uint32_t hidden, uint32_t out)
{
    size_t outer = vb_weave_enter(weave, part);
    size_t inner = vb_weave_enter_number(weave, level);
    struct branch branch = { vb_declare_conv(weave, "0", in, hidden, 3, 1, 1),
                             vb_declare_conv(weave, "1", hidden, hidden, 3, 1, 1),
                             vb_declare_plain(weave, "2", hidden, out) };
    vb_weave_leave(weave, inner);
    vb_weave_leave(weave, outer);
    weave->n_modules++;
    return branch;
}

static uint32_t run_branch(struct vb_weave *weave, const struct branch *branch, uint32_t x)
{
    x = vb_run_conv(weave, &branch->first, x);
    x = vb_run_conv(weave, &branch->second, x);
    return vb_run_conv(weave, &branch->last, x);
}

static uint32_t at_least(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* Two branches a level, distances and class scores, side by side. The distances' own convolution
 * has 16 frozen weights and is not run in training. */
static uint32_t run_detect_v8(const struct vb_site *site)
{
    enum { BINS = 16, SIDES = 4 };
    struct vb_weave *weave = site->weave;
    uint32_t classes = weave->graph.classes;
    uint32_t in = site->in;
    uint32_t box_hidden = at_least(at_least(16, in / 4), BINS * SIDES);
    uint32_t class_hidden = at_least(in, classes < 100 ? classes : 100);
    struct branch boxes[VB_MAX_FROM];
    struct branch scores[VB_MAX_FROM];
    for (uint32_t i = 0; i < site->n_inputs; i++)
        boxes[i] = declare_branch(weave, "cv2", i, vb_weave_shape(weave, site->inputs[i])->dims[1],
                                  box_hidden, BINS * SIDES);
    for (uint32_t i = 0; i < site->n_inputs; i++)
        scores[i] = declare_branch(weave, "cv3", i, vb_weave_shape(weave, site->inputs[i])->dims[1],
                                   class_hidden, classes);
    vb_weave_declare_frozen(weave, "dfl.conv", BINS);
    weave->n_modules += 4;
    weave->graph.head = VB_HEAD_V8;

    for (uint32_t i = 0; i < site->n_inputs; i++) {
        uint32_t pieces[2];
        pieces[0] = run_branch(weave, &boxes[i], site->inputs[i]);
        pieces[1] = run_branch(weave, &scores[i], site->inputs[i]);
        uint32_t y = vb_run_concat(weave, pieces, 2);
        const uint32_t *dims = vb_weave_shape(weave, y)->dims;
        add_level(site, i, y, dims[2], dims[3]);
    }
    return 0;
}

uint32_t vb_run_detect(const struct vb_site *site)
{
    return site->description->n_anchor_levels > 0 ? run_detect_v5(site) : run_detect_v8(site);
}
