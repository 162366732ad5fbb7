/* SPDX-License-Identifier: Apache-2.0 */
/* The timeline against what each moment holds when every life is looked at, over random streams
 * that come out of order and with losses; and streams by hand whose peak can be read off. */

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/timeline.h"

struct random {
    uint64_t state;
};

static uint32_t draw(struct random *random, uint32_t n)
{
    random->state = random->state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(random->state >> 33) % n;
}

enum { MOST_LIVES = 400, MOST_WINDOWS = 40, MOST_WORK = 200, MOST_EVENTS = 2 * MOST_LIVES };

/* What truly happened, and what is known of it. */
struct truth {
    struct vb_life lives[MOST_LIVES];
    uint32_t correlations[MOST_LIVES];
    bool has_taken[MOST_LIVES], has_given[MOST_LIVES];
    size_t n_lives;
    struct vb_span windows[MOST_WINDOWS];
    size_t n_windows;
    struct vb_work_event work[MOST_WORK];
    size_t n_work;
    struct vb_correlation known[2 * (MOST_LIVES + MOST_WORK)];
    size_t n_known;
    uint64_t n_unknown_releases, n_lost_releases;
};

static uint64_t draw_tag(struct random *random)
{
    return vb_tag((enum vb_owner)draw(random, VB_OWNERS), draw(random, 5));
}

/* By looking at all windows. */
static uint64_t naive_tag(const struct truth *truth, uint64_t ns, uint32_t correlation)
{
    uint64_t tag = 0;
    bool is_known = false;
    for (size_t i = 0; i < truth->n_known; i++) {
        if (correlation != 0 && truth->known[i].correlation == correlation) {
            tag = truth->known[i].tag;
            is_known = true;
        }
    }
    const struct vb_span *inner = NULL;
    for (size_t i = 0; i < truth->n_windows && !is_known; i++) {
        const struct vb_span *window = &truth->windows[i];
        if (ns < window->from_ns || ns > window->to_ns)
            continue;
        if (inner == NULL || window->from_ns > inner->from_ns ||
            (window->from_ns == inner->from_ns && window->to_ns <= inner->to_ns))
            inner = window;
    }
    return is_known || inner == NULL ? tag : inner->tag;
}

static uint32_t draw_correlation(struct truth *truth, struct random *random, uint32_t id)
{
    uint32_t how = draw(random, 4);
    if (how == 0)
        return 0;
    for (uint32_t i = 1; i < how; i++) /* none, one or two: the last counts */
        truth->known[truth->n_known++] = (struct vb_correlation){ id, draw_tag(random) };
    return id;
}

static void draw_windows(struct truth *truth, struct random *random)
{
    truth->n_windows = draw(random, MOST_WINDOWS);
    for (size_t i = 0; i < truth->n_windows; i++) {
        uint64_t from = 1 + draw(random, 300), length = draw(random, 60);
        truth->windows[i] =
            (struct vb_span){ from, draw(random, 9) == 0 ? UINT64_MAX : from + length,
                              draw_tag(random) };
    }
}

static enum vb_memory_kind draw_kind(struct random *random)
{
    return draw(random, 4) > 0 ? VB_MEMORY_DEVICE
                               : (enum vb_memory_kind)draw(random, VB_MEMORY_UNKNOWN);
}

/* Lives at one address, one after the other; where one loses a record they do not touch, for then
 * it could not be told which of two came first. */
static void draw_lives(struct truth *truth, struct random *random, uint64_t address, bool loses)
{
    uint64_t ns = 1 + draw(random, 50);
    enum vb_memory_kind kind = draw_kind(random);
    size_t first = truth->n_lives, n = draw(random, 8);
    for (size_t i = 0; i < n && truth->n_lives < MOST_LIVES / 2; i++) {
        size_t at = truth->n_lives++;
        uint64_t length = 1 + draw(random, 60);
        bool stays = i + 1 == n && draw(random, 3) == 0;
        truth->lives[at] = (struct vb_life){ .address = address,
                                             .bytes = 1 + draw(random, 1000),
                                             .from_ns = ns,
                                             .to_ns = stays ? UINT64_MAX : ns + length,
                                             .kind = kind };
        truth->has_taken[at] = true;
        truth->has_given[at] = !stays;
        truth->correlations[at] = draw_correlation(truth, random, (uint32_t)at + 1);
        ns += length + (loses ? 1 : 0) + draw(random, 3);
    }
    if (!loses || truth->n_lives == first)
        return;
    size_t at = first + draw(random, (uint32_t)(truth->n_lives - first));
    if (draw(random, 2) == 0)
        truth->has_taken[at] = false;
    else
        truth->has_given[at] = false;
}

static void draw_work(struct truth *truth, struct random *random)
{
    truth->n_work = draw(random, MOST_WORK);
    for (size_t i = 0; i < truth->n_work; i++) {
        uint64_t start = draw(random, 300);
        uint64_t end = start + draw(random, 20) - (draw(random, 10) == 0 && start > 0 ? 1 : 0);
        truth->work[i] =
            (struct vb_work_event){ start, end,
                                    draw_correlation(truth, random, MOST_LIVES + 1 + (uint32_t)i),
                                    draw(random, 3) == 0 };
    }
}

static void shuffle(void *items, size_t n, size_t size, struct random *random)
{
    char spare[64];
    char *at = items;
    cr_assert(size <= sizeof spare);
    for (size_t i = n; i > 1; i--) {
        size_t j = draw(random, (uint32_t)i);
        memcpy(spare, at + (i - 1) * size, size);
        memmove(at + (i - 1) * size, at + j * size, size);
        memcpy(at + j * size, spare, size);
    }
}

/* The events in any order. */
static void feed(struct vb_timeline *timeline, const struct truth *truth, struct random *random)
{
    struct vb_memory_event events[MOST_EVENTS];
    size_t n = 0;
    for (size_t i = 0; i < truth->n_lives; i++) {
        const struct vb_life *life = &truth->lives[i];
        if (truth->has_taken[i])
            events[n++] = (struct vb_memory_event){ .ns = life->from_ns,
                                                    .address = life->address,
                                                    .bytes = life->bytes,
                                                    .correlation = truth->correlations[i],
                                                    .kind = life->kind,
                                                    .change = VB_MEMORY_TAKEN };
        if (truth->has_given[i])
            events[n++] = (struct vb_memory_event){ .ns = life->to_ns,
                                                    .address = life->address,
                                                    .kind = life->kind,
                                                    .change = VB_MEMORY_GIVEN };
    }
    shuffle(events, n, sizeof *events, random);
    for (size_t i = 0; i < n; i++)
        vb_timeline_add_memory(timeline, events[i]);
    for (size_t i = 0; i < truth->n_work; i++)
        vb_timeline_add_work(timeline, truth->work[truth->n_work - 1 - i]);
    for (size_t i = 0; i < truth->n_known; i++)
        vb_timeline_add_correlation(timeline, truth->known[i]);
    for (size_t i = 0; i < truth->n_windows; i++)
        vb_timeline_add_window(timeline, truth->windows[i]);
}

/* The truth becomes what can be known of it: a life without its allocation is not seen; one without
 * its release goes on to the next at its address. Lives of an address lie one after the other. */
static void apply_losses(struct truth *truth)
{
    size_t n = 0;
    for (size_t i = 0; i < truth->n_lives; i++) {
        struct vb_life life = truth->lives[i];
        bool is_device = life.kind == VB_MEMORY_DEVICE;
        bool has_next = i + 1 < truth->n_lives && truth->lives[i + 1].address == life.address;
        life.tag = naive_tag(truth, life.from_ns, truth->correlations[i]);
        if (!truth->has_taken[i]) {
            truth->n_unknown_releases += is_device && truth->has_given[i];
            continue;
        }
        if (!truth->has_given[i]) {
            life.to_ns = has_next ? truth->lives[i + 1].from_ns : UINT64_MAX;
            truth->n_lost_releases += is_device && has_next;
        }
        truth->lives[n++] = life;
    }
    truth->n_lives = n;
}

static struct vb_live naive_live(const struct truth *truth, uint64_t ns)
{
    struct vb_live live = { .ns = ns };
    for (size_t i = 0; i < truth->n_lives; i++) {
        const struct vb_life *life = &truth->lives[i];
        if (ns < life->from_ns || ns >= life->to_ns)
            continue;
        live.kind_bytes[life->kind] += life->bytes;
        if (life->kind == VB_MEMORY_DEVICE) {
            live.device_bytes += life->bytes;
            live.owner_bytes[vb_tag_owner(life->tag)] += life->bytes;
        }
    }
    return live;
}

static void check_live(const struct vb_live *seen, const struct vb_live *expected, unsigned seed)
{
    cr_assert_eq(seen->ns, expected->ns, "seed %u: moment %lu, expected %lu", seed, seen->ns,
                 expected->ns);
    cr_assert_eq(seen->device_bytes, expected->device_bytes, "seed %u: %lu bytes, expected %lu",
                 seed, seen->device_bytes, expected->device_bytes);
    cr_assert_arr_eq(seen->owner_bytes, expected->owner_bytes, sizeof seen->owner_bytes,
                     "seed %u: owners", seed);
    cr_assert_arr_eq(seen->kind_bytes, expected->kind_bytes, sizeof seen->kind_bytes,
                     "seed %u: kinds", seed);
}

static int compare_sizes(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a < b) - (a > b);
}

static void check_largest(const struct vb_timeline_answer *answer, const struct truth *truth)
{
    uint64_t sizes[MOST_LIVES];
    size_t n = 0;
    for (size_t i = 0; i < truth->n_lives; i++) {
        const struct vb_life *life = &truth->lives[i];
        if (life->kind == VB_MEMORY_DEVICE && life->from_ns <= answer->peak.ns &&
            answer->peak.ns < life->to_ns)
            sizes[n++] = life->bytes;
    }
    qsort(sizes, n, sizeof *sizes, compare_sizes);
    cr_assert_eq(answer->n_largest, n < VB_TIMELINE_LARGEST ? n : VB_TIMELINE_LARGEST);
    for (size_t i = 0; i < answer->n_largest; i++) {
        const struct vb_life *large = &answer->largest[i];
        bool is_one = false;
        cr_assert_eq(large->bytes, sizes[i]);
        for (size_t j = 0; j < truth->n_lives; j++)
            is_one |= large->address == truth->lives[j].address &&
                      large->from_ns == truth->lives[j].from_ns &&
                      large->tag == truth->lives[j].tag && large->to_ns == truth->lives[j].to_ns;
        cr_assert(is_one, "a largest allocation that there was not");
    }
}

static void check_work(const struct vb_timeline_answer *answer, const struct truth *truth)
{
    uint64_t n_seen = 0;
    for (size_t i = 0; i < answer->n_work; i++) {
        const struct vb_tag_work *row = &answer->work[i];
        double kernels = 0, memsets = 0;
        uint64_t n_kernels = 0, n_memsets = 0, n_untimed = 0;
        for (size_t j = 0; j < truth->n_work; j++) {
            const struct vb_work_event *event = &truth->work[j];
            if (naive_tag(truth, event->start_ns, event->correlation) != row->tag)
                continue;
            bool is_timed = event->start_ns > 0 && event->end_ns >= event->start_ns;
            double ns = is_timed ? (double)(event->end_ns - event->start_ns) : 0;
            *(event->is_memset ? &memsets : &kernels) += ns;
            *(event->is_memset ? &n_memsets : &n_kernels) += 1;
            n_untimed += !is_timed;
        }
        cr_assert(i == 0 || row->tag > row[-1].tag);
        cr_assert_eq(row->n_kernels, n_kernels);
        cr_assert_eq(row->n_memsets, n_memsets);
        cr_assert_eq(row->n_untimed, n_untimed);
        cr_assert_float_eq(row->kernel_seconds * 1e9, kernels, 1e-3);
        cr_assert_float_eq(row->memset_seconds * 1e9, memsets, 1e-3);
        n_seen += n_kernels + n_memsets;
    }
    cr_assert_eq(n_seen, truth->n_work);
}

static void check_seed(unsigned seed)
{
    struct random random = { seed };
    struct truth *truth = calloc(1, sizeof *truth);
    struct vb_timeline timeline = { 0 };
    struct vb_arena arena = { 0 };
    struct vb_error err = { "" };
    bool loses = seed % 2 == 1;
    draw_windows(truth, &random);
    uint64_t n_addresses = 1 + draw(&random, 60);
    for (uint64_t address = 1; address <= n_addresses; address++)
        draw_lives(truth, &random, address * 512, loses && draw(&random, 4) == 0);
    draw_work(truth, &random);
    feed(&timeline, truth, &random);
    apply_losses(truth);

    struct vb_live peak = { 0 };
    for (uint64_t ns = 0; ns < 1000; ns++) {
        struct vb_live live = naive_live(truth, ns);
        if (live.device_bytes > peak.device_bytes)
            peak = live;
    }
    struct vb_timeline_answer answer;
    cr_assert_eq(vb_timeline_answer(&timeline, &answer, &arena, &err), VB_OK, "%s", err.text);
    check_live(&answer.peak, &peak, seed);
    check_largest(&answer, truth);
    check_work(&answer, truth);
    cr_assert_eq(answer.n_unknown_releases, truth->n_unknown_releases, "seed %u", seed);
    cr_assert_eq(answer.n_lost_releases, truth->n_lost_releases, "seed %u", seed);
    cr_assert_eq(answer.is_complete, truth->n_unknown_releases + truth->n_lost_releases == 0);
    for (int i = 0; i < 20; i++) {
        uint64_t ns = draw(&random, 600);
        struct vb_live seen, expected = naive_live(truth, ns);
        cr_assert_eq(vb_timeline_live(&timeline, ns, &seen, &err), VB_OK);
        check_live(&seen, &expected, seed);
    }
    vb_timeline_clear(&timeline);
    vb_arena_clear(&arena);
    free(truth);
}

Test(timeline, agrees_with_every_moment_looked_at)
{
    const char *text = getenv("VB_PROPERTY_STEPS");
    unsigned n = text != NULL ? (unsigned)strtoul(text, NULL, 10) / 100 : 1500;
    for (unsigned seed = 1; seed <= n; seed++)
        check_seed(seed);
}

/* ---- by hand ---- */

#define TAKE VB_MEMORY_TAKEN
#define GIVE VB_MEMORY_GIVEN
#define SIZE VB_MEMORY_RESIZED

struct hand_case {
    char law[80];
    struct {
        uint64_t ns, address, bytes;
        enum vb_memory_change change;
    } events[6];
    uint64_t peak_ns, peak_bytes, end_bytes;
    uint64_t n_unknown, n_lost;
};

static const struct hand_case hand_cases[] = {
    { "nothing is nothing", { { 0, 0, 0, 0 } }, 0, 0, 0, 0, 0 },
    { "what is not given back stays", { { 5, 1, 10, TAKE }, { 7, 2, 20, TAKE } }, 7, 30, 30, 0, 0 },
    { "the peak is where the last was taken, not where it ended",
      { { 5, 1, 10, TAKE }, { 7, 2, 20, TAKE }, { 9, 1, 0, GIVE }, { 11, 3, 9, TAKE } },
      7,
      30,
      29,
      0,
      0 },
    { "of two equal peaks the first counts",
      { { 5, 1, 10, TAKE }, { 6, 1, 0, GIVE }, { 7, 2, 10, TAKE } },
      5,
      10,
      10,
      0,
      0 },
    { "what is given back at the very moment is gone",
      { { 5, 1, 10, TAKE }, { 7, 2, 20, TAKE }, { 7, 1, 0, GIVE } },
      7,
      20,
      20,
      0,
      0 },
    { "an address is used again at the very moment",
      { { 5, 1, 10, TAKE }, { 7, 1, 12, TAKE }, { 7, 1, 0, GIVE } },
      7,
      12,
      12,
      0,
      0 },
    { "what lives for no time is never there",
      { { 5, 1, 10, TAKE }, { 5, 1, 0, GIVE } },
      0,
      0,
      0,
      0,
      0 },
    { "a release comes before its allocation in the buffer",
      { { 9, 1, 0, GIVE }, { 5, 1, 10, TAKE } },
      5,
      10,
      0,
      0,
      0 },
    { "a release without its allocation is counted",
      { { 9, 1, 0, GIVE }, { 12, 2, 10, TAKE } },
      12,
      10,
      10,
      1,
      0 },
    { "an address taken twice was given back between",
      { { 5, 1, 10, TAKE }, { 9, 1, 30, TAKE } },
      9,
      30,
      30,
      0,
      1 },
    { "a driver's pool holds what it was last said to hold",
      { { 5, 1, 32, SIZE }, { 6, 1, 64, SIZE }, { 7, 1, 32, SIZE }, { 8, 1, 0, SIZE } },
      6,
      64,
      0,
      0,
      0 },
    { "a call that failed took nothing", { { 5, 0, 10, TAKE } }, 0, 0, 0, 0, 0 },
};

Test(timeline, streams_by_hand_have_the_peak_that_is_read_off)
{
    for (size_t i = 0; i < sizeof hand_cases / sizeof *hand_cases; i++) {
        const struct hand_case *c = &hand_cases[i];
        struct vb_timeline timeline = { 0 };
        struct vb_timeline_answer answer;
        struct vb_live end;
        struct vb_arena arena = { 0 };
        for (size_t j = 0; j < 6; j++) {
            if (c->events[j].ns != 0)
                vb_timeline_add_memory(&timeline,
                                       (struct vb_memory_event){ .ns = c->events[j].ns,
                                                                 .address = c->events[j].address,
                                                                 .bytes = c->events[j].bytes,
                                                                 .change = c->events[j].change });
        }
        cr_assert_eq(vb_timeline_answer(&timeline, &answer, &arena, NULL), VB_OK);
        cr_assert_eq(vb_timeline_live(&timeline, 1000, &end, NULL), VB_OK);
        cr_expect_eq(answer.peak.ns, c->peak_ns, "%s: at %lu", c->law, answer.peak.ns);
        cr_expect_eq(answer.peak.device_bytes, c->peak_bytes, "%s: %lu bytes", c->law,
                     answer.peak.device_bytes);
        cr_expect_eq(end.device_bytes, c->end_bytes, "%s: ends with %lu", c->law, end.device_bytes);
        cr_expect_eq(answer.n_unknown_releases, c->n_unknown, "%s", c->law);
        cr_expect_eq(answer.n_lost_releases, c->n_lost, "%s", c->law);
        cr_expect_eq(answer.is_complete, c->n_unknown + c->n_lost == 0, "%s", c->law);
        vb_timeline_clear(&timeline);
        vb_arena_clear(&arena);
    }
}

#define TAKEN(at_ns, at, n_bytes, id)                                                              \
    (struct vb_memory_event)                                                                       \
    {                                                                                              \
        .ns = at_ns, .address = at, .bytes = n_bytes, .correlation = id, .kind = VB_MEMORY_DEVICE, \
        .change = VB_MEMORY_TAKEN                                                                  \
    }

Test(timeline, a_step_is_split_by_owner)
{
    const uint64_t pool = vb_tag(VB_OWNER_POOL, 0), conv = vb_tag(VB_OWNER_CUDNN, 7);
    struct vb_timeline timeline = { 0 };
    struct vb_timeline_answer answer;
    struct vb_arena arena = { 0 };
    /* A module before any window; a segment by its window; in a call of cuDNN's, inside a window of
     * the pool's, a workspace by its own window and one more by its correlation, which is stronger.
     */
    vb_timeline_add_memory(&timeline, TAKEN(5, 0x100, 1, 0));
    vb_timeline_enter(&timeline, 10, pool);
    vb_timeline_add_memory(&timeline, TAKEN(11, 0x200, 20, 0));
    vb_timeline_enter(&timeline, 12, conv);
    vb_timeline_add_memory(&timeline, TAKEN(13, 0x300, 300, 0));
    vb_timeline_add_memory(&timeline, TAKEN(14, 0x400, 4000, 9));
    vb_timeline_add_correlation(&timeline, (struct vb_correlation){ 9, pool });
    vb_timeline_leave(&timeline, 15);
    vb_timeline_add_memory(&timeline, TAKEN(16, 0x500, 50000, 0));
    vb_timeline_leave(&timeline, 17);
    vb_timeline_add_memory(&timeline, TAKEN(18, 0x600, 600000, 0));
    vb_timeline_add_work(&timeline, (struct vb_work_event){ 1000, 1500, 9, false });
    vb_timeline_add_work(&timeline, (struct vb_work_event){ 13, 14, 0, false });
    vb_timeline_add_work(&timeline, (struct vb_work_event){ 0, 0, 9, true });

    cr_assert_eq(vb_timeline_answer(&timeline, &answer, &arena, NULL), VB_OK);
    cr_assert_eq(answer.peak.owner_bytes[VB_OWNER_OTHERS], 600001);
    cr_assert_eq(answer.peak.owner_bytes[VB_OWNER_POOL], 54020);
    cr_assert_eq(answer.peak.owner_bytes[VB_OWNER_CUDNN], 300);
    cr_assert_eq(answer.n_largest, 6);
    cr_assert_eq(answer.largest[1].bytes, 50000);
    cr_assert_eq(answer.largest[1].tag, pool);
    cr_assert_eq(answer.n_work, 2);
    cr_assert_eq(answer.work[0].tag, pool);
    cr_assert_float_eq(answer.work[0].kernel_seconds, 500e-9, 1e-15);
    cr_assert_eq(answer.work[0].n_memsets, 1);
    cr_assert_eq(answer.work[0].n_untimed, 1);
    cr_assert_eq(answer.work[1].tag, conv);
    cr_assert_eq(vb_tag_id(answer.work[1].tag), 7);
    cr_assert(answer.is_complete);
    vb_timeline_add_dropped(&timeline, 3);
    cr_assert_eq(vb_timeline_answer(&timeline, &answer, &arena, NULL), VB_OK);
    cr_assert_eq(answer.n_dropped, 3);
    cr_assert_not(answer.is_complete);
    vb_timeline_clear(&timeline);
    vb_arena_clear(&arena);
}

Test(timeline, a_drivers_pool_stays_with_whoever_made_it_hold_bytes)
{
    static const uint64_t sizes[] = { 0, 32, 64, 0, 16 };
    static const enum vb_owner owners[] = { VB_OWNER_OTHERS, VB_OWNER_CUDNN, VB_OWNER_CUDNN,
                                            VB_OWNER_OTHERS, VB_OWNER_POOL };
    static const enum vb_owner askers[] = { VB_OWNER_OTHERS, VB_OWNER_CUDNN, VB_OWNER_POOL,
                                            VB_OWNER_CUDNN, VB_OWNER_POOL };
    struct vb_timeline timeline = { 0 };
    for (uint64_t i = 0; i < 5; i++) {
        vb_timeline_add_correlation(
            &timeline, (struct vb_correlation){ (uint32_t)i + 1, vb_tag(askers[i], i) });
        vb_timeline_add_memory(&timeline, (struct vb_memory_event){ .ns = 10 + i,
                                                                    .address = 1,
                                                                    .bytes = sizes[i],
                                                                    .correlation = (uint32_t)i + 1,
                                                                    .change = SIZE });
    }
    for (uint64_t i = 0; i < 5; i++) {
        struct vb_live live;
        cr_assert_eq(vb_timeline_live(&timeline, 10 + i, &live, NULL), VB_OK);
        cr_expect_eq(live.owner_bytes[owners[i]], sizes[i], "%lu", i);
        cr_expect_eq(live.device_bytes, sizes[i], "%lu", i);
    }
    vb_timeline_clear(&timeline);
}

Test(timeline, a_window_that_was_not_left_goes_on)
{
    struct vb_timeline timeline = { 0 };
    struct vb_live live;
    vb_timeline_leave(&timeline, 1); /* of none: nothing */
    vb_timeline_enter(&timeline, 10, vb_tag(VB_OWNER_CUDNN, 0));
    vb_timeline_add_memory(&timeline, TAKEN(11, 1, 20, 0));
    cr_assert_eq(vb_timeline_live(&timeline, 12, &live, NULL), VB_OK);
    cr_assert_eq(live.owner_bytes[VB_OWNER_CUDNN], 20);
    cr_assert_eq(vb_tag_owner(UINT64_MAX), VB_OWNER_OTHERS);
    cr_assert_str_eq(vb_owner_name(VB_OWNER_CUDNN), "cudnn");
    vb_timeline_clear(&timeline);
}
