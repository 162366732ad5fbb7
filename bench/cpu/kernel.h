/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CPU_KERNEL_H
#define VB_CPU_KERNEL_H

/* For those who write kernels; everyone else includes cpu.h. A kernel is a function of one call;
 * the table in cpu.c says which operator it computes. */

#include "cpu/cpu.h"

struct vb_onednn;

struct vb_cpu {
    uint32_t threads;
    struct vb_onednn *onednn;
};

typedef enum vb_status vb_kernel(struct vb_cpu *cpu, const struct vb_cpu_work *work,
                                 struct vb_error *err);
/* The bytes that the kernel wants as work->workspace. */
typedef enum vb_status vb_kernel_workspace(struct vb_cpu *cpu, const struct vb_call *call,
                                           uint64_t *bytes, struct vb_error *err);

/* In the file of that name, or in reduce.c (reduction), products.c (matvec, nll), compose.c
 * (mosaic, flip, copy_paste), update.c (rescale). */
vb_kernel vb_run_copy, vb_run_elementwise;
vb_kernel vb_run_reduction, vb_run_argmax;
vb_kernel vb_run_softmax, vb_run_matvec, vb_run_nll, vb_run_nll_backward;
vb_kernel vb_run_top_k, vb_run_scatter, vb_run_resolve_claims;
vb_kernel vb_run_nonzero, vb_run_index, vb_run_unique;
vb_kernel vb_run_source, vb_run_noise;
vb_kernel vb_run_mosaic, vb_run_flip, vb_run_copy_paste;
vb_kernel vb_run_update, vb_run_rescale;

/* Layers. Convolutions and products of matrices: onednn_run.c; the other files are named likewise,
 * but for resample.c (average_pool, upsample, resize). */
vb_kernel vb_kernel_onednn;
vb_kernel vb_kernel_batch_norm, vb_kernel_batch_norm_backward, vb_kernel_batch_norm_eval;
vb_kernel vb_kernel_max_pool, vb_kernel_max_pool_backward, vb_kernel_average_pool;
vb_kernel vb_kernel_upsample, vb_kernel_upsample_backward, vb_kernel_resize;
vb_kernel_workspace vb_onednn_workspace, vb_batch_norm_workspace;

/* VB_E_DEVICE: oneDNN does not start. */
VB_CHECKED enum vb_status vb_onednn_open(struct vb_onednn **out, struct vb_error *err);
void vb_onednn_close(struct vb_onednn *onednn);

#endif
