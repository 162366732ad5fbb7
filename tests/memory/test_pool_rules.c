/* SPDX-License-Identifier: Apache-2.0 */
/* Single rules of the pool, each by numbers worked out by hand, in pairs where there is a border.
 */

#include <criterion/criterion.h>
#include <string.h>

#include "memory/pool.h"

#define MIB(n) ((uint64_t)(n) << 20)

/* A device that counts what it gave, and what it was given back that it never gave. */
struct device {
    uint64_t capacity, reserved, lowest;
    uint64_t n_reserved, n_foreign;
};

static enum vb_status reserve(void *context, uint64_t bytes, uint64_t *address,
                              struct vb_error *err)
{
    struct device *device = context;
    if (device->reserved + bytes > device->capacity)
        return vb_fail(err, VB_E_NO_FIT, "full");
    device->reserved += bytes;
    device->lowest -= bytes;
    device->n_reserved++;
    *address = device->lowest;
    return VB_OK;
}

static void release(void *context, uint64_t address, uint64_t bytes)
{
    struct device *device = context;
    device->n_foreign += address < device->lowest || address >= UINT64_C(1) << 46;
    device->reserved -= bytes;
}

struct bed {
    struct device device;
    struct vb_pool *pool;
};

static void open_bed(struct bed *bed, uint64_t capacity, const char *conf)
{
    struct vb_pool_options options;
    struct vb_error err = { 0 };
    bed->device = (struct device){ .capacity = capacity, .lowest = UINT64_C(1) << 46 };
    struct vb_source source = { &bed->device, reserve, release, capacity };
    bool is_native = strcmp(conf, "native") == 0;
    cr_assert_eq(vb_pool_options_parse(is_native ? "" : conf, &options, &err), VB_OK, "%s",
                 err.text);
    options.native = is_native;
    cr_assert_eq(vb_pool_open(&source, &options, &bed->pool, &err), VB_OK);
}

static void close_bed(struct bed *bed)
{
    vb_pool_close(bed->pool);
    cr_expect_eq(bed->device.reserved, 0, "closing leaves or overdraws %lld bytes",
                 (long long)bed->device.reserved);
    cr_expect_eq(bed->device.n_foreign, 0, "what the device never gave was given back to it");
}

static struct vb_block *take(struct bed *bed, uint64_t bytes)
{
    struct vb_block *block = NULL;
    struct vb_error err = { 0 };
    cr_assert_eq(vb_pool_alloc(bed->pool, bytes, 0, &block, &err), VB_OK, "%s", err.text);
    return block;
}

static void expect_no_fit(struct bed *bed, uint64_t bytes)
{
    struct vb_block *block = NULL;
    struct vb_error err = { 0 };
    cr_expect_eq(vb_pool_alloc(bed->pool, bytes, 0, &block, &err), VB_E_NO_FIT);
    cr_expect_eq(block, NULL);
    cr_expect_neq(err.text[0], '\0');
}

static uint64_t reserved(const struct bed *bed)
{
    return vb_pool_stats(bed->pool)->reserved_bytes.current;
}

Test(pool_rules, a_first_request_gives_its_block_and_segment)
{
    static const struct {
        const char *label, *conf;
        uint64_t bytes, block, segment;
    } cases[] = {
        { "the smallest block", "", 1, 512, MIB(2) },
        { "the last of 512", "", 512, 512, MIB(2) },
        { "the first of 1,024", "", 513, 1024, MIB(2) },
        { "the last small one", "", MIB(1), MIB(1), MIB(2) },
        { "the first large one", "", MIB(1) + 1, MIB(1) + 512, MIB(20) },
        { "small is decided after rounding", "roundup_power2_divisions:2", MIB(1) - 1, MIB(1),
          MIB(2) },
        { "the last in a 20 MiB segment", "", MIB(10) - 512, MIB(10) - 512, MIB(20) },
        { "10 MiB has a segment to measure", "", MIB(10), MIB(10), MIB(10) },
        { "a segment to measure is whole 2 MiB", "", MIB(11) - 512, MIB(11) - 512, MIB(12) },
        { "up to 1 MiB is not split off", "", MIB(13), MIB(14), MIB(14) },
        { "more than 1 MiB is split off", "", MIB(13) - 512, MIB(13) - 512, MIB(14) },
        { "an eighth of the power of two below", "roundup_power2_divisions:8", MIB(17), MIB(18),
          MIB(18) },
        { "a power of two stays", "roundup_power2_divisions:8", MIB(16), MIB(16), MIB(16) },
        { "512 times the divisions is rounded to 512", "roundup_power2_divisions:4", 2048 - 1, 2048,
          MIB(2) },
        { "beyond that to steps", "roundup_power2_divisions:4", 2049, 2560, MIB(2) },
        { "an expandable one maps a small page", "expandable_segments:True", 1, 512, MIB(2) },
        { "or large ones", "expandable_segments:True", MIB(21), MIB(21), MIB(40) },
        { "an expandable one is split at 512", "expandable_segments:True", MIB(20) - 512,
          MIB(20) - 512, MIB(20) },
        { "native: nothing but the tensor", "native", MIB(13) + 1, MIB(13) + 512, MIB(13) + 512 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bed bed;
        open_bed(&bed, MIB(1000), cases[i].conf);
        struct vb_block *block = take(&bed, cases[i].bytes);
        cr_expect_eq(vb_block_bytes(block), cases[i].block, "%s: block", cases[i].label);
        cr_expect_eq(reserved(&bed), cases[i].segment, "%s: segment", cases[i].label);
        cr_expect_eq(bed.device.reserved, cases[i].segment, "%s: device", cases[i].label);
        close_bed(&bed);
    }
}

Test(pool_rules, zero_bytes_cost_nothing)
{
    struct bed bed;
    open_bed(&bed, 0, "");
    cr_expect_eq(take(&bed, 0), NULL);
    vb_pool_free(bed.pool, NULL);
    cr_expect_eq(vb_pool_stats(bed.pool)->allocations.peak, 0);
    cr_expect_eq(vb_pool_stats(bed.pool)->n_ooms, 0);
    close_bed(&bed);
}

Test(pool_rules, native_keeps_nothing)
{
    struct bed bed;
    open_bed(&bed, MIB(10), "native");
    struct vb_block *a = take(&bed, MIB(6));
    struct vb_block *b = take(&bed, MIB(4));
    const struct vb_pool_stats *stats = vb_pool_stats(bed.pool);
    cr_expect_eq(stats->segments.current, 2);
    cr_expect_eq(stats->reserved_bytes.current, stats->allocated_bytes.current);
    expect_no_fit(&bed, 1);
    cr_expect_eq(stats->n_ooms, 1);
    cr_expect_eq(stats->n_alloc_retries, 0, "there is no cache to empty");
    vb_pool_free(bed.pool, a);
    cr_expect_eq(bed.device.reserved, MIB(4));
    cr_expect_eq(reserved(&bed), MIB(4));
    (void)take(&bed, MIB(6));
    cr_expect_eq(bed.device.n_reserved, 3, "what was freed is not used again");
    vb_pool_free(bed.pool, b);
    cr_expect_eq(stats->reserved_bytes.peak, MIB(10));
    close_bed(&bed);
}

Test(pool_rules, a_full_device_gets_the_cache_back_first)
{
    struct bed bed;
    open_bed(&bed, MIB(40), "");
    struct vb_block *kept = take(&bed, MIB(16));
    vb_pool_free(bed.pool, take(&bed, MIB(18)));
    cr_expect_eq(reserved(&bed), MIB(34));
    (void)take(&bed, MIB(24));
    const struct vb_pool_stats *stats = vb_pool_stats(bed.pool);
    cr_expect_eq(stats->n_alloc_retries, 1);
    cr_expect_eq(stats->n_ooms, 0);
    expect_no_fit(&bed, MIB(2));
    cr_expect_eq(stats->n_alloc_retries, 2);
    cr_expect_eq(stats->n_ooms, 1);
    vb_pool_free(bed.pool, kept);
    close_bed(&bed);
}

Test(pool_rules, the_fraction_is_of_what_is_reserved)
{
    struct bed bed;
    open_bed(&bed, MIB(100), "per_process_memory_fraction:0.5");
    (void)take(&bed, MIB(30));
    (void)take(&bed, MIB(20));
    expect_no_fit(&bed, 1);
    cr_expect_eq(vb_pool_stats(bed.pool)->n_ooms, 1);
    close_bed(&bed);
}

/* Five segments of 40 MiB, one still taken; the threshold is 184.32 MiB, so that one would do. */
Test(pool_rules, garbage_goes_with_all_that_is_as_old)
{
    struct bed bed;
    struct vb_block *blocks[5];
    open_bed(&bed, MIB(1024), "per_process_memory_fraction:0.9,garbage_collection_threshold:0.2");
    for (size_t i = 0; i < 5; i++)
        blocks[i] = take(&bed, MIB(40));
    for (size_t i = 0; i < 4; i++)
        vb_pool_free(bed.pool, blocks[i]);
    (void)take(&bed, MIB(60));
    cr_expect_eq(reserved(&bed), MIB(40 + 60));
    close_bed(&bed);
}

/* As before, but two were freed before the others' search: the mean age parts them, and the first
 * pass alone is enough. */
Test(pool_rules, garbage_spares_the_young_where_the_old_suffice)
{
    struct bed bed;
    struct vb_block *blocks[5];
    open_bed(&bed, MIB(1024), "per_process_memory_fraction:0.9,garbage_collection_threshold:0.2");
    for (size_t i = 0; i < 5; i++)
        blocks[i] = take(&bed, MIB(40));
    vb_pool_free(bed.pool, blocks[0]);
    vb_pool_free(bed.pool, blocks[1]);
    vb_pool_free(bed.pool, take(&bed, MIB(40))); /* a search between; its block is young again */
    vb_pool_free(bed.pool, blocks[2]);
    (void)take(&bed, MIB(60));
    cr_expect_eq(reserved(&bed), MIB(200 - 40 + 60), "%llu MiB",
                 (unsigned long long)(reserved(&bed) >> 20));
    close_bed(&bed);
}

Test(pool_rules, small_segments_are_no_garbage)
{
    struct bed bed;
    open_bed(&bed, MIB(100), "per_process_memory_fraction:1,garbage_collection_threshold:0.01");
    vb_pool_free(bed.pool, take(&bed, 1));
    (void)take(&bed, MIB(10));
    cr_expect_eq(reserved(&bed), MIB(12));
    close_bed(&bed);
}

/* max_split_size of 30 MiB: a block of 90 MiB serves neither what is smaller than 30 MiB nor what
 * is 20 MiB smaller than itself. */
Test(pool_rules, oversize_blocks_are_kept_for_their_like)
{
    struct bed bed;
    open_bed(&bed, MIB(1000), "max_split_size_mb:30");
    vb_pool_free(bed.pool, take(&bed, MIB(90)));
    (void)take(&bed, MIB(28));
    (void)take(&bed, MIB(70));
    cr_expect_eq(reserved(&bed), MIB(90 + 28 + 70));
    struct vb_block *block = take(&bed, MIB(70) + 512);
    cr_expect_eq(vb_block_bytes(block), MIB(90), "an oversize block is not split");
    cr_expect_eq(reserved(&bed), MIB(90 + 28 + 70));
    close_bed(&bed);
}

Test(pool_rules, max_non_split_rounding_widens_the_reach)
{
    struct bed bed;
    open_bed(&bed, MIB(1000), "max_split_size_mb:30,max_non_split_rounding_mb:40");
    vb_pool_free(bed.pool, take(&bed, MIB(90)));
    cr_expect_eq(vb_block_bytes(take(&bed, MIB(52))), MIB(90));
    close_bed(&bed);
}

/* One oversize block that would do goes first, without a retry being counted. */
Test(pool_rules, an_oversize_block_is_given_back_before_the_cache)
{
    struct bed bed;
    open_bed(&bed, MIB(200), "max_split_size_mb:30");
    struct vb_block *a = take(&bed, MIB(90)), *b = take(&bed, MIB(100));
    vb_pool_free(bed.pool, a);
    vb_pool_free(bed.pool, b);
    (void)take(&bed, MIB(60));
    cr_expect_eq(vb_pool_stats(bed.pool)->n_alloc_retries, 0);
    cr_expect_eq(reserved(&bed), MIB(100 + 60));
    close_bed(&bed);
}

/* Addresses inside an expandable segment are no segments of the device's: they are not given back
 * as an oversize block would be, but page by page when the cache is emptied. */
Test(pool_rules, max_split_size_leaves_expandable_segments_to_their_pages)
{
    struct bed bed;
    open_bed(&bed, MIB(300), "max_split_size_mb:30,expandable_segments:True");
    struct vb_block *a = take(&bed, MIB(90)), *b = take(&bed, MIB(90));
    (void)take(&bed, MIB(90));
    vb_pool_free(bed.pool, a);
    vb_pool_free(bed.pool, b);
    (void)take(&bed, MIB(100));
    cr_expect_eq(bed.device.reserved, reserved(&bed));
    close_bed(&bed);
}

Test(pool_rules, streams_never_share)
{
    struct bed bed;
    struct vb_error err;
    struct vb_block *other = NULL;
    open_bed(&bed, MIB(100), "");
    vb_pool_free(bed.pool, take(&bed, MIB(20)));
    cr_assert_eq(vb_pool_alloc(bed.pool, MIB(20), 7, &other, &err), VB_OK);
    cr_expect_eq(reserved(&bed), MIB(40));
    vb_pool_empty_cache(bed.pool);
    cr_expect_eq(reserved(&bed), MIB(20));
    close_bed(&bed);
}

Test(pool_rules, peaks_begin_again_at_what_is_there)
{
    struct bed bed;
    open_bed(&bed, MIB(100), "");
    struct vb_block *a = take(&bed, MIB(20));
    (void)take(&bed, MIB(30));
    vb_pool_free(bed.pool, a);
    vb_pool_reset_peaks(bed.pool);
    cr_expect_eq(vb_pool_stats(bed.pool)->allocated_bytes.peak, MIB(30));
    cr_expect_eq(vb_pool_stats(bed.pool)->reserved_bytes.peak, MIB(50));
    close_bed(&bed);
}

static void count_block(void *context, uint64_t address, uint64_t bytes, bool is_taken)
{
    (void)address, (void)bytes, (void)is_taken;
    ++*(uint64_t *)context;
}

static uint64_t count_blocks(struct bed *bed)
{
    uint64_t n = 0;
    vb_pool_each_block(bed->pool, count_block, &n);
    return n;
}

Test(pool_rules, a_segment_put_back_refuses_what_cannot_lie_in_it)
{
    static const struct {
        const char *label;
        enum vb_status status;
        struct vb_pool_live live[2];
    } cases[] = {
        { "side by side", VB_OK, { { 4096, 1024, 1000 }, { 5120, 512, 512 } } },
        { "overlapping", VB_E_INPUT, { { 4096, 1024, 1000 }, { 4608, 512, 512 } } },
        { "beyond the end", VB_E_INPUT, { { 4096, 512, 512 }, { 4096 + MIB(2) - 512, 1024, 1 } } },
        { "before the start", VB_E_INPUT, { { 0, 512, 512 }, { 4096, 512, 512 } } },
        { "of no size", VB_E_INPUT, { { 4096, 0, 0 }, { 8192, 512, 512 } } },
        { "so large that its end wraps",
          VB_E_INPUT,
          { { 4096, 512, 512 }, { 8192, UINT64_MAX, 1 } } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vb_pool_image image = { 4096, MIB(2), 0, true, cases[i].live, 2 };
        struct vb_block *blocks[2];
        struct vb_error err = { 0 };
        struct bed bed;
        open_bed(&bed, MIB(10), "");
        cr_expect_eq(vb_pool_put_back(bed.pool, &image, blocks, &err), cases[i].status, "%s",
                     cases[i].label);
        if (cases[i].status == VB_OK)
            cr_expect_eq(count_blocks(&bed), 3, "%s", cases[i].label);
        vb_pool_close(bed.pool);
    }
}
