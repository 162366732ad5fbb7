/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_MEMORY_TRACE_PICKLE_H
#define VB_MEMORY_TRACE_PICKLE_H

/* Snapshots as torch.cuda.memory._dump_snapshot() writes them: the events of each GPU
 * (device_traces), the segments at their end, the allocator's settings. Source of the form:
 * PyTorch's torch/csrc/cuda/memory_snapshot.cpp, whose keys are the same from 2.1 on. */

#include <stdio.h>

#include "base/pickle.h"
#include "memory/pool.h"
#include "memory/trace.h"

struct vb_trace_pickle {
    struct vb_trace trace; /* of one GPU */
    struct vb_trace_end end;
    struct vb_pool_options options; /* as the snapshot tells them */
    uint32_t device;
    size_t n_private; /* segments of CUDA graphs and of MemPools, which have pools of their own */
};

enum { VB_TRACE_ANY_DEVICE = -1 };

/* Reads the pickle from where `file` stands. `device`: which GPU; ANY: the one with events, if it
 * is one. `limits` NULL: the usual ones. VB_E_INPUT: no snapshot, one without history, no such GPU;
 * the text names the file, and the byte where one is to blame. */
VB_CHECKED enum vb_status vb_trace_read_pickle(const char *name, FILE *file, long device,
                                               const struct vb_pickle_limits *limits,
                                               struct vb_arena *arena, struct vb_trace_pickle *out,
                                               struct vb_error *err);

#endif
