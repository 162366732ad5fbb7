/* SPDX-License-Identifier: Apache-2.0 */
#include "sweep/measure.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "device/execute.h"
#include "step/autobatch.h"
#include "step/build.h"
#include "step/ranks.h"
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

enum vb_status vb_compile_parts(const struct vb_point *point, enum vb_layout layout,
                                struct vb_arena *arena, struct vb_description *description,
                                struct vb_compiled *out, struct vb_error *err)
{
    struct vb_graph *graph = &out->graph;
    if (layout != VB_ONLY_PLANNED && vb_world_of(point) > 1)
        return vb_fail(err, VB_E_UNSUPPORTED,
                       "several GPUs (%u) are planned, not measured: take --device virtual:GPU, or "
                       "one GPU",
                       vb_world_of(point));
    if (layout != VB_ONLY_PLANNED && point->workload != VB_TRAIN)
        return vb_fail(err, VB_E_UNSUPPORTED,
                       "workload %s is only planned: take --device virtual:GPU, or workload train",
                       vb_workload_names[point->workload]);
    enum vb_status status = vb_check_ranks(point, err);
    if (status == VB_OK)
        status = vb_point_graph(point, arena, description, graph, err);
    if (status == VB_OK)
        status = check_task(point, layout, graph, err);
    if (status == VB_OK)
        status = vb_check_strategy(point, vb_family_of(graph), err);
    if (status == VB_OK)
        status = vb_recipe_find(point, vb_family_of(graph), &out->recipe, err);
    return status;
}

enum vb_status vb_compile(const struct vb_point *point, uint64_t capacity_bytes,
                          enum vb_layout layout, struct vb_arena *arena, struct vb_compiled *out,
                          struct vb_error *err)
{
    struct vb_description description;
    struct vb_graph *graph = &out->graph;
    enum vb_status status = vb_compile_parts(point, layout, arena, &description, out, err);
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
enum vb_status vb_measure_program(const struct vb_compiled *compiled, const struct vb_point *point,
                                  struct vb_device *device, bool with_curve, struct vb_arena *arena,
                                  struct vb_record *record, struct vb_error *err)
{
    *record = (struct vb_record){ .point = *point };
    record->autobatch = compiled->recipe.trainer.autobatch.rules;
    record->parameters = compiled->graph.parameter_elements;
    record->rule_of_thumb_bytes = rule_of_thumb(&compiled->graph);
    if (compiled->graph.task != VB_TASK_DETECT)
        (void)snprintf(record->modelled, sizeof record->modelled, "loss of task %s",
                       vb_task_names[compiled->graph.task]);
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

static bool is_heavier(const struct vb_record *a, const struct vb_record *b)
{
    bool a_ran_out = a->state == VB_STATE_OOM, b_ran_out = b->state == VB_STATE_OOM;
    return a_ran_out != b_ran_out ? a_ran_out : a->peak_reserved_bytes > b->peak_reserved_bytes;
}

/* All but the first rank do the same, unless the optimizer's state is shared out or DataParallel's
 * last piece of the batch is smaller. */
static bool is_like_the_last(const struct vb_point *point)
{
    uint32_t rank = point->rank;
    bool shares_alike = rank > 1 && vb_share_of(point, point->batch, rank) ==
                                        vb_share_of(point, point->batch, rank - 1);
    return shares_alike && (vb_is_dp(point) || point->zero == 0);
}

/* NCCL's buffers, for all that is known of them: 2 to 24 channels or more, of some 9 MiB for each
 * connection. Source: torch-memory.md, part A, 2.5. */
static void count_nccl(struct vb_record *record)
{
    record->nccl_low_bytes = VB_MIB(50);
    record->nccl_high_bytes = VB_MIB(500);
    uint64_t most = record->nccl_high_bytes;
    record->usable_bytes = record->usable_bytes > most ? record->usable_bytes - most : 0;
}

/* As planned with no limit. `compiled`: NULL where the program depends on the device's memory. */
static enum vb_status measure_boundless(const struct vb_compiled *compiled,
                                        const struct vb_point *point, struct vb_device *device,
                                        struct vb_arena *arena, struct vb_record *need,
                                        struct vb_error *err)
{
    struct vb_device *boundless = NULL;
    struct vb_compiled own;
    enum vb_status status = vb_device_open_boundless_of(device, &boundless, err);
    if (status == VB_OK && compiled == NULL) {
        status = compile_for(point, boundless, arena, &own, err);
        compiled = &own;
    }
    if (status == VB_OK)
        status = vb_measure_program(compiled, point, boundless, false, arena, need, err);
    vb_device_close(boundless);
    return status;
}

/* How points are measured. */
struct measuring {
    struct vb_device *device;
    bool with_curve, with_need;
    struct vb_arena *arena;
};

/* `need`: the record, or, if it is wanted, what there is without a limit of what ran out. */
static enum vb_status measure_one(const struct measuring *how, const struct vb_compiled *compiled,
                                  const struct vb_point *point, struct vb_record *record,
                                  struct vb_record *need, struct vb_error *err)
{
    enum vb_status status =
        vb_measure_program(compiled, point, how->device, how->with_curve, how->arena, record, err);
    *need = *record;
    if (status != VB_OK || !how->with_need || record->state != VB_STATE_OOM)
        return status;
    return measure_boundless(point->workload == VB_AUTOBATCH ? NULL : compiled, point, how->device,
                             how->arena, need, err);
}

/* The heaviest of several GPUs, with each one's peaks. */
static void add_rank(struct vb_record *heaviest, uint32_t rank, struct vb_record *one)
{
    heaviest->ranks[rank] =
        (struct vb_rank_peaks){ one->peak_allocated_bytes, one->peak_reserved_bytes };
    memcpy(one->ranks, heaviest->ranks, sizeof one->ranks);
    if (rank == 0 || is_heavier(one, heaviest))
        *heaviest = *one;
}

static void tell_ranks(struct vb_record *heaviest, uint32_t n)
{
    heaviest->n_ranks = n;
    heaviest->heaviest_rank = heaviest->point.rank;
    heaviest->point.rank = 0;
    count_nccl(heaviest);
}

/* The ranks one after the other, in the same memory; a curve stays. */
static enum vb_status measure_ranks(const struct measuring *how, const struct vb_point *point,
                                    struct vb_record *record, struct vb_record *need,
                                    struct vb_error *err)
{
    struct vb_point of_rank = *point;
    struct vb_record one, one_needs;
    struct vb_compiled compiled;
    const uint32_t n = point->gpus > 1 ? point->gpus : 1;
    const struct vb_arena_place mark = vb_arena_mark(how->arena);
    for (uint32_t r = 0; r < n && r < VB_MAX_GPUS; r++) {
        enum vb_status status = VB_OK;
        of_rank.rank = r;
        if (!is_like_the_last(&of_rank)) {
            status = compile_for(&of_rank, how->device, how->arena, &compiled, err);
            if (status == VB_OK)
                status = measure_one(how, &compiled, &of_rank, &one, &one_needs, err);
            if (!how->with_curve)
                vb_arena_rewind(how->arena, mark);
        }
        if (status != VB_OK)
            return status;
        add_rank(record, r, &one);
        add_rank(need, r, &one_needs);
    }
    tell_ranks(record, n);
    tell_ranks(need, n);
    return VB_OK;
}

static enum vb_status measure(const struct measuring *how, const struct vb_point *point,
                              struct vb_record *record, struct vb_record *need,
                              struct vb_error *err)
{
    struct vb_compiled compiled;
    *record = *need = (struct vb_record){ .point = *point };
    if (vb_world_of(point) > 1)
        return measure_ranks(how, point, record, need, err);
    enum vb_status status = compile_for(point, how->device, how->arena, &compiled, err);
    return status == VB_OK ? measure_one(how, &compiled, point, record, need, err) : status;
}

enum vb_status vb_measure(const struct vb_point *point, struct vb_device *device, bool with_curve,
                          struct vb_arena *arena, struct vb_record *record, struct vb_error *err)
{
    const struct measuring how = { device, with_curve, false, arena };
    struct vb_record need;
    return measure(&how, point, record, &need, err);
}

enum vb_status vb_measure_need(const struct vb_point *point, struct vb_device *device,
                               struct vb_arena *arena, struct vb_record *record,
                               struct vb_record *need, struct vb_error *err)
{
    const struct measuring how = { device, false, true, arena };
    return measure(&how, point, record, need, err);
}

enum vb_status vb_measure_program_need(const struct vb_compiled *compiled,
                                       const struct vb_point *point, struct vb_device *device,
                                       struct vb_arena *arena, struct vb_record *record,
                                       struct vb_record *need, struct vb_error *err)
{
    const struct measuring how = { device, false, true, arena };
    return measure_one(&how, compiled, point, record, need, err);
}

enum vb_status vb_measure_start(const struct vb_point *point, struct vb_device *device,
                                struct vb_arena *arena, struct vb_record *record,
                                struct vb_error *err)
{
    struct vb_compiled compiled;
    struct vb_description description;
    *record = (struct vb_record){ .point = *point };
    enum vb_status status = vb_compile_parts(point, vb_device_layout(device, point->channels_last),
                                             arena, &description, &compiled, err);
    if (status == VB_OK)
        status = vb_run_build_start(&compiled.graph, &description, point, &compiled.recipe, arena,
                                    &compiled.program, err);
    if (status == VB_OK)
        status = vb_measure_program(&compiled, point, device, false, arena, record, err);
    if (status == VB_OK && vb_world_of(point) > 1)
        count_nccl(record);
    return status;
}
