/* SPDX-License-Identifier: Apache-2.0 */
/* How many events a second the pool takes on one core: the allocations and frees of a recorded
 * training run, and a step-like pattern, again and again. Prints; judges nothing. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "memory/pool.h"

enum { DEEP = 600, ROUNDS = 4000 };

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

/* Activations pile up forward and go backward, each step with a passing workspace and gradient. */
int main(void)
{
    uint64_t lowest = UINT64_C(1) << 46, n_events = 0;
    struct vb_source source = { &lowest, reserve, release, UINT64_C(1) << 40 };
    struct vb_pool_options options = { 0 };
    struct vb_pool *pool = NULL;
    struct vb_error err;
    static struct vb_block *kept[DEEP];
    struct vb_block *passing = NULL;
    if (vb_pool_open(&source, &options, &pool, &err) != VB_OK)
        return 1;
    double start = now();
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < DEEP; i++) {
            uint64_t bytes = i % 3 == 0 ? 256 : (uint64_t)(1 + i * 7919 % 13) << 20;
            if (vb_pool_alloc(pool, bytes, 0, &kept[i], &err) != VB_OK ||
                vb_pool_alloc(pool, (uint64_t)(i % 5) << 19, 0, &passing, &err) != VB_OK)
                return 1;
            vb_pool_free(pool, passing);
            n_events += passing != NULL ? 3 : 1;
        }
        for (int i = DEEP - 1; i >= 0; i--) {
            vb_pool_free(pool, kept[i]);
            n_events++;
        }
    }
    double seconds = now() - start;
    printf("%.1f million events a second (%llu events, up to %d blocks alive)\n",
           (double)n_events / seconds / 1e6, (unsigned long long)n_events, DEEP);
    vb_pool_close(pool);
    return 0;
}
