/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_LAUNCH_LAUNCH_H
#define VB_LAUNCH_LAUNCH_H

/* From a call of a program (step/operator.h) to launches of the kernels in kernels/: which kernels,
 * on what grid, with what arguments. Nothing is run here and no memory of the operands is looked
 * at, so it needs no CUDA: a GPU's driver launches what comes out, and so does the host grid of the
 * tests.
 *
 * Convolutions are cuDNN's. VB_OP_UPLOAD is a copy: upload.h.
 */

#include "cpu/cpu.h"
#include "kernels/list.h"

/* The longest that a call takes. */
enum { VB_MAX_LAUNCHES = 4 };

union vb_arguments {
#define VB_ARGUMENT(name, type) struct type name;
    VB_ALL_KERNELS(VB_ARGUMENT)
#undef VB_ARGUMENT
};

struct vb_launch {
    enum vb_kernel_number kernel;
    uint32_t grid_x, grid_y; /* blocks of VB_BLOCK threads */
    union vb_arguments arguments;
};

struct vb_launches {
    uint32_t n; /* 0: there is nothing to do */
    struct vb_launch list[VB_MAX_LAUNCHES];
};

/* As the fat binary has them. */
extern const char *const vb_kernel_names[VB_N_KERNELS];

/* `work->tensors` are addresses of the device, `work->workspace` that of its struct
 * vb_kernel_scratch. VB_E_UNSUPPORTED: there is no kernel for the operator. VB_E_DEVICE: the
 * operands do not go together; the text says which. */
VB_CHECKED enum vb_status vb_launch_call(const struct vb_cpu_work *work, struct vb_launches *out,
                                         struct vb_error *err);

/* VB_E_UNSUPPORTED: as above. */
VB_CHECKED enum vb_status vb_launch_find(const struct vb_call *call, struct vb_error *err);

#endif
