/* SPDX-License-Identifier: Apache-2.0 */
/* What AutoBatch read, to a record's line and back. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/record.h"

Test(profile, comes_back_as_it_was_written)
{
    const struct vb_profile profiles[] = {
        { 0 },
        { 106954752, 59047936, 5, 2, { 360710144, 534773760 } },
        { 1, 0, 7, 7, { 1, 2, 3, 4, 5, 6, UINT64_C(80) << 30 } },
    };
    for (size_t i = 0; i < sizeof profiles / sizeof *profiles; i++) {
        struct vb_record record = { .point = vb_point_default(), .profile = profiles[i] }, back;
        struct vb_arena arena = { 0 };
        struct vb_error err = { 0 };
        char *line = NULL;
        cr_assert_eq(vb_record_print(&record, &line, &err), VB_OK, "%s", err.text);
        cr_assert_eq(vb_record_parse(line, &arena, &back, &err), VB_OK, "%s", err.text);
        cr_expect_eq(back.profile.before_reserved_bytes, profiles[i].before_reserved_bytes);
        cr_expect_eq(back.profile.before_allocated_bytes, profiles[i].before_allocated_bytes);
        cr_expect_eq(back.profile.n_sizes, profiles[i].n_sizes);
        cr_assert_eq(back.profile.n, profiles[i].n);
        for (uint32_t k = 0; k < profiles[i].n; k++)
            cr_expect_eq(back.profile.reserved_bytes[k], profiles[i].reserved_bytes[k]);
        free(line);
        vb_arena_clear(&arena);
    }
}

Test(profile, of_another_line_is_cut_to_the_sizes_that_there_are)
{
    struct vb_record record = { .point = vb_point_default(), .profile = { 1, 1, 1, 1, { 1 } } };
    struct vb_record back;
    struct vb_arena arena = { 0 };
    struct vb_error err = { 0 };
    char *line = NULL, text[4096];
    cr_assert_eq(vb_record_print(&record, &line, &err), VB_OK, "%s", err.text);
    char *at = strstr(line, "\"tried\":1,\"sizes\":[[1,1]]");
    cr_assert_not_null(at);
    (void)snprintf(text, sizeof text,
                   "%.*s\"tried\":99,\"sizes\":[1,[2],[4,-1],[8,8],[],{},7,8,9]%s",
                   (int)(at - line), line, at + strlen("\"tried\":1,\"sizes\":[[1,1]]"));
    cr_assert_eq(vb_record_parse(text, &arena, &back, &err), VB_OK, "%s", err.text);
    cr_expect_eq(back.profile.n_sizes, VB_N_PROFILED);
    cr_expect_eq(back.profile.n, VB_N_PROFILED);
    cr_expect_eq(back.profile.reserved_bytes[2], 0);
    cr_expect_eq(back.profile.reserved_bytes[3], 8);
    free(line);
    vb_arena_clear(&arena);
}
