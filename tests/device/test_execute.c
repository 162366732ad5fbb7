/* SPDX-License-Identifier: Apache-2.0 */
/* Runs on a GPU that need not be there: what their parts come to, what a recipe's policy of the
 * cache changes, what autotuning leaves, what loading all kernels costs. */

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "device/execute.h"
#include "model/catalogue.h"
#include "step/run.h"

/* With nothing asked of cuDNN, so that answers are the same on every machine. */
static struct vb_device *open_device(const char *name)
{
    struct vb_device *device = NULL;
    struct vb_error err = { 0 };
    cr_assert_eq(setenv("VRAMBENCH_CUDNN", "off", 1), 0);
    cr_assert_eq(vb_device_open(name, &device, &err), VB_OK, "%s", err.text);
    return device;
}

static struct vb_point a_run(const char *model, const char *trainer, uint32_t batch)
{
    struct vb_point point = vb_point_default();
    (void)snprintf(point.model, sizeof point.model, "%s", model);
    (void)snprintf(point.trainer, sizeof point.trainer, "%s", trainer);
    point.workload = VB_WHOLE_RUN;
    point.precision = VB_FP16;
    point.batch = batch;
    point.imgsz = 320;
    return point;
}

static struct vb_record plan(const struct vb_point *point)
{
    struct vb_device *device = open_device("virtual:t4");
    struct vb_arena arena = { 0 };
    struct vb_error err = { 0 };
    struct vb_description description;
    struct vb_graph graph;
    struct vb_recipe recipe;
    struct vb_program program;
    struct vb_record record = { .point = *point };
    cr_assert_eq(vb_catalogue_describe(point->model, &arena, &description, &err), VB_OK);
    cr_assert_eq(
        vb_catalogue_expand(point->model, point->batch, point->imgsz, 0, &arena, &graph, &err),
        VB_OK);
    cr_assert_eq(vb_recipe_find(point, vb_family_of(&graph), &recipe, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_run_build(&graph, &description, point, &recipe, &arena, &program, &err), VB_OK);
    cr_assert_eq(vb_execute(&program, point, device, false, &arena, &record, &err), VB_OK, "%s",
                 err.text);
    vb_arena_clear(&arena);
    vb_device_close(device);
    return record;
}

Test(execute, has_each_part_of_a_run_and_the_largest_is_the_peak)
{
    struct vb_point point = a_run("yolov8n", "ultralytics-8.3.100", 4);
    struct vb_record record = plan(&point);
    uint64_t allocated_bytes = 0, reserved_bytes = 0;
    cr_assert_eq(record.state, VB_STATE_OK);
    for (int i = 0; i < VB_N_PARTS; i++) {
        const struct vb_part_peaks *part = &record.parts[i];
        cr_expect_eq(part->allocated_bytes > 0, i != VB_PART_LARGEST, "%s", vb_part_names[i]);
        cr_expect_leq(part->allocated_bytes, part->reserved_bytes, "%s", vb_part_names[i]);
        if (part->allocated_bytes > allocated_bytes)
            allocated_bytes = part->allocated_bytes;
        if (part->reserved_bytes > reserved_bytes)
            reserved_bytes = part->reserved_bytes;
    }
    cr_expect_eq(record.peak_allocated_bytes, allocated_bytes);
    cr_expect_eq(record.peak_reserved_bytes, reserved_bytes);
    cr_expect_geq(record.parts[record.peak_part].reserved_bytes, reserved_bytes / 100 * 95);
    cr_expect_eq(record.peak_device_bytes, reserved_bytes + record.context_bytes);
}

Test(execute, of_a_larger_size_peaks_there)
{
    struct vb_point point = a_run("yolov5s", "", 16);
    struct vb_record plain = plan(&point);
    point.multiscale = true;
    struct vb_record scaled = plan(&point);
    cr_expect_gt(scaled.peak_reserved_bytes, plain.peak_reserved_bytes * 3 / 2);
    cr_expect_eq(scaled.peak_part, VB_PART_LARGEST);
}

/* 8.0.59 empties the cache after each epoch, 8.0.20 does not. */
Test(execute, prints_less_later_where_the_cache_is_emptied)
{
    struct vb_point point = a_run("yolov8n", "ultralytics-8.0.20", 8);
    struct vb_record kept = plan(&point);
    (void)snprintf(point.trainer, sizeof point.trainer, "ultralytics-8.0.59");
    struct vb_record emptied = plan(&point);
    cr_expect_eq(kept.epoch_reserved_bytes, emptied.epoch_reserved_bytes);
    cr_expect_geq(kept.later_reserved_bytes, kept.epoch_reserved_bytes);
    cr_expect_lt(emptied.later_reserved_bytes, kept.later_reserved_bytes);
}

Test(execute, tells_in_which_part_memory_ran_out)
{
    struct vb_point point = a_run("yolov8n", "", 1024);
    struct vb_record record = plan(&point);
    cr_assert_eq(record.state, VB_STATE_OOM);
    cr_expect_eq(record.oom_part, VB_PART_FIRST);
    cr_expect_gt(record.oom_asked_bytes, record.oom_free_bytes);
    cr_expect_eq(record.later_reserved_bytes, 0);
}

/* PyTorch loads kernels when they are first used from 1.13 on. */
Test(execute, leaves_less_where_all_kernels_are_loaded)
{
    struct vb_point point = a_run("yolov5n", "", 2);
    struct vb_record lazy = plan(&point);
    (void)snprintf(point.torch, sizeof point.torch, "1.12.0");
    struct vb_record eager = plan(&point);
    cr_expect_gt(eager.context_bytes, lazy.context_bytes);
    cr_expect_eq(eager.usable_bytes + eager.context_bytes, lazy.usable_bytes + lazy.context_bytes);
}

/* A block that comes and goes, then a convolution: twice. */
static struct vb_record run_twice(bool benchmark)
{
    struct vb_device *device = open_device("virtual:t4");
    struct vb_arena arena = { 0 };
    struct vb_error err = { 0 };
    struct vb_point point = vb_point_default();
    struct vb_record record = { .point = point };
    struct vb_program program = { .arena = &arena, .benchmark = benchmark, .lazy_modules = true };
    const struct vb_call_window window = {
        .n = 1,
        .c = 8,
        .h = 16,
        .w = 16,
        .k = 8,
        .window = { .kernel_h = 1, .kernel_w = 1, .stride = 1, .dilation = 1 },
        .groups = 1,
    };
    const struct vb_call conv = {
        .op = VB_OP_CONV, .dtype = VB_FLOAT32, .module = "", .window = &window
    };
    for (uint32_t i = 0; i < 2; i++) {
        const struct vb_tensor block = { .name = "block", .bytes = VB_MIB(64 + 64 * i) };
        uint32_t index = vb_program_tensor(&program, &block);
        vb_program_emit(&program, VB_ALLOC, index);
        vb_program_emit(&program, VB_FREE, index);
        vb_program_run(&program, &conv);
    }
    program.loop_start = program.loop_end = program.n_instructions;
    cr_assert_eq(vb_execute(&program, &point, device, false, &arena, &record, &err), VB_OK, "%s",
                 err.text);
    vb_arena_clear(&arena);
    vb_device_close(device);
    return record;
}

/* The first empties the cache of 64 MiB; the second is no new question and leaves its 128. */
Test(execute, times_each_question_once_and_empties_the_cache_then)
{
    struct vb_record plain = run_twice(false), timed = run_twice(true);
    cr_expect_eq(plain.end_reserved_bytes - timed.end_reserved_bytes, VB_MIB(64));
    cr_expect_geq(timed.end_reserved_bytes, VB_MIB(128));
}
