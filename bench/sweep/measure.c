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

/* The record's part that is the program's, and what the device makes of it. */
static enum vb_status execute(const struct vb_compiled *compiled, const struct vb_point *point,
                              struct vb_device *device, bool with_curve, struct vb_arena *arena,
                              struct vb_record *record, struct vb_error *err)
{
    *record = (struct vb_record){ .point = *point };
    record->autobatch = compiled->recipe.trainer.autobatch.rules;
    record->parameters = compiled->graph.parameter_elements;
    record->rule_of_thumb_bytes = rule_of_thumb(&compiled->graph);
    if (point->workload == VB_WHOLE_RUN)
        (void)snprintf(record->unit, sizeof record->unit, "%s",
                       vb_unit_names[compiled->recipe.trainer.unit]);
    (void)snprintf(record->recipe, sizeof record->recipe, "%s", compiled->recipe.name);
    return vb_execute(&compiled->program, point, device, with_curve, arena, record, err);
}

static enum vb_status compile_for(const struct vb_point *point, const struct vb_device *device,
                                  struct vb_arena *arena, struct vb_compiled *out,
                                  struct vb_error *err)
{
    return vb_compile(point, vb_device_info(device)->capacity_bytes,
                      vb_device_layout(device, point->channels_last), arena, out, err);
}

enum vb_status vb_measure(const struct vb_point *point, struct vb_device *device, bool with_curve,
                          struct vb_arena *arena, struct vb_record *record, struct vb_error *err)
{
    struct vb_compiled compiled;
    *record = (struct vb_record){ .point = *point };
    enum vb_status status = compile_for(point, device, arena, &compiled, err);
    return status == VB_OK ? execute(&compiled, point, device, with_curve, arena, record, err)
                           : status;
}

/* AutoBatch's program depends on the device's memory. */
static enum vb_status execute_boundless(struct vb_compiled *compiled, const struct vb_point *point,
                                        const char *device_name, struct vb_arena *arena,
                                        struct vb_record *need, struct vb_error *err)
{
    struct vb_device *boundless = NULL;
    enum vb_status status = vb_device_open_boundless(device_name, &boundless, err);
    if (status == VB_OK && point->workload == VB_AUTOBATCH)
        status = compile_for(point, boundless, arena, compiled, err);
    if (status == VB_OK)
        status = execute(compiled, point, boundless, false, arena, need, err);
    vb_device_close(boundless);
    return status;
}

enum vb_status vb_measure_need(const struct vb_point *point, const char *device_name,
                               struct vb_device *device, struct vb_arena *arena,
                               struct vb_record *record, struct vb_record *need,
                               struct vb_error *err)
{
    struct vb_compiled compiled;
    *record = (struct vb_record){ .point = *point };
    enum vb_status status = compile_for(point, device, arena, &compiled, err);
    if (status == VB_OK)
        status = execute(&compiled, point, device, false, arena, record, err);
    *need = *record;
    if (status != VB_OK || record->state != VB_STATE_OOM || vb_device_info(device)->measures)
        return status;
    return execute_boundless(&compiled, point, device_name, arena, need, err);
}
