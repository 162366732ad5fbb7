/* SPDX-License-Identifier: Apache-2.0 */
#include "step/sized.h"

#include <math.h>

#include "model/catalogue.h"
#include "model/expand.h"

enum { LEAST_STRIDE = 32 };

uint32_t vb_loader_stride(const struct vb_graph *graph)
{
    uint32_t stride = LEAST_STRIDE;
    for (uint32_t i = 0; i < graph->n_levels; i++)
        stride = graph->levels[i].stride > stride ? graph->levels[i].stride : stride;
    return stride;
}

uint32_t vb_loader_side(double share, uint32_t imgsz, double pad, uint32_t stride)
{
    return (uint32_t)ceil(share * imgsz / stride + pad) * stride;
}

/* At least one layer is left to train: with none, backward() has nothing to go back to. */
static enum vb_status check_freeze(const struct vb_point *point,
                                   const struct vb_description *description, struct vb_error *err)
{
    if (point->freeze < description->n_layers)
        return VB_OK;
    return vb_fail(err, VB_E_INPUT,
                   "freeze is %u, but %s has %u layers, of which one at least is trained; expected "
                   "0 to %u",
                   point->freeze, point->model, description->n_layers, description->n_layers - 1);
}

/* Loaders leave mosaics out where batches are rectangular; asking for them is a contradiction. */
static enum vb_status check_rect(const struct vb_point *point, struct vb_error *err)
{
    if (point->rect <= 0 || point->mosaic != VB_MOSAIC_ON)
        return VB_OK;
    return vb_fail(err, VB_E_INPUT,
                   "rect is %g, but mosaic is %s: rectangular batches are not composed; set mosaic "
                   "to off or rect to 0",
                   point->rect, vb_mosaic_names[point->mosaic]);
}

/* The square graph tells the stride. */
static enum vb_status narrow(const struct vb_point *point, const struct vb_description *description,
                             struct vb_arena *arena, struct vb_graph *graph, struct vb_error *err)
{
    const struct vb_extent extent = {
        point->batch, vb_loader_side(point->rect, point->imgsz, 0, vb_loader_stride(graph)),
        point->imgsz
    };
    return vb_expand_for(description, &extent, vb_point_classes(point), arena, graph, err);
}

enum vb_status vb_point_graph(const struct vb_point *point, struct vb_arena *arena,
                              struct vb_description *description, struct vb_graph *graph,
                              struct vb_error *err)
{
    enum vb_status status = vb_catalogue_describe(point->model, arena, description, err);
    if (status == VB_OK)
        status = check_freeze(point, description, err);
    if (status == VB_OK)
        status = check_rect(point, err);
    if (status != VB_OK)
        return status;
    description->frozen_layers = point->freeze;
    status = vb_expand(description, point->batch, point->imgsz, vb_point_classes(point), arena,
                       graph, err);
    if (status == VB_OK && point->rect > 0)
        status = narrow(point, description, arena, graph, err);
    return status;
}
