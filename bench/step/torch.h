/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_TORCH_H
#define VB_STEP_TORCH_H

/* What tells PyTorch's versions and backends apart as far as memory goes. A program is built for
 * one of these; another version is another constant, not a branch on a version number. Source:
 * torch-memory.md, part A, 4 and 6; part B, 8.
 */

#include <stdbool.h>

struct vb_torch {
    const char *name;
    bool upsample_fp32; /* autocast runs nearest upsampling in fp32: from 2.4 on */
    /* What CPU kernels and the profiler allocated in the recordings: index tables, copies where
     * types mix, a handle. */
    bool cpu_kernels;
};

extern const struct vb_torch vb_torch_2_4;     /* on CUDA: what a user runs */
extern const struct vb_torch vb_torch_2_3;     /* and up to this version */
extern const struct vb_torch vb_torch_2_4_cpu; /* 2.4's rules as they were recorded, on a CPU */

#endif
