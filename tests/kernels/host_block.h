// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_KERNELS_HOST_BLOCK_H
#define TESTS_KERNELS_HOST_BLOCK_H

// One block of a kernel, each of its threads on a stack of its own.

#include <cstdint>
#include <vector>

struct vb_host_kernel {
    const char *name;
    void (*run)(const void *arguments);
    const void *arguments;
};

// The block that vb_grid says, its threads in that order: each until it waits at a barrier, and
// when all do so each until the next. Aborts where they do not all come to the same barriers.
void vb_run_apart(const vb_host_kernel &kernel, const std::vector<uint32_t> &threads);

#endif
