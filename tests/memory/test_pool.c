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

/* Four, the default one most often. */
static uint64_t draw_stream(struct random *random)
{
    uint32_t drawn = draw(random, 16);
    return drawn < 10 ? 0 : drawn < 13 ? 1 : drawn < 15 ? 2 : 77;
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

/* What the blocks alone say: each number by a scan of all pairs or less. */
struct scan {
    uint64_t n_taken, requested, n_segments, n_split, split_bytes;
};

static struct scan naive_scan(const struct naive_pool *pool)
{
    struct scan scan = { 0 };
    for (size_t i = 0; i < pool->n; i++) {
        const struct naive_block *b = &pool->blocks[i];
        bool is_split = b->is_free && !naive_is_whole(pool, i);
        scan.n_taken += !b->is_free;
        scan.requested += b->is_free ? 0 : b->requested;
        scan.n_segments += b->address == b->segment;
        scan.n_split += is_split;
        scan.split_bytes += is_split ? b->bytes : 0;
    }
    return scan;
}

static void compare_counts(const struct vb_pool *pool, const struct naive_pool *naive, size_t step)
{
    const struct vb_pool_stats *stats = vb_pool_stats(pool);
    struct scan scan = naive_scan(naive);
    cr_assert_eq(stats->requested_bytes.current, scan.requested, "step %zu: requested", step);
    cr_assert_eq(stats->allocations.current, scan.n_taken, "step %zu: allocations", step);
    cr_assert_eq(stats->active.current, scan.n_taken, "step %zu: active", step);
    cr_assert_eq(stats->segments.current, scan.n_segments, "step %zu: segments", step);
    cr_assert_eq(stats->inactive_splits.current, scan.n_split, "step %zu: splits", step);
    cr_assert_eq(stats->inactive_split_bytes.current, scan.split_bytes, "step %zu: split", step);
}

/* Peaks that no step can hide: these rise at most once in a step, at its end. */
static void compare_peaks(const struct vb_pool *pool, struct vb_pool_stats *peaks, size_t step)
{
    const struct vb_pool_stats *stats = vb_pool_stats(pool);
    const struct vb_pool_stat *now[] = { &stats->reserved_bytes, &stats->allocated_bytes,
                                         &stats->active_bytes,   &stats->requested_bytes,
                                         &stats->segments,       &stats->allocations };
    struct vb_pool_stat *seen[] = { &peaks->reserved_bytes, &peaks->allocated_bytes,
                                    &peaks->active_bytes,   &peaks->requested_bytes,
                                    &peaks->segments,       &peaks->allocations };
    for (size_t i = 0; i < sizeof now / sizeof *now; i++) {
        if (now[i]->current > seen[i]->peak)
            seen[i]->peak = now[i]->current;
        cr_assert_eq(now[i]->peak, seen[i]->peak, "step %zu: peak %zu", step, i);
    }
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
    compare_counts(pool, naive, step);
}

/* `law` holds the model's side of the settings in `conf`. */
static void run_random(const char *conf, const struct naive_rules *law, uint64_t seed, size_t steps)
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
    struct vb_pool_stats peaks = { 0 };
    naive = (struct naive_pool){ .rules = *law, .capacity = MIB(700), .lowest = 1ull << 46 };
    cr_assert_eq(vb_pool_options_parse(conf, &options, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_pool_open(&source, &options, &pool, &err), VB_OK);
    for (size_t step = 0; step < steps; step++) {
        uint32_t action = draw(&random, 1000);
        if (action < 3) {
            vb_pool_empty_cache(pool);
            naive_empty_cache(&naive);
        } else if (action < 520 && n < MOST) {
            uint64_t bytes = draw_size(&random), stream = draw_stream(&random);
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
        compare_peaks(pool, &peaks, step);
    }
    cr_expect(naive.rules.threshold == 0 || naive.n_collected > 0, "no garbage was collected");
    cr_expect_gt(naive.n_ooms, 0, "the device never ran out: the test is too easy");
    vb_pool_close(pool);
    cr_expect_eq(device.reserved, 0, "closing leaves %lu bytes", (unsigned long)device.reserved);
}

Test(pool, is_the_brute_force_model, .timeout = 1800)
{
    static const struct {
        const char *conf;
        struct naive_rules law;
    } cases[] = {
        { "", { .divisions = 0 } },
        { "roundup_power2_divisions:8", { .divisions = 8 } },
        { "max_split_size_mb:30", { .max_split = MIB(30) } },
        { "max_split_size_mb:21,roundup_power2_divisions:[256:4,>:4]",
          { .divisions = 4, .max_split = MIB(21) } },
        { "per_process_memory_fraction:0.7", { .fraction = 0.7 } },
        { "per_process_memory_fraction:0.9,garbage_collection_threshold:0.6",
          { .fraction = 0.9, .threshold = 0.6 } },
        { "per_process_memory_fraction:0.9,garbage_collection_threshold:0.3,max_split_size_mb:30",
          { .fraction = 0.9, .threshold = 0.3, .max_split = MIB(30) } },
    };
    size_t n = sizeof cases / sizeof *cases;
    for (size_t i = 0; i < n; i++)
        run_random(cases[i].conf, &cases[i].law, i + 1, n_steps() / (n + 1));
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
    for (size_t step = 0; step < n_steps() / 8; step++) {
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

/* What holds whatever the settings: the device gave as much as the pool says it has reserved, and
 * the pool's blocks are all of it. */
static void expect_books_balance(const struct vb_pool *pool, const struct device *device,
                                 const char *conf, size_t step)
{
    struct sum sum = { 0 };
    const struct vb_pool_stats *stats = vb_pool_stats(pool);
    vb_pool_each_block(pool, add_block, &sum);
    cr_assert_eq(device->reserved, stats->reserved_bytes.current, "%s: step %zu", conf, step);
    cr_assert_eq(sum.taken_bytes, stats->allocated_bytes.current, "%s: step %zu", conf, step);
    cr_assert_eq(sum.taken_bytes + sum.free_bytes, device->reserved, "%s: step %zu", conf, step);
    cr_assert_eq(stats->segments.current, 0, "%s: step %zu", conf, step);
    cr_assert_eq(stats->inactive_splits.current, 0, "%s: step %zu", conf, step);
}

static void run_expandable_with(const char *conf, uint64_t seed, size_t steps)
{
    enum { MOST = 200 };
    struct vb_block *blocks[MOST];
    struct vb_pool_options options;
    struct vb_error err = { 0 };
    struct vb_pool *pool = NULL;
    struct random random = { seed };
    struct device device = { .capacity = MIB(700), .lowest = 1ull << 46 };
    struct vb_source source = { &device, device_reserve, device_release, MIB(700) };
    size_t n = 0;
    cr_assert_eq(vb_pool_options_parse(conf, &options, &err), VB_OK, "%s", err.text);
    options.expandable_segments = true;
    cr_assert_eq(vb_pool_open(&source, &options, &pool, &err), VB_OK);
    for (size_t step = 0; step < steps; step++) {
        uint32_t action = draw(&random, 1000);
        if (action < 4) {
            vb_pool_empty_cache(pool);
        } else if (action < 530 && n < MOST) {
            uint64_t bytes = draw_size(&random), stream = draw_stream(&random);
            enum vb_status status = vb_pool_alloc(pool, bytes, stream, &blocks[n], &err);
            cr_assert(status == VB_OK || status == VB_E_NO_FIT, "%s: %s", conf, err.text);
            n += status == VB_OK;
        } else if (n > 0) {
            uint32_t which = draw(&random, (uint32_t)n);
            vb_pool_free(pool, blocks[which]);
            blocks[which] = blocks[--n];
        }
        expect_books_balance(pool, &device, conf, step);
    }
    cr_expect_gt(vb_pool_stats(pool)->n_ooms, 0, "%s: never ran out: too easy", conf);
    vb_pool_close(pool);
    cr_expect_eq(device.reserved, 0, "%s", conf);
}

Test(pool, expandable_keeps_its_books_with_any_setting, .timeout = 1800)
{
    static const char *const confs[] = {
        "",
        "max_split_size_mb:30",
        "roundup_power2_divisions:4",
        "per_process_memory_fraction:0.8,garbage_collection_threshold:0.5",
        "max_split_size_mb:21,per_process_memory_fraction:0.9,garbage_collection_threshold:0.3",
    };
    size_t n = sizeof confs / sizeof *confs;
    for (size_t i = 0; i < n; i++)
        run_expandable_with(confs[i], i + 40, n_steps() / (4 * n));
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
