/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu/onednn_plan.h"

#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "step/view.h"

enum { ALIGNMENT = 64 };

dnnl_data_type_t vb_onednn_type(enum vb_dtype dtype)
{
    if (dtype == VB_FLOAT16)
        return dnnl_f16;
    return dtype == VB_BFLOAT16 ? dnnl_bf16 : dnnl_f32;
}

/* Strides of axes of length 1 say nothing: they come from the layout that the others have. */
static bool lies_channels_last(const struct vb_shape *shape, const uint32_t *strides,
                               const uint32_t *of_channels_last)
{
    for (uint32_t i = 0; i < shape->n_dims; i++) {
        if (shape->dims[i] != 1 && strides[i] != of_channels_last[i])
            return false;
    }
    return true;
}

struct vb_plan_side vb_plan_side_of(const struct vb_call *call, uint32_t operand,
                                    enum vb_dtype dtype)
{
    const struct vb_operand *of = &call->operands[operand];
    uint32_t dense[VB_MAX_DIMS];
    const uint32_t *strides = of->strides;
    struct vb_plan_side side = { .n_dims = (int)of->shape.n_dims, .is_copied = of->dtype != dtype };
    vb_strides_of_image(&of->shape, true, dense);
    for (uint32_t i = 0; i < of->shape.n_dims; i++) {
        if (of->shape.dims[i] != 1 && of->strides[i] == 0)
            side.is_copied = true;
    }
    if (side.is_copied || lies_channels_last(&of->shape, of->strides, dense))
        strides = dense;
    for (uint32_t i = 0; i < of->shape.n_dims; i++) {
        side.dims[i] = of->shape.dims[i];
        side.strides[i] = strides[i];
    }
    return side;
}

bool vb_plan_is_channels_last(const struct vb_plan_side *side)
{
    const dnnl_dim_t *dims = side->dims, *strides = side->strides;
    return strides[1] == 1 && strides[3] == dims[1] && strides[2] == strides[3] * dims[3] &&
           strides[0] == strides[2] * dims[2];
}

/* `bytes` of the workspace; where they begin. */
static dnnl_status_t reserve(struct vb_plan *plan, uint64_t bytes, uint64_t *at)
{
    *at = plan->workspace_bytes;
    uint64_t rounded = vb_round_up(bytes, ALIGNMENT);
    return rounded != UINT64_MAX && vb_add(*at, rounded, &plan->workspace_bytes)
               ? dnnl_success
               : dnnl_out_of_memory;
}

/* Memory of an operand, or with VB_NONE of the workspace from `at` on. */
static dnnl_status_t add_memory(struct vb_onednn *onednn, struct vb_plan *plan,
                                vb_memory_desc_ref desc, uint32_t operand, uint64_t at,
                                dnnl_memory_t *out)
{
    assert(plan->n_memories < VB_PLAN_MEMORIES);
    dnnl_status_t status = dnnl_memory_create(out, desc, onednn->engine, DNNL_MEMORY_NONE);
    if (status == dnnl_success)
        plan->memories[plan->n_memories++] = (struct vb_plan_memory){ *out, operand, at };
    return status;
}

static dnnl_status_t add_scratch(struct vb_onednn *onednn, struct vb_plan *plan,
                                 vb_memory_desc_ref desc, dnnl_memory_t *out)
{
    uint64_t at;
    dnnl_status_t status = reserve(plan, dnnl_memory_desc_get_size(desc), &at);
    return status != dnnl_success ? status : add_memory(onednn, plan, desc, VB_NONE, at, out);
}

static dnnl_status_t add_primitive(struct vb_onednn *onednn, struct vb_plan *plan,
                                   const_dnnl_primitive_desc_t desc, const dnnl_exec_arg_t *args,
                                   int n_args)
{
    assert(plan->n_steps < VB_PLAN_STEPS && n_args <= VB_PLAN_OPERANDS);
    struct vb_plan_step *step = &plan->steps[plan->n_steps];
    dnnl_status_t status = dnnl_primitive_create(&step->primitive, desc);
    if (status != dnnl_success)
        return status;
    plan->n_steps++;
    memcpy(step->args, args, (size_t)n_args * sizeof *args);
    step->n_args = n_args;

    vb_memory_desc_ref scratch = dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0);
    if (scratch == NULL || dnnl_memory_desc_get_size(scratch) == 0)
        return dnnl_success;
    dnnl_exec_arg_t *last = &step->args[step->n_args++];
    last->arg = DNNL_ARG_SCRATCHPAD;
    return add_scratch(onednn, plan, scratch, &last->memory);
}

static dnnl_status_t add_reorder(struct vb_onednn *onednn, struct vb_plan *plan,
                                 vb_memory_desc_ref from_desc, dnnl_memory_t from,
                                 vb_memory_desc_ref to_desc, dnnl_memory_t to)
{
    dnnl_primitive_desc_t desc;
    const dnnl_exec_arg_t args[] = { { DNNL_ARG_FROM, from }, { DNNL_ARG_TO, to } };
    dnnl_status_t status = dnnl_reorder_primitive_desc_create(
        &desc, from_desc, onednn->engine, to_desc, onednn->engine, onednn->attr);
    if (status != dnnl_success)
        return status;
    status = add_primitive(onednn, plan, desc, args, 2);
    (void)dnnl_primitive_desc_destroy(desc);
    return status;
}

/* A copy between the operand and its dense twin in the workspace. */
static void add_copy(struct vb_plan *plan, const struct vb_call *call, uint32_t operand,
                     enum vb_dtype dtype, uint64_t at, bool is_back)
{
    assert(plan->n_steps < VB_PLAN_STEPS);
    struct vb_operand twin = call->operands[operand];
    twin.dtype = dtype;
    twin.offset = 0;
    vb_strides_of_image(&twin.shape, true, twin.strides);
    plan->steps[plan->n_steps++] = (struct vb_plan_step){
        .operand = operand,
        .at = at,
        .is_back = is_back,
        .ends = { is_back ? twin : call->operands[operand],
                  is_back ? call->operands[operand] : twin },
    };
}

/* An operand on its way to the primitive, or from it. */
struct way {
    struct vb_memory_desc desc; /* as it lies, or its copy does */
    dnnl_memory_t memory, wanted;
    uint64_t at; /* of the copy */
};

static dnnl_status_t add_way(struct vb_onednn *onednn, struct vb_plan *plan, uint32_t operand,
                             enum vb_dtype dtype, const struct vb_plan_side *side,
                             vb_memory_desc_ref wanted, struct way *way)
{
    dnnl_status_t status = vb_memory_desc_make(&way->desc, side->n_dims, side->dims,
                                               vb_onednn_type(dtype), side->strides);
    if (status != dnnl_success)
        return status;
    vb_memory_desc_ref desc = vb_memory_desc_borrow(&way->desc);
    if (side->is_copied)
        status = reserve(plan, dnnl_memory_desc_get_size(desc), &way->at);
    if (status == dnnl_success)
        status = add_memory(onednn, plan, desc, side->is_copied ? VB_NONE : operand, way->at,
                            &way->memory);
    way->wanted = way->memory;
    if (status == dnnl_success && !dnnl_memory_desc_equal(desc, wanted))
        status = add_scratch(onednn, plan, wanted, &way->wanted);
    if (status != dnnl_success)
        vb_memory_desc_drop(&way->desc);
    return status;
}

/* The steps of one operand before the primitive, or after. */
static dnnl_status_t add_moves(struct vb_onednn *onednn, struct vb_plan *plan,
                               const struct vb_call *call, uint32_t operand, enum vb_dtype dtype,
                               const struct vb_plan_side *side, const struct way *way,
                               vb_memory_desc_ref wanted)
{
    dnnl_status_t status = dnnl_success;
    vb_memory_desc_ref desc = vb_memory_desc_borrow(&way->desc);
    bool is_reordered = way->wanted != way->memory;
    if (side->is_copied && !side->is_result)
        add_copy(plan, call, operand, dtype, way->at, false);
    if (is_reordered && side->is_result)
        status = add_reorder(onednn, plan, wanted, way->wanted, desc, way->memory);
    else if (is_reordered)
        status = add_reorder(onednn, plan, desc, way->memory, wanted, way->wanted);
    if (side->is_copied && side->is_result)
        add_copy(plan, call, operand, dtype, way->at, true);
    return status;
}

dnnl_status_t vb_plan_wire(struct vb_onednn *onednn, struct vb_plan *plan,
                           const struct vb_call *call, enum vb_dtype dtype,
                           const_dnnl_primitive_desc_t desc, const struct vb_plan_side *sides)
{
    struct way ways[VB_PLAN_OPERANDS] = { 0 };
    vb_memory_desc_ref wanted[VB_PLAN_OPERANDS];
    dnnl_exec_arg_t args[VB_PLAN_OPERANDS];
    dnnl_status_t status = dnnl_success;
    uint32_t n = 0;
    for (; n < VB_PLAN_OPERANDS; n++) {
        wanted[n] = dnnl_primitive_desc_query_md(desc, sides[n].query, 0);
        status = add_way(onednn, plan, n, dtype, &sides[n], wanted[n], &ways[n]);
        if (status != dnnl_success)
            goto out;
        args[n] = (dnnl_exec_arg_t){ sides[n].arg, ways[n].wanted };
    }
    for (uint32_t i = 0; i < n && status == dnnl_success; i++) {
        if (!sides[i].is_result)
            status = add_moves(onednn, plan, call, i, dtype, &sides[i], &ways[i], wanted[i]);
    }
    if (status == dnnl_success)
        status = add_primitive(onednn, plan, desc, args, VB_PLAN_OPERANDS);
    for (uint32_t i = 0; i < n && status == dnnl_success; i++) {
        if (sides[i].is_result)
            status = add_moves(onednn, plan, call, i, dtype, &sides[i], &ways[i], wanted[i]);
    }
out:
    while (n-- > 0)
        vb_memory_desc_drop(&ways[n].desc);
    return status;
}
