/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_KERNELS_HOST_GRID_H
#define TESTS_KERNELS_HOST_GRID_H

/* Runs the kernels of kernels/ on the host: the same sources, compiled with VB_HOST_GRID
 * (kernels/grid.h). One thread at a time. C and C++. */

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

bool vb_host_knows(const char *name);

/* `arguments`: the struct that the kernel takes. False: there is no such kernel. */
bool vb_host_launch(const char *name, uint32_t grid_x, uint32_t grid_y, uint32_t block,
                    const void *arguments);

#ifdef __cplusplus
}
#endif

#endif
