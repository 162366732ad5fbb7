/* SPDX-License-Identifier: Apache-2.0 */
/* Ten recordings of real processes (tests/data/traces): every allocation at its address, every
 * segment when and as large as it was, every block that is left. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "memory/trace_replay.h"

static char *read_data(const char *name, const char *ending)
{
    char path[512];
    char *text = NULL;
    size_t bytes = 0;
    struct vb_error err = { 0 };
    (void)snprintf(path, sizeof path, "%s/traces/%s%s", VB_TEST_DATA, name, ending);
    cr_assert_eq(vb_file_read(path, 1 << 28, &text, &bytes, &err), VB_OK, "%s", err.text);
    return text;
}

static void expect_equal(const char *name, size_t n_allocations, enum vb_replay_addresses addresses)
{
    struct vb_arena arena = { 0 };
    struct vb_error err = { 0 };
    struct vb_trace trace;
    struct vb_trace_end end;
    struct vb_replay r;
    struct vb_pool_options options = { 0 };
    char *text = read_data(name, ".csv");
    char *json = read_data(name, ".segments.json");
    cr_assert_eq(vb_trace_parse(name, text, &arena, &trace, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_trace_parse_end(name, json, &arena, &end, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_trace_replay(name, &trace, &end, &options, addresses, &arena, &r, &err), VB_OK,
                 "%s", err.text);
    cr_expect_eq(r.n_allocations, n_allocations, "%s: %zu allocations", name, r.n_allocations);
    cr_expect(vb_replay_is_same(&r, addresses), "%s", name);
    cr_expect_gt(r.n_reserved, n_allocations, "%s", name);
    cr_expect_eq(r.n_reserved_same, r.n_reserved, "%s: line %zu", name, r.first_difference);
    if (addresses == VB_REPLAY_SYNTHETIC)
        goto out;
    cr_expect_eq(r.n_at_address, r.n_allocations, "%s: line %zu", name, r.first_difference);
    cr_expect_eq(r.n_segments_same, r.n_segments, "%s: line %zu", name, r.first_difference);
    cr_expect_eq(r.first_difference, 0, "%s: line %zu", name, r.first_difference);
    size_t n_blocks = 0;
    for (size_t i = 0; i < end.n; i++)
        n_blocks += end.segments[i].n_blocks;
    cr_expect_eq(r.n_final, n_blocks, "%s", name);
    cr_expect_eq(r.n_final_same, n_blocks, "%s", name);
out:
    free(text);
    free(json);
    vb_arena_clear(&arena);
}

static const struct {
    const char *name;
    size_t n_allocations;
} recordings[] = {
    { "snap_attn_peak", 36 },
    { "snap_cs336_bcrafton", 2162 },
    { "snap_cs336_magma", 1721 },
    { "snap_cs336_n", 6488 },
    { "snap_cs336_w_med1024_train", 7591 },
    { "snap_cs336_w_med128_train", 6526 },
    { "snap_cs336_w_med512_train", 7591 },
    { "snap_decomfl", 7946 },
    { "snap_fwd_bf16_128", 937 },
    { "snap_fwd_fp32_128", 681 },
};

Test(replay, equals_every_recording)
{
    for (size_t i = 0; i < sizeof recordings / sizeof *recordings; i++)
        expect_equal(recordings[i].name, recordings[i].n_allocations, VB_REPLAY_RECORDED);
}

Test(replay, reserves_the_same_without_recorded_addresses)
{
    for (size_t i = 0; i < sizeof recordings / sizeof *recordings; i++)
        expect_equal(recordings[i].name, recordings[i].n_allocations, VB_REPLAY_SYNTHETIC);
}

#define HEADER "seq,time_us,action,addr,size,stream\n"
#define MIB2 "2097152"
#define START HEADER "0,0,segment_alloc,2097152," MIB2 ",0\n1,0,alloc,2097152,512,0\n"

/* Small recordings with one thing changed: each must be seen. The line that differs; 0: none. */
Test(replay, sees_what_differs)
{
    static const struct {
        const char *label, *text;
        enum vb_replay_addresses addresses;
        size_t line;
    } cases[] = {
        { "nothing", START "2,0,alloc,2097664,512,0\n", VB_REPLAY_RECORDED, 0 },
        { "an address", START "2,0,alloc,2098176,512,0\n", VB_REPLAY_RECORDED, 4 },
        { "an address that is not compared", START "2,0,alloc,2098176,512,0\n", VB_REPLAY_SYNTHETIC,
          0 },
        { "a segment too many",
          START "2,0,segment_alloc,8388608," MIB2 ",0\n"
                "3,0,alloc,8388608,512,0\n",
          VB_REPLAY_RECORDED, 5 },
        { "a segment that nobody wanted", START "2,0,segment_alloc,8388608," MIB2 ",0\n",
          VB_REPLAY_RECORDED, 4 },
        { "a segment's size",
          HEADER "0,0,segment_alloc,2097152,4194304,0\n"
                 "1,0,alloc,2097152,512,0\n",
          VB_REPLAY_SYNTHETIC, 2 },
        { "a segment missing", START "2,0,alloc,8388608,2097152,0\n", VB_REPLAY_RECORDED, 4 },
        { "an emptied cache",
          START "2,0,free_requested,2097152,512,0\n"
                "3,0,segment_free,2097152," MIB2 ",0\n",
          VB_REPLAY_RECORDED, 0 },
        { "what is reserved after it",
          START "2,0,free_requested,2097152,512,0\n3,0,segment_free,2097152," MIB2 ",0\n"
                "4,0,segment_alloc,8388608," MIB2 ",0\n5,0,alloc,8388608,512,0\n",
          VB_REPLAY_RECORDED, 0 },
        { "another segment given back",
          START "2,0,free_requested,2097152,512,0\n"
                "3,0,segment_free,8388608," MIB2 ",0\n",
          VB_REPLAY_RECORDED, 5 },
        { "one given back that is in use", START "2,0,segment_free,2097152," MIB2 ",0\n",
          VB_REPLAY_RECORDED, 4 },
        /* Two free blocks of one size in one place would have the pool go round in circles. */
        { "a segment made where one is",
          HEADER "0,0,segment_alloc,4194304," MIB2 ",0\n1,0,alloc,512,629248,0\n"
                 "2,0,alloc,1024,629248,0\n3,0,free_requested,512,629248,0\n"
                 "4,0,segment_alloc,4194304," MIB2 ",0\n5,0,alloc,1536,1048576,0\n"
                 "6,0,free_requested,1536,1048576,0\n7,0,alloc,2048,629248,0\n"
                 "8,0,alloc,2560,629248,0\n9,0,alloc,3072,629248,0\n10,0,alloc,3584,629248,0\n"
                 "11,0,free_requested,2048,629248,0\n12,0,free_requested,3072,629248,0\n"
                 "13,0,segment_free,4194304," MIB2 ",0\n",
          VB_REPLAY_RECORDED, 3 },
        { "what waits for a stream is not used again before it is done",
          START "2,0,free_requested,2097152,512,0\n3,0,alloc,2097664,512,0\n"
                "4,0,free_completed,2097152,512,0\n5,0,alloc,2097152,512,0\n",
          VB_REPLAY_RECORDED, 0 },
        { "and is then",
          START "2,0,free_requested,2097152,512,0\n3,0,alloc,2097664,512,0\n"
                "4,0,free_completed,2097152,512,0\n5,0,alloc,2098176,512,0\n",
          VB_REPLAY_RECORDED, 7 },
        { "no segments told, none compared", HEADER "0,0,alloc,512,512,0\n", VB_REPLAY_SYNTHETIC,
          0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vb_arena arena = { 0 };
        struct vb_trace trace;
        struct vb_error err = { 0 };
        struct vb_pool_options options = { 0 };
        struct vb_replay r;
        cr_assert_eq(vb_trace_parse("x", cases[i].text, &arena, &trace, &err), VB_OK);
        cr_assert_eq(
            vb_trace_replay("x", &trace, NULL, &options, cases[i].addresses, &arena, &r, &err),
            VB_OK, "%s: %s", cases[i].label, err.text);
        cr_expect_eq(r.first_difference, cases[i].line, "%s: line %zu", cases[i].label,
                     r.first_difference);
        cr_expect_eq(vb_replay_is_same(&r, cases[i].addresses), cases[i].line == 0, "%s",
                     cases[i].label);
        vb_arena_clear(&arena);
    }
}

Test(replay, reserved_bytes_are_counted_event_by_event)
{
    struct vb_arena arena = { 0 };
    struct vb_trace trace;
    struct vb_error err = { 0 };
    struct vb_pool_options options = { 0 };
    struct vb_replay r;
    /* The recording's segment is twice as large as the pool's until it is given back. */
    cr_assert_eq(vb_trace_parse("x",
                                HEADER "0,0,segment_alloc,2097152,4194304,0\n"
                                       "1,0,alloc,2097152,512,0\n"
                                       "2,0,free_requested,2097152,512,0\n"
                                       "3,0,segment_free,2097152,4194304,0\n"
                                       "4,0,segment_alloc,8388608,2097152,0\n"
                                       "5,0,alloc,8388608,512,0\n",
                                &arena, &trace, &err),
                 VB_OK);
    cr_assert_eq(vb_trace_replay("x", &trace, NULL, &options, VB_REPLAY_RECORDED, &arena, &r, &err),
                 VB_OK);
    cr_expect_eq(r.n_reserved, 3);
    cr_expect_eq(r.n_reserved_same, 1);
    vb_arena_clear(&arena);
}

/* Of expandable segments what is reserved is compared, event by event; where pages lie is not. */
Test(replay, pages_are_compared_by_what_is_reserved)
{
    static const struct {
        const char *label, *text;
        size_t line, n_reserved;
    } cases[] = {
        { "mapped, given back, mapped again",
          HEADER "0,0,segment_map,2097152,2097152,0\n1,0,alloc,2097152,512,0\n"
                 "2,0,free_requested,2097152,512,0\n3,0,segment_unmap,2097152,2097152,0\n"
                 "4,0,segment_map,8388608,20971520,0\n5,0,alloc,8388608,2097152,0\n",
          0, 3 },
        { "page by page",
          HEADER "0,0,segment_map,20971520,20971520,0\n1,0,segment_map,41943040,20971520,0\n"
                 "2,0,alloc,20971520,31457280,0\n",
          0, 1 },
        { "a page too many", HEADER "0,0,segment_map,2097152,4194304,0\n1,0,alloc,2097152,512,0\n",
          3, 1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vb_arena arena = { 0 };
        struct vb_trace trace;
        struct vb_error err = { 0 };
        struct vb_pool_options options = { .expandable_segments = true };
        struct vb_replay r;
        cr_assert_eq(vb_trace_parse("x", cases[i].text, &arena, &trace, &err), VB_OK);
        cr_assert_eq(
            vb_trace_replay("x", &trace, NULL, &options, VB_REPLAY_RECORDED, &arena, &r, &err),
            VB_OK, "%s: %s", cases[i].label, err.text);
        cr_expect(r.has_pages);
        cr_expect_eq(r.n_reserved, cases[i].n_reserved, "%s", cases[i].label);
        cr_expect_eq(r.first_difference, cases[i].line, "%s: line %zu", cases[i].label,
                     r.first_difference);
        cr_expect_eq(vb_replay_is_same(&r, VB_REPLAY_RECORDED), cases[i].line == 0, "%s",
                     cases[i].label);
        vb_arena_clear(&arena);
    }
}

Test(replay, a_plain_trace_starts_empty)
{
    struct vb_arena arena = { 0 };
    struct vb_trace trace;
    struct vb_error err = { 0 };
    struct vb_pool_options options = { 0 };
    struct vb_replay r;
    cr_assert_eq(vb_trace_parse("x",
                                HEADER "0,0,alloc,1,1048577,0\n1,0,alloc,2,1,0\n"
                                       "2,0,free_requested,1,1048577,0\n3,0,alloc,1,2000000,0\n",
                                &arena, &trace, &err),
                 VB_OK);
    cr_expect_not(vb_trace_has_segments(&trace));
    cr_assert_eq(
        vb_trace_replay("x", &trace, NULL, &options, VB_REPLAY_SYNTHETIC, &arena, &r, &err), VB_OK);
    cr_expect_eq(r.n_segments, 2);
    cr_expect_eq(r.peak_reserved_bytes, 22u << 20);
    cr_expect_eq(r.n_reserved, 0);
    vb_arena_clear(&arena);
}

Test(replay, a_free_of_nothing_is_told_with_its_line)
{
    struct vb_arena arena = { 0 };
    struct vb_trace trace;
    struct vb_error err = { 0 };
    struct vb_pool_options options = { 0 };
    struct vb_replay r;
    cr_assert_eq(
        vb_trace_parse("x.csv", START "2,0,free_requested,77,512,0\n", &arena, &trace, &err),
        VB_OK);
    cr_expect_eq(
        vb_trace_replay("x.csv", &trace, NULL, &options, VB_REPLAY_RECORDED, &arena, &r, &err),
        VB_E_INPUT);
    cr_expect_str_eq(err.text, "x.csv:4: frees 77, where nothing is");
    vb_arena_clear(&arena);
}

Test(trace, tells_file_and_line_of_what_it_cannot_read)
{
    static const char *const bad[] = {
        "",
        "a,b\n",
        "seq,time_us,action,addr,size,stream\n0,0,alloc,1,2\n",
        "seq,time_us,action,addr,size,stream\n0,0,jump,1,2,0\n",
        "seq,time_us,action,addr,size,stream\n0,0,alloc,-1,2,0\n",
        "seq,time_us,action,addr,size,stream\n0,0,alloc,1,2,0,7\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct vb_arena arena = { 0 };
        struct vb_trace trace;
        struct vb_error err = { 0 };
        cr_expect_eq(vb_trace_parse("x.csv", bad[i], &arena, &trace, &err), VB_E_INPUT, "%zu", i);
        cr_expect_eq(strncmp(err.text, i < 2 ? "x.csv:1:" : "x.csv:2:", 8), 0, "%s", err.text);
        vb_arena_clear(&arena);
    }
}
