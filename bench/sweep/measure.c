/* SPDX-License-Identifier: Apache-2.0 */
#include "sweep/measure.h"

#include "device/execute.h"
#include "model/catalogue.h"
#include "step/build.h"

/* What people copy from each other: weights, gradients and one optimizer state in fp32, and the
 * batch. It leaves out the activations, which are nearly all of it. */
static uint64_t rule_of_thumb(const struct vb_graph *graph)
{
    uint64_t batch = (uint64_t)graph->batch * 3 * graph->imgsz * graph->imgsz * sizeof(float);
    return graph->parameter_elements * sizeof(float) * 3 + batch;
}

enum vb_status vb_measure(const struct vb_point *point, struct vb_device *device, bool with_curve,
                          struct vb_arena *arena, struct vb_record *record, struct vb_error *err)
{
    struct vb_graph graph;
    struct vb_program program;
    *record = (struct vb_record){ .point = *point };
    enum vb_status status = vb_catalogue_expand(point->model, point->batch, point->imgsz,
                                                point->classes, arena, &graph, err);
    if (status == VB_OK)
        status = vb_program_build(&graph, point, &vb_torch_2_4, NULL, arena, &program, err);
    if (status != VB_OK)
        return status;
    record->parameters = graph.parameter_elements;
    record->rule_of_thumb_bytes = rule_of_thumb(&graph);
    return vb_execute(&program, point, device, with_curve, arena, record, err);
}
