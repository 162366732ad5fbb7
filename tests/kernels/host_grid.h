/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_KERNELS_HOST_GRID_H
#define TESTS_KERNELS_HOST_GRID_H

/* Runs the kernels of kernels/ on the host: the same sources, compiled with VB_HOST_GRID
 * (kernels/grid.h). One thread at a time. C and C++.
 *
 * VRAMBENCH_GRID_ORDER is one of forward, backward and shuffled: how blocks, and the threads of a
 * block, follow each other. Of the first blocks of a launch each thread then runs alone as far as
 * its next barrier, so that what is missing one, or depends on another block, comes out wrong in
 * one of them. Unset, the threads of all blocks go from phase to phase together, which is much
 * faster. Either way shared memory is rubbish where a block begins. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of the struct that the kernel takes; 0: there is no such kernel. */
size_t vb_host_argument_bytes(const char *name);

/* `arguments`: the struct that the kernel takes. False: there is no such kernel. */
bool vb_host_launch(const char *name, uint32_t grid_x, uint32_t grid_y, uint32_t block,
                    const void *arguments);

/* Of such a launch one block alone, number x of grid_x. */
bool vb_host_launch_block(const char *name, uint32_t x, uint32_t grid_x, uint32_t block,
                          const void *arguments);

#ifdef __cplusplus
}
#endif

#endif
