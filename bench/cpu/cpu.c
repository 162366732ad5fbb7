/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu/cpu.h"

#include <stdlib.h>

#include "cpu/kernel.h"

struct vb_cpu {
    uint32_t threads;
};

/* NULL: there is none. */
static vb_kernel *const kernels[VB_N_OPERATORS] = {
    [VB_OP_COPY] = vb_run_elementwise,
};

static enum vb_status find_kernel(const struct vb_call *call, vb_kernel **out, struct vb_error *err)
{
    *out = kernels[call->op];
    if (*out != NULL)
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
    *out = cpu;
    return VB_OK;
}

void vb_cpu_close(struct vb_cpu *cpu)
{
    free(cpu);
}

enum vb_status vb_cpu_workspace(struct vb_cpu *cpu, const struct vb_call *call, uint64_t *bytes,
                                struct vb_error *err)
{
    vb_kernel *kernel;
    (void)cpu;
    *bytes = 0;
    return find_kernel(call, &kernel, err);
}

enum vb_status vb_cpu_run(struct vb_cpu *cpu, const struct vb_cpu_work *work, struct vb_error *err)
{
    vb_kernel *kernel;
    enum vb_status status = find_kernel(work->call, &kernel, err);
    return status == VB_OK ? kernel(cpu, work, err) : status;
}
