/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "memory/trace_totals.h"

#define HEADER "seq,ts_us,tid,device,addr,bytes,total_allocated,total_reserved\n"

Test(trace_totals, of_recordings_add_up)
{
    static const struct {
        const char *name;
        size_t n_events, n_devices;
    } cases[] = {
        { "chrome_mi300_qwen05", 2588, 1 },
        { "chrome_mi300_timesformer", 1302, 1 },
        { "chrome_perf_norm_layer", 415, 1 },
        { "chrome_qa_transformer_a", 120, 1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[512];
        char *text = NULL;
        size_t bytes = 0;
        struct vb_error err = { 0 };
        struct vb_trace_totals totals;
        (void)snprintf(path, sizeof path, "%s/traces/%s.csv", VB_TEST_DATA, cases[i].name);
        cr_assert_eq(vb_file_read(path, 1 << 28, &text, &bytes, &err), VB_OK, "%s", err.text);
        cr_assert_eq(vb_trace_check_totals(path, text, &totals, &err), VB_OK, "%s", err.text);
        cr_expect_eq(totals.n_events, cases[i].n_events, "%s", cases[i].name);
        cr_expect_eq(totals.n_sums, cases[i].n_events - cases[i].n_devices, "%s", cases[i].name);
        cr_expect_eq(totals.n_sums_same, totals.n_sums, "%s", cases[i].name);
        cr_expect_eq(totals.n_below_reserved, totals.n_events, "%s", cases[i].name);
        cr_expect_eq(totals.first_difference, 0, "%s", cases[i].name);
        free(text);
    }
}

Test(trace_totals, devices_have_sums_of_their_own)
{
    struct vb_trace_totals totals;
    struct vb_error err;
    cr_assert_eq(vb_trace_check_totals("x",
                                       HEADER "0,0,1,0,7,512,1024,4096\n"
                                              "1,1,1,1,7,512,512,4096\r\n\n"
                                              "2,2,1,0,7,-512,512,4096\n"
                                              "3,3,1,1,7,512,1024,4096",
                                       &totals, &err),
                 VB_OK);
    cr_expect_eq(totals.n_events, 4);
    cr_expect_eq(totals.n_sums, 2);
    cr_expect_eq(totals.n_sums_same, 2);
    cr_expect_eq(totals.peak_allocated_bytes, 1024);
    cr_expect_eq(totals.first_difference, 0);
}

Test(trace_totals, the_first_line_that_differs_is_told)
{
    static const char *const rows[] = {
        HEADER "0,0,1,0,7,512,1024,4096\n1,1,1,0,7,512,1535,4096\n2,2,1,0,7,1,1,4096\n",
        HEADER "0,0,1,0,7,512,1024,4096\n1,1,1,0,7,512,1536,1535\n",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct vb_trace_totals totals;
        struct vb_error err;
        cr_assert_eq(vb_trace_check_totals("x", rows[i], &totals, &err), VB_OK);
        cr_expect_eq(totals.first_difference, 3, "%zu: %zu", i, totals.first_difference);
    }
}

Test(trace_totals, tell_file_and_line_of_what_they_cannot_read)
{
    static const char *const bad[] = {
        "",
        "seq,time_us,action,addr,size,stream\n",
        HEADER "0,0,1,0,7,512,1024\n",
        HEADER "0,0,1,0,7,512,1024,4096,1\n",
        HEADER "0,0,1,0,7,--512,1024,4096\n",
        HEADER "0,0,1,0,7,512,-1024,4096\n",
        HEADER "0,0,1,0,7,512, 1024,4096\n",
        HEADER "0,0,1,0,7,9223372036854775808,1024,4096\n",
        HEADER "0,0,1,0,7,512,18446744073709551616,4096\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct vb_trace_totals totals;
        struct vb_error err = { 0 };
        cr_expect_eq(vb_trace_check_totals("x.csv", bad[i], &totals, &err), VB_E_INPUT, "%zu", i);
        cr_expect_eq(strncmp(err.text, i < 2 ? "x.csv:1:" : "x.csv:2:", 8), 0, "%s", err.text);
    }
}
