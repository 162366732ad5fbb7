/* SPDX-License-Identifier: Apache-2.0 */
/* The grid, the runner and the journal together, with a measurement of the test's own. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sweep/grid.h"
#include "sweep/runner.h"

static int n_measured;

/* Memory is batch x imgsz: more than 2000 does not fit; batch 3 fails. */
static enum vb_status measure(const struct vb_point *point, struct vb_device *device,
                              bool with_curve, struct vb_arena *arena, struct vb_record *record,
                              struct vb_error *err)
{
    (void)device;
    (void)with_curve;
    (void)arena;
    n_measured++;
    *record = (struct vb_record){ .point = *point, .provenance = VB_PLANNED };
    if (point->batch == 3)
        return vb_fail(err, VB_E_INPUT, "three is refused");
    record->peak_reserved_bytes = (uint64_t)point->batch * point->imgsz;
    record->state = record->peak_reserved_bytes > 2000 ? VB_STATE_OOM : VB_STATE_OK;
    return VB_OK;
}

struct world {
    struct vb_arena arena;
    struct vb_sweeps sweeps;
    struct vb_record records[64];
    struct vb_run_counts counts;
    char folder[64];
};

static void make_world(struct world *world, const char *text)
{
    static const struct vb_overrides none;
    struct vb_error err = { 0 };
    struct vb_ini ini;
    *world = (struct world){ .folder = "/tmp/vb_runner_XXXXXX" };
    cr_assert_not_null(mkdtemp(world->folder));
    cr_assert_eq(vb_ini_parse("t.ini", text, &world->arena, &ini, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_grid_expand("t.ini", &ini, &none, &world->arena, &world->sweeps, &err), VB_OK,
                 "%s", err.text);
}

static void run(struct world *world, struct vb_run_options *options)
{
    struct vb_error err = { 0 };
    struct vb_rows rows;
    struct vb_journal *journal = NULL;
    options->measure = measure;
    options->device = "virtual:t4";
    options->repro = "vrambench estimate";
    n_measured = 0;
    memset(world->records, 0, sizeof world->records);
    cr_assert_eq(vb_journal_read(world->folder, &world->arena, &rows, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_journal_open(world->folder, false, &journal, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_run_sweep(&world->sweeps.items[0], options, &rows, journal, &world->arena,
                              world->records, &world->counts, &err),
                 VB_OK, "%s", err.text);
    vb_journal_close(journal);
}

static void end_world(struct world *world)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", world->folder);
    cr_expect_eq(system(command), 0);
    vb_arena_clear(&world->arena);
}

static const char small[] = "[axes]\nmodel=yolov5n\nbatch=1,2,3,4\nimgsz=320,640\n";

Test(runner, journals_every_point_and_takes_none_twice)
{
    struct world world;
    struct vb_run_options options = { .jobs = 1 };
    setenv("VRAMBENCH_CUDNN", "off", 1);
    make_world(&world, small);
    run(&world, &options);
    cr_expect_eq(n_measured, 8);
    cr_expect_eq(world.counts.n_failed, 2, "batch 3 twice");
    cr_expect_eq(world.counts.n_oom, 1, "4 x 640");
    cr_expect_eq(world.records[7].state, VB_STATE_OOM);
    cr_expect_str_eq(world.records[4].reason, "three is refused");
    cr_expect(strstr(world.records[4].repro, "--batch 3") != NULL, "%s", world.records[4].repro);
    run(&world, &options);
    cr_expect_eq(n_measured, 0, "all is known");
    cr_expect_eq(world.counts.n_kept, 8);
    options.retry_failed = true;
    run(&world, &options);
    cr_expect_eq(n_measured, 2, "only what failed");
    end_world(&world);
}

Test(runner, several_jobs_give_the_same_records)
{
    struct world world;
    struct vb_run_options options = { .jobs = 3 };
    setenv("VRAMBENCH_CUDNN", "off", 1);
    make_world(&world, small);
    run(&world, &options);
    cr_expect_eq(world.counts.n_run, 8);
    cr_expect_eq(world.counts.n_oom, 1);
    for (size_t i = 0; i < 8; i++)
        cr_expect_eq(world.records[i].point.batch, 1 + i / 2, "grid order");
    end_world(&world);
}

Test(runner, a_backstop_skips_what_is_larger_than_what_ran_out)
{
    struct world world;
    struct vb_run_options options = { .jobs = 1, .backstop = true };
    setenv("VRAMBENCH_CUDNN", "off", 1);
    make_world(&world, "[axes]\nmodel=yolov5n\nbatch=4,5,6\nimgsz=320,640\n");
    run(&world, &options);
    cr_expect_eq(n_measured, 4, "4 x 320, 4 x 640 (ran out), 5 and 6 x 320");
    cr_expect_eq(world.records[3].state, VB_STATE_BACKSTOP);
    cr_expect_eq(world.records[5].state, VB_STATE_BACKSTOP);
    end_world(&world);
}

Test(grid, named_sections_stand_on_the_unnamed_and_the_last_axis_is_fastest)
{
    struct world world;
    make_world(&world, "[axes]\nmodel=yolov5n\nbatch=1,2\nimgsz=320\n[step]\noptimizer=adam\n"
                       "[axes big]\nimgsz=640,960\n[step big]\nema=off\n");
    const struct vb_sweep *big = &world.sweeps.items[0];
    cr_expect_eq(world.sweeps.n, 1);
    cr_expect_eq(big->n_points, 4);
    cr_expect_eq(big->points[1].batch, 1);
    cr_expect_eq(big->points[1].imgsz, 960);
    cr_expect_eq(big->points[0].optimizer, VB_ADAM);
    cr_expect_eq(big->points[0].ema, false);
    end_world(&world);
}

Test(record, is_read_back_as_it_was_written)
{
    struct world world;
    struct vb_run_options options = { .jobs = 1 };
    struct vb_rows rows;
    struct vb_error err = { 0 };
    setenv("VRAMBENCH_CUDNN", "off", 1);
    make_world(&world, small);
    run(&world, &options);
    cr_assert_eq(vb_journal_read(world.folder, &world.arena, &rows, &err), VB_OK);
    cr_assert_eq(rows.n, 8);
    for (size_t i = 0; i < rows.n; i++) {
        char *a = NULL, *b = NULL;
        cr_assert_eq(vb_record_print(&rows.items[i], &a, &err), VB_OK);
        cr_assert_eq(vb_record_print(&world.records[i], &b, &err), VB_OK);
        cr_expect_str_eq(a, b);
        free(a);
        free(b);
    }
    end_world(&world);
}
