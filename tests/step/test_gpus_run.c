/* SPDX-License-Identifier: Apache-2.0 */
/* Whole runs on several GPUs: which rank does what. */

#include "gpus.h"

#include "step/run.h"

struct run_case {
    char model[16], trainer[32], torch[16];
    enum vb_strategy strategy;
    uint32_t rank;
    bool checks, draws, validates, keeps_average;
};

/* fp16, so that AMP is checked where a version does that at all. */
static const struct run_case cases[] = {
    { "yolov5n", "yolov5-7.0", "2.4.0", VB_DDP, 0, true, true, true, true },
    { "yolov5n", "yolov5-7.0", "2.4.0", VB_DDP, 1, true, false, false, false },
    { "yolov5n", "yolov5-6.0", "1.8", VB_DDP, 0, false, true, true, true },
    { "yolov5n", "yolov5-6.0", "1.8", VB_DDP, 1, false, false, false, false },
    { "yolov8n", "ultralytics-8.3.217", "2.4.0", VB_DDP, 0, true, false, true, true },
    { "yolov8n", "ultralytics-8.3.217", "2.4.0", VB_DDP, 1, false, false, false, false },
    { "yolov8n", "ultralytics-8.3.218", "2.4.0", VB_DDP, 0, true, false, true, true },
    { "yolov8n", "ultralytics-8.3.218", "2.4.0", VB_DDP, 1, false, false, true, true },
    { "yolov5n", "yolov5-7.0", "2.4.0", VB_DP, 0, true, true, true, true },
    { "yolov5n", "yolov5-7.0", "2.4.0", VB_DP, 1, false, false, false, false },
    { "yolov5n", "yolov5-7.0", "1.8", VB_DP, 1, false, false, false, false },
};

static void make_run(struct made *made, const struct vb_point *point)
{
    struct vb_description description;
    struct vb_error err = { 0 };
    *made = (struct made){ 0 };
    cr_assert_eq(vb_catalogue_describe(point->model, &made->arena, &description, &err), VB_OK);
    cr_assert_eq(vb_catalogue_expand(point->model, vb_loaded_of(point), point->imgsz, 0,
                                     &made->arena, &made->graph, &err),
                 VB_OK, "%s", err.text);
    cr_assert_eq(vb_recipe_find(point, vb_family_of(&made->graph), &made->recipe, &err), VB_OK,
                 "%s", err.text);
    cr_assert_eq(vb_run_build(&made->graph, &description, point, &made->recipe, &made->arena,
                              &made->program, &err),
                 VB_OK, "%s", err.text);
}

static bool has_part(const struct vb_program *program, enum vb_part part)
{
    for (size_t i = 0; i < program->n_instructions; i++) {
        if (program->instructions[i].kind == VB_MARK &&
            program->instructions[i].index == (uint32_t)VB_MARK_PART + part)
            return true;
    }
    return false;
}

static bool has_average(const struct vb_program *program)
{
    bool has = false;
    for (size_t i = 0; i < program->n_tensors; i++)
        has = has || program->tensors[i].category == VB_EMA;
    return has;
}

Test(gpus_run, each_rank_does_its_own)
{
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const struct run_case *want = &cases[c];
        struct vb_point point = small_point(want->model);
        struct made made;
        (void)snprintf(point.trainer, sizeof point.trainer, "%.31s", want->trainer);
        (void)snprintf(point.torch, sizeof point.torch, "%.15s", want->torch);
        point.precision = VB_FP16;
        point.workload = VB_WHOLE_RUN;
        point.accumulate = 0;
        point.batch = 16;
        point.gpus = 2;
        point.strategy = want->strategy;
        point.rank = want->rank;
        make_run(&made, &point);
        struct alive alive = begin_walk(&made.program);
        walk(&alive, 0, made.program.n_instructions);
        cr_expect_eq(has_part(&made.program, VB_PART_CHECK), want->checks, "case %zu", c);
        cr_expect_eq(has_part(&made.program, VB_PART_DRAW), want->draws, "case %zu", c);
        cr_expect_eq(has_part(&made.program, VB_PART_VALIDATION), want->validates, "case %zu", c);
        cr_expect_eq(has_average(&made.program), want->keeps_average, "case %zu", c);
        if (want->strategy == VB_DP && want->rank > 0)
            cr_expect_eq(alive.bytes, 0u, "case %zu: a copy leaves %lu B", c, alive.bytes);
        free(alive.is);
        vb_arena_clear(&made.arena);
    }
}
