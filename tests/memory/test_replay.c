/* SPDX-License-Identifier: Apache-2.0 */
/* Ten recordings of real processes (tests/data/traces): every allocation at its address, every
 * segment when and as large as it was, every block that is left. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

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

static void expect_equal(const char *name, size_t n_allocations)
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
    cr_assert_eq(vb_trace_replay(&trace, &end, &options, &arena, &r, &err), VB_OK, "%s", err.text);
    cr_expect_eq(r.n_allocations, n_allocations, "%s: %zu allocations", name, r.n_allocations);
    cr_expect_eq(r.n_at_address, r.n_allocations, "%s: line %zu", name, r.first_difference);
    cr_expect_eq(r.n_segments_same, r.n_segments, "%s: line %zu", name, r.first_difference);
    cr_expect_eq(r.first_difference, 0, "%s: line %zu", name, r.first_difference);
    size_t n_blocks = 0;
    for (size_t i = 0; i < end.n; i++)
        n_blocks += end.segments[i].n_blocks;
    cr_expect_eq(r.n_final, n_blocks, "%s", name);
    cr_expect_eq(r.n_final_same, n_blocks, "%s", name);
    free(text);
    free(json);
    vb_arena_clear(&arena);
}

Test(replay, equals_every_recording)
{
    expect_equal("snap_attn_peak", 36);
    expect_equal("snap_cs336_bcrafton", 2162);
    expect_equal("snap_cs336_magma", 1721);
    expect_equal("snap_cs336_n", 6488);
    expect_equal("snap_cs336_w_med1024_train", 7591);
    expect_equal("snap_cs336_w_med128_train", 6526);
    expect_equal("snap_cs336_w_med512_train", 7591);
    expect_equal("snap_decomfl", 7946);
    expect_equal("snap_fwd_bf16_128", 937);
    expect_equal("snap_fwd_fp32_128", 681);
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
