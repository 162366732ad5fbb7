/* SPDX-License-Identifier: Apache-2.0 */
/* cpu/cpu.h by the CUDA kernels, on the host grid: linked in place of the cpu's own, so that the
 * tests of tests/cpu hold the kernels to the same references. Convolutions are not among them. */

#include <stdlib.h>

#include "cpu/kernel.h"
#include "host_grid.h"
#include "kernels/scratch.h"
#include "launch/launch.h"

/* Device memory of its own; what else a cpu has is not asked for. */
static struct vb_kernel_scratch scratch;

enum vb_status vb_cpu_open(uint32_t threads, struct vb_cpu **out, struct vb_error *err)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left");
    (*out)->threads = threads;
    return VB_OK;
}

void vb_cpu_close(struct vb_cpu *cpu)
{
    free(cpu);
}

enum vb_status vb_cpu_workspace(struct vb_cpu *cpu, const struct vb_call *call, uint64_t *bytes,
                                struct vb_error *err)
{
    (void)cpu;
    *bytes = 0;
    return vb_launch_find(call, err);
}

/* Of kernels whose blocks go on to what is left, every other launch has a few: else each block had
 * one turn, unless there were thousands. */
static uint32_t blocks_of(const struct vb_launch *launch)
{
    enum { LINES = 1, PICTURES };
    static const char goes_on[VB_N_KERNELS] = {
        [VB_KERNEL_matmul] = LINES,
        [VB_KERNEL_reduce_fp32] = LINES,
        [VB_KERNEL_reduce_fp16] = LINES,
        [VB_KERNEL_reduce_bf16] = LINES,
        [VB_KERNEL_reduce_mixed] = LINES,
        [VB_KERNEL_reduce_whole] = LINES,
        [VB_KERNEL_reduce_parts_real] = LINES,
        [VB_KERNEL_reduce_parts_whole] = LINES,
        [VB_KERNEL_softmax] = LINES,
        [VB_KERNEL_softmax_backward] = LINES,
        [VB_KERNEL_matvec] = LINES,
        [VB_KERNEL_nll_backward] = LINES,
        [VB_KERNEL_argmax] = LINES,
        [VB_KERNEL_top_k] = LINES,
        [VB_KERNEL_average_pool] = LINES,
        [VB_KERNEL_noise] = PICTURES,
        [VB_KERNEL_noise_sixteen] = PICTURES,
        [VB_KERNEL_mosaic] = PICTURES,
        [VB_KERNEL_mosaic_sixteen] = PICTURES,
        [VB_KERNEL_copy_paste] = PICTURES,
        [VB_KERNEL_copy_paste_sixteen] = PICTURES,
    };
    static uint32_t n_launches;
    if (goes_on[launch->kernel] == 0 || n_launches++ % 2 == 0)
        return launch->grid_x;
    return goes_on[launch->kernel] == PICTURES ? launch->arguments.noise.blocks
                                               : (launch->grid_x + 2) / 3;
}

enum vb_status vb_cpu_run(struct vb_cpu *cpu, const struct vb_cpu_work *work, struct vb_error *err)
{
    struct vb_launches launches;
    struct vb_cpu_work with_scratch = *work;
    with_scratch.workspace = &scratch;
    scratch.fault = VB_FAULT_NONE;
    if (work->call->op == VB_OP_UPLOAD) /* no kernel: the device copies it */
        return vb_run_source(cpu, work, err);
    enum vb_status status = vb_launch_call(&with_scratch, &launches, err);
    for (uint32_t i = 0; i < launches.n && status == VB_OK; i++) {
        const struct vb_launch *launch = &launches.list[i];
        if (!vb_host_launch(vb_kernel_names[launch->kernel], blocks_of(launch), launch->grid_y,
                            VB_BLOCK, &launch->arguments))
            abort();
    }
    if (status == VB_OK && scratch.fault != VB_FAULT_NONE)
        return vb_fail(err, VB_E_DEVICE, "%s",
                       scratch.fault == VB_FAULT_PLACE ? "goes to place"
                                                       : "was built for another count");
    return status;
}
