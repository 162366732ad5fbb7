/* SPDX-License-Identifier: Apache-2.0 */
/* What was there when a recording began. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory/trace_replay.h"
#include "memory/trace_try.h"
#include "naive_expandable.h"
#include "recorded_process.h"

#define HEADER "seq,time_us,action,addr,size,stream\n"

struct beginnings {
    size_t n_given_back, n_live; /* segments and blocks of all starts */
};

/* Wherever the process's recording begins, the replay is equal to it. */
static void begin_everywhere(const struct recorded_process *p, const char *settings, size_t step,
                             struct beginnings *out)
{
    for (size_t from = 0; from < p->trace.n; from += step) {
        struct vb_arena arena = { 0 };
        struct vb_error err = { 0 };
        struct vb_trace_end end;
        struct vb_trace_start start;
        struct vb_pool_options options;
        struct vb_replay replay;
        struct vb_trace trace = process_from(p, from);
        bool is_whole = from == 0 || (p->events[from - 1].action != VB_TRACE_RELEASE &&
                                      p->events[from - 1].action != VB_TRACE_RESERVE);
        if (!is_whole) /* begun within one allocation: its first half is not told */
            continue;
        process_end(p, &arena, &end);
        cr_assert_eq(vb_pool_options_parse(settings, &options, &err), VB_OK, "%s", err.text);
        cr_assert_eq(vb_trace_find_start("x", &trace, &end, &options, &arena, &start, &err), VB_OK,
                     "%s", err.text);
        for (size_t i = 0; i < start.n; i++)
            out->n_given_back += start.segments[i].until < trace.n;
        out->n_live += start.n_live;
        cr_assert_eq(
            vb_trace_replay("x", &trace, &end, &options, VB_REPLAY_RECORDED, &arena, &replay, &err),
            VB_OK, "%s from %zu: %s", settings, from, err.text);
        cr_expect(vb_replay_is_same(&replay, VB_REPLAY_RECORDED), "%s from %zu: event %zu",
                  settings, from, replay.first_difference - from);
        vb_arena_clear(&arena);
    }
}

/* Among what was there are segments that it gives back and blocks that it frees. */
Test(trace_start, a_recording_may_begin_anywhere)
{
    struct beginnings beginnings = { 0 };
    for (uint64_t seed = 0; seed < 60; seed++) {
        uint64_t capacity = seed % 3 == 0 ? NAIVE_MIB(600) : NAIVE_MIB(100000);
        struct recorded_process *p = process_run(seed, capacity, 600, NULL);
        begin_everywhere(p, "", 1 + seed * 7 % 97, &beginnings);
        free(p);
    }
    cr_expect_gt(beginnings.n_given_back, 1000);
    cr_expect_gt(beginnings.n_live, 100000);
}

/* How far a block reaches depends on the settings that the process had. */
Test(trace_start, with_other_settings_too)
{
    static const struct {
        const char *settings;
        struct naive_rules rules;
    } cases[] = {
        { "roundup_power2_divisions:4", { .divisions = 4 } },
        { "max_split_size_mb:24", { .max_split = NAIVE_MIB(24) } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct beginnings beginnings = { 0 };
        for (uint64_t seed = 0; seed < 20; seed++) {
            struct recorded_process *p = process_run(seed, NAIVE_MIB(100000), 600, &cases[i].rules);
            begin_everywhere(p, cases[i].settings, 1 + seed * 7 % 97, &beginnings);
            free(p);
        }
        cr_expect_gt(beginnings.n_live, 10000);
    }
}

/* The same in expandable segments: random requests, pages as PyTorch would record them. */
struct expandable_process {
    struct naive_expandable pool;
    struct recorded_process recorded; /* its events and what is live; not its pool */
};

/* Pages that came or went since: one event for all. */
static void record_pages(struct recorded_process *p, uint64_t before, uint64_t after)
{
    if (after > before)
        process_record(p, VB_TRACE_MAP, NAIVE_MIB(2), after - before, 0);
    if (after < before)
        process_record(p, VB_TRACE_UNMAP, NAIVE_MIB(2), before - after, 0);
}

static struct expandable_process *run_expandable(uint64_t seed, size_t n_steps)
{
    struct expandable_process *e = calloc(1, sizeof *e);
    struct recorded_process *p = &e->recorded;
    p->random = seed * 2654435761u + 99;
    p->trace.events = p->events;
    e->pool.capacity = e->pool.total = UINT64_C(1) << 40;
    e->pool.next_range = UINT64_C(1) << 47;
    for (size_t i = 0; i < n_steps; i++) {
        uint64_t what = process_random(p, 100), before = e->pool.reserved;
        uint64_t stream = process_random(p, 4) == 0 ? 7 : 0;
        if (what < 3) {
            expandable_empty_cache(&e->pool);
            record_pages(p, before, e->pool.reserved);
        } else if (p->n_live > 0 && what < 45) {
            size_t k = process_random(p, p->n_live);
            process_record(p, VB_TRACE_FREE, p->live[k].address, p->live[k].bytes, stream);
            process_record(p, VB_TRACE_FREED, p->live[k].address, p->live[k].bytes, stream);
            expandable_free(&e->pool, p->live[k].address);
            p->live[k] = p->live[--p->n_live];
        } else {
            uint64_t bytes = 1 + process_random(p, what < 75 ? NAIVE_MIB(1) : NAIVE_MIB(30));
            uint64_t address = expandable_alloc(&e->pool, bytes, stream);
            record_pages(p, before, e->pool.reserved);
            process_record(p, VB_TRACE_ALLOC, address, bytes, stream);
            p->live[p->n_live].address = address;
            p->live[p->n_live++].bytes = bytes;
        }
    }
    return e;
}

/* Stretches that are mapped without a gap are one segment of a snapshot. */
static void end_expandable(const struct expandable_process *e, struct vb_arena *arena,
                           struct vb_trace_end *out)
{
    struct vb_trace_segment *segment = NULL;
    *out = (struct vb_trace_end){ 0 };
    out->segments = vb_arena_alloc(arena, e->pool.n + 1, sizeof *out->segments);
    for (size_t i = 0; i < e->pool.n; i++) {
        const struct stretch *s = &e->pool.list[i];
        bool goes_on = i > 0 && s[-1].is_mapped && s[-1].range == s->range;
        if (!s->is_mapped)
            continue;
        if (!goes_on) {
            segment = &out->segments[out->n++];
            *segment = (struct vb_trace_segment){ .address = s->address,
                                                  .stream = s->stream,
                                                  .is_small = s->is_small,
                                                  .is_expandable = true };
            segment->blocks = vb_arena_alloc(arena, e->pool.n, sizeof *segment->blocks);
        }
        segment->bytes += s->bytes;
        segment->blocks[segment->n_blocks++] =
            (struct vb_trace_block){ s->address, s->bytes, s->bytes, !s->is_free };
    }
}

/* From its start on as much is reserved as was, event by event. Begun later it is replayed, and
 * nothing is compared; what was alive is what had been asked for and not freed. */
Test(trace_start, so_may_one_in_expandable_segments)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct expandable_process *e = run_expandable(seed, 400);
        uint64_t live[PROCESS_EVENTS] = { 0 };
        size_t n_live = 0;
        for (size_t from = 0; from < e->recorded.trace.n; from++) {
            struct vb_arena arena = { 0 };
            struct vb_error err = { 0 };
            struct vb_trace_end end;
            struct vb_trace_start start;
            struct vb_pool_options options = { .expandable_segments = true };
            struct vb_replay replay;
            struct vb_trial trial;
            struct vb_trace trace = process_from(&e->recorded, from);
            enum vb_trace_action action = trace.events[0].action;
            end_expandable(e, &arena, &end);
            cr_assert_eq(vb_trace_find_start("x", &trace, &end, &options, &arena, &start, &err),
                         VB_OK, "%s", err.text);
            cr_expect(start.has_expandable);
            /* Between the two halves of a free the block waits: it was there. */
            cr_expect_eq(start.n_live, n_live, "seed %zu from %zu: %zu, expected %zu", (size_t)seed,
                         from, start.n_live, n_live);
            if (from % 40 == 0) {
                cr_assert_eq(vb_trace_replay("x", &trace, &end, &options, VB_REPLAY_RECORDED,
                                             &arena, &replay, &err),
                             VB_OK, "%s", err.text);
                cr_expect_eq(replay.has_segments, from == 0 || !start.had_pages);
                cr_expect(from > 0 || vb_replay_is_same(&replay, VB_REPLAY_RECORDED),
                          "seed %zu: event %zu", (size_t)seed, replay.first_difference);
                cr_expect(from > 0 || replay.n_reserved > 400);
                cr_assert_eq(vb_trace_try("x", &trace, &start, &options, 0, &arena, &trial, &err),
                             VB_OK, "%s", err.text);
                cr_expect(from > 0 || trial.peak_reserved_bytes == replay.peak_reserved_bytes);
            }
            if (action == VB_TRACE_ALLOC)
                live[n_live++] = trace.events[0].address;
            for (size_t k = 0; action == VB_TRACE_FREED && k < n_live; k++) {
                if (live[k] == trace.events[0].address)
                    live[k--] = live[--n_live];
            }
            vb_arena_clear(&arena);
        }
        free(e);
    }
}

/* Addresses are used again, also by segments of another size. */
Test(trace_start, the_first_event_of_an_address_tells)
{
    static const struct {
        const char *label, *events, *end;
        size_t n_segments, n_live;
        uint64_t live_bytes;
    } cases[] = {
        { "nothing is told", "", "", 0, 0, 0 },
        { "a segment that was made", "0,0,segment_alloc,2097152,2097152,0\n",
          "{\"address\":2097152,\"total_size\":2097152,\"stream\":0,\"segment_type\":\"small\","
          "\"blocks\":[[2097152,2097152,0,\"inactive\"]]}",
          0, 0, 0 },
        { "one that was not", "",
          "{\"address\":2097152,\"total_size\":2097152,\"stream\":0,\"segment_type\":\"small\","
          "\"blocks\":[[2097152,512,9,\"active_allocated\"],[2097664,2096640,0,\"inactive\"]]}",
          1, 1, 512 },
        { "one that is given back", "0,0,segment_free,2097152,2097152,0\n", "", 1, 0, 0 },
        { "one that is given back and made again",
          "0,0,segment_free,2097152,2097152,0\n1,0,segment_alloc,2097152,4194304,0\n",
          "{\"address\":2097152,\"total_size\":4194304,\"stream\":0,\"segment_type\":\"large\","
          "\"blocks\":[[2097152,4194304,4194304,\"active_allocated\"]]}",
          1, 0, 0 },
        { "one made, given back and made again",
          "0,0,segment_alloc,2097152,2097152,0\n1,0,segment_free,2097152,2097152,0\n"
          "2,0,segment_alloc,2097152,2097152,0\n",
          "", 0, 0, 0 },
        { "a block that goes before its segment does",
          "0,0,free_requested,2097152,9,0\n1,0,free_completed,2097152,9,0\n"
          "2,0,segment_free,2097152,2097152,0\n",
          "", 1, 1, 512 },
        { "a block of the segment that comes after it",
          "0,0,segment_free,2097152,2097152,0\n1,0,segment_alloc,2097152,2097152,0\n"
          "2,0,alloc,2097152,9,0\n3,0,free_requested,2097152,9,0\n",
          "", 1, 0, 0 },
        { "a block that goes after its segment did is none of it",
          "0,0,segment_free,2097152,2097152,0\n1,0,free_requested,2097152,9,0\n", "", 1, 0, 0 },
        { "a block that waited for a stream: only that it went is told",
          "0,0,free_completed,2097152,9,0\n1,0,segment_free,2097152,2097152,0\n", "", 1, 1, 512 },
        { "a block with what was not split off",
          "0,0,free_requested,2097152,3145728,0\n1,0,segment_free,2097152,4194304,0\n", "", 1, 1,
          4194304 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vb_arena arena = { 0 };
        struct vb_error err = { 0 };
        struct vb_trace trace;
        struct vb_trace_end end;
        struct vb_trace_start start;
        struct vb_pool_options options = { 0 };
        char csv[1024], json[1024];
        (void)snprintf(csv, sizeof csv, "%s%s", HEADER, cases[i].events);
        (void)snprintf(json, sizeof json, "{\"final_segments\":[%s]}", cases[i].end);
        cr_assert_eq(vb_trace_parse("x", csv, &arena, &trace, &err), VB_OK, "%s", err.text);
        cr_assert_eq(vb_trace_parse_end("x", json, &arena, &end, &err), VB_OK, "%s", err.text);
        cr_assert_eq(vb_trace_find_start("x", &trace, &end, &options, &arena, &start, &err), VB_OK,
                     "%s: %s", cases[i].label, err.text);
        cr_expect_eq(start.n, cases[i].n_segments, "%s: %zu", cases[i].label, start.n);
        cr_expect_eq(start.n_live, cases[i].n_live, "%s: %zu", cases[i].label, start.n_live);
        cr_expect_eq(start.live_bytes, cases[i].live_bytes, "%s", cases[i].label);
        vb_arena_clear(&arena);
    }
}

#define SEGMENT(address, bytes, blocks)                                                            \
    "{\"address\":" #address ",\"total_size\":" #bytes ",\"stream\":0,\"segment_type\":\"small\"," \
    "\"blocks\":[" blocks "]}"

Test(trace_start, what_overlaps_is_refused)
{
    static const struct {
        const char *label, *events, *end, *text;
    } cases[] = {
        { "segments", "", SEGMENT(1024, 2048, "") "," SEGMENT(2048, 2048, ""),
          "x: the segment at 1024 has 2048 bytes, the next one begins at 2048" },
        { "a segment of nothing given back", "0,0,segment_free,1024,0,0\n", "",
          "x: the segment at 1024 has 0 bytes" },
        { "blocks", "", SEGMENT(1024, 4096, "[1024,1024,9,\"a\"],[1536,512,9,\"a\"]"),
          "x: the block at 1024 has 1024 bytes, the next one or the segment's end is at 1536" },
        { "a block that leaves", "", SEGMENT(1024, 1024, "[1024,2048,9,\"a\"]"),
          "x: the block at 1024 has 2048 bytes, the next one or the segment's end is at 2048" },
        { "one freed that was larger", "0,0,free_requested,1024,4096,0\n", SEGMENT(1024, 2048, ""),
          "x: the block at 1024 has 4096 bytes" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vb_arena arena = { 0 };
        struct vb_error err = { 0 };
        struct vb_trace trace;
        struct vb_trace_end end;
        struct vb_trace_start start;
        struct vb_pool_options options = { 0 };
        char csv[1024], json[1024];
        (void)snprintf(csv, sizeof csv, "%s%s", HEADER, cases[i].events);
        (void)snprintf(json, sizeof json, "{\"final_segments\":[%s]}", cases[i].end);
        cr_assert_eq(vb_trace_parse("x", csv, &arena, &trace, &err), VB_OK, "%s", err.text);
        cr_assert_eq(vb_trace_parse_end("x", json, &arena, &end, &err), VB_OK, "%s", err.text);
        cr_expect_eq(vb_trace_find_start("x", &trace, &end, &options, &arena, &start, &err),
                     VB_E_INPUT, "%s", cases[i].label);
        cr_expect_eq(strncmp(err.text, cases[i].text, strlen(cases[i].text)), 0, "%s: %s",
                     cases[i].label, err.text);
        vb_arena_clear(&arena);
    }
}
