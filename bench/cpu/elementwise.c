/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu/kernel.h"

enum vb_status vb_run_elementwise(struct vb_cpu *cpu, const struct vb_cpu_work *work,
                                  struct vb_error *err)
{
    (void)cpu;
    return vb_fail(err, VB_E_UNSUPPORTED, "the cpu has no kernel for %s",
                   vb_operator_names[work->call->op]);
}
