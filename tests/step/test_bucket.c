/* SPDX-License-Identifier: Apache-2.0 */
/* Buckets and shards held to a plain working out of the same rules: there a bucket is found as a
 * stretch of a list by sums over it, and the next parameter to share out by looking at all. */

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdlib.h>

#include "step/bucket.h"

#define MIB ((uint64_t)1 << 20)
enum { MOST = 400 };

static uint32_t random_state = 1;
static uint32_t draw(uint32_t below)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)random_state * below) >> 32);
}

/* Bytes of the type's tensors from `from` to before `to`. */
static uint64_t sum_of(const struct vb_sized *list, uint32_t from, uint32_t to, enum vb_dtype dtype)
{
    uint64_t sum = 0;
    for (uint32_t i = from; i < to; i++)
        sum += list[i].dtype == dtype ? list[i].bytes : 0;
    return sum;
}

/* The end of the stretch that begins at `from`: after the first tensor with which it has the limit;
 * or before the first with which it exceeds it. */
static uint32_t end_of(const struct vb_sized *list, uint32_t n, uint32_t from, uint64_t limit,
                       bool packs)
{
    enum vb_dtype dtype = list[from].dtype;
    for (uint32_t end = from + 1; end <= n; end++) {
        if (packs && end < n && list[end].dtype == dtype &&
            sum_of(list, from, end + 1, dtype) > limit)
            return end;
        if (!packs && sum_of(list, from, end, dtype) >= limit)
            return end;
    }
    return n;
}

/* The stretches of each type, then all of them in the order of their first tensors. */
static uint32_t plain_buckets(const struct vb_sized *list, uint32_t n, const uint64_t *limits,
                              uint32_t n_limits, bool packs, uint32_t *bucket_of)
{
    uint32_t first[MOST], n_buckets = 0;
    for (int dtype = 0; dtype < VB_N_DTYPES; dtype++) {
        uint32_t filled = 0;
        for (uint32_t from = 0; from < n;) {
            if (list[from].dtype != (enum vb_dtype)dtype) {
                from++;
                continue;
            }
            uint64_t limit = limits[filled < n_limits ? filled : n_limits - 1];
            uint32_t end = end_of(list, n, from, limit, packs);
            for (uint32_t i = from; i < end; i++) {
                if (list[i].dtype == (enum vb_dtype)dtype)
                    bucket_of[i] = n_buckets;
            }
            first[n_buckets++] = from;
            filled++;
            from = end;
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t place = 0;
        for (uint32_t b = 0; b < n_buckets; b++)
            place += first[b] < first[bucket_of[i]];
        bucket_of[i] = place;
    }
    return n_buckets;
}

struct list_case {
    char label[64];
    uint64_t kib[8]; /* 0: the list ends */
    uint64_t odd;    /* bytes more, of the first */
    uint32_t buckets[8];
    uint32_t n_buckets;
};

/* Limits of 1 MiB, then 25 MiB, of fp32. */
static const struct list_case filled[] = {
    { "a tensor of the limit fills its bucket", { 1024, 1 }, 0, { 0, 1 }, 2 },
    { "one that is 4 bytes smaller does not", { 1023, 1, 1 }, 1020, { 0, 0, 1 }, 2 },
    { "the tensor that fills it is in it", { 1000, 2000, 8 }, 0, { 0, 0, 1 }, 2 },
    { "one larger than both limits is alone", { 102400, 102400, 4 }, 0, { 0, 1, 2 }, 3 },
    { "the first limit holds once", { 1024, 1024, 1024, 1024 }, 0, { 0, 1, 1, 1 }, 2 },
    { "25 MiB to the byte", { 1024, 20480, 5120, 4 }, 0, { 0, 1, 1, 2 }, 3 },
    { "4 KiB under 25 MiB", { 1024, 20480, 5116, 4, 1 }, 0, { 0, 1, 1, 1, 2 }, 3 },
    { "one tensor", { 1 }, 0, { 0 }, 1 },
};

Test(bucket, made_lists)
{
    const uint64_t limits[] = { 1 * MIB, 25 * MIB };
    for (size_t c = 0; c < sizeof filled / sizeof *filled; c++) {
        const struct list_case *want = &filled[c];
        struct vb_sized list[8] = { 0 };
        uint32_t n = 0, got[8] = { 0 };
        for (; n < 8 && want->kib[n] > 0; n++)
            list[n] = (struct vb_sized){ want->kib[n] * 1024, VB_FLOAT32 };
        list[0].bytes += want->odd;
        cr_expect_eq(vb_fill_buckets(list, n, limits, 2, got), want->n_buckets, "%s", want->label);
        for (uint32_t i = 0; i < n; i++)
            cr_expect_eq(got[i], want->buckets[i], "%s: tensor %u is in %u", want->label, i,
                         got[i]);
    }
}

Test(bucket, packed_lists)
{
    const struct vb_sized list[] = { { 6 * MIB, VB_FLOAT32 }, { 4 * MIB, VB_FLOAT32 },
                                     { 4, VB_FLOAT32 },       { 30 * MIB, VB_FLOAT32 },
                                     { 8, VB_INT64 },         { 10 * MIB - 4, VB_FLOAT32 },
                                     { 4, VB_FLOAT32 } };
    const uint32_t want[] = { 0, 0, 1, 2, 3, 4, 4 };
    uint32_t got[7];
    cr_expect_eq(vb_pack_buckets(list, 7, 10 * MIB, got), 5);
    for (uint32_t i = 0; i < 7; i++)
        cr_expect_eq(got[i], want[i], "tensor %u is in %u", i, got[i]);
}

/* Sizes around the limits, and of types side by side. */
static uint32_t draw_list(struct vb_sized *list, bool is_mixed)
{
    static const enum vb_dtype dtypes[] = { VB_FLOAT32, VB_INT64, VB_FLOAT16 };
    static const uint64_t round[] = { 4, 512, 256 * 1024, 1 * MIB, 10 * MIB, 25 * MIB, 60 * MIB };
    uint32_t n = 1 + draw(MOST);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t bytes = draw(3) == 0 ? round[draw(7)] : 4 * (uint64_t)(1 + draw(300000));
        list[i] = (struct vb_sized){ bytes, dtypes[is_mixed ? draw(3) : 0] };
    }
    return n;
}

Test(bucket, random_lists)
{
    static const uint64_t limits[][2] = { { 1 * MIB, 25 * MIB },
                                          { 10 * MIB, 10 * MIB },
                                          { 250 * MIB, 250 * MIB },
                                          { 4, 8 },
                                          { UINT64_MAX, UINT64_MAX } };
    struct vb_sized list[MOST];
    uint32_t got[MOST], want[MOST];
    for (int round = 0; round < 300; round++) {
        uint32_t n = draw_list(list, round % 2 == 1);
        const uint64_t *limit = limits[round % 5];
        bool packs = round % 3 == 0;
        uint32_t n_want = plain_buckets(list, n, limit, packs ? 1 : 2, packs, want);
        uint32_t n_got = packs ? vb_pack_buckets(list, n, limit[0], got)
                               : vb_fill_buckets(list, n, limit, 2, got);
        cr_assert_eq(n_got, n_want, "list %d: %u buckets, not %u", round, n_got, n_want);
        for (uint32_t i = 0; i < n; i++)
            cr_assert_eq(got[i], want[i], "list %d, tensor %u: %u, not %u", round, i, got[i],
                         want[i]);
    }
}

/* The largest parameter of the group that has no owner yet, of several the first; `n`: none. */
static uint32_t next_of(const uint64_t *elements, const uint32_t *group, const uint32_t *owner,
                        uint32_t n, uint32_t g)
{
    uint32_t best = n;
    for (uint32_t i = n; i-- > 0;) {
        if (group[i] == g && owner[i] == VB_NONE && (best == n || elements[i] >= elements[best]))
            best = i;
    }
    return best;
}

static void plain_share(const uint64_t *elements, const uint32_t *group, uint32_t n, uint32_t world,
                        uint32_t *owner)
{
    for (uint32_t i = 0; i < n; i++)
        owner[i] = VB_NONE;
    for (uint32_t g = 0; g < 3; g++) {
        for (uint32_t next; (next = next_of(elements, group, owner, n, g)) < n;) {
            uint64_t least = UINT64_MAX;
            uint32_t rank = 0;
            for (uint32_t r = 0; r < world; r++) {
                uint64_t load = 0;
                for (uint32_t i = 0; i < n; i++)
                    load += owner[i] == r ? elements[i] : 0;
                rank = load < least ? r : rank;
                least = load < least ? load : least;
            }
            owner[next] = rank;
        }
    }
}

Test(bucket, shards)
{
    uint64_t elements[60], sums[9];
    uint32_t group[60], order[60], got[60], want[60];
    for (int round = 0; round < 100; round++) {
        uint32_t n = 1 + draw(60), world = 1 + draw(9);
        for (uint32_t i = 0; i < n; i++) {
            elements[i] = 1 + draw(round % 2 == 0 ? 4 : 100000);
            group[i] = draw(3);
        }
        plain_share(elements, group, n, world, want);
        vb_share_out(elements, group, n, 3, world, sums, order, got);
        uint64_t all = 0, shared = 0;
        for (uint32_t i = 0; i < n; i++) {
            cr_assert_eq(got[i], want[i], "round %d: parameter %u of %u on %u, not %u", round, i, n,
                         got[i], want[i]);
            all += elements[i];
        }
        for (uint32_t r = 0; r < world; r++)
            shared += sums[r];
        cr_assert_eq(shared, all);
    }
}
