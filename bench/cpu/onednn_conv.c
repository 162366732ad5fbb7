/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions in their three directions, and products of matrices, as oneDNN's primitives. */

#include <string.h>

#include "cpu/onednn_plan.h"

enum { X, WEIGHT, Y };

/* What oneDNN calls the three operands. */
static void name_sides(enum vb_operator op, struct vb_plan_side *sides)
{
    bool is_data = op == VB_OP_CONV_BACKWARD_DATA, is_filter = op == VB_OP_CONV_BACKWARD_FILTER;
    bool is_forward = op == VB_OP_CONV;
    sides[X].arg = is_data ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC;
    sides[X].query = is_data ? dnnl_query_diff_src_md : dnnl_query_src_md;
    sides[X].is_result = is_data;
    sides[WEIGHT].arg = is_filter ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS;
    sides[WEIGHT].query = is_filter ? dnnl_query_diff_weights_md : dnnl_query_weights_md;
    sides[WEIGHT].is_result = is_filter;
    sides[Y].arg = is_forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST;
    sides[Y].query = is_forward ? dnnl_query_dst_md : dnnl_query_diff_dst_md;
    sides[Y].is_result = is_forward;
}

/* [K,C,kh,kw] as [groups,K/groups,C,kh,kw]. */
static void split_groups(struct vb_plan_side *weight, uint32_t groups)
{
    memmove(&weight->dims[1], &weight->dims[0], 4 * sizeof weight->dims[0]);
    memmove(&weight->strides[1], &weight->strides[0], 4 * sizeof weight->strides[0]);
    weight->n_dims = 5;
    weight->dims[0] = groups;
    weight->dims[1] /= groups;
    weight->strides[0] = weight->dims[1] * weight->strides[1];
}

/* The convolution's description, with the forward one that oneDNN takes as a hint. */
static dnnl_status_t describe(struct vb_onednn *onednn, enum vb_operator op,
                              const struct vb_conv_descs *descs, dnnl_primitive_desc_t *out)
{
    dnnl_primitive_desc_t forward;
    dnnl_status_t status =
        vb_conv_primitive_desc(&forward, onednn->engine, VB_OP_CONV, descs, NULL, onednn->attr);
    if (status != dnnl_success || op == VB_OP_CONV) {
        *out = forward;
        return status;
    }
    status = vb_conv_primitive_desc(out, onednn->engine, op, descs, forward, onednn->attr);
    (void)dnnl_primitive_desc_destroy(forward);
    return status;
}

/* Images `in_place` stay as they lie; else, as always for weights, oneDNN chooses. */
static dnnl_status_t describe_sides(struct vb_onednn *onednn, const struct vb_call *call,
                                    enum vb_dtype dtype, bool in_place,
                                    const struct vb_plan_side *sides, dnnl_primitive_desc_t *out)
{
    struct vb_memory_desc descs[VB_PLAN_OPERANDS];
    const struct vb_window *window = &call->window->window;
    dnnl_status_t status = dnnl_success;
    uint32_t n = 0;
    for (; n < VB_PLAN_OPERANDS && status == dnnl_success; n++)
        status =
            vb_memory_desc_make(&descs[n], sides[n].n_dims, sides[n].dims, vb_onednn_type(dtype),
                                in_place && n != WEIGHT ? sides[n].strides : NULL);
    if (status != dnnl_success) {
        n--;
        goto out;
    }
    struct vb_conv_descs all = { .x = vb_memory_desc_borrow(&descs[X]),
                                 .weight = vb_memory_desc_borrow(&descs[WEIGHT]),
                                 .y = vb_memory_desc_borrow(&descs[Y]) };
    for (int i = 0; i < 2; i++) {
        all.strides[i] = window->stride;
        all.dilates[i] = (dnnl_dim_t)window->dilation - 1;
        all.pad[i] = window->pad;
    }
    status = describe(onednn, call->op, &all, out);
out:
    while (n-- > 0)
        vb_memory_desc_drop(&descs[n]);
    return status;
}

/* oneDNN has reference implementations, right and a hundred times slower. */
static bool is_reference(const_dnnl_primitive_desc_t desc)
{
    const char *name = "";
    (void)dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, &name);
    return strncmp(name, "ref", 3) == 0;
}

/* Whether oneDNN's kernels for channels that lie last are as good as its others. With AVX2 they are
 * for windows of one pixel; for larger ones its blocked layouts are faster by up to 2.5 times,
 * which pays for bringing the images there and back. Measured by tests/bench/bench_conv.c with
 * oneDNN 2.6.3: all convolutions of a step of YOLOv5s, where the channels are last 1.04 s, blocked
 * 0.85 s, by this rule 0.79 s of one core. */
static bool lies_well(const struct vb_call_window *of)
{
    return of->window.kernel_h == 1 && of->window.kernel_w == 1;
}

/* The best that there is in the type; a slow one only where `any` says so. */
static dnnl_status_t choose(struct vb_onednn *onednn, const struct vb_call *call,
                            enum vb_dtype dtype, bool any, struct vb_plan_side *sides,
                            dnnl_primitive_desc_t *out)
{
    for (uint32_t i = 0; i < VB_PLAN_OPERANDS; i++)
        sides[i] = vb_plan_side_of(call, i, dtype);
    name_sides(call->op, sides);
    if (call->window->groups > 1)
        split_groups(&sides[WEIGHT], call->window->groups);

    bool in_place = lies_well(call->window) && vb_plan_is_channels_last(&sides[X]) &&
                    vb_plan_is_channels_last(&sides[Y]);
    if (in_place) {
        dnnl_status_t status = describe_sides(onednn, call, dtype, true, sides, out);
        if (status == dnnl_success && !is_reference(*out))
            return status;
        if (status == dnnl_success)
            (void)dnnl_primitive_desc_destroy(*out);
    }
    dnnl_status_t status = describe_sides(onednn, call, dtype, false, sides, out);
    if (status == dnnl_success && !any && is_reference(*out)) {
        (void)dnnl_primitive_desc_destroy(*out);
        return dnnl_unimplemented;
    }
    return status;
}

dnnl_status_t vb_plan_conv(struct vb_onednn *onednn, struct vb_plan *plan,
                           const struct vb_call *call)
{
    struct vb_plan_side sides[VB_PLAN_OPERANDS];
    dnnl_primitive_desc_t desc;
    enum vb_dtype dtype = call->operands[X].dtype;
    dnnl_status_t status = choose(onednn, call, dtype, dtype == VB_FLOAT32, sides, &desc);
    if (status == dnnl_unimplemented && dtype != VB_FLOAT32) {
        dtype = VB_FLOAT32;
        status = choose(onednn, call, dtype, true, sides, &desc);
    }
    if (status != dnnl_success)
        return status;
    status = vb_plan_wire(onednn, plan, call, dtype, desc, sides);
    (void)dnnl_primitive_desc_destroy(desc);
    return status;
}

dnnl_status_t vb_plan_matmul(struct vb_onednn *onednn, struct vb_plan *plan,
                             const struct vb_call *call)
{
    static const struct vb_plan_side named[VB_PLAN_OPERANDS] = {
        { .arg = DNNL_ARG_SRC, .query = dnnl_query_src_md },
        { .arg = DNNL_ARG_WEIGHTS, .query = dnnl_query_weights_md },
        { .arg = DNNL_ARG_DST, .query = dnnl_query_dst_md, .is_result = true },
    };
    struct vb_plan_side sides[VB_PLAN_OPERANDS];
    struct vb_memory_desc descs[VB_PLAN_OPERANDS];
    dnnl_primitive_desc_t desc;
    dnnl_status_t status = dnnl_success;
    uint32_t n = 0;
    for (; n < VB_PLAN_OPERANDS && status == dnnl_success; n++) {
        sides[n] = vb_plan_side_of(call, n, VB_FLOAT32);
        sides[n].arg = named[n].arg;
        sides[n].query = named[n].query;
        sides[n].is_result = named[n].is_result;
        status = vb_memory_desc_make(&descs[n], sides[n].n_dims, sides[n].dims, dnnl_f32,
                                     sides[n].strides);
    }
    if (status != dnnl_success) {
        n--;
        goto out;
    }
    status = vb_matmul_primitive_desc(&desc, onednn->engine, vb_memory_desc_borrow(&descs[0]),
                                      vb_memory_desc_borrow(&descs[1]),
                                      vb_memory_desc_borrow(&descs[2]), onednn->attr);
    if (status == dnnl_success) {
        status = vb_plan_wire(onednn, plan, call, VB_FLOAT32, desc, sides);
        (void)dnnl_primitive_desc_destroy(desc);
    }
out:
    while (n-- > 0)
        vb_memory_desc_drop(&descs[n]);
    return status;
}
