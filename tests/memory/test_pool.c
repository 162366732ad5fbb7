/* SPDX-License-Identifier: Apache-2.0 */
/* The pool against a brute-force model after every step of random operations, and its boundaries.
 */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory/pool.h"
#include "naive_expandable.h"
#include "naive_pool.h"

#define MIB(n) ((uint64_t)(n) << 20)

/* ---- the model, from the rules' text ---- */

static uint64_t up(uint64_t value, uint64_t unit)
{
    return (value + unit - 1) / unit * unit;
}

static uint64_t naive_round(const struct naive_pool *pool, uint64_t bytes)
{
    uint64_t power = 1;
    if (bytes < 512)
        return 512;
    if (pool->divisions <= 1 || bytes <= 512ull * pool->divisions)
        return up(bytes, 512);
    while (power * 2 <= bytes)
        power *= 2;
    if (power == bytes)
        return bytes;
    return up(bytes, power / pool->divisions);
}

static void naive_remove(struct naive_pool *pool, size_t i)
{
    pool->blocks[i] = pool->blocks[--pool->n];
}

static bool naive_is_whole(const struct naive_pool *pool, size_t i)
{
    for (size_t k = 0; k < pool->n; k++) {
        if (k != i && pool->blocks[k].segment == pool->blocks[i].segment)
            return false;
    }
    return true;
}

static long naive_find(const struct naive_pool *pool, uint64_t bytes, uint64_t stream,
                       bool is_small)
{
    long best = -1;
    for (size_t i = 0; i < pool->n; i++) {
        const struct naive_block *b = &pool->blocks[i];
        if (!b->is_free || b->stream != stream || b->is_small != is_small || b->bytes < bytes)
            continue;
        const struct naive_block *c = best >= 0 ? &pool->blocks[best] : NULL;
        if (c == NULL || b->bytes < c->bytes || (b->bytes == c->bytes && b->address < c->address))
            best = (long)i;
    }
    if (best < 0 || pool->max_split == 0)
        return best;
    uint64_t found = pool->blocks[best].bytes;
    if (bytes < pool->max_split && found >= pool->max_split)
        return -1;
    if (bytes >= pool->max_split && found >= bytes + MIB(20))
        return -1;
    return best;
}

static long naive_reserve(struct naive_pool *pool, uint64_t bytes, uint64_t stream, bool is_small)
{
    uint64_t segment = is_small ? MIB(2) : bytes < MIB(10) ? MIB(20) : up(bytes, MIB(2));
    if (pool->reserved + segment > pool->capacity)
        return -1;
    pool->reserved += segment;
    pool->lowest -= segment;
    pool->blocks[pool->n] =
        (struct naive_block){ pool->lowest, pool->lowest, segment, stream, is_small, true };
    return (long)pool->n++;
}

static void naive_release(struct naive_pool *pool, size_t i)
{
    pool->reserved -= pool->blocks[i].bytes;
    naive_remove(pool, i);
}

void naive_empty_cache(struct naive_pool *pool)
{
    for (size_t i = 0; i < pool->n;) {
        if (pool->blocks[i].is_free && naive_is_whole(pool, i))
            naive_release(pool, i);
        else
            i++;
    }
}

static bool naive_release_oversize(struct naive_pool *pool, uint64_t bytes, uint64_t stream,
                                   bool is_small)
{
    uint64_t wanted = bytes < pool->max_split ? pool->max_split : bytes;
    uint64_t released = 0;
    if (pool->max_split == 0)
        return false;
    long best = -1;
    for (size_t i = 0; i < pool->n; i++) {
        const struct naive_block *b = &pool->blocks[i];
        if (!b->is_free || b->stream != stream || b->is_small != is_small || b->bytes < wanted)
            continue;
        const struct naive_block *c = best >= 0 ? &pool->blocks[best] : NULL;
        if (c == NULL || b->bytes < c->bytes || (b->bytes == c->bytes && b->address < c->address))
            best = (long)i;
    }
    if (best >= 0) {
        naive_release(pool, (size_t)best);
        return true;
    }
    while (released < wanted) {
        long largest = -1;
        for (size_t i = 0; i < pool->n; i++) {
            const struct naive_block *b = &pool->blocks[i];
            if (!b->is_free || b->stream != stream || b->is_small != is_small ||
                b->bytes < pool->max_split)
                continue;
            const struct naive_block *c = largest >= 0 ? &pool->blocks[largest] : NULL;
            if (c == NULL || b->bytes > c->bytes ||
                (b->bytes == c->bytes && b->address > c->address))
                largest = (long)i;
        }
        if (largest < 0)
            return false;
        released += pool->blocks[largest].bytes;
        naive_release(pool, (size_t)largest);
    }
    return true;
}

uint64_t naive_alloc(struct naive_pool *pool, uint64_t bytes, uint64_t stream)
{
    uint64_t size = naive_round(pool, bytes);
    bool is_small = size <= MIB(1);
    long found = naive_find(pool, size, stream, is_small);
    if (found < 0)
        found = naive_reserve(pool, size, stream, is_small);
    if (found < 0 && naive_release_oversize(pool, size, stream, is_small))
        found = naive_reserve(pool, size, stream, is_small);
    if (found < 0) {
        naive_empty_cache(pool);
        pool->n_retries++;
        found = naive_reserve(pool, size, stream, is_small);
    }
    if (found < 0) {
        pool->n_ooms++;
        return 0;
    }
    struct naive_block *block = &pool->blocks[found];
    uint64_t rest = block->bytes - size;
    bool splits =
        is_small ? rest >= 512 : rest > MIB(1) && (pool->max_split == 0 || size < pool->max_split);
    block->is_free = false;
    if (splits) {
        pool->blocks[pool->n++] = (struct naive_block){ block->segment, block->address + size,
                                                        rest,           block->stream,
                                                        is_small,       true };
        block->bytes = size;
    }
    pool->allocated += block->bytes;
    return block->address;
}

static long naive_neighbour(const struct naive_pool *pool, size_t i, bool after)
{
    const struct naive_block *b = &pool->blocks[i];
    for (size_t k = 0; k < pool->n; k++) {
        const struct naive_block *c = &pool->blocks[k];
        if (k != i && c->segment == b->segment && c->is_free &&
            (after ? c->address == b->address + b->bytes : c->address + c->bytes == b->address))
            return (long)k;
    }
    return -1;
}

void naive_free(struct naive_pool *pool, uint64_t address)
{
    for (size_t i = 0; i < pool->n; i++) {
        struct naive_block *block = &pool->blocks[i];
        if (block->address != address || block->is_free)
            continue;
        block->is_free = true;
        pool->allocated -= block->bytes;
        long before = naive_neighbour(pool, i, false);
        if (before >= 0) {
            block->address = pool->blocks[before].address;
            block->bytes += pool->blocks[before].bytes;
        }
        long after = naive_neighbour(pool, i, true);
        if (after >= 0)
            block->bytes += pool->blocks[after].bytes;
        uint64_t start = block->address;
        for (size_t k = 0; k < pool->n;) {
            struct naive_block *c = &pool->blocks[k];
            bool is_inside = c->is_free && c != block && c->segment == block->segment &&
                             c->address >= start && c->address < start + block->bytes;
            if (!is_inside) {
                k++;
                continue;
            }
            bool moved = &pool->blocks[pool->n - 1] == block;
            naive_remove(pool, k);
            if (moved)
                block = &pool->blocks[k];
        }
        return;
    }
}

/* ---- the device beside it ---- */

struct device {
    uint64_t capacity, reserved, lowest;
    uint64_t live; /* what release() has not given back */
};

static enum vb_status device_reserve(void *context, uint64_t bytes, uint64_t *address,
                                     struct vb_error *err)
{
    struct device *device = context;
    if (device->reserved + bytes > device->capacity)
        return vb_fail(err, VB_E_NO_FIT, "full");
    device->reserved += bytes;
    device->lowest -= bytes;
    *address = device->lowest;
    return VB_OK;
}

static void device_release(void *context, uint64_t address, uint64_t bytes)
{
    struct device *device = context;
    (void)address;
    device->reserved -= bytes;
}

struct random {
    uint64_t state;
};

static uint32_t draw(struct random *random, uint32_t n)
{
    random->state = random->state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(random->state >> 33) % n;
}

static uint64_t draw_size(struct random *random)
{
    switch (draw(random, 6)) {
    case 0:
        return 1 + draw(random, 2000);
    case 1:
        return 1 + draw(random, 1 << 20);
    case 2:
        return MIB(1) - 600 + draw(random, 1200);
    case 3:
        return MIB(10) - 600 + draw(random, 1200);
    case 4:
        return MIB(1 + draw(random, 9));
    default:
        return 1 + (uint64_t)draw(random, 60 << 20);
    }
}

struct sum {
    uint64_t n, free_bytes, taken_bytes, mix;
};

static void add_block(void *context, uint64_t address, uint64_t bytes, bool is_taken)
{
    struct sum *sum = context;
    sum->n++;
    sum->mix += (address ^ (bytes << 20) ^ (is_taken ? 0x55555 : 0)) * 0x9e3779b97f4a7c15ull;
    *(is_taken ? &sum->taken_bytes : &sum->free_bytes) += bytes;
}

static struct sum naive_sum(const struct naive_pool *pool)
{
    struct sum sum = { 0 };
    for (size_t i = 0; i < pool->n; i++)
        add_block(&sum, pool->blocks[i].address, pool->blocks[i].bytes, !pool->blocks[i].is_free);
    return sum;
}

static size_t n_steps(void)
{
    const char *text = getenv("VB_PROPERTY_STEPS");
    return text != NULL ? strtoul(text, NULL, 10) : 100000;
}

static void compare_all(const struct vb_pool *pool, const struct naive_pool *naive, size_t step)
{
    struct sum ours = { 0 };
    struct sum model = naive_sum(naive);
    const struct vb_pool_stats *stats = vb_pool_stats(pool);
    vb_pool_each_block(pool, add_block, &ours);
    cr_assert_eq(memcmp(&ours, &model, sizeof ours), 0, "step %zu: blocks differ", step);
    cr_assert_eq(stats->reserved_bytes.current, naive->reserved, "step %zu: reserved", step);
    cr_assert_eq(stats->allocated_bytes.current, naive->allocated, "step %zu: allocated", step);
    cr_assert_eq(stats->active_bytes.current, naive->allocated, "step %zu: active", step);
    cr_assert_eq(stats->n_alloc_retries, naive->n_retries, "step %zu: retries", step);
    cr_assert_eq(stats->n_ooms, naive->n_ooms, "step %zu: ooms", step);
}

static void run_random(const char *conf, uint32_t divisions, uint64_t max_split, uint64_t seed,
                       size_t steps)
{
    enum { MOST = 300 };
    static struct naive_pool naive;
    struct vb_block *blocks[MOST];
    struct vb_pool_options options;
    struct vb_error err = { 0 };
    struct vb_pool *pool = NULL;
    struct random random = { seed };
    struct device device = { .capacity = MIB(700), .lowest = 1ull << 46 };
    struct vb_source source = { &device, device_reserve, device_release, MIB(700) };
    size_t n = 0;
    naive = (struct naive_pool){
        .capacity = MIB(700), .lowest = 1ull << 46, .divisions = divisions, .max_split = max_split
    };
    cr_assert_eq(vb_pool_options_parse(conf, &options, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_pool_open(&source, &options, &pool, &err), VB_OK);
    for (size_t step = 0; step < steps; step++) {
        uint32_t action = draw(&random, 1000);
        if (action < 3) {
            vb_pool_empty_cache(pool);
            naive_empty_cache(&naive);
        } else if (action < 520 && n < MOST) {
            uint64_t bytes = draw_size(&random), stream = draw(&random, 4) == 0;
            enum vb_status status = vb_pool_alloc(pool, bytes, stream, &blocks[n], &err);
            uint64_t address = naive_alloc(&naive, bytes, stream);
            cr_assert_eq(status, address != 0 ? VB_OK : VB_E_NO_FIT, "step %zu: %s", step,
                         err.text);
            if (status == VB_OK) {
                cr_assert_eq(vb_block_address(blocks[n]), address, "step %zu: address", step);
                n++;
            }
        } else if (n > 0) {
            uint32_t which = draw(&random, (uint32_t)n);
            naive_free(&naive, vb_block_address(blocks[which]));
            vb_pool_free(pool, blocks[which]);
            blocks[which] = blocks[--n];
        }
        compare_all(pool, &naive, step);
    }
    cr_expect_gt(naive.n_ooms, 0, "the device never ran out: the test is too easy");
    vb_pool_close(pool);
    cr_expect_eq(device.reserved, 0, "closing leaves %lu bytes", (unsigned long)device.reserved);
}

Test(pool, is_the_brute_force_model, .timeout = 1800)
{
    size_t steps = n_steps() / 4;
    run_random("", 0, 0, 1, steps);
    run_random("roundup_power2_divisions:8", 8, 0, 2, steps);
    run_random("max_split_size_mb:30", 0, MIB(30), 3, steps);
    run_random("max_split_size_mb:21,roundup_power2_divisions:[256:4,>:4]", 4, MIB(21), 4, steps);
}

static struct sum expandable_sum(const struct naive_expandable *model)
{
    struct sum sum = { 0 };
    for (size_t i = 0; i < model->n; i++) {
        const struct stretch *s = &model->list[i];
        if (s->is_mapped)
            add_block(&sum, s->address, s->bytes, !s->is_free);
    }
    return sum;
}

static void compare_expandable(const struct vb_pool *pool, const struct naive_expandable *model,
                               size_t step)
{
    struct sum ours = { 0 };
    struct sum theirs = expandable_sum(model);
    const struct vb_pool_stats *stats = vb_pool_stats(pool);
    vb_pool_each_block(pool, add_block, &ours);
    cr_assert_eq(memcmp(&ours, &theirs, sizeof ours), 0, "step %zu: blocks differ", step);
    cr_assert_eq(stats->reserved_bytes.current, model->reserved, "step %zu: reserved", step);
    cr_assert_eq(stats->allocated_bytes.current, model->allocated, "step %zu: allocated", step);
    cr_assert_eq(stats->n_alloc_retries, model->n_retries, "step %zu: retries", step);
    cr_assert_eq(stats->n_ooms, model->n_ooms, "step %zu: ooms", step);
}

Test(pool, expandable_is_the_brute_force_model, .timeout = 1800)
{
    enum { MOST = 200 };
    static struct naive_expandable model;
    struct vb_block *blocks[MOST];
    struct vb_pool_options options;
    struct vb_error err = { 0 };
    struct vb_pool *pool = NULL;
    struct random random = { 7 };
    struct device device = { .capacity = MIB(700), .lowest = 1ull << 46 };
    struct vb_source source = { &device, device_reserve, device_release, MIB(700) };
    size_t n = 0;
    model = (struct naive_expandable){ .total = MIB(700),
                                       .capacity = MIB(700),
                                       .next_range = 1ull << 47 };
    cr_assert_eq(vb_pool_options_parse("expandable_segments:True", &options, &err), VB_OK);
    cr_assert_eq(vb_pool_open(&source, &options, &pool, &err), VB_OK);
    for (size_t step = 0; step < n_steps() / 4; step++) {
        uint32_t action = draw(&random, 1000);
        if (action < 4) {
            vb_pool_empty_cache(pool);
            expandable_empty_cache(&model);
        } else if (action < 540 && n < MOST) {
            uint64_t bytes = draw_size(&random), stream = draw(&random, 4) == 0;
            enum vb_status status = vb_pool_alloc(pool, bytes, stream, &blocks[n], &err);
            uint64_t address = expandable_alloc(&model, bytes, stream);
            cr_assert_eq(status, address != 0 ? VB_OK : VB_E_NO_FIT, "step %zu: %s", step,
                         err.text);
            if (status == VB_OK) {
                cr_assert_eq(vb_block_address(blocks[n]), address, "step %zu: address", step);
                n++;
            }
        } else if (n > 0) {
            uint32_t which = draw(&random, (uint32_t)n);
            expandable_free(&model, vb_block_address(blocks[which]));
            vb_pool_free(pool, blocks[which]);
            blocks[which] = blocks[--n];
        }
        compare_expandable(pool, &model, step);
        cr_assert_eq(device.reserved, model.reserved, "step %zu", step);
    }
    cr_expect_gt(model.n_ooms, 0, "the device never ran out: the test is too easy");
    vb_pool_close(pool);
    cr_expect_eq(device.reserved, 0);
}

Test(pool_options, say_what_is_wrong)
{
    static const struct {
        const char *text, *error;
    } bad[] = {
        { "max_split_size_mb", "alloc_conf: 'max_split_size_mb' is no NAME:VALUE" },
        { "max_split_size_mb:20",
          "alloc_conf: max_split_size_mb is '20', expected 21 to 1.67772e+07" },
        { "max_split_size:64", "alloc_conf: unknown setting 'max_split_size'; did you mean "
                               "max_split_size_mb?" },
        { "expandable_segments:maybe",
          "alloc_conf: expandable_segments is 'maybe', expected True or False" },
        { "roundup_power2_divisions:3",
          "alloc_conf: roundup_power2_divisions is '3', expected a power of two" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct vb_pool_options options;
        struct vb_error err = { 0 };
        cr_expect_eq(vb_pool_options_parse(bad[i].text, &options, &err), VB_E_INPUT);
        cr_expect_str_eq(err.text, bad[i].error);
    }
}
