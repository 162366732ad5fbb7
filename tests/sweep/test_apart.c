/* SPDX-License-Identifier: Apache-2.0 */
/* Points in processes of their own. What is executed here is a script that does as a measuring
 * program might: by its batch it answers, is killed, hangs, or ends without an answer. */

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sweep/apart.h"

static const char script[] =
    "#!/bin/sh\n"
    "case \"$*\" in\n"
    "*--batch=1\\ *) echo noise\n"
    "    exec %s \"$@\" --device=virtual:t4 ;;\n"
    "*--batch=2\\ *) kill -9 $$ ;;\n"
    "*--batch=3\\ *) exec sleep 60 ;;\n"
    "*--batch=4\\ *) exit 7 ;;\n"
    "*--batch=5\\ *) kill -INT $$ && kill -TERM $$ && kill -HUP $$\n"
    "    exec %s \"$@\" --device=virtual:t4 ;;\n"
    "*--batch=6\\ *) echo '{\"schema\": 1}' ;;\n"
    "*) test \"$OMP_NUM_THREADS$OMP_WAIT_POLICY\" = 3passive && exit 33 ;;\n"
    "esac\n";

struct world {
    char folder[32], program[64];
    struct vb_arena arena;
    struct vb_run_options options;
    struct vb_error err;
};

static void make_world(struct world *world)
{
    *world = (struct world){ .folder = "/tmp/vb_apart_XXXXXX" };
    cr_assert_neq(setenv("VRAMBENCH_CUDNN", "off", 1), -1);
    cr_assert_not_null(mkdtemp(world->folder));
    (void)snprintf(world->program, sizeof world->program, "%s/program", world->folder);
    FILE *file = fopen(world->program, "w");
    cr_assert_not_null(file);
    (void)fprintf(file, script, VB_PROGRAM, VB_PROGRAM);
    cr_assert_eq(fclose(file), 0);
    cr_assert_eq(chmod(world->program, 0700), 0);
    world->options = (struct vb_run_options){ .device = "cpu",
                                              .repro = "vrambench point",
                                              .program = world->program,
                                              .threads = 3,
                                              .timeout_seconds = 30 };
}

static void end_world(struct world *world)
{
    cr_expect_eq(unlink(world->program), 0);
    cr_expect_eq(rmdir(world->folder), 0);
    vb_arena_clear(&world->arena);
}

static struct vb_point a_point(uint32_t batch)
{
    struct vb_point point = vb_point_default();
    (void)snprintf(point.model, sizeof point.model, "yolov5n");
    point.batch = batch;
    point.imgsz = 64;
    return point;
}

static struct vb_record run(struct world *world, uint32_t batch, bool *was_stopped)
{
    const struct vb_point point = a_point(batch);
    struct vb_record record = { 0 };
    cr_assert_eq(
        vb_run_apart(&world->options, &point, &world->arena, &record, was_stopped, &world->err),
        VB_OK, "%s", world->err.text);
    return record;
}

Test(apart, an_answer_is_taken_from_among_other_lines)
{
    struct world world;
    bool was_stopped = true;
    make_world(&world);
    struct vb_record record = run(&world, 1, &was_stopped);
    cr_expect_eq(record.state, VB_STATE_OK, "%s", record.reason);
    cr_expect_eq(record.point.batch, 1);
    cr_expect_eq(record.point.imgsz, 64);
    cr_expect_gt(record.peak_reserved_bytes, 0);
    cr_expect_not(was_stopped);
    end_world(&world);
}

Test(apart, whatever_becomes_of_the_process_is_the_points_state)
{
    static const struct {
        uint32_t batch;
        const char *reason;
    } cases[] = {
        { 2, "ended by signal 9" },
        { 4, "ended with status 7" },
        { 6, "ended with status 0 and no record" },
        { 7, "ended with status 33" }, /* it was told three threads that sleep */
    };
    struct world world;
    make_world(&world);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool was_stopped = true;
        struct vb_record record = run(&world, cases[i].batch, &was_stopped);
        cr_expect_eq(record.state, VB_STATE_ERROR);
        cr_expect_eq(record.provenance, VB_MEASURED);
        cr_expect(strstr(record.reason, cases[i].reason) != NULL, "%s", record.reason);
        cr_expect(strstr(record.repro, "vrambench point --device cpu") == record.repro, "%s",
                  record.repro);
        cr_expect_eq(record.point.batch, cases[i].batch);
        cr_expect_str_eq(record.device, "cpu");
        cr_expect_not(was_stopped);
    }
    end_world(&world);
}

Test(apart, a_hang_is_ended_in_time)
{
    struct world world;
    bool was_stopped = true;
    make_world(&world);
    world.options.timeout_seconds = 1;
    const time_t start = time(NULL);
    struct vb_record record = run(&world, 3, &was_stopped);
    cr_expect_eq(record.state, VB_STATE_TIMEOUT);
    cr_expect(strstr(record.reason, "not done after 1 s") != NULL, "%s", record.reason);
    cr_expect_not(was_stopped);
    cr_expect_lt(difftime(time(NULL), start), 20);
    end_world(&world);
}

Test(apart, a_stop_ends_the_process_and_leaves_no_record)
{
    struct world world;
    const int stop = 1;
    bool was_stopped = false;
    make_world(&world);
    world.options.stop = &stop;
    (void)run(&world, 3, &was_stopped);
    cr_expect(was_stopped);
    end_world(&world);
}

Test(apart, a_process_that_is_asked_to_end_before_its_sweep_goes_on)
{
    struct world world;
    bool was_stopped = true;
    make_world(&world);
    struct vb_record record = run(&world, 5, &was_stopped);
    cr_expect_eq(record.state, VB_STATE_OK, "%s", record.reason);
    cr_expect_not(was_stopped);
    end_world(&world);
}

Test(apart, a_sweep_goes_on_after_a_process_that_was_killed)
{
    struct world world;
    struct vb_point points[3] = { a_point(1), a_point(2), a_point(4) };
    struct vb_sweep sweep = { .points = points, .n_points = 3 };
    struct vb_record records[3] = { 0 };
    struct vb_rows none = { 0 };
    struct vb_run_counts counts;
    struct vb_journal *journal = NULL;
    char path[80];
    make_world(&world);
    cr_assert_eq(vb_journal_open(world.folder, true, &journal, &world.err), VB_OK);
    cr_assert_eq(vb_run_sweep(&sweep, &world.options, &none, journal, &world.arena, records,
                              &counts, &world.err),
                 VB_OK, "%s", world.err.text);
    vb_journal_close(journal);
    cr_expect_eq(counts.n_run, 3);
    cr_expect_eq(counts.n_failed, 2);
    cr_expect_eq(records[0].state, VB_STATE_OK);
    cr_expect_gt(records[0].n_curve, 0);
    (void)snprintf(path, sizeof path, "%s/rows.jsonl", world.folder);
    cr_expect_eq(unlink(path), 0);
    end_world(&world);
}
