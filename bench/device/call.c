/* SPDX-License-Identifier: Apache-2.0 */
/* One call of a program: its workspace is taken, the device runs it, the workspace is given back.
 * Who only plans is asked for the plans of convolutions; who executes, for what any call takes. */

#include "device/walk.h"

static enum vb_conv_type conv_type(enum vb_dtype dtype)
{
    if (dtype == VB_FLOAT16)
        return VB_CONV_FP16;
    return dtype == VB_BFLOAT16 ? VB_CONV_BF16 : VB_CONV_FP32;
}

struct vb_conv vb_conv_of_call(const struct vb_call *call, bool channels_last)
{
    const struct vb_call_window *of = call->window;
    return (struct vb_conv){
        .direction = (enum vb_conv_direction)call->op,
        .type = conv_type(call->dtype),
        .channels_last = channels_last,
        .n = of->n,
        .c = of->c,
        .h = of->h,
        .w = of->w,
        .k = of->k,
        .kernel_h = of->window.kernel_h,
        .kernel_w = of->window.kernel_w,
        .stride = of->window.stride,
        .pad = of->window.pad,
        .dilation = of->window.dilation,
        .groups = of->groups,
    };
}

/* The device has a plan for each of its like. */
static bool takes_plan(const struct vb_walk *walk, const struct vb_call *call)
{
    return vb_operator_is_conv(call->op) && vb_device_plans(walk->device);
}

static enum vb_status keep_plan(struct vb_walk *walk, uint32_t index,
                                const struct vb_conv_plan *plan, struct vb_error *err)
{
    struct vb_conv_plan *plans =
        vb_arena_grow(walk->arena, walk->plans, walk->n_plans, &walk->plans_room, sizeof *plans);
    if (plans == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for what calls take");
    walk->plans = plans;
    plans[walk->n_plans++] = *plan;
    walk->plan_of[index] = (uint32_t)walk->n_plans;
    return VB_OK;
}

/* Asks for the call's plan, once; where cuDNN times its plans, that comes with the first of each
 * question. */
static enum vb_status plan_conv(struct vb_walk *walk, size_t instruction, uint32_t index,
                                struct vb_error *err)
{
    const struct vb_conv conv =
        vb_conv_of_call(&walk->program->calls[index], walk->point->channels_last);
    const struct vb_conv_rules rules = { walk->program->deterministic, walk->point->tf32,
                                         walk->program->benchmark,
                                         walk->program->fixed_algorithms };
    struct vb_conv_plan plan;
    bool is_new = false;
    if (walk->plan_of[index] != 0)
        return VB_OK;
    enum vb_status status = vb_device_plan(walk->device, &conv, &rules, &plan, err);
    if (status == VB_OK && walk->program->benchmark)
        status = vb_walk_search(walk, &conv, &plan, index, instruction, &is_new, err);
    if (status == VB_OK && is_new)
        status = vb_device_plan(walk->device, &conv, &rules, &plan, err);
    return status == VB_OK ? keep_plan(walk, index, &plan, err) : status;
}

enum vb_status vb_walk_ask_workspaces(struct vb_walk *walk, struct vb_error *err)
{
    const struct vb_program *program = walk->program;
    for (uint32_t i = 0; i < program->n_calls; i++) {
        const struct vb_call *call = &program->calls[i];
        if (call->n_operands == 0 || call->n_operands > VB_MAX_OPERANDS)
            return vb_fail(
                err, VB_E_UNSUPPORTED, "%s cannot run %s of '%s': its operands are not told",
                vb_device_info(walk->device)->name, vb_operator_names[call->op], call->module);
        uint64_t bytes = 0;
        if (takes_plan(walk, call))
            continue;
        enum vb_status status = vb_device_workspace(walk->device, call, &bytes, err);
        const struct vb_conv_plan plan = { .source = VB_CONV_LIBRARY,
                                           .engine = -1,
                                           .workspace_bytes = bytes,
                                           .low_bytes = bytes,
                                           .high_bytes = bytes };
        if (status == VB_OK)
            status = keep_plan(walk, i, &plan, err);
        if (status != VB_OK)
            return status;
    }
    return VB_OK;
}

static uint64_t workspace_of(const struct vb_walk *walk, uint32_t index)
{
    const struct vb_conv_plan *plan = vb_walk_plan(walk, index);
    if (walk->choice == VB_LEAST_PLAN)
        return plan->low_bytes;
    return walk->choice == VB_MOST_PLAN ? plan->high_bytes : plan->workspace_bytes;
}

/* Scratch beside the pool: one segment, which grows to the largest that was needed. */
static enum vb_status take_outside(struct vb_walk *walk, uint64_t bytes, vb_address *out,
                                   struct vb_error *err)
{
    struct vb_segment *outside = &walk->outside;
    if (bytes > outside->bytes) {
        vb_walk_end_calls(walk);
        enum vb_status status = vb_device_reserve(walk->device, bytes, outside, err);
        if (status == VB_E_NO_FIT) {
            walk->record->oom_asked_bytes = bytes;
            walk->record->oom_free_bytes = vb_walk_free_bytes(walk);
        }
        if (status != VB_OK)
            return status;
        vb_device_mark(walk->device, outside->address, outside->bytes, true);
    }
    *out = bytes > 0 ? outside->address : 0;
    return VB_OK;
}

void vb_walk_end_calls(struct vb_walk *walk)
{
    if (walk->outside.bytes > 0)
        vb_device_release(walk->device, walk->outside);
    walk->outside = (struct vb_segment){ 0 };
}

/* The number of the optimizer's step that the instruction is of. */
static uint32_t update_of(const struct vb_walk *walk, size_t instruction)
{
    const struct vb_program *program = walk->program;
    const uint32_t before_loop = program->second_step < program->loop_start ? 2 : 1;
    if (instruction >= program->loop_start)
        return before_loop + walk->step;
    return instruction >= program->second_step ? before_loop : 1;
}

enum vb_status vb_walk_gather(const struct vb_walk *walk, const struct vb_call *call,
                              vb_address *tensors, struct vb_error *err)
{
    for (uint32_t i = 0; i < call->n_operands; i++) {
        const uint32_t tensor = call->operands[i].tensor;
        const struct vb_block *block = tensor != VB_NONE ? walk->blocks[tensor] : NULL;
        tensors[i] = block != NULL ? vb_block_address(block) : 0;
        if (block == NULL && tensor != VB_NONE && walk->program->tensors[tensor].bytes > 0)
            return vb_fail(err, VB_E_DEVICE, "%s of '%s' uses %s, which is not there",
                           vb_operator_names[call->op], call->module,
                           walk->program->tensors[tensor].name);
    }
    return VB_OK;
}

static enum vb_status run(struct vb_walk *walk, size_t instruction, uint32_t index,
                          vb_address workspace, struct vb_error *err)
{
    const struct vb_call *call = &walk->program->calls[index];
    vb_address tensors[VB_MAX_OPERANDS];
    const struct vb_work work = { .call = call,
                                  .plan = takes_plan(walk, call) ? vb_walk_plan(walk, index) : NULL,
                                  .tensors = tensors,
                                  .workspace = workspace,
                                  .update = update_of(walk, instruction) };
    enum vb_status status = vb_walk_gather(walk, call, tensors, err);
    return status == VB_OK ? vb_device_run(walk->device, &work, err) : status;
}

static enum vb_status run_in_pool(struct vb_walk *walk, size_t instruction, uint32_t index,
                                  struct vb_error *err)
{
    const struct vb_call *call = &walk->program->calls[index];
    uint64_t bytes = workspace_of(walk, index);
    uint64_t peak_bytes = walk->ledger.peak_bytes;
    struct vb_block *workspace = NULL;
    enum vb_status status = vb_walk_take(walk, bytes, VB_WORKSPACE, instruction, &workspace, err);
    if (status != VB_OK)
        return status;
    if (bytes > walk->peak_workspace_bytes)
        walk->peak_workspace_bytes = bytes;
    if (walk->ledger.peak_bytes > peak_bytes) {
        walk->workspace_at_peak = call->module;
        walk->workspace_at_peak_bytes = bytes;
    }
    status =
        run(walk, instruction, index, workspace != NULL ? vb_block_address(workspace) : 0, err);
    vb_walk_give(walk, workspace, VB_WORKSPACE);
    return status;
}

enum vb_status vb_walk_call(struct vb_walk *walk, size_t instruction, uint32_t index,
                            struct vb_error *err)
{
    const struct vb_call *call = &walk->program->calls[index];
    const bool executes = vb_device_info(walk->device)->layout != VB_ONLY_PLANNED;
    const bool is_planned = takes_plan(walk, call);
    const bool is_outside = walk->point->workspace == VB_SCRATCH_OUTSIDE;
    enum vb_status status = VB_OK;
    if (!executes && (is_outside || !is_planned))
        return run(walk, instruction, index, 0, err);
    if (is_planned)
        status = plan_conv(walk, instruction, index, err);
    if (status != VB_OK)
        return status;
    if (!is_outside)
        return run_in_pool(walk, instruction, index, err);

    vb_address workspace = 0;
    const uint64_t bytes = workspace_of(walk, index);
    status = take_outside(walk, bytes, &workspace, err);
    if (bytes > walk->peak_workspace_bytes)
        walk->peak_workspace_bytes = bytes;
    return status == VB_OK ? run(walk, instruction, index, workspace, err) : status;
}
