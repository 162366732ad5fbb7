/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_TORCH_H
#define VB_STEP_TORCH_H

/* What tells PyTorch's versions and backends apart as far as memory goes. A program is built for
 * one of these; another version is other values, not a branch on a version number. Source:
 * torch-memory.md, part A, 4 and 6; part B, 4, 6 and 8.
 */

#include <stdbool.h>
#include <stdint.h>

struct vb_torch {
    char name[16];
    bool fixed_algorithms; /* cuDNN is asked through its v7 interface, where deterministic
                            * convolutions have fixed algorithms: up to 1.13 */
    bool foreach;          /* optimizers work on lists of tensors: from 2.0 on, on CUDA */
    bool zeroes_to_none;   /* zero_grad() forgets gradients rather than filling them with 0: 2.0 */
    bool sums_in_place;    /* a gradient that comes second is added to the first: 2.0 */
    bool lean_bce;         /* binary cross entropy with logits holds fewer temporaries: 2.3 */
    bool lean_adam;        /* Adam's list of square roots becomes the denominators in place: 2.1 */
    bool casts_pieces;     /* autocast casts what is concatenated to the widest type: up to 2.3 */
    bool upsample_fp32;    /* autocast runs nearest upsampling in fp32: 2.4 */
    bool cublas_in_pool;   /* cuBLAS's workspace comes from the pool: 1.13 */
    bool counts_in_place;  /* batch normalisation's num_batches_tracked is no new tensor: 1.12 */
    bool lazy_modules;     /* kernels are loaded when they are first used: 1.13 */
    bool static_graph;     /* DistributedDataParallel takes static_graph: 1.11 ... */
    bool one_bucket_first; /* ... and has one bucket until it knows the gradients' order: 1.12 */
    bool cpu_autocast; /* autocast's list of 1.13 on a CPU: softmax and powers are not in fp32 */
    /* What CPU kernels and the profiler allocated in the recordings: index tables, copies where
     * types mix, a handle. No version of PyTorch on CUDA. */
    bool cpu_kernels;
};

#endif
