/* SPDX-License-Identifier: Apache-2.0 */
/* The heads of the other tasks, each Detect and something more: Segment's prototypes and mask
 * coefficients, Pose's keypoints, OBB's angles; and Classify, which is a head of its own. Source:
 * ultralytics 8.3.220, nn/modules/head.py and block.py (Proto). */

#include "model/heads.h"

enum { CLASSIFY_CHANNELS = 1280, UP = 2 };

const char *const vb_task_names[VB_N_TASKS] = { "detect", "segment", "pose", "obb", "classify" };

static void add_extra(struct vb_weave *weave, uint32_t value)
{
    struct vb_graph *graph = &weave->graph;
    if (graph->n_extras == VB_MAX_EXTRAS)
        weave->failed = true; /* a graph has one head */
    if (weave->failed)
        return;
    graph->extras[graph->n_extras++] = value;
    graph->values[value].is_output = true;
}

/* The task's own branches, each with `out` values a cell. */
static void declare_own(const struct vb_site *site, uint32_t out, struct vb_branch *branches)
{
    const struct vb_branch_shape shape = { "cv4", vb_at_least(site->in / 4, out), out, false };
    vb_declare_branches(site, &shape, branches);
}

/* All levels' values side by side: [N,out,cells]. */
static uint32_t run_own(const struct vb_site *site, const struct vb_branch *branches)
{
    struct vb_weave *weave = site->weave;
    uint32_t flat[VB_MAX_FROM];
    for (uint32_t i = 0; i < site->n_inputs; i++) {
        uint32_t y = vb_run_branch(weave, &branches[i], site->inputs[i]);
        const uint32_t *dims = vb_weave_shape(weave, y)->dims;
        struct vb_shape shape = { 3, { dims[0], dims[1], dims[2] * dims[3] } };
        flat[i] = vb_run_view(weave, VB_VIEW, y, &shape);
    }
    return vb_run_concat_along(weave, flat, site->n_inputs, 2);
}

/* Detect with branches of the task's own, which run first. */
static uint32_t run_with(const struct vb_site *site, enum vb_task task, uint32_t out)
{
    struct vb_detect detect;
    struct vb_branch own[VB_MAX_FROM];
    vb_declare_detect(site, &detect);
    declare_own(site, out, own);
    site->weave->graph.task = task;
    add_extra(site->weave, run_own(site, own));
    vb_run_detect_levels(site, &detect);
    return 0;
}

struct proto {
    struct vb_block cv1, up, cv2, cv3;
};

static struct proto declare_proto(struct vb_weave *weave, uint32_t in, uint32_t hidden,
                                  uint32_t out)
{
    size_t length = vb_weave_enter(weave, "proto");
    struct proto proto;
    proto.cv1 = vb_declare_conv(weave, "cv1", in, hidden, 3, 1, 1);
    proto.up = vb_declare_transposed(weave, "upsample", hidden, hidden, UP);
    proto.cv2 = vb_declare_conv(weave, "cv2", hidden, hidden, 3, 1, 1);
    proto.cv3 = vb_declare_conv(weave, "cv3", hidden, out, 1, 1, 1);
    vb_weave_leave(weave, length);
    weave->n_modules++;
    return proto;
}

/* args: classes, masks, hidden channels of the prototypes */
uint32_t vb_run_segment(const struct vb_site *site)
{
    struct vb_weave *weave = site->weave;
    struct vb_detect detect;
    struct vb_branch own[VB_MAX_FROM];
    uint32_t masks = (uint32_t)site->args[1];
    uint32_t hidden = vb_scaled_channels(site->description, (uint32_t)site->args[2]);
    vb_declare_detect(site, &detect);
    struct proto proto = declare_proto(weave, site->in, hidden, masks);
    declare_own(site, masks, own);
    weave->graph.task = VB_TASK_SEGMENT;

    uint32_t y = vb_run_conv(weave, &proto.cv1, site->inputs[0]);
    y = vb_run_transposed(weave, &proto.up, y);
    y = vb_run_conv(weave, &proto.cv2, y);
    y = vb_run_conv(weave, &proto.cv3, y);
    add_extra(weave, run_own(site, own));
    add_extra(weave, y);
    vb_run_detect_levels(site, &detect);
    return 0;
}

/* The keypoints are the description's. */
uint32_t vb_run_pose(const struct vb_site *site)
{
    const struct vb_description *description = site->description;
    site->weave->graph.n_keypoints = description->n_keypoints;
    site->weave->graph.keypoint_values = description->keypoint_values;
    return run_with(site, VB_TASK_POSE, description->n_keypoints * description->keypoint_values);
}

/* args: classes, values a cell */
uint32_t vb_run_obb(const struct vb_site *site)
{
    return run_with(site, VB_TASK_OBB, (uint32_t)site->args[1]);
}

/* Its Dropout of 0 hands its argument on. */
uint32_t vb_run_classify(const struct vb_site *site)
{
    struct vb_weave *weave = site->weave;
    struct vb_block conv = vb_declare_conv(weave, "conv", site->in, CLASSIFY_CHANNELS, 1, 1, 1);
    uint32_t linear =
        vb_weave_declare_linear(weave, "linear", CLASSIFY_CHANNELS, weave->graph.classes);
    weave->n_modules += 3;
    weave->n_leaves += 2; /* pooling and dropout */
    weave->graph.task = VB_TASK_CLASSIFY;
    uint32_t y = vb_run_conv(weave, &conv, site->inputs[0]);
    vb_add_scores(site, vb_run_scores(weave, linear, y, weave->graph.classes));
    return 0;
}
