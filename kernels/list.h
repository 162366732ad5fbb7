/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_KERNELS_LIST_H
#define VB_KERNELS_LIST_H

/* All kernels: their names, and the struct that each takes. C and CUDA. */

#include "kernels/elementwise.h"

#define VB_ALL_KERNELS(KERNEL)                                                                     \
    KERNEL(elementwise, vb_elementwise)                                                            \
    KERNEL(dense_fp32, vb_dense)                                                                   \
    KERNEL(dense_fp16, vb_dense)                                                                   \
    KERNEL(dense_bf16, vb_dense)

#define VB_KERNEL_NUMBER(name, type) VB_KERNEL_##name,
enum vb_kernel_number { VB_ALL_KERNELS(VB_KERNEL_NUMBER) VB_N_KERNELS };
#undef VB_KERNEL_NUMBER

#endif
