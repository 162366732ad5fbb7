/* SPDX-License-Identifier: Apache-2.0 */
/* YOLOv5's loss as a program, interpreted, against the same loss written as loops over boxes: its
 * value, and the predictions' gradients against that one's differences. And the matches that the
 * host counts against those that the program finds, with each operator rounded to fp32. */

#include <criterion/criterion.h>
#include <string.h>

#include "interpret.h"
#include "model/catalogue.h"
#include "plain_v5.h"
#include "step/build.h"
#include "step/loss.h"
#include "step/match_v5.h"
#include "step/math.h"

/* A loss on predictions that nobody made. */
struct traced {
    struct vb_arena arena;
    struct vb_graph graph;
    struct vb_program program;
    struct vb_tape tape;
    struct vb_targets targets;
    struct vb_loss_constants constants;
    struct vb_variable predictions[MAX_LEVELS];
    struct vb_variable gradients[MAX_LEVELS];
    struct vb_loss loss;
    size_t n_made; /* instructions that make the predictions */
};

static uint32_t state;
static double next(void)
{
    state = state * 1664525u + 1013904223u;
    return (double)(state >> 8) / 16777216.0;
}

static void begin(struct traced *t, const char *model, uint32_t imgsz, const struct vb_torch *torch)
{
    static const char *names[MAX_LEVELS] = { "p0", "p1", "p2", "p3" };
    struct vb_error err = { 0 };
    *t = (struct traced){ 0 };
    cr_assert_eq(vb_catalogue_expand(model, BATCH, imgsz, CLASSES, &t->arena, &t->graph, &err),
                 VB_OK, "%s", err.text);
    cr_assert_leq(t->graph.n_levels, MAX_LEVELS);
    t->program = (struct vb_program){ .arena = &t->arena, .layout = VB_IN_ORDER };
    t->tape = (struct vb_tape){ .program = &t->program,
                                .torch = torch,
                                .module = "",
                                .gradients = t->gradients,
                                .n_parameters = t->graph.n_levels,
                                .parameter_names = names };
    size_t row = (size_t)2 * t->graph.levels[0].n_anchors;
    float *cells = vb_arena_alloc(&t->arena, t->graph.n_levels * row, sizeof *cells);
    for (uint32_t i = 0; i < t->graph.n_levels; i++) {
        vb_anchors_in_cells(&t->graph.levels[i], cells + i * row);
        t->gradients[i] = vb_undefined;
    }
    t->constants.anchors =
        vb_make(&t->tape, &(struct vb_call){ .op = VB_OP_UPLOAD, .data = cells },
                &VB_SHAPE(t->graph.n_levels, t->graph.levels[0].n_anchors, 2), VB_FLOAT32, NULL, 0);
}

/* Grids that are not square tell rows from columns. */
static void widen(struct traced *t)
{
    for (uint32_t i = 0; i < t->graph.n_levels; i++)
        t->graph.levels[i].grid_w += 1 + i;
}

static void trace_loss(struct traced *t, enum vb_dtype dtype)
{
    const struct vb_call one = { .op = VB_OP_FILL, .a = 1 };
    t->constants.class_weight = vb_make(&t->tape, &one, &VB_SHAPE(1), VB_FLOAT32, NULL, 0);
    t->constants.objectness_weight = vb_make(&t->tape, &one, &VB_SHAPE(1), VB_FLOAT32, NULL, 0);
    for (uint32_t i = 0; i < t->graph.n_levels; i++) {
        const struct vb_level *level = &t->graph.levels[i];
        t->predictions[i] = vb_tape_new(
            &t->tape, "prediction",
            &VB_SHAPE(BATCH, level->n_anchors, level->grid_h, level->grid_w, VALUES), dtype);
        t->predictions[i].requires_grad = true;
        t->predictions[i].parameter = i;
    }
    t->n_made = t->program.n_instructions;
    t->tape.autocast = dtype != VB_FLOAT32;
    t->tape.autocast_dtype = dtype;
    t->loss = vb_loss_v5(&t->tape, &t->graph, t->predictions, &t->targets, &t->constants);
    vb_tape_autocast_end(&t->tape);
    vb_tape_backward(&t->tape, t->loss.total);
    cr_assert(!t->program.failed);
}

/* `n` boxes of the first `images` images. */
static void draw_boxes(struct traced *t, uint32_t n, uint32_t images)
{
    struct vb_target *items = vb_arena_alloc(&t->arena, n + 1, sizeof *items);
    for (uint32_t i = 0; i < n; i++)
        items[i] =
            (struct vb_target){ (uint32_t)(next() * images),   (uint32_t)(next() * CLASSES),
                                (float)(0.02 + 0.96 * next()), (float)(0.02 + 0.96 * next()),
                                (float)(0.02 + 0.8 * next()),  (float)(0.02 + 0.8 * next()) };
    t->targets = (struct vb_targets){ .items = items, .n = n };
}

static size_t elements_of(const struct vb_variable *x)
{
    return (size_t)interpret_elements(&x->shape);
}

/* Predictions, the same for the program and for the plain loss. */
static void give_predictions(const struct traced *t, struct interpreter *in, struct plain *plain)
{
    *plain = (struct plain){ .graph = &t->graph, .targets = &t->targets };
    plain->alphas = calloc((size_t)t->targets.n * 3 * WAYS * MAX_LEVELS + 1, sizeof(double));
    interpret(in, 0, t->n_made);
    for (uint32_t l = 0; l < t->graph.n_levels; l++) {
        size_t n = elements_of(&t->predictions[l]);
        plain->predictions[l] = calloc(n, sizeof(double));
        plain->wanted[l] = calloc(n / VALUES, sizeof(double));
        for (size_t i = 0; i < n; i++)
            plain->predictions[l][i] = (double)(float)(4 * next() - 2);
        memcpy(in->values[t->predictions[l].storage], plain->predictions[l], n * sizeof(double));
    }
    interpret(in, t->n_made, t->program.n_instructions);
}

static void expect_near(double value, double expected, double tolerance, const char *what)
{
    cr_expect(fabs(value - expected) <= tolerance * fmax(fabs(expected), 1), "%s: %.12g, not %.12g",
              what, value, expected);
}

/* Every seventh gradient of the program, so some of each column, against differences of the plain
 * loss. */
static void compare_gradients(const struct traced *t, const struct interpreter *in,
                              struct plain *plain)
{
    const double step = 1e-5;
    for (uint32_t l = 0; l < t->graph.n_levels; l++) {
        const double *gradient = in->values[t->gradients[l].storage];
        size_t n = elements_of(&t->predictions[l]);
        cr_assert_not_null(gradient);
        cr_assert_eq(elements_of(&t->gradients[l]), n);
        for (size_t i = l; i < n; i += 7) {
            double *x = &plain->predictions[l][i], here = *x;
            *x = here + step;
            double above = plain_loss(plain);
            *x = here - step;
            double below = plain_loss(plain);
            *x = here;
            expect_near(gradient[i], (above - below) / (2 * step), 1e-8, "a gradient");
        }
    }
}

static void drop(struct traced *t, struct interpreter *in, struct plain *plain)
{
    for (uint32_t l = 0; l < MAX_LEVELS; l++) {
        free(plain->predictions[l]);
        free(plain->wanted[l]);
    }
    free(plain->alphas);
    interpreter_close(in);
    vb_arena_clear(&t->arena);
}

static const struct vb_torch torch_1 = { .sums_in_place = false };
static const struct vb_torch torch_2 = { .sums_in_place = true, .lean_bce = true };

static const struct loss_case {
    const char *what, *model;
    uint32_t n, images;
    const struct vb_torch *torch;
    enum vb_dtype dtype;
    bool rounds;
    double tolerance; /* of the value */
} loss_cases[] = {
    { "as PyTorch 2", "yolov5n", 7, 2, &torch_2, VB_FLOAT32, false, 1e-12 },
    { "as PyTorch 1", "yolov5n", 7, 2, &torch_1, VB_FLOAT32, false, 1e-12 },
    { "autocast", "yolov5n", 7, 2, &torch_2, VB_FLOAT16, false, 1e-12 },
    { "four levels", "yolov5n6", 5, 2, &torch_2, VB_FLOAT32, false, 1e-12 },
    { "boxes that share cells", "yolov5n", 60, 1, &torch_2, VB_FLOAT32, false, 1e-12 },
    { "an empty image and levels", "yolov5n", 1, 1, &torch_2, VB_FLOAT32, false, 1e-12 },
    { "no box", "yolov5n", 0, 1, &torch_2, VB_FLOAT32, false, 1e-12 },
    { "rounded to fp32", "yolov5n", 7, 2, &torch_2, VB_FLOAT32, true, 1e-6 },
};

static void run_case(const struct loss_case *c)
{
    struct traced t;
    struct plain plain;
    state = 7;
    begin(&t, c->model, 64, c->torch);
    widen(&t);
    draw_boxes(&t, c->n, c->images);
    trace_loss(&t, c->dtype);
    struct interpreter in = interpreter_open(&t.program, c->rounds);
    give_predictions(&t, &in, &plain);
    double expected = plain_loss(&plain);
    const double parts[] = { plain.box, plain.objectness, plain.class };
    expect_near(*in.values[t.loss.total.storage], expected, c->tolerance, c->what);
    for (int i = 0; i < 3; i++)
        expect_near(in.values[t.loss.items.storage][i], parts[i], c->tolerance, c->what);
    if (!c->rounds)
        compare_gradients(&t, &in, &plain);
    drop(&t, &in, &plain);
}

Test(loss_v5, is_the_loss_of_loops_over_boxes)
{
    for (size_t i = 0; i < sizeof loss_cases / sizeof *loss_cases; i++)
        run_case(&loss_cases[i]);
}

/* Sides and centres at which a comparison is about to change: thresholds in cells, over the grid,
 * with the floats beside them. */
static float at_threshold(const struct vb_graph *graph, bool is_side)
{
    const struct vb_level *level = &graph->levels[(uint32_t)(next() * graph->n_levels)];
    uint32_t i = (uint32_t)(next() * 2 * level->n_anchors);
    uint32_t grid = i % 2 == 0 ? level->grid_w : level->grid_h;
    double cells = floor(next() * 2 * grid) / 2;
    if (is_side)
        cells = (double)(level->anchors[i] / (float)level->stride) * (next() < 0.5 ? 4 : 0.25);
    float x = (float)(cells / grid);
    double where = next();
    if (where < 0.33)
        return nextafterf(x, 0);
    return where < 0.66 ? nextafterf(x, 2) : x;
}

/* The interpreter fails where as many are not true as the host has counted. */
static void match_boxes(const char *model, uint32_t imgsz, uint32_t n)
{
    struct traced t;
    struct vb_match matches[MAX_LEVELS];
    begin(&t, model, imgsz, &torch_2);
    widen(&t);
    draw_boxes(&t, n, BATCH);
    float *rows = vb_arena_alloc(&t.arena, n, 6 * sizeof *rows);
    for (uint32_t i = 0; i < n; i++) {
        struct vb_target *box = (struct vb_target *)&t.targets.items[i];
        float *const numbers[] = { &box->cx, &box->cy, &box->w, &box->h };
        for (int k = 0; k < 4; k++) {
            if (next() < 0.6)
                *numbers[k] = at_threshold(&t.graph, k >= 2);
            rows[6 * i + 2 + (uint32_t)k] = *numbers[k];
        }
        rows[6 * i] = (float)box->image;
        rows[6 * i + 1] = (float)box->label;
    }
    struct vb_variable boxes =
        vb_make(&t.tape, &(struct vb_call){ .op = VB_OP_UPLOAD, .data = rows }, &VB_SHAPE(n, 6),
                VB_FLOAT32, NULL, 0);
    vb_match_targets(&t.tape, &t.graph, &t.targets, boxes, t.constants.anchors, matches);
    struct interpreter in = interpreter_open(&t.program, true);
    interpret(&in, 0, t.program.n_instructions);
    interpreter_close(&in);
    vb_arena_clear(&t.arena);
}

Test(loss_v5, finds_as_many_matches_as_the_host)
{
    static const uint32_t sizes[] = { 64, 320, 416, 640, 736, 1312 };
    state = 1;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        match_boxes("yolov5s", sizes[i], 1500);
    match_boxes("yolov5n6", 1280, 1500);
}

/* The boxes that are drawn where a point gives only their number: clipped to the image. */
Test(loss_v5, finds_as_many_matches_of_drawn_boxes)
{
    struct vb_point point = vb_point_default();
    struct traced t;
    point.batch = BATCH;
    point.targets = 300;
    begin(&t, "yolov5s", 640, &torch_2);
    t.targets = vb_targets_even(&t.arena, &point);
    for (uint32_t i = 0; i < t.targets.n; i++)
        ((struct vb_target *)&t.targets.items[i])->label %= CLASSES;
    trace_loss(&t, VB_FLOAT32);
    struct interpreter in = interpreter_open(&t.program, true);
    interpret(&in, 0, t.n_made);
    for (uint32_t l = 0; l < t.graph.n_levels; l++)
        memset(in.values[t.predictions[l].storage], 0,
               elements_of(&t.predictions[l]) * sizeof(double));
    interpret(&in, t.n_made, t.program.n_instructions);
    cr_expect(isfinite(*in.values[t.loss.total.storage]));
    interpreter_close(&in);
    vb_arena_clear(&t.arena);
}

/* What a training program makes before its first batch. */
Test(loss_v5, has_its_constants_from_the_set_up)
{
    struct vb_point point = vb_point_default();
    struct vb_error err = { 0 };
    struct vb_recipe recipe;
    struct traced t;
    struct vb_program program;
    begin(&t, "yolov5n", 64, &torch_2);
    point.batch = BATCH;
    point.imgsz = 64;
    cr_assert_eq(vb_recipe_find(&point, vb_family_of(&t.graph), &recipe, &err), VB_OK, "%s",
                 err.text);
    cr_assert_eq(
        vb_program_build(&t.graph, &point, &recipe, NULL, VB_IN_ORDER, &t.arena, &program, &err),
        VB_OK, "%s", err.text);
    const float *anchors = NULL;
    double filled = 0;
    for (size_t i = 0; i < program.first_step; i++) {
        struct vb_instruction instruction = program.instructions[i];
        const struct vb_call *call = &program.calls[instruction.index];
        if (instruction.kind != VB_RUN)
            continue;
        const char *name = program.tensors[call->operands[call->n_operands - 1].tensor].name;
        if (strcmp(name, "model.24.anchors") == 0 && call->op == VB_OP_UPLOAD)
            anchors = call->data;
        if (strcmp(name, "class_weight") == 0 || strcmp(name, "objectness_weight") == 0)
            filled += call->a;
    }
    cr_expect_eq(filled, 2);
    cr_assert_not_null(anchors);
    cr_expect_float_eq((double)anchors[0], 10 / 8.0, 0);
    cr_expect_float_eq((double)anchors[17], 326 / 32.0, 0);
    vb_arena_clear(&t.arena);
}
