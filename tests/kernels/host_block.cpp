// SPDX-License-Identifier: Apache-2.0
#include "host_block.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include <ucontext.h>

#include "kernels/grid.h"

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#ifdef WITH_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

namespace
{
constexpr size_t STACK_BYTES = 32 << 10;

// Where a thread waits.
struct barrier {
    const char *file;
    uint32_t line;
    bool operator!=(const barrier &other) const
    {
        return line != other.line || file != other.file;
    }
};

// What is run on a stack: a thread of the block, or who runs them all.
struct runner {
    ucontext_t context;
    const void *stack;
    size_t bytes;
    void *asan; // what it keeps of this stack
};

struct thread {
    runner at;
    std::unique_ptr<char[]> memory;
    bool is_done;
    barrier waits;
};

struct {
    thread threads[VB_BLOCK];
    runner all;
    thread *now; // nullptr: none has a stack of its own
    const vb_host_kernel *kernel;
} block;

[[noreturn]] void fail(const char *what, const barrier &at)
{
    std::fprintf(stderr, "kernel %s: %s at %s:%u\n", block.kernel->name, what, at.file, at.line);
    std::abort();
}

// ASan is to know which stack is in use.
void leave(runner *from, const runner &to, bool for_ever)
{
#ifdef WITH_ASAN
    __sanitizer_start_switch_fiber(for_ever ? nullptr : &from->asan, to.stack, to.bytes);
#else
    (void)from, (void)to, (void)for_ever;
#endif
}

void arrive(const runner &at, runner *from)
{
#ifdef WITH_ASAN
    __sanitizer_finish_switch_fiber(at.asan, from != nullptr ? &from->stack : nullptr,
                                    from != nullptr ? &from->bytes : nullptr);
#else
    (void)at, (void)from;
#endif
}

void begin()
{
    thread &mine = *block.now;
    arrive(mine.at, &block.all);
    block.kernel->run(block.kernel->arguments);
    mine.is_done = true;
    leave(&mine.at, block.all, true);
    setcontext(&block.all.context);
}

// From its begin, or from the barrier at which it waits.
void go_on(uint32_t number)
{
    const uint32_t *first = vb_grid.first, *last = vb_grid.last;
    vb_grid.first = &number;
    vb_grid.last = &number + 1;
    block.now = &block.threads[number];
    leave(&block.all, block.now->at, false);
    swapcontext(&block.all.context, &block.now->at.context);
    arrive(block.all, nullptr);
    block.now = nullptr;
    vb_grid.first = first;
    vb_grid.last = last;
}

void prepare(uint32_t number)
{
    thread &made = block.threads[number];
    if (made.memory == nullptr)
        made.memory = std::make_unique<char[]>(STACK_BYTES);
    made.is_done = false;
    made.at.stack = made.memory.get();
    made.at.bytes = STACK_BYTES;
    made.at.asan = nullptr;
    getcontext(&made.at.context);
    made.at.context.uc_stack.ss_sp = made.memory.get();
    made.at.context.uc_stack.ss_size = STACK_BYTES;
    made.at.context.uc_link = nullptr;
    makecontext(&made.at.context, begin, 0);
}

// A thread is to come as far as the first one came.
void follow(const thread &first, uint32_t number)
{
    const thread &other = block.threads[number];
    go_on(number);
    if (other.is_done != first.is_done)
        fail("a thread waits that others leave alone", first.is_done ? other.waits : first.waits);
    if (!other.is_done && other.waits != first.waits)
        fail("a thread waits elsewhere than others do", other.waits);
}

// Threads but the first, which came to no barrier: they need no stacks of their own.
void run_without_barriers(const std::vector<uint32_t> &threads)
{
    for (size_t i = 1; i < threads.size(); i++) {
        vb_grid.first = &threads[i];
        vb_grid.last = &threads[i] + 1;
        block.kernel->run(block.kernel->arguments);
    }
}
} // namespace

void vb_wait(const char *file, uint32_t line)
{
    if (vb_grid.last - vb_grid.first == vb_grid.block)
        return; // all threads have come here
    if (block.now == nullptr)
        fail("a thread waits that others leave alone", { file, line });
    block.now->waits = { file, line };
    leave(&block.now->at, block.all, false);
    swapcontext(&block.now->at.context, &block.all.context);
    arrive(block.now->at, nullptr);
}

void vb_run_apart(const vb_host_kernel &kernel, const std::vector<uint32_t> &threads)
{
    block.kernel = &kernel;
    prepare(threads[0]);
    go_on(threads[0]);
    const thread &first = block.threads[threads[0]];
    if (first.is_done) {
        run_without_barriers(threads);
        return;
    }
    for (size_t i = 1; i < threads.size(); i++)
        prepare(threads[i]);
    for (;;) {
        for (size_t i = 1; i < threads.size(); i++)
            follow(first, threads[i]);
        if (first.is_done)
            return;
        go_on(threads[0]);
    }
}
