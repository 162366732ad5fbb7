/* SPDX-License-Identifier: Apache-2.0 */
/* oneDNN's engine, the plans by shape, and the run of one. */

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "cpu/array.h"
#include "cpu/onednn_plan.h"

static enum vb_status fail(struct vb_error *err, const struct vb_call *call, dnnl_status_t status)
{
    if (status == dnnl_unimplemented)
        return vb_fail(err, VB_E_UNSUPPORTED, "oneDNN has no kernel for %s of these sizes",
                       vb_operator_names[call->op]);
    return vb_fail(err, status == dnnl_out_of_memory ? VB_E_SYSTEM : VB_E_DEVICE,
                   "oneDNN refuses %s with status %d%s", vb_operator_names[call->op], (int)status,
                   status == dnnl_invalid_arguments ? ": the operands do not go together" : "");
}

enum vb_status vb_onednn_open(struct vb_onednn **out, struct vb_error *err)
{
    struct vb_onednn *onednn = calloc(1, sizeof *onednn);
    if (onednn == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for oneDNN");
    dnnl_status_t status = dnnl_engine_create(&onednn->engine, dnnl_cpu, 0);
    if (status == dnnl_success)
        status = dnnl_stream_create(&onednn->stream, onednn->engine, dnnl_stream_default_flags);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_create(&onednn->attr);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_scratchpad_mode(onednn->attr, dnnl_scratchpad_mode_user);
    if (status != dnnl_success) {
        vb_onednn_close(onednn);
        return vb_fail(err, VB_E_DEVICE, "oneDNN does not start: status %d", (int)status);
    }
    *out = onednn;
    return VB_OK;
}

static void clear_plan(struct vb_plan *plan)
{
    for (size_t i = 0; i < plan->n_steps; i++) {
        if (plan->steps[i].primitive != NULL)
            (void)dnnl_primitive_destroy(plan->steps[i].primitive);
    }
    for (size_t i = 0; i < plan->n_memories; i++)
        (void)dnnl_memory_destroy(plan->memories[i].memory);
}

void vb_onednn_close(struct vb_onednn *onednn)
{
    if (onednn == NULL)
        return;
    for (size_t i = 0; i < VB_PLAN_SLOTS; i++) {
        for (struct vb_plan *plan = onednn->slots[i]; plan != NULL; plan = plan->next)
            clear_plan(plan);
    }
    vb_arena_clear(&onednn->arena);
    if (onednn->attr != NULL)
        (void)dnnl_primitive_attr_destroy(onednn->attr);
    if (onednn->stream != NULL)
        (void)dnnl_stream_destroy(onednn->stream);
    if (onednn->engine != NULL)
        (void)dnnl_engine_destroy(onednn->engine);
    free(onednn);
}

/* All that a plan depends on: not where the operands are. */
static void write_key(const struct vb_call *call, uint32_t *key)
{
    size_t n = 0;
    memset(key, 0, VB_PLAN_KEY_WORDS * sizeof *key);
    key[n++] = (uint32_t)call->op;
    if (call->window != NULL) {
        const struct vb_window *window = &call->window->window;
        key[n++] = window->kernel_h;
        key[n++] = window->kernel_w;
        key[n++] = window->stride;
        key[n++] = window->pad;
        key[n++] = window->dilation;
        key[n++] = call->window->groups;
    }
    for (uint32_t i = 0; i < VB_PLAN_OPERANDS; i++) {
        const struct vb_operand *operand = &call->operands[i];
        key[n++] = (uint32_t)operand->dtype;
        key[n++] = operand->shape.n_dims;
        for (uint32_t axis = 0; axis < operand->shape.n_dims; axis++) {
            key[n++] = operand->shape.dims[axis];
            key[n++] = operand->strides[axis];
        }
    }
}

static enum vb_status find_plan(struct vb_onednn *onednn, const struct vb_call *call,
                                struct vb_plan **out, struct vb_error *err)
{
    uint32_t key[VB_PLAN_KEY_WORDS];
    if (call->n_operands != VB_PLAN_OPERANDS)
        return vb_fail(err, VB_E_DEVICE, "%s has %u operands, not %d", vb_operator_names[call->op],
                       call->n_operands, VB_PLAN_OPERANDS);
    write_key(call, key);
    struct vb_plan **slot = &onednn->slots[vb_hash(VB_HASH_START, key, sizeof key) % VB_PLAN_SLOTS];
    for (struct vb_plan *plan = *slot; plan != NULL; plan = plan->next) {
        if (memcmp(plan->key, key, sizeof key) == 0) {
            *out = plan;
            return VB_OK;
        }
    }
    struct vb_plan *plan = vb_arena_alloc(&onednn->arena, 1, sizeof *plan);
    if (plan == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for oneDNN's primitives");
    memcpy(plan->key, key, sizeof key);
    dnnl_status_t status = call->op == VB_OP_MATMUL ? vb_plan_matmul(onednn, plan, call)
                                                    : vb_plan_conv(onednn, plan, call);
    if (status != dnnl_success) {
        clear_plan(plan);
        return fail(err, call, status);
    }
    plan->next = *slot;
    *slot = plan;
    *out = plan;
    return VB_OK;
}

enum vb_status vb_onednn_workspace(struct vb_cpu *cpu, const struct vb_call *call, uint64_t *bytes,
                                   struct vb_error *err)
{
    struct vb_plan *plan;
    enum vb_status status = find_plan(cpu->onednn, call, &plan, err);
    if (status == VB_OK)
        *bytes = plan->workspace_bytes;
    return status;
}

/* Between the operand and its copy in the workspace. */
static enum vb_status run_copy(struct vb_cpu *cpu, const struct vb_cpu_work *work,
                               const struct vb_plan_step *step, struct vb_error *err)
{
    struct vb_operand ends[2] = { step->ends[0], step->ends[1] };
    struct vb_call call = { .op = VB_OP_COPY, .operands = ends, .n_operands = 2 };
    void *scratch = (char *)work->workspace + step->at;
    void *user = work->tensors[step->operand];
    void *tensors[] = { step->is_back ? scratch : user, step->is_back ? user : scratch };
    ends[step->is_back ? 1 : 0].offset = work->call->operands[step->operand].offset;
    call.module = work->call->module;
    struct vb_cpu_work copy = { .call = &call, .tensors = tensors };
    return vb_cpu_run(cpu, &copy, err);
}

/* Where the plan's memories are this time. */
static dnnl_status_t place_memories(const struct vb_plan *plan, const struct vb_array *arrays,
                                    void *workspace)
{
    dnnl_status_t status = dnnl_success;
    for (size_t i = 0; i < plan->n_memories && status == dnnl_success; i++) {
        const struct vb_plan_memory *memory = &plan->memories[i];
        char *begin = memory->operand == VB_NONE ? (char *)workspace + memory->at
                                                 : arrays[memory->operand].data;
        status = dnnl_memory_set_data_handle(memory->memory, begin);
    }
    return status;
}

enum vb_status vb_kernel_onednn(struct vb_cpu *cpu, const struct vb_cpu_work *work,
                                struct vb_error *err)
{
    struct vb_array arrays[VB_PLAN_OPERANDS];
    struct vb_plan *plan;
    enum vb_status status = vb_arrays_of(work, VB_PLAN_OPERANDS, 0, arrays, err);
    if (status == VB_OK)
        status = find_plan(cpu->onednn, work->call, &plan, err);
    if (status != VB_OK)
        return status;
    dnnl_status_t done = place_memories(plan, arrays, work->workspace);
    for (size_t i = 0; i < plan->n_steps && done == dnnl_success && status == VB_OK; i++) {
        const struct vb_plan_step *step = &plan->steps[i];
        if (step->primitive == NULL)
            status = run_copy(cpu, work, step, err);
        else
            done = dnnl_primitive_execute(step->primitive, cpu->onednn->stream, step->n_args,
                                          step->args);
    }
    if (done == dnnl_success)
        done = dnnl_stream_wait(cpu->onednn->stream);
    return status == VB_OK && done != dnnl_success ? fail(err, work->call, done) : status;
}
