/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "record/record.h"

static struct vb_record with_two(void)
{
    struct vb_record record = { .point = vb_point_default(),
                                .state = VB_STATE_OK,
                                .n_ranks = 2,
                                .heaviest_rank = 1,
                                .nccl_low_bytes = 5,
                                .nccl_high_bytes = 50 };
    record.point.gpus = 2;
    record.point.world = 6;
    record.point.zero = 1;
    record.point.bucket_view = true;
    record.ranks[0] = (struct vb_rank_peaks){ 10, 20 };
    record.ranks[1] = (struct vb_rank_peaks){ 30, 40 };
    return record;
}

Test(ranks, are_kept)
{
    struct vb_record record = with_two(), read;
    struct vb_arena arena = { 0 };
    struct vb_error err = { 0 };
    char *line = NULL;
    cr_assert_eq(vb_record_print(&record, &line, &err), VB_OK);
    cr_assert_eq(vb_record_parse(line, &arena, &read, &err), VB_OK, "%s", err.text);
    cr_expect_eq(read.point.gpus, 2u);
    cr_expect_eq(read.point.strategy, VB_DDP);
    cr_expect_eq(read.point.world, 6u);
    cr_expect_eq(read.point.zero, 1u);
    cr_expect(read.point.bucket_view);
    cr_expect_eq(read.n_ranks, 2u);
    cr_expect_eq(read.heaviest_rank, 1u);
    cr_expect_eq(read.nccl_low_bytes, 5u);
    cr_expect_eq(read.nccl_high_bytes, 50u);
    for (int r = 0; r < 2; r++) {
        cr_expect_eq(read.ranks[r].allocated_bytes, record.ranks[r].allocated_bytes);
        cr_expect_eq(read.ranks[r].reserved_bytes, record.ranks[r].reserved_bytes);
    }
    free(line);
    vb_arena_clear(&arena);
}

/* So records of before there were several GPUs are those of today. */
Test(ranks, one_gpu_says_nothing)
{
    struct vb_record record = { .point = vb_point_default(), .state = VB_STATE_OK }, read;
    struct vb_arena arena = { 0 };
    struct vb_error err = { 0 };
    char id[17], other_id[17];
    char *line = NULL;
    record.point.strategy = VB_DP;
    record.point.bucket_view = true;
    cr_assert_eq(vb_record_print(&record, &line, &err), VB_OK);
    cr_expect_null(strstr(line, "gpus"), "%s", line);
    cr_expect_null(strstr(line, "strategy"), "%s", line);
    cr_expect_null(strstr(line, "ranks"), "%s", line);
    cr_assert_eq(vb_record_parse(line, &arena, &read, &err), VB_OK, "%s", err.text);
    cr_expect_eq(read.point.gpus, 1u);
    struct vb_point usual = vb_point_default();
    vb_record_cell_id(&usual, "virtual:t4", id);
    vb_record_cell_id(&record.point, "virtual:t4", other_id);
    cr_expect_str_eq(id, other_id);
    record = with_two();
    vb_record_cell_id(&record.point, "virtual:t4", other_id);
    cr_expect_str_neq(id, other_id);
    free(line);
    vb_arena_clear(&arena);
}

Test(ranks, refuses_what_it_never_wrote)
{
    struct vb_record record = with_two(), read;
    struct vb_arena arena = { 0 };
    struct vb_error err = { 0 };
    char *line = NULL;
    cr_assert_eq(vb_record_print(&record, &line, &err), VB_OK);
    char *at = strstr(line, "\"heaviest_rank\":1");
    cr_assert_not_null(at);
    at[strlen("\"heaviest_rank\":")] = '-';
    cr_expect_eq(vb_record_parse(line, &arena, &read, &err), VB_E_INPUT);
    at[strlen("\"heaviest_rank\":")] = '1';
    at = strstr(line, "\"strategy\":\"ddp\"");
    cr_assert_not_null(at);
    at[strlen("\"strategy\":\"")] = 'x';
    cr_expect_eq(vb_record_parse(line, &arena, &read, &err), VB_E_INPUT);
    cr_expect(strstr(err.text, "strategy") != NULL, "%s", err.text);
    free(line);
    vb_arena_clear(&arena);
}
