/* SPDX-License-Identifier: Apache-2.0 */
/* Carries a plan out: its graph's convolution runs on the host, by the cpu device's code, when its
 * stream is waited for. The workspace is of no use there; it is filled, so that who keeps something
 * in it, or gives one that is too small, gets wrong results.
 */
#include <cupti_driver_cbid.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpu.h"
#include "cudnn_wrapped.h"

enum { X, W, Y, N_SIDES, N_DIMS = 4, N_SPATIAL = 2 };

struct side {
    struct vb_operand operand;
    int64_t unique_id, alignment;
    uint64_t address, bytes;
};
struct convolution {
    enum vb_operator op;
    const char *name;
    struct vb_call_window window;
    struct side sides[N_SIDES];
    uint64_t workspace, workspace_bytes;
};

static const struct direction {
    int type, first; /* attributes: alpha, beta, convolution, w, x, y */
    enum vb_operator op;
    const char *name;
} directions[] = {
    { CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, VB_OP_CONV, "emulated_conv_forward" },
    { CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, VB_OP_CONV_BACKWARD_DATA,
      "emulated_conv_backward_data" },
    { CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, VB_OP_CONV_BACKWARD_FILTER,
      "emulated_conv_backward_filter" },
};

/* Copies `n` values of an attribute; false where it was not set to so many. */
static bool read_values(const struct wrapped *of, int name, int64_t n, void *out, size_t bytes)
{
    const struct attribute *found = of != NULL ? emulated_attribute(of, name) : NULL;
    if (found == NULL || found->values == NULL || found->n != n)
        return false;
    memcpy(out, found->values, (size_t)n * bytes);
    return true;
}

static bool read_side(const struct wrapped *tensor, struct side *out)
{
    static const struct {
        int32_t type;
        enum vb_dtype dtype;
    } types[] = { { CUDNN_DATA_FLOAT, VB_FLOAT32 },
                  { CUDNN_DATA_HALF, VB_FLOAT16 },
                  { CUDNN_DATA_BFLOAT16, VB_BFLOAT16 } };
    int64_t dims[N_DIMS], strides[N_DIMS];
    int32_t type = -1;
    if (!read_values(tensor, CUDNN_ATTR_TENSOR_DIMENSIONS, N_DIMS, dims, sizeof *dims) ||
        !read_values(tensor, CUDNN_ATTR_TENSOR_STRIDES, N_DIMS, strides, sizeof *strides) ||
        !read_values(tensor, CUDNN_ATTR_TENSOR_DATA_TYPE, 1, &type, sizeof type) ||
        !read_values(tensor, CUDNN_ATTR_TENSOR_UNIQUE_ID, 1, &out->unique_id, 8) ||
        !read_values(tensor, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 1, &out->alignment, 8))
        return false;
    uint64_t last = 0;
    out->operand.shape.n_dims = N_DIMS;
    for (int i = 0; i < N_DIMS; i++) {
        out->operand.shape.dims[i] = (uint32_t)dims[i];
        out->operand.strides[i] = (uint32_t)strides[i];
        last += (uint64_t)((dims[i] - 1) * strides[i]);
    }
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (types[i].type != type)
            continue;
        out->operand.dtype = types[i].dtype;
        out->bytes = (last + 1) * vb_dtype_bytes[types[i].dtype];
        return true;
    }
    return false;
}

/* The square window that the cpu device knows. */
static bool read_window(const struct wrapped *convolution, struct convolution *out)
{
    int64_t pads[N_SPATIAL], after[N_SPATIAL], strides[N_SPATIAL], dilations[N_SPATIAL];
    int32_t mode = -1;
    const uint32_t *x = out->sides[X].operand.shape.dims, *w = out->sides[W].operand.shape.dims;
    if (!read_values(convolution, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, N_SPATIAL, pads, 8) ||
        !read_values(convolution, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, N_SPATIAL, after, 8) ||
        !read_values(convolution, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, N_SPATIAL, strides, 8) ||
        !read_values(convolution, CUDNN_ATTR_CONVOLUTION_DILATIONS, N_SPATIAL, dilations, 8) ||
        !read_values(convolution, CUDNN_ATTR_CONVOLUTION_CONV_MODE, 1, &mode, sizeof mode))
        return false;
    out->window = (struct vb_call_window){
        .n = x[0],
        .c = x[1],
        .h = x[2],
        .w = x[3],
        .k = w[0],
        .window = { w[2], w[3], (uint32_t)strides[0], (uint32_t)pads[0], (uint32_t)dilations[0] },
        .groups = x[1] / w[1],
    };
    return mode == CUDNN_CROSS_CORRELATION && pads[0] == pads[1] && pads[0] == after[0] &&
           pads[1] == after[1] && strides[0] == strides[1] && dilations[0] == dilations[1];
}

/* The plan's one operation, y = conv(x, w) or one of its gradients. */
static bool read_plan(struct wrapped *plan, struct convolution *out)
{
    static const int order[N_SIDES] = { [W] = 3, [X] = 4, [Y] = 5 };
    const struct wrapped *graph = emulated_graph_of(plan);
    const struct attribute *ops =
        graph != NULL ? emulated_attribute(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS) : NULL;
    const struct wrapped *op =
        ops != NULL && ops->n == 1 ? emulated_other(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS) : NULL;
    float alpha = 0.0F, beta = 1.0F;
    size_t i = 0;
    while (op != NULL && i < sizeof directions / sizeof *directions &&
           directions[i].type != op->type)
        i++;
    if (op == NULL || i == sizeof directions / sizeof *directions)
        return false;
    out->op = directions[i].op;
    out->name = directions[i].name;
    const int first = directions[i].first;
    for (int side = 0; side < N_SIDES; side++) {
        if (!read_side(emulated_other(op, first + order[side]), &out->sides[side]))
            return false;
    }
    return read_values(op, first, 1, &alpha, sizeof alpha) && alpha == 1.0F &&
           read_values(op, first + 1, 1, &beta, sizeof beta) && beta == 0.0F &&
           read_window(emulated_other(op, first + 2), out);
}

static bool overlap(uint64_t a, uint64_t a_bytes, uint64_t b, uint64_t b_bytes)
{
    return a < b + b_bytes && b < a + a_bytes;
}

static int read_workspace(const struct wrapped *plan, const struct wrapped *pack,
                          struct convolution *out)
{
    (void)read_values(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, 1, &out->workspace, 8);
    out->workspace_bytes = (uint64_t)plan->workspace_bytes;
    if (out->workspace_bytes == 0)
        return CUDNN_STATUS_SUCCESS;
    if (!emulated_holds("cudnnBackendExecute: workspace", out->workspace, out->workspace_bytes))
        return CUDNN_STATUS_BAD_PARAM;
    for (int i = 0; i < N_SIDES; i++) {
        if (overlap(out->workspace, out->workspace_bytes, out->sides[i].address,
                    out->sides[i].bytes))
            return emulated_cudnn_fail(CUDNN_STATUS_BAD_PARAM,
                                       "cudnnBackendExecute: the workspace's %llu B reach into "
                                       "tensor %lld",
                                       (unsigned long long)out->workspace_bytes,
                                       (long long)out->sides[i].unique_id);
    }
    return CUDNN_STATUS_SUCCESS;
}

/* Finds where each tensor lies. */
static int read_pack(const struct wrapped *pack, struct convolution *out)
{
    int64_t ids[N_SIDES];
    uint64_t addresses[N_SIDES];
    if (!read_values(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, N_SIDES, ids, sizeof *ids) ||
        !read_values(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, N_SIDES, addresses,
                     sizeof *addresses))
        return emulated_cudnn_fail(
            CUDNN_STATUS_BAD_PARAM,
            "cudnnBackendExecute: the pack has not the plan's three tensors");
    for (int side = 0; side < N_SIDES; side++) {
        struct side *at = &out->sides[side];
        int n = 0;
        for (int i = 0; i < N_SIDES; i++) {
            at->address = ids[i] == at->unique_id ? addresses[i] : at->address;
            n += ids[i] == at->unique_id;
        }
        if (n != 1 || at->address % (uint64_t)at->alignment != 0)
            return emulated_cudnn_fail(
                n != 1 ? CUDNN_STATUS_BAD_PARAM : CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER,
                "cudnnBackendExecute: tensor %lld is given %d times, at 0x%llx, aligned to %lld B",
                (long long)at->unique_id, n, (unsigned long long)at->address,
                (long long)at->alignment);
        if (!emulated_holds("cudnnBackendExecute", at->address, at->bytes))
            return CUDNN_STATUS_BAD_PARAM;
    }
    return CUDNN_STATUS_SUCCESS;
}

/* `cpu` is made once and stays to the end. */
static enum vb_status compute(const struct convolution *convolution, struct vb_error *err)
{
    static struct vb_cpu *cpu;
    struct vb_operand operands[N_SIDES];
    void *tensors[N_SIDES];
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < N_SIDES; i++) {
        operands[i] = convolution->sides[i].operand;
        operands[i].tensor = i;
        tensors[i] = (void *)(uintptr_t)convolution->sides[i].address;
    }
    const struct vb_call call = { .op = convolution->op,
                                  .dtype = operands[X].dtype,
                                  .module = "",
                                  .window = &convolution->window,
                                  .operands = operands,
                                  .n_operands = N_SIDES };
    enum vb_status status = cpu == NULL ? vb_cpu_open(emulated_walks() ? 1 : 0, &cpu, err) : VB_OK;
    if (status == VB_OK)
        status = vb_cpu_workspace(cpu, &call, &bytes, err);
    if (status != VB_OK)
        return status;
    void *scratch = aligned_alloc(64, (size_t)(bytes / 64 + 1) * 64);
    const struct vb_cpu_work work = { .call = &call, .tensors = tensors, .workspace = scratch };
    status = scratch == NULL ? vb_fail(err, VB_E_SYSTEM, "no host memory left")
                             : vb_cpu_run(cpu, &work, err);
    free(scratch);
    return status;
}

static void run(const struct emulated_work *work)
{
    const struct convolution *convolution = (const struct convolution *)work->data;
    const struct emulated_launch launch = { convolution->name, { 1, 1, 1 }, { 1, 1, 1 } };
    const uint64_t start = emulated_now();
    struct vb_error err = { "" };
    if (convolution->workspace_bytes > 0)
        memset((void *)(uintptr_t)convolution->workspace, 0xff, convolution->workspace_bytes);
    if (!emulated_is_idle() && compute(convolution, &err) != VB_OK)
        emulated_log("%s: %s", convolution->name, err.text);
    emulated_record_kernel(work, &launch, start);
}

int emulated_execute(const struct emulated_call *call, const struct cudnnContext *handle,
                     struct wrapped *plan, const struct wrapped *pack)
{
    struct convolution convolution = { .op = VB_OP_CONV };
    struct emulated_stream *stream = emulated_stream_of(handle->stream, call->function);
    if (stream == NULL || plan->type != CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR ||
        pack->type != CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR)
        return emulated_cudnn_fail(CUDNN_STATUS_BAD_PARAM, "%s: not a stream, a plan and a pack",
                                   call->function);
    if (!read_plan(plan, &convolution))
        return emulated_cudnn_fail(CUDNN_STATUS_NOT_SUPPORTED,
                                   "%s: the plan is of no convolution that is emulated",
                                   call->function);
    int status = read_pack(pack, &convolution);
    if (status == 0)
        status = read_workspace(plan, pack, &convolution);
    if (status != 0)
        return status;
    emulated_queue(call, stream, run, &convolution, sizeof convolution);
    /* As the real one launches its kernels through the driver. */
    struct emulated_call launch = *call;
    launch.cbid = CUPTI_DRIVER_TRACE_CBID_cuLaunchKernel;
    emulated_record_call(&launch, 0);
    return status;
}
