/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_TESTS_RECORDED_PROCESS_H
#define VB_TESTS_RECORDED_PROCESS_H

/* A process that never was: random requests to the brute-force pool, recorded as PyTorch records
 * its own, with the segments at the end. Sizes of the large pool are multiples of 2 MiB, so that no
 * rest stays unsplit: how far a block reaches is then told by its size. */

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "memory/trace.h"
#include "naive_pool.h"

enum { PROCESS_EVENTS = 4096, PROCESS_LIVE = 512 };

struct recorded_process {
    struct naive_pool pool;
    struct vb_trace trace;
    struct vb_trace_event events[PROCESS_EVENTS];
    struct {
        uint64_t address, bytes, stream;
    } live[PROCESS_LIVE];
    size_t n_live;
    uint64_t random;
};

static inline uint64_t process_random(struct recorded_process *p, uint64_t below)
{
    p->random = p->random * 6364136223846793005u + 1442695040888963407u;
    return (p->random >> 33) % below;
}

static inline void process_record(struct recorded_process *p, enum vb_trace_action action,
                                  uint64_t address, uint64_t bytes, uint64_t stream)
{
    cr_assert_lt(p->trace.n, PROCESS_EVENTS);
    p->events[p->trace.n] =
        (struct vb_trace_event){ action, address, bytes, stream, p->trace.n + 1 };
    p->trace.n++;
}

static inline bool process_has_segment(const struct naive_pool *pool, uint64_t address)
{
    for (size_t i = 0; i < pool->n; i++) {
        if (pool->blocks[i].segment == address)
            return true;
    }
    return false;
}

/* Segments that were there before and are not any more. */
static inline void process_record_given_back(struct recorded_process *p,
                                             const struct naive_block *before, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (before[i].is_free && before[i].segment == before[i].address &&
            !process_has_segment(&p->pool, before[i].segment))
            process_record(p, VB_TRACE_RELEASE, before[i].segment, before[i].bytes,
                           before[i].stream);
    }
}

static inline void process_alloc(struct recorded_process *p, uint64_t bytes, uint64_t stream)
{
    static struct naive_block before[NAIVE_BLOCKS];
    size_t n = p->pool.n;
    uint64_t lowest = p->pool.lowest;
    memcpy(before, p->pool.blocks, n * sizeof *before);
    uint64_t address = naive_alloc(&p->pool, bytes, stream);
    process_record_given_back(p, before, n);
    if (p->pool.lowest < lowest)
        process_record(p, VB_TRACE_RESERVE, p->pool.lowest, lowest - p->pool.lowest, stream);
    if (address == 0) {
        process_record(p, VB_TRACE_OOM, p->pool.capacity - p->pool.reserved, bytes, stream);
        return;
    }
    process_record(p, VB_TRACE_ALLOC, address, bytes, stream);
    p->live[p->n_live].address = address;
    p->live[p->n_live].bytes = bytes;
    p->live[p->n_live++].stream = stream;
}

static inline void process_free(struct recorded_process *p, size_t i)
{
    process_record(p, VB_TRACE_FREE, p->live[i].address, p->live[i].bytes, p->live[i].stream);
    process_record(p, VB_TRACE_FREED, p->live[i].address, p->live[i].bytes, p->live[i].stream);
    naive_free(&p->pool, p->live[i].address);
    p->live[i] = p->live[--p->n_live];
}

static inline void process_empty_cache(struct recorded_process *p)
{
    static struct naive_block before[NAIVE_BLOCKS];
    size_t n = p->pool.n;
    memcpy(before, p->pool.blocks, n * sizeof *before);
    naive_empty_cache(&p->pool);
    process_record_given_back(p, before, n);
}

/* To be freed. `rules` NULL: the defaults. */
static inline struct recorded_process *process_run(uint64_t seed, uint64_t capacity, size_t n_steps,
                                                   const struct naive_rules *rules)
{
    struct recorded_process *p = calloc(1, sizeof *p);
    cr_assert_not_null(p);
    p->random = seed * 2654435761u + 12345;
    p->pool.capacity = capacity;
    if (rules != NULL)
        p->pool.rules = *rules;
    p->pool.lowest = UINT64_C(1) << 44;
    p->trace.events = p->events;
    for (size_t i = 0; i < n_steps; i++) {
        uint64_t what = process_random(p, 100);
        uint64_t stream = process_random(p, 4) == 0 ? 7 : 0;
        if (what < 2)
            process_empty_cache(p);
        else if (p->n_live > 0 && (what < 45 || p->n_live == PROCESS_LIVE))
            process_free(p, process_random(p, p->n_live));
        else if (what < 75)
            process_alloc(p, 1 + process_random(p, NAIVE_MIB(1)), stream);
        else
            process_alloc(p, NAIVE_MIB(2) * (1 + process_random(p, 15)), stream);
    }
    return p;
}

static inline int process_by_address(const void *a, const void *b)
{
    const struct naive_block *x = a, *y = b;
    return (x->address > y->address) - (x->address < y->address);
}

/* The segments as they are now. */
static inline void process_end(const struct recorded_process *p, struct vb_arena *arena,
                               struct vb_trace_end *out)
{
    struct vb_trace_segment *segment = NULL;
    struct naive_block *blocks = vb_arena_alloc(arena, p->pool.n + 1, sizeof *blocks);
    *out = (struct vb_trace_end){ 0 };
    memcpy(blocks, p->pool.blocks, p->pool.n * sizeof *blocks);
    qsort(blocks, p->pool.n, sizeof *blocks, process_by_address);
    out->segments = vb_arena_alloc(arena, p->pool.n + 1, sizeof *out->segments);
    for (size_t i = 0; i < p->pool.n; i++) {
        if (blocks[i].address == blocks[i].segment) {
            segment = &out->segments[out->n++];
            *segment = (struct vb_trace_segment){ .address = blocks[i].address,
                                                  .stream = blocks[i].stream,
                                                  .is_small = blocks[i].is_small };
            segment->blocks = vb_arena_alloc(arena, p->pool.n, sizeof *segment->blocks);
        }
        segment->bytes += blocks[i].bytes;
        segment->blocks[segment->n_blocks++] =
            (struct vb_trace_block){ blocks[i].address, blocks[i].bytes, blocks[i].requested,
                                     !blocks[i].is_free };
    }
}

/* The recording as if it had begun later. */
static inline struct vb_trace process_from(const struct recorded_process *p, size_t from)
{
    struct vb_trace trace = p->trace;
    trace.events += from;
    trace.n -= from;
    return trace;
}

#endif
