/* SPDX-License-Identifier: Apache-2.0 */
/* What other settings would have done, held to the brute-force pools. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "memory/trace_replay.h"
#include "memory/trace_try.h"
#include "naive_expandable.h"
#include "recorded_process.h"

#define HEADER "seq,time_us,action,addr,size,stream\n"
#define UNLIMITED NAIVE_MIB(1 << 20)

/* What a brute-force pool says to the same events. */
struct expected {
    uint64_t peak_reserved, peak_allocated, n_retries;
    size_t ran_out_line;
};

struct address_pair {
    uint64_t recorded, given;
};

static struct address_pair *pair_of(struct address_pair *pairs, size_t *n, uint64_t recorded)
{
    for (size_t i = 0; i < *n; i++) {
        if (pairs[i].recorded == recorded)
            return &pairs[i];
    }
    pairs[*n].recorded = recorded;
    return &pairs[(*n)++];
}

static bool is_first_given_back(const struct vb_trace *trace, size_t i)
{
    return trace->events[i].action == VB_TRACE_RELEASE &&
           (i == 0 || trace->events[i - 1].action != VB_TRACE_RELEASE);
}

static struct expected expect_rules(const struct vb_trace *trace, const struct naive_rules *rules,
                                    uint64_t capacity)
{
    static struct address_pair pairs[PROCESS_EVENTS];
    struct naive_pool *pool = calloc(1, sizeof *pool);
    struct expected out = { 0 };
    size_t n = 0;
    pool->rules = *rules;
    pool->capacity = capacity;
    pool->lowest = UINT64_C(1) << 50;
    for (size_t i = 0; i < trace->n && out.ran_out_line == 0; i++) {
        const struct vb_trace_event *e = &trace->events[i];
        if (e->action == VB_TRACE_ALLOC) {
            pair_of(pairs, &n, e->address)->given = naive_alloc(pool, e->bytes, e->stream);
            if (pair_of(pairs, &n, e->address)->given == 0)
                out.ran_out_line = e->line;
        } else if (e->action == VB_TRACE_FREE) {
            naive_free(pool, pair_of(pairs, &n, e->address)->given);
        } else if (is_first_given_back(trace, i)) {
            naive_empty_cache(pool);
        }
        out.peak_reserved = pool->reserved > out.peak_reserved ? pool->reserved : out.peak_reserved;
        out.peak_allocated =
            pool->allocated > out.peak_allocated ? pool->allocated : out.peak_allocated;
    }
    out.n_retries = pool->n_retries;
    free(pool);
    return out;
}

static struct expected expect_expandable(const struct vb_trace *trace, uint64_t capacity)
{
    static struct address_pair pairs[PROCESS_EVENTS];
    struct naive_expandable *pool = calloc(1, sizeof *pool);
    struct expected out = { 0 };
    size_t n = 0;
    pool->capacity = pool->total = capacity;
    pool->next_range = UINT64_C(1) << 47;
    for (size_t i = 0; i < trace->n && out.ran_out_line == 0; i++) {
        const struct vb_trace_event *e = &trace->events[i];
        if (e->action == VB_TRACE_ALLOC) {
            pair_of(pairs, &n, e->address)->given = expandable_alloc(pool, e->bytes, e->stream);
            if (pair_of(pairs, &n, e->address)->given == 0)
                out.ran_out_line = e->line;
        } else if (e->action == VB_TRACE_FREE) {
            expandable_free(pool, pair_of(pairs, &n, e->address)->given);
        } else if (is_first_given_back(trace, i)) {
            expandable_empty_cache(pool);
        }
        out.peak_reserved = pool->reserved > out.peak_reserved ? pool->reserved : out.peak_reserved;
        out.peak_allocated =
            pool->allocated > out.peak_allocated ? pool->allocated : out.peak_allocated;
    }
    out.n_retries = pool->n_retries;
    free(pool);
    return out;
}

static void expect_trial(const char *label, uint64_t seed, const struct vb_trial *got,
                         const struct expected *expected)
{
    cr_expect_eq(got->ran_out, expected->ran_out_line > 0, "%s, seed %zu: line %zu, expected %zu",
                 label, (size_t)seed, got->ran_out_line, expected->ran_out_line);
    cr_expect_eq(got->ran_out_line, expected->ran_out_line, "%s, seed %zu", label, (size_t)seed);
    cr_expect_eq(got->n_retries, expected->n_retries, "%s, seed %zu", label, (size_t)seed);
    cr_expect_eq(got->peak_allocated_bytes, expected->peak_allocated, "%s, seed %zu", label,
                 (size_t)seed);
    cr_expect_eq(got->peak_reserved_bytes, expected->peak_reserved, "%s, seed %zu: %zu and %zu",
                 label, (size_t)seed, (size_t)got->peak_reserved_bytes,
                 (size_t)expected->peak_reserved);
}

Test(trace_try, equals_a_process_with_those_settings)
{
    static const struct {
        const char *settings;
        struct naive_rules rules;
        bool is_expandable;
        uint64_t capacity; /* 0: no limit */
    } cases[] = {
        { "", { 0 }, false, 0 },
        { "", { 0 }, false, NAIVE_MIB(400) },
        { "", { 0 }, false, NAIVE_MIB(800) },
        { "max_split_size_mb:24", { .max_split = NAIVE_MIB(24) }, false, 0 },
        { "max_split_size_mb:24", { .max_split = NAIVE_MIB(24) }, false, NAIVE_MIB(600) },
        { "roundup_power2_divisions:4", { .divisions = 4 }, false, 0 },
        { "roundup_power2_divisions:2", { .divisions = 2 }, false, NAIVE_MIB(700) },
        { "garbage_collection_threshold:0.5,per_process_memory_fraction:0.75",
          { .threshold = 0.5, .fraction = 0.75 },
          false,
          NAIVE_MIB(1000) },
        { "expandable_segments:True", { 0 }, true, 0 },
        { "expandable_segments:True", { 0 }, true, NAIVE_MIB(400) },
        { "expandable_segments:True", { 0 }, true, NAIVE_MIB(700) },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n_ran_out = 0;
        for (uint64_t seed = 0; seed < 25; seed++) {
            struct recorded_process *p = process_run(seed, UNLIMITED, 500, NULL);
            struct vb_trace_start start = { 0 };
            struct vb_arena arena = { 0 };
            struct vb_error err = { 0 };
            struct vb_trial trial;
            struct vb_pool_options options;
            uint64_t limit = cases[i].capacity > 0 ? cases[i].capacity : UNLIMITED;
            cr_assert_eq(vb_pool_options_parse(cases[i].settings, &options, &err), VB_OK);
            cr_assert_eq(vb_trace_try("x", &p->trace, &start, &options, cases[i].capacity, &arena,
                                      &trial, &err),
                         VB_OK, "%s", err.text);
            struct expected expected = cases[i].is_expandable
                                           ? expect_expandable(&p->trace, limit)
                                           : expect_rules(&p->trace, &cases[i].rules, limit);
            expect_trial(cases[i].settings, seed, &trial, &expected);
            cr_expect_eq(trial.has_segments, !cases[i].is_expandable);
            n_ran_out += trial.ran_out;
            vb_arena_clear(&arena);
            free(p);
        }
        cr_expect_eq(n_ran_out > 0, cases[i].capacity > 0, "%s: %zu of 25 ran out",
                     cases[i].settings, n_ran_out);
    }
}

static struct vb_trial try_text(const char *csv, const char *settings, uint64_t capacity)
{
    struct vb_arena arena = { 0 };
    struct vb_error err = { 0 };
    struct vb_trace trace;
    struct vb_trace_start start = { 0 };
    struct vb_pool_options options;
    struct vb_trial trial;
    cr_assert_eq(vb_trace_parse("x", csv, &arena, &trace, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_pool_options_parse(settings, &options, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_trace_try("x", &trace, &start, &options, capacity, &arena, &trial, &err), VB_OK,
                 "%s", err.text);
    vb_arena_clear(&arena);
    return trial;
}

#define MIB30 "31457280"

/* 30 MiB fit, twice that does not: in the recording, and then in the trial. */
Test(trace_try, what_ran_out_in_the_recording_is_tried)
{
    static const struct {
        const char *label, *csv;
        uint64_t capacity;
        bool ran_out;
        size_t line, n_refused;
        uint64_t peak_reserved;
    } cases[] = {
        { "it fits now", HEADER "0,0,alloc,512," MIB30 ",0\n1,0,oom,0," MIB30 ",0\n", 0, false, 0,
          0, NAIVE_MIB(60) },
        { "it just fits", HEADER "0,0,alloc,512," MIB30 ",0\n1,0,oom,0," MIB30 ",0\n",
          NAIVE_MIB(60), false, 0, 0, NAIVE_MIB(60) },
        { "it does not by a little", HEADER "0,0,alloc,512," MIB30 ",0\n1,0,oom,0," MIB30 ",0\n",
          NAIVE_MIB(60) - 1, true, 3, 0, NAIVE_MIB(30) },
        { "the process went on without it",
          HEADER "0,0,alloc,512," MIB30 ",0\n1,0,oom,0," MIB30 ",0\n2,0,alloc,1024,512,0\n",
          NAIVE_MIB(40), false, 0, 1, NAIVE_MIB(32) },
        { "it went on, and what came fits nowhere",
          HEADER "0,0,alloc,512," MIB30 ",0\n1,0,oom,0," MIB30 ",0\n2,0,alloc,1024,512,0\n",
          NAIVE_MIB(30), true, 4, 1, NAIVE_MIB(30) },
        { "the frees of its end are no going on",
          HEADER "0,0,alloc,512," MIB30 ",0\n1,0,oom,0," MIB30 ",0\n2,0,free_requested,512," MIB30
                 ",0\n",
          NAIVE_MIB(40), true, 3, 0, NAIVE_MIB(30) },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vb_trial trial = try_text(cases[i].csv, "", cases[i].capacity);
        cr_expect_eq(trial.ran_out, cases[i].ran_out, "%s", cases[i].label);
        cr_expect_eq(trial.ran_out_line, cases[i].line, "%s", cases[i].label);
        cr_expect_eq(trial.n_refused, cases[i].n_refused, "%s", cases[i].label);
        cr_expect_eq(trial.peak_reserved_bytes, cases[i].peak_reserved, "%s: %zu", cases[i].label,
                     (size_t)trial.peak_reserved_bytes);
    }
}

/* A block that another stream still works on can be used by no one, but is the program's no more.
 */
Test(trace_try, what_waits_for_a_stream_is_reserved_and_not_allocated)
{
    struct vb_trial trial = try_text(HEADER "0,0,alloc,512," MIB30 ",0\n"
                                            "1,0,free_requested,512," MIB30 ",0\n"
                                            "2,0,alloc,1024," MIB30 ",0\n"
                                            "3,0,free_completed,512," MIB30 ",0\n"
                                            "4,0,alloc,512," MIB30 ",0\n",
                                     "", 0);
    cr_expect_eq(trial.peak_reserved_bytes, NAIVE_MIB(60));
    cr_expect_eq(trial.peak_allocated_bytes, NAIVE_MIB(60));
    cr_expect_eq(trial.segments_at_peak, 2);
    trial = try_text(HEADER "0,0,alloc,512," MIB30 ",0\n"
                            "1,0,free_requested,512," MIB30 ",0\n"
                            "2,0,alloc,1024," MIB30 ",0\n"
                            "3,0,free_completed,512," MIB30 ",0\n",
                     "", 0);
    cr_expect_eq(trial.peak_reserved_bytes, NAIVE_MIB(60));
    cr_expect_eq(trial.peak_allocated_bytes, NAIVE_MIB(30));
}

/* At the peak of what is reserved there are many moments: the fullest counts. */
Test(trace_try, unused_is_what_no_moment_of_the_peak_used)
{
    struct vb_trial trial = try_text(HEADER "0,0,alloc,512,2097152,0\n" /* of a segment of 20 MiB */
                                            "1,0,alloc,1024,4194304,0\n"
                                            "2,0,free_requested,512,2097152,0\n"
                                            "3,0,free_requested,1024,4194304,0\n",
                                     "", 0);
    cr_expect_eq(trial.peak_reserved_bytes, NAIVE_MIB(20));
    cr_expect_eq(trial.allocated_at_peak_bytes, NAIVE_MIB(6));
    cr_expect_eq(trial.requested_at_peak_bytes, NAIVE_MIB(6));
}

/* Blocks that were there are asked for in order of address; what they need counts. */
Test(trace_try, the_start_is_asked_for_anew)
{
    static const struct vb_pool_live live[] = { { 2097152, NAIVE_MIB(30), NAIVE_MIB(30) },
                                                { NAIVE_MIB(64), 512, 7 } };
    static const uint64_t streams[] = { 0, 3 };
    struct vb_trace_start start = { .live = live, .streams = streams, .n_live = 2 };
    struct vb_arena arena = { 0 };
    struct vb_error err = { 0 };
    struct vb_trace trace;
    struct vb_trial trial;
    struct vb_pool_options options = { 0 };
    cr_assert_eq(vb_trace_parse("x", HEADER "0,0,free_requested,2097152," MIB30 ",0\n", &arena,
                                &trace, &err),
                 VB_OK);
    cr_assert_eq(vb_trace_try("x", &trace, &start, &options, 0, &arena, &trial, &err), VB_OK, "%s",
                 err.text);
    cr_expect_eq(trial.peak_reserved_bytes, NAIVE_MIB(32));
    cr_expect_eq(trial.peak_allocated_bytes, NAIVE_MIB(30) + 512);
    cr_assert_eq(vb_trace_try("x", &trace, &start, &options, NAIVE_MIB(31), &arena, &trial, &err),
                 VB_OK);
    cr_expect(trial.ran_out);
    cr_expect_eq(trial.ran_out_line, 0);
    cr_expect_eq(trial.ran_out_bytes, 7);
    vb_arena_clear(&arena);
}

Test(trace_try, says_what_is_wrong)
{
    static const struct {
        const char *csv, *settings, *text;
    } cases[] = {
        { HEADER "0,0,free_requested,512,7,0\n", "", "x:2: frees 512, where nothing is" },
        { HEADER "0,0,alloc,512,7,0\n1,0,free_requested,512,7,0\n2,0,free_requested,512,7,0\n", "",
          "x:4: frees 512, where nothing is" },
        { HEADER, "per_process_memory_fraction:0.5",
          "x: per_process_memory_fraction is a part of the device's memory: say how much" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vb_arena arena = { 0 };
        struct vb_error err = { 0 };
        struct vb_trace trace;
        struct vb_trace_start start = { 0 };
        struct vb_pool_options options;
        struct vb_trial trial;
        cr_assert_eq(vb_trace_parse("x", cases[i].csv, &arena, &trace, &err), VB_OK);
        cr_assert_eq(vb_pool_options_parse(cases[i].settings, &options, &err), VB_OK);
        cr_expect_eq(vb_trace_try("x", &trace, &start, &options, 0, &arena, &trial, &err),
                     VB_E_INPUT);
        cr_expect_eq(strncmp(err.text, cases[i].text, strlen(cases[i].text)), 0, "%s", err.text);
        vb_arena_clear(&arena);
    }
}

Test(trace_try, the_least_that_there_was_is_the_capacity)
{
    struct vb_arena arena = { 0 };
    struct vb_error err = { 0 };
    struct vb_trace trace;
    struct vb_trace_start_segment segment = { .address = 512, .bytes = 4096 };
    struct vb_trace_start start = { .segments = &segment, .n = 1 };
    cr_assert_eq(vb_trace_parse("x",
                                HEADER "0,0,segment_alloc,8192,1000,0\n1,0,oom,500,9,0\n"
                                       "2,0,segment_free,512,4096,0\n3,0,oom,3000,9,0\n"
                                       "4,0,oom,9000,9,0\n",
                                &arena, &trace, &err),
                 VB_OK);
    cr_expect_eq(vb_trace_capacity(&trace, &start), 4000);
    trace.n = 1;
    cr_expect_eq(vb_trace_capacity(&trace, &start), 0);
    vb_arena_clear(&arena);
}

/* Recordings from the start of the process, with the settings that they had: as the process was. */
Test(trace_try, as_recorded_is_the_recording)
{
    static const char *const names[] = { "snap_attn_peak", "snap_decomfl" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct vb_arena arena = { 0 };
        struct vb_error err = { 0 };
        struct vb_trace trace;
        struct vb_trace_start start = { 0 };
        struct vb_pool_options options = { 0 };
        struct vb_replay replay;
        struct vb_trial trial;
        char path[512], *text;
        size_t bytes;
        (void)snprintf(path, sizeof path, "%s/traces/%s.csv", VB_TEST_DATA, names[i]);
        cr_assert_eq(vb_file_read(path, 1 << 28, &text, &bytes, &err), VB_OK, "%s", err.text);
        cr_assert_eq(vb_trace_parse(path, text, &arena, &trace, &err), VB_OK);
        cr_assert_eq(vb_trace_replay(path, &trace, NULL, &options, VB_REPLAY_RECORDED, &arena,
                                     &replay, &err),
                     VB_OK);
        cr_assert_eq(vb_trace_try(path, &trace, &start, &options, 0, &arena, &trial, &err), VB_OK);
        cr_expect_eq(trial.peak_reserved_bytes, replay.peak_reserved_bytes);
        cr_assert_eq(vb_trace_try(path, &trace, &start, &options, trial.peak_reserved_bytes, &arena,
                                  &trial, &err),
                     VB_OK);
        cr_expect_not(trial.ran_out, "what it took is enough");
        cr_expect_eq(trial.n_retries, 0);
        cr_assert_eq(vb_trace_try(path, &trace, &start, &options, trial.peak_allocated_bytes - 1,
                                  &arena, &trial, &err),
                     VB_OK);
        cr_expect(trial.ran_out, "less than was allocated is not");
        free(text);
        vb_arena_clear(&arena);
    }
}
