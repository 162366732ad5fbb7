/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CPU_CPU_H
#define VB_CPU_CPU_H

/* The operators of a program (step/operator.h), computed on the host. Convolutions, and what else
 * oneDNN does faster, go to oneDNN; the rest is plain C. Any strides are right; those of dense
 * tensors and of channels-last images are fast.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "step/program.h"

/* One call with the memory that it works on. */
struct vb_cpu_work {
    const struct vb_call *call;
    void *const *tensors; /* where each operand's tensor begins; NULL: that operand is not given */
    void *workspace;      /* 64-byte aligned, as many bytes as vb_cpu_workspace() asks for */
    uint32_t update;      /* number of the optimizer's step, from 1 */
};

/* What the calls of one program share: oneDNN's engine, its primitives, made once for each shape.
 */
struct vb_cpu;

/* `threads`: 0 takes all that the machine has. VB_E_DEVICE: oneDNN does not start. The caller
 * closes it. */
VB_CHECKED enum vb_status vb_cpu_open(uint32_t threads, struct vb_cpu **out, struct vb_error *err);
void vb_cpu_close(struct vb_cpu *cpu);

/* oneDNN's version, as "2.6.3". */
void vb_cpu_version(char *text, size_t room);

/* Scratch that the call needs while it runs. VB_E_UNSUPPORTED: there is no kernel for it. */
VB_CHECKED enum vb_status vb_cpu_workspace(struct vb_cpu *cpu, const struct vb_call *call,
                                           uint64_t *bytes, struct vb_error *err);

/* VB_E_UNSUPPORTED: as above. VB_E_DEVICE: the operands do not go together, or a count that the
 * program was built for is not what the data has: the text says which. */
VB_CHECKED enum vb_status vb_cpu_run(struct vb_cpu *cpu, const struct vb_cpu_work *work,
                                     struct vb_error *err);

#endif
