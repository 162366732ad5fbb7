/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_KERNELS_SCRATCH_H
#define VB_KERNELS_SCRATCH_H

/* Device memory of a few MiB that launches of one call leave each other sums in: it is the device's
 * own, beside the pool, as no tensor of PyTorch's stands for it. C and CUDA. */

#include <stdint.h>

/* What a kernel found wrong with its operands' values; the host looks now and then. The first
 * stays. */
enum vb_fault {
    VB_FAULT_NONE,
    VB_FAULT_PLACE, /* an index lies outside of what it indexes */
    VB_FAULT_COUNT, /* there are more or fewer than the program was built for */
};

enum { VB_SCRATCH_WORDS = 1 << 19 };

struct vb_kernel_scratch {
    uint32_t fault; /* enum vb_fault */
    uint32_t padding[63];
    double sums[VB_SCRATCH_WORDS]; /* 4 MiB */
};

#endif
