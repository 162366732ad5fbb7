// SPDX-License-Identifier: Apache-2.0
#include "host_grid.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <random>
#include <vector>

#include "host_block.h"
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
    size_t bytes; // of the arguments
};

#define ENTRY(name, type)                                                                          \
    { #name, [](const void *a) { name(*static_cast<const type *>(a)); }, sizeof(type) },
const entry entries[] = { VB_ALL_KERNELS(ENTRY) };

const entry *find(const char *name)
{
    for (const entry &each : entries) {
        if (std::strcmp(each.name, name) == 0)
            return &each;
    }
    return nullptr;
}

enum class order { in_turn, forward, backward, shuffled };

order chosen_order()
{
    static const char *const names[] = { "", "forward", "backward", "shuffled" };
    const char *chosen = std::getenv("VRAMBENCH_GRID_ORDER");
    for (size_t i = 0; chosen != nullptr && i < std::size(names); i++) {
        if (std::strcmp(chosen, names[i]) == 0)
            return static_cast<order>(i);
    }
    if (chosen == nullptr)
        return order::in_turn;
    std::fprintf(stderr, "VRAMBENCH_GRID_ORDER is neither forward, backward nor shuffled\n");
    std::abort();
}

// 0 to n - 1.
std::vector<uint32_t> numbers_in(order how, uint32_t n)
{
    static std::mt19937 random; // the same each time
    std::vector<uint32_t> numbers(n);
    std::iota(numbers.begin(), numbers.end(), 0U);
    if (how == order::backward)
        std::reverse(numbers.begin(), numbers.end());
    else if (how == order::shuffled)
        std::shuffle(numbers.begin(), numbers.end(), random);
    return numbers;
}

// Of the block that runs, what was filled.
std::vector<const void *> filled;

// Of a launch so many blocks have each thread run alone: it takes its time.
enum { MOST_APART = 2 };

void run_block(const vb_host_kernel &kernel, order how, bool is_apart)
{
    const std::vector<uint32_t> threads = numbers_in(how, vb_grid.block);
    filled.clear();
    vb_grid.first = threads.data();
    vb_grid.last = threads.data() + threads.size();
    if (is_apart)
        vb_run_apart(kernel, threads);
    else
        kernel.run(kernel.arguments);
}
} // namespace

// Not a number, and of whole ones none that a kernel would find by itself.
void vb_begin_shared(void *shared, size_t bytes)
{
    static const uint8_t stale[] = { 0x01, 0x00, 0xf8, 0x7f };
    if (std::find(filled.begin(), filled.end(), shared) != filled.end())
        return;
    filled.push_back(shared);
    for (size_t i = 0; i < bytes; i++)
        static_cast<uint8_t *>(shared)[i] = stale[i % sizeof stale];
}

size_t vb_host_argument_bytes(const char *name)
{
    const entry *kernel = find(name);
    return kernel != nullptr ? kernel->bytes : 0;
}

bool vb_host_launch(const char *name, uint32_t grid_x, uint32_t grid_y, uint32_t block,
                    const void *arguments)
{
    const entry *kernel = find(name);
    if (kernel == nullptr)
        return false;
    const order how = chosen_order();
    uint32_t apart = how == order::in_turn ? 0 : MOST_APART;
    for (uint32_t number : numbers_in(how, grid_x * grid_y)) {
        vb_grid = { number % grid_x, number / grid_x, grid_x, block, {}, {}, {}, {} };
        run_block({ kernel->name, kernel->run, arguments }, how, apart > 0);
        apart -= apart > 0;
    }
    return true;
}

bool vb_host_launch_block(const char *name, uint32_t x, uint32_t grid_x, uint32_t block,
                          const void *arguments)
{
    const entry *kernel = find(name);
    if (kernel == nullptr)
        return false;
    vb_grid = { x, 0, grid_x, block, {}, {}, {}, {} };
    const order how = chosen_order();
    run_block({ kernel->name, kernel->run, arguments }, how, how != order::in_turn);
    return true;
}
