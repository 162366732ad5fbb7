/* SPDX-License-Identifier: Apache-2.0 */
/* How many events a second the pool takes on one core: the allocations and frees of a recorded
 * training run, and a step-like pattern, again and again. Prints; judges nothing. Another recording
 * may be named as argument. */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/file.h"
#include "memory/pool.h"
#include "memory/trace.h"

enum { DEEP = 600, ROUNDS = 4000, REPLAYS = 500 };

static enum vb_status reserve(void *context, uint64_t bytes, uint64_t *address,
                              struct vb_error *err)
{
    uint64_t *lowest = context;
    (void)err;
    *lowest -= bytes;
    *address = *lowest;
    return VB_OK;
}

static void release(void *context, uint64_t address, uint64_t bytes)
{
    (void)context;
    (void)address;
    (void)bytes;
}

static double now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static struct vb_pool *open_pool(uint64_t *lowest)
{
    struct vb_source source = { lowest, reserve, release, UINT64_C(1) << 40 };
    struct vb_pool_options options = { 0 };
    struct vb_pool *pool = NULL;
    struct vb_error err;
    *lowest = UINT64_C(1) << 46;
    if (vb_pool_open(&source, &options, &pool, &err) != VB_OK)
        return NULL;
    return pool;
}

static void print_rate(const char *what, uint64_t n_events, double seconds)
{
    printf("%-24s %6.1f million events a second (%llu events)\n", what,
           (double)n_events / seconds / 1e6, (unsigned long long)n_events);
}

/* Activations pile up forward and go backward, each step with a passing workspace and gradient. */
static bool run_steps(void)
{
    uint64_t lowest, n_events = 0;
    struct vb_error err;
    static struct vb_block *kept[DEEP];
    struct vb_block *passing = NULL;
    struct vb_pool *pool = open_pool(&lowest);
    bool is_good = pool != NULL;
    double start = now();
    for (int round = 0; is_good && round < ROUNDS; round++) {
        for (int i = 0; is_good && i < DEEP; i++) {
            uint64_t bytes = i % 3 == 0 ? 256 : (uint64_t)(1 + i * 7919 % 13) << 20;
            is_good = vb_pool_alloc(pool, bytes, 0, &kept[i], &err) == VB_OK &&
                      vb_pool_alloc(pool, (uint64_t)(i % 5) << 19, 0, &passing, &err) == VB_OK;
            n_events += passing != NULL ? 3 : 1;
            vb_pool_free(pool, passing);
        }
        for (int i = DEEP - 1; is_good && i >= 0; i--) {
            vb_pool_free(pool, kept[i]);
            n_events++;
        }
    }
    print_rate("a step's pattern:", n_events, now() - start);
    vb_pool_close(pool);
    return is_good;
}

/* One event of a recording: the place that a block is kept in, and its size; 0: it is freed. */
struct event {
    size_t place;
    uint64_t bytes;
};

static int by_address(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The recording's allocations and frees with addresses turned into places, so that no look-up is
 * timed; frees of what was there before are left out, and what is left over is freed at the end. */
static size_t prepare(const struct vb_trace *trace, struct event *events, bool *is_live,
                      uint64_t *addresses)
{
    size_t n = 0;
    for (size_t i = 0; i < trace->n; i++)
        addresses[i] = trace->events[i].address;
    qsort(addresses, trace->n, sizeof *addresses, by_address);
    for (size_t i = 0; i < trace->n; i++) {
        const struct vb_trace_event *event = &trace->events[i];
        bool is_free = event->action == VB_TRACE_FREE;
        if (!is_free && (event->action != VB_TRACE_ALLOC || event->bytes == 0))
            continue;
        const uint64_t *found =
            bsearch(&event->address, addresses, trace->n, sizeof *addresses, by_address);
        size_t place = (size_t)(found - addresses);
        while (place > 0 && addresses[place - 1] == event->address)
            place--;
        if (is_live[place] != is_free)
            continue;
        is_live[place] = !is_free;
        events[n++] = (struct event){ place, is_free ? 0 : event->bytes };
    }
    for (size_t i = 0; i < trace->n; i++) {
        if (is_live[i])
            events[n++] = (struct event){ i, 0 };
    }
    return n;
}

static bool run_recording(const char *path)
{
    struct vb_arena arena = { 0 };
    struct vb_trace trace;
    struct vb_error err = { 0 };
    char *text = NULL;
    size_t bytes = 0, n = 0;
    uint64_t lowest;
    struct vb_pool *pool = open_pool(&lowest);
    bool is_good = pool != NULL && vb_file_read(path, 1 << 28, &text, &bytes, &err) == VB_OK &&
                   vb_trace_parse(path, text, &arena, &trace, &err) == VB_OK;
    if (!is_good) {
        fprintf(stderr, "%s\n", err.text);
        goto out;
    }
    struct event *events = vb_arena_alloc(&arena, 2 * trace.n + 1, sizeof *events);
    struct vb_block **blocks = vb_arena_alloc(&arena, trace.n + 1, sizeof(struct vb_block *));
    bool *is_live = vb_arena_alloc(&arena, trace.n + 1, sizeof *is_live);
    uint64_t *addresses = vb_arena_alloc(&arena, trace.n + 1, sizeof *addresses);
    is_good = events != NULL && blocks != NULL && is_live != NULL && addresses != NULL;
    if (!is_good)
        goto out;
    n = prepare(&trace, events, is_live, addresses);
    double start = now();
    for (int round = 0; round < REPLAYS; round++) {
        for (size_t i = 0; is_good && i < n; i++) {
            struct vb_block **block = &blocks[events[i].place];
            if (events[i].bytes == 0)
                vb_pool_free(pool, *block);
            else
                is_good = vb_pool_alloc(pool, events[i].bytes, 0, block, &err) == VB_OK;
        }
    }
    print_rate("a recorded training run:", (uint64_t)n * REPLAYS, now() - start);
out:
    vb_pool_close(pool);
    vb_arena_clear(&arena);
    free(text);
    return is_good;
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "tests/data/traces/snap_cs336_w_med512_train.csv";
    bool is_good = run_recording(path);
    return run_steps() && is_good ? 0 : 1;
}
