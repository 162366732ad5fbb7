/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of kernels/, built for the host, and one that is always there. */
#include <string.h>

#include "emulated.h"

#include "host_grid.h"
#include "kernels/list.h"

static const struct {
    const char *name;
    size_t bytes; /* of its argument */
} kernels[] = { { EMULATED_FILL, sizeof(struct emulated_fill) },
#define KERNEL(name, type) { #name, sizeof(struct type) },
                VB_ALL_KERNELS(KERNEL)
#undef KERNEL
};

static void fill(const struct emulated_launch *launch, const struct emulated_fill *argument)
{
    float *out = (float *)(uintptr_t)argument->address;
    const uint64_t threads = (uint64_t)launch->grid[0] * launch->block[0];
    for (uint64_t i = 0; i < threads && i < argument->n; i++)
        out[i] = argument->value;
}

size_t emulated_kernel_find(const char *name, const char **kept)
{
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        if (strcmp(kernels[i].name, name) == 0) {
            *kept = kernels[i].name;
            return kernels[i].bytes;
        }
    }
    return 0;
}

bool emulated_kernel_run(const struct emulated_launch *launch, const void *argument)
{
    if (strcmp(launch->name, EMULATED_FILL) == 0) {
        fill(launch, argument);
        return true;
    }
    return vb_host_launch(launch->name, launch->grid[0], launch->grid[1], launch->block[0],
                          argument);
}
