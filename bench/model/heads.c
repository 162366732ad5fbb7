/* SPDX-License-Identifier: Apache-2.0 */
/* The detection heads: YOLOv5's with anchors, YOLOv8's and YOLO11's without, YOLOv10's two in one.
 */

#include <stdio.h>
#include <string.h>

#include "model/heads.h"

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
    static const uint32_t values_last[] = { 0, 1, 3, 4, 2 };
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
        uint32_t view = vb_run_view(weave, VB_VIEW, y, &split);
        uint32_t copy = vb_run_clone(weave, vb_run_permute(weave, view, values_last));
        vb_weave_hold(weave, y);
        add_level(site, i, copy, split.dims[3], split.dims[4]);
    }
    return 0;
}

static void declare_light(struct vb_weave *weave, const char *part, uint32_t in, uint32_t out,
                          struct vb_block *depthwise, struct vb_block *pointwise)
{
    size_t length = vb_weave_enter(weave, part);
    *depthwise = vb_declare_conv(weave, "0", in, in, 3, 1, in);
    *pointwise = vb_declare_conv(weave, "1", in, out, 1, 1, 1);
    vb_weave_leave(weave, length);
    weave->n_modules++;
}

static struct vb_branch declare_branch(struct vb_weave *weave, const struct vb_branch_shape *shape,
                                       uint32_t level, uint32_t in)
{
    uint32_t hidden = shape->hidden;
    struct vb_branch branch = { .is_light = shape->is_light };
    size_t outer = vb_weave_enter(weave, shape->part);
    size_t inner = vb_weave_enter_number(weave, level);
    if (shape->is_light) {
        declare_light(weave, "0", in, hidden, &branch.depthwise[0], &branch.convs[0]);
        declare_light(weave, "1", hidden, hidden, &branch.depthwise[1], &branch.convs[1]);
    } else {
        branch.convs[0] = vb_declare_conv(weave, "0", in, hidden, 3, 1, 1);
        branch.convs[1] = vb_declare_conv(weave, "1", hidden, hidden, 3, 1, 1);
    }
    branch.last = vb_declare_plain(weave, "2", hidden, shape->out);
    vb_weave_leave(weave, inner);
    vb_weave_leave(weave, outer);
    weave->n_modules++;
    return branch;
}

uint32_t vb_run_branch(struct vb_weave *weave, const struct vb_branch *branch, uint32_t x)
{
    for (uint32_t i = 0; i < 2; i++) {
        if (branch->is_light)
            x = vb_run_conv(weave, &branch->depthwise[i], x);
        x = vb_run_conv(weave, &branch->convs[i], x);
    }
    return vb_run_conv(weave, &branch->last, x);
}

enum { SIDES = 4 };

void vb_declare_branches(const struct vb_site *site, const struct vb_branch_shape *shape,
                         struct vb_branch *branches)
{
    for (uint32_t i = 0; i < site->n_inputs; i++)
        branches[i] = declare_branch(site->weave, shape, i,
                                     vb_weave_shape(site->weave, site->inputs[i])->dims[1]);
    site->weave->n_modules++; /* the ModuleList */
}

static struct vb_branch_shape box_shape(const struct vb_site *site, const char *part)
{
    uint32_t distances = site->description->bins * SIDES;
    uint32_t hidden = vb_at_least(vb_at_least(16, site->in / 4), distances);
    return (struct vb_branch_shape){ part, hidden, distances, false };
}

static struct vb_branch_shape score_shape(const struct vb_site *site, const char *part,
                                          bool is_light)
{
    uint32_t classes = site->weave->graph.classes;
    uint32_t hidden = vb_at_least(site->in, classes < 100 ? classes : 100);
    return (struct vb_branch_shape){ part, hidden, classes, is_light };
}

/* The distances' own convolution has frozen weights, one a bin, and is not run in training; an
 * Identity where there is one. */
static void declare_detect(const struct vb_site *site, bool is_light, struct vb_detect *detect)
{
    const struct vb_branch_shape boxes = box_shape(site, "cv2");
    const struct vb_branch_shape scores = score_shape(site, "cv3", is_light);
    vb_declare_branches(site, &boxes, detect->boxes);
    vb_declare_branches(site, &scores, detect->scores);
    if (site->description->bins > 1)
        vb_weave_declare_frozen(site->weave, "dfl.conv", site->description->bins);
    else
        site->weave->n_leaves++;
    site->weave->n_modules += 2;
    site->weave->graph.head = VB_HEAD_V8;
}

/* Both branches of a level, side by side. */
static uint32_t run_level(const struct vb_site *site, const struct vb_detect *detect,
                          uint32_t level, uint32_t x)
{
    uint32_t pieces[2];
    pieces[0] = vb_run_branch(site->weave, &detect->boxes[level], x);
    pieces[1] = vb_run_branch(site->weave, &detect->scores[level], x);
    return vb_run_concat(site->weave, pieces, 2);
}

void vb_run_detect_levels(const struct vb_site *site, const struct vb_detect *detect)
{
    for (uint32_t i = 0; i < site->n_inputs; i++) {
        uint32_t y = run_level(site, detect, i, site->inputs[i]);
        const uint32_t *dims = vb_weave_shape(site->weave, y)->dims;
        add_level(site, i, y, dims[2], dims[3]);
    }
}

/* Score branches are light from YOLO11 on: ultralytics tells it by the modules before. */
static bool is_light(const struct vb_description *description)
{
    bool is_newer = false;
    for (uint32_t i = 0; i < description->n_layers; i++)
        is_newer = is_newer || strcmp(description->layers[i].module, "C3k2") == 0 ||
                   strcmp(description->layers[i].module, "A2C2f") == 0;
    return is_newer;
}

void vb_declare_detect(const struct vb_site *site, struct vb_detect *detect)
{
    declare_detect(site, is_light(site->description), detect);
}

/* A copy of the branches reads the inputs too, and gives them no gradient. It has a SiLU of its own
 * for either kind. */
static void declare_copy(const struct vb_site *site, bool is_light, struct vb_detect *one)
{
    const struct vb_branch_shape boxes = box_shape(site, "one2one_cv2");
    const struct vb_branch_shape scores = score_shape(site, "one2one_cv3", is_light);
    vb_declare_branches(site, &boxes, one->boxes);
    vb_declare_branches(site, &scores, one->scores);
    site->weave->n_modules += 2;
    site->weave->n_leaves += 2;
}

static void detach(const struct vb_site *site, uint32_t *detached)
{
    struct vb_weave *weave = site->weave;
    for (uint32_t i = 0; i < site->n_inputs; i++)
        detached[i] =
            vb_run_view(weave, VB_DETACH, site->inputs[i], vb_weave_shape(weave, site->inputs[i]));
}

static void run_copy(const struct vb_site *site, const struct vb_detect *one,
                     const uint32_t *detached, uint32_t *outputs)
{
    for (uint32_t i = 0; i < site->n_inputs; i++)
        outputs[i] = run_level(site, one, i, detached[i]);
}

/* Once both heads have run. */
static void end_to_end(const struct vb_site *site, const uint32_t *detached,
                       const uint32_t *outputs)
{
    struct vb_weave *weave = site->weave;
    for (uint32_t i = 0; i < site->n_inputs && !weave->failed; i++) {
        vb_weave_hold(weave, detached[i]);
        weave->graph.levels[i].one_to_one = outputs[i];
        weave->graph.values[outputs[i]].is_output = true;
    }
    weave->graph.is_end_to_end = true;
}

/* YOLO26's copy runs second. Its levels' outputs are put side by side here, as YOLOv8's;
 * ultralytics 8.4 puts the boxes of all levels side by side and their scores: the same bytes. */
uint32_t vb_run_detect(const struct vb_site *site)
{
    struct vb_detect many, one;
    uint32_t detached[VB_MAX_FROM], outputs[VB_MAX_FROM];
    if (site->description->n_anchor_levels > 0)
        return run_detect_v5(site);
    vb_declare_detect(site, &many);
    if (!site->description->is_end_to_end) {
        vb_run_detect_levels(site, &many);
        return 0;
    }
    declare_copy(site, is_light(site->description), &one);
    vb_run_detect_levels(site, &many);
    detach(site, detached);
    run_copy(site, &one, detached, outputs);
    end_to_end(site, detached, outputs);
    return 0;
}

/* Its copy runs first. */
uint32_t vb_run_v10_detect(const struct vb_site *site)
{
    struct vb_detect many, one;
    uint32_t detached[VB_MAX_FROM], outputs[VB_MAX_FROM];
    declare_detect(site, true, &many);
    declare_copy(site, true, &one);
    detach(site, detached);
    run_copy(site, &one, detached, outputs);
    vb_run_detect_levels(site, &many);
    end_to_end(site, detached, outputs);
    return 0;
}
