/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu/cpu.h"

#include <stdlib.h>

#include "cpu/kernel.h"
#include "cpu/parallel.h"

/* NULL: there is none. */
static const struct {
    vb_kernel *run;
    vb_kernel_workspace *workspace; /* NULL: it needs none */
} kernels[VB_N_OPERATORS] = {
    [VB_OP_CONV] = { vb_kernel_onednn, vb_onednn_workspace },
    [VB_OP_CONV_BACKWARD_DATA] = { vb_kernel_onednn, vb_onednn_workspace },
    [VB_OP_CONV_BACKWARD_FILTER] = { vb_kernel_onednn, vb_onednn_workspace },
    [VB_OP_COPY] = { vb_run_copy, NULL },
    [VB_OP_FILL] = { vb_run_elementwise, NULL },
    [VB_OP_ADD] = { vb_run_elementwise, NULL },
    [VB_OP_ADD_SCALED] = { vb_run_elementwise, NULL },
    [VB_OP_SUB] = { vb_run_elementwise, NULL },
    [VB_OP_MUL] = { vb_run_elementwise, NULL },
    [VB_OP_DIV] = { vb_run_elementwise, NULL },
    [VB_OP_MINIMUM] = { vb_run_elementwise, NULL },
    [VB_OP_MAXIMUM] = { vb_run_elementwise, NULL },
    [VB_OP_AND] = { vb_run_elementwise, NULL },
    [VB_OP_EQUAL] = { vb_run_elementwise, NULL },
    [VB_OP_LESS] = { vb_run_elementwise, NULL },
    [VB_OP_WHERE] = { vb_run_elementwise, NULL },
    [VB_OP_MASKED_FILL] = { vb_run_elementwise, NULL },
    [VB_OP_ADD_NUMBER] = { vb_run_elementwise, NULL },
    [VB_OP_MUL_NUMBER] = { vb_run_elementwise, NULL },
    [VB_OP_SUBTRACT_FROM] = { vb_run_elementwise, NULL },
    [VB_OP_POWER] = { vb_run_elementwise, NULL },
    [VB_OP_REMAINDER] = { vb_run_elementwise, NULL },
    [VB_OP_CLAMP] = { vb_run_elementwise, NULL },
    [VB_OP_LESS_NUMBER] = { vb_run_elementwise, NULL },
    [VB_OP_GREATER_NUMBER] = { vb_run_elementwise, NULL },
    [VB_OP_AT_LEAST_NUMBER] = { vb_run_elementwise, NULL },
    [VB_OP_RECIPROCAL] = { vb_run_elementwise, NULL },
    [VB_OP_SQRT] = { vb_run_elementwise, NULL },
    [VB_OP_EXP] = { vb_run_elementwise, NULL },
    [VB_OP_LOG] = { vb_run_elementwise, NULL },
    [VB_OP_ATAN] = { vb_run_elementwise, NULL },
    [VB_OP_SIGMOID] = { vb_run_elementwise, NULL },
    [VB_OP_SIGMOID_BACKWARD] = { vb_run_elementwise, NULL },
    [VB_OP_LOG_SIGMOID] = { vb_run_elementwise, NULL },
    [VB_OP_SILU] = { vb_run_elementwise, NULL },
    [VB_OP_SILU_BACKWARD] = { vb_run_elementwise, NULL },
    [VB_OP_RELU] = { vb_run_elementwise, NULL },
    [VB_OP_RELU_BACKWARD] = { vb_run_elementwise, NULL },
    [VB_OP_SUM] = { vb_run_reduction, NULL },
    [VB_OP_MEAN] = { vb_run_reduction, NULL },
    [VB_OP_MAX_OF] = { vb_run_reduction, NULL },
    [VB_OP_ARGMAX] = { vb_run_argmax, NULL },
    [VB_OP_NORM] = { vb_run_reduction, NULL },
    [VB_OP_SOFTMAX] = { vb_run_softmax, NULL },
    [VB_OP_SOFTMAX_BACKWARD] = { vb_run_softmax, NULL },
    [VB_OP_LOG_SOFTMAX] = { vb_run_softmax, NULL },
    [VB_OP_LOG_SOFTMAX_BACKWARD] = { vb_run_softmax, NULL },
    [VB_OP_MATVEC] = { vb_run_matvec, NULL },
    [VB_OP_NLL] = { vb_run_nll, NULL },
    [VB_OP_NLL_BACKWARD] = { vb_run_nll_backward, NULL },
    [VB_OP_TOP_K] = { vb_run_top_k, NULL },
    [VB_OP_SCATTER] = { vb_run_scatter, NULL },
    [VB_OP_SCATTER_ADD] = { vb_run_scatter, NULL },
    [VB_OP_RESOLVE_CLAIMS] = { vb_run_resolve_claims, NULL },
    [VB_OP_NONZERO] = { vb_run_nonzero, NULL },
    [VB_OP_NONZERO_FILL] = { vb_run_nonzero, NULL },
    [VB_OP_INDEX] = { vb_run_index, NULL },
    [VB_OP_INDEX_PUT] = { vb_run_index, NULL },
    [VB_OP_INDEX_ADD] = { vb_run_index, NULL },
    [VB_OP_UNIQUE] = { vb_run_unique, NULL },
    [VB_OP_RANGE] = { vb_run_source, NULL },
    [VB_OP_BATCH_NORM] = { vb_kernel_batch_norm, vb_batch_norm_workspace },
    [VB_OP_BATCH_NORM_BACKWARD] = { vb_kernel_batch_norm_backward, vb_batch_norm_workspace },
    [VB_OP_BATCH_NORM_EVAL] = { vb_kernel_batch_norm_eval, vb_batch_norm_workspace },
    [VB_OP_MAX_POOL] = { vb_kernel_max_pool, NULL },
    [VB_OP_MAX_POOL_BACKWARD] = { vb_kernel_max_pool_backward, NULL },
    [VB_OP_AVERAGE_POOL] = { vb_kernel_average_pool, NULL },
    [VB_OP_UPSAMPLE] = { vb_kernel_upsample, NULL },
    [VB_OP_UPSAMPLE_BACKWARD] = { vb_kernel_upsample_backward, NULL },
    [VB_OP_RESIZE] = { vb_kernel_resize, NULL },
    [VB_OP_MATMUL] = { vb_kernel_onednn, vb_onednn_workspace },
    [VB_OP_UPLOAD] = { vb_run_source, NULL },
    [VB_OP_NOISE] = { vb_run_noise, NULL },
    [VB_OP_UNIFORM] = { vb_run_source, NULL },
    [VB_OP_MOSAIC] = { vb_run_mosaic, NULL },
    [VB_OP_FLIP] = { vb_run_flip, NULL },
    [VB_OP_MIX] = { vb_run_elementwise, NULL },
    [VB_OP_COPY_PASTE] = { vb_run_copy_paste, NULL },
    [VB_OP_SGD] = { vb_run_update, NULL },
    [VB_OP_ADAM_MOMENTS] = { vb_run_update, NULL },
    [VB_OP_ADAM_STEP] = { vb_run_update, NULL },
    [VB_OP_DECAY] = { vb_run_update, NULL },
    [VB_OP_CLIP] = { vb_run_update, NULL },
    [VB_OP_UNSCALE] = { vb_run_update, NULL },
    [VB_OP_RESCALE] = { vb_run_rescale, NULL },
    [VB_OP_EMA] = { vb_run_update, NULL },
};

static enum vb_status find_kernel(const struct vb_call *call, struct vb_error *err)
{
    if (kernels[call->op].run != NULL)
        return VB_OK;
    return vb_fail(err, VB_E_UNSUPPORTED, "the cpu has no kernel for %s",
                   vb_operator_names[call->op]);
}

enum vb_status vb_cpu_open(uint32_t threads, struct vb_cpu **out, struct vb_error *err)
{
    struct vb_cpu *cpu = malloc(sizeof *cpu);
    if (cpu == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the cpu device");
    *cpu = (struct vb_cpu){ .threads = threads };
    vb_parallel_threads(threads);
    enum vb_status status = vb_onednn_open(&cpu->onednn, err);
    if (status != VB_OK) {
        free(cpu);
        return status;
    }
    *out = cpu;
    return VB_OK;
}

void vb_cpu_close(struct vb_cpu *cpu)
{
    if (cpu == NULL)
        return;
    vb_onednn_close(cpu->onednn);
    free(cpu);
}

enum vb_status vb_cpu_workspace(struct vb_cpu *cpu, const struct vb_call *call, uint64_t *bytes,
                                struct vb_error *err)
{
    enum vb_status status = find_kernel(call, err);
    *bytes = 0;
    if (status == VB_OK && kernels[call->op].workspace != NULL)
        status = kernels[call->op].workspace(cpu, call, bytes, err);
    return status;
}

enum vb_status vb_cpu_run(struct vb_cpu *cpu, const struct vb_cpu_work *work, struct vb_error *err)
{
    enum vb_status status = find_kernel(work->call, err);
    return status == VB_OK ? kernels[work->call->op].run(cpu, work, err) : status;
}
