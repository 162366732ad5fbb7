/* SPDX-License-Identifier: Apache-2.0 */
#include "sweep/measure.h"

#include <stdio.h>

#include "device/execute.h"
#include "step/autobatch.h"
#include "step/build.h"
#include "step/run.h"
#include "step/sized.h"

/* What people copy from each other: weights, gradients and one optimizer state in fp32, and the
 * batch. It leaves out the activations, which are nearly all of it. */
static uint64_t rule_of_thumb(const struct vb_graph *graph)
{
    uint64_t batch = vb_shape_elements(&graph->values[0].shape) * sizeof(float);
    return graph->parameter_elements * sizeof(float) * 3 + batch;
}

/* Not all of the other tasks is worked out as far as detection is. */
static enum vb_status check_task(const struct vb_point *point, enum vb_layout layout,
                                 const struct vb_graph *graph, struct vb_error *err)
{
    const char *task = vb_task_names[graph->task];
    if (graph->task == VB_TASK_DETECT)
        return VB_OK;
    if (point->workload == VB_AUTOBATCH)
        return vb_fail(err, VB_E_UNSUPPORTED,
                       "%s: AutoBatch's profile is planned of detection, not of task %s: take "
                       "workload train or run",
                       point->model, task);
    if (layout != VB_ONLY_PLANNED && graph->head != VB_HEAD_CLASSIFY)
        return vb_fail(err, VB_E_UNSUPPORTED,
                       "%s: the loss of task %s is only planned: take --device virtual:GPU",
                       point->model, task);
    return VB_OK;
}

enum vb_status vb_compile(const struct vb_point *point, uint64_t capacity_bytes,
                          enum vb_layout layout, struct vb_arena *arena, struct vb_compiled *out,
                          struct vb_error *err)
{
    struct vb_description description;
    struct vb_graph *graph = &out->graph;
    if (layout != VB_ONLY_PLANNED && point->workload != VB_TRAIN)
        return vb_fail(err, VB_E_UNSUPPORTED,
                       "workload %s is only planned: take --device virtual:GPU, or workload train",
                       vb_workload_names[point->workload]);
    enum vb_status status = vb_point_graph(point, arena, &description, graph, err);
    if (status == VB_OK)
        status = check_task(point, layout, graph, err);
    if (status == VB_OK)
        status = vb_recipe_find(point, vb_family_of(graph), &out->recipe, err);
    if (status != VB_OK)
        return status;
    switch (point->workload) {
    case VB_WHOLE_RUN:
        return vb_run_build(graph, &description, point, &out->recipe, arena, &out->program, err);
    case VB_AUTOBATCH:
        return vb_autobatch_build(graph, &description, point, &out->recipe, capacity_bytes, arena,
                                  &out->program, err);
    case VB_TRAIN:
        break;
    }
    return vb_program_build(graph, point, &out->recipe, NULL, layout, arena, &out->program, err);
}

enum vb_status vb_measure(const struct vb_point *point, struct vb_device *device, bool with_curve,
                          struct vb_arena *arena, struct vb_record *record, struct vb_error *err)
{
    struct vb_compiled compiled;
    *record = (struct vb_record){ .point = *point };
    const struct vb_device_info *info = vb_device_info(device);
    enum vb_status status =
        vb_compile(point, info->capacity_bytes, vb_device_layout(device, point->channels_last),
                   arena, &compiled, err);
    if (status != VB_OK)
        return status;
    record->autobatch = compiled.recipe.trainer.autobatch.rules;
    record->parameters = compiled.graph.parameter_elements;
    record->rule_of_thumb_bytes = rule_of_thumb(&compiled.graph);
    if (compiled.graph.task != VB_TASK_DETECT)
        (void)snprintf(record->modelled, sizeof record->modelled, "loss of task %s",
                       vb_task_names[compiled.graph.task]);
    if (point->workload == VB_WHOLE_RUN)
        (void)snprintf(record->unit, sizeof record->unit, "%s",
                       vb_unit_names[compiled.recipe.trainer.unit]);
    (void)snprintf(record->recipe, sizeof record->recipe, "%s", compiled.recipe.name);
    return vb_execute(&compiled.program, point, device, with_curve, arena, record, err);
}

enum vb_status vb_measure_need(const struct vb_point *point, const char *device_name,
                               struct vb_device *device, struct vb_arena *arena,
                               struct vb_record *record, struct vb_record *need,
                               struct vb_error *err)
{
    struct vb_device *boundless = NULL;
    enum vb_status status = vb_measure(point, device, false, arena, record, err);
    *need = *record;
    if (status != VB_OK || record->state != VB_STATE_OOM || vb_device_info(device)->measures)
        return status;
    status = vb_device_open_boundless(device_name, &boundless, err);
    if (status == VB_OK)
        status = vb_measure(point, boundless, false, arena, need, err);
    vb_device_close(boundless);
    return status;
}
