/* SPDX-License-Identifier: Apache-2.0 */
/* What was there when a recording began. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory/trace_replay.h"
#include "recorded_process.h"

#define HEADER "seq,time_us,action,addr,size,stream\n"

/* Wherever a process's recording begins, the replay is equal to it: among what was there are
 * segments that it gives back and blocks that it frees. */
Test(trace_start, a_recording_may_begin_anywhere)
{
    size_t n_given_back = 0, n_live = 0;
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct recorded_process *p =
            process_run(seed, seed % 3 == 0 ? NAIVE_MIB(600) : NAIVE_MIB(100000), 600);
        for (size_t from = 0; from < p->trace.n; from += 1 + seed * 7 % 97) {
            struct vb_arena arena = { 0 };
            struct vb_error err = { 0 };
            struct vb_trace_end end;
            struct vb_trace_start start;
            struct vb_pool_options options = { 0 };
            struct vb_replay replay;
            struct vb_trace trace = process_from(p, from);
            bool is_whole = from == 0 || (p->events[from - 1].action != VB_TRACE_RELEASE &&
                                          p->events[from - 1].action != VB_TRACE_RESERVE);
            if (!is_whole) /* begun within one allocation: its first half is not told */
                continue;
            process_end(p, &arena, &end);
            cr_assert_eq(vb_trace_find_start("x", &trace, &end, &options, &arena, &start, &err),
                         VB_OK, "%s", err.text);
            for (size_t i = 0; i < start.n; i++)
                n_given_back += start.segments[i].until < trace.n;
            n_live += start.n_live;
            cr_assert_eq(vb_trace_replay("x", &trace, &end, &options, VB_REPLAY_RECORDED, &arena,
                                         &replay, &err),
                         VB_OK, "seed %zu from %zu: %s", (size_t)seed, from, err.text);
            cr_expect(vb_replay_is_same(&replay, VB_REPLAY_RECORDED),
                      "seed %zu from %zu: event %zu", (size_t)seed, from,
                      replay.first_difference - from);
            vb_arena_clear(&arena);
        }
        free(p);
    }
    cr_expect_gt(n_given_back, 1000);
    cr_expect_gt(n_live, 100000);
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
