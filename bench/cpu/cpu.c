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

static vb_kernel *kernel_of(const struct vb_call *call, struct vb_error *err)
{
    if (kernels[call->op] == NULL && vb_fail(err, VB_E_UNSUPPORTED, "the cpu has no kernel for %s",
                                             vb_operator_names[call->op]) != VB_OK)
        return NULL;
    return kernels[call->op];
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
    (void)cpu;
    *bytes = 0;
    return kernel_of(call, err) != NULL ? VB_OK : VB_E_UNSUPPORTED;
}

enum vb_status vb_cpu_run(struct vb_cpu *cpu, const struct vb_cpu_work *work, struct vb_error *err)
{
    vb_kernel *kernel = kernel_of(work->call, err);
    return kernel != NULL ? kernel(cpu, work, err) : VB_E_UNSUPPORTED;
}
