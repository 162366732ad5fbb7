// SPDX-License-Identifier: Apache-2.0
#include "host_grid.h"

#include <cstring>

#include "kernels/grid.h"
#include "kernels/list.h"

struct vb_grid vb_grid;

#define DECLARE(name, type) extern "C" void name(const type &a);
VB_ALL_KERNELS(DECLARE)

namespace
{
struct entry {
    const char *name;
    void (*run)(const void *arguments);
};

#define ENTRY(name, type) { #name, [](const void *a) { name(*static_cast<const type *>(a)); } },
const entry entries[] = { VB_ALL_KERNELS(ENTRY) };

const entry *find(const char *name)
{
    for (const entry &each : entries) {
        if (std::strcmp(each.name, name) == 0)
            return &each;
    }
    return nullptr;
}
} // namespace

bool vb_host_knows(const char *name)
{
    return find(name) != nullptr;
}

bool vb_host_launch(const char *name, uint32_t grid_x, uint32_t grid_y, uint32_t block,
                    const void *arguments)
{
    const entry *kernel = find(name);
    if (kernel == nullptr)
        return false;
    for (uint32_t y = 0; y < grid_y; y++) {
        for (uint32_t x = 0; x < grid_x; x++) {
            vb_grid = { x, y, grid_x, block };
            kernel->run(arguments);
        }
    }
    return true;
}
