/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CPU_KERNEL_H
#define VB_CPU_KERNEL_H

/* For those who write kernels; everyone else includes cpu.h. A kernel is a function of one call;
 * the table in cpu.c says which operator it computes. */

#include "cpu/cpu.h"

typedef enum vb_status vb_kernel(struct vb_cpu *cpu, const struct vb_cpu_work *work,
                                 struct vb_error *err);

/* Elementwise operators, casts and fills: elementwise.c. */
vb_kernel vb_run_elementwise;

#endif
