/* SPDX-License-Identifier: Apache-2.0 */
/* YOLOv8's loss as a program, interpreted, against the same loss written as loops (plain_v8.h): its
 * parts, and the predictions' gradients against that one's differences. And the pairs that the host
 * counts against those that the program finds, with each operator rounded to its type. */

#include <criterion/criterion.h>
#include <string.h>

#include "interpret.h"
#include "model/catalogue.h"
#include "model/expand.h"
#include "plain_v8.h"
#include "step/loss.h"
#include "step/math.h"

enum { CLASSES = 3, BATCH = 2, PREDICTIONS = 2 * PLAIN_LEVELS };

/* A loss on predictions that nobody made. */
struct traced {
    struct vb_arena arena;
    struct vb_graph graph;
    struct vb_program program;
    struct vb_tape tape;
    struct vb_targets targets;
    struct vb_loss_constants constants;
    struct vb_variable predictions[PREDICTIONS];
    struct vb_variable gradients[PREDICTIONS];
    struct vb_loss loss;
    struct vb_variable total;
    size_t n_made; /* instructions that make the predictions */
};

static uint32_t state;
static double next(void)
{
    state = state * 1664525u + 1013904223u;
    return (double)(state >> 8) / 16777216.0;
}

static void begin(struct traced *t, const char *model, uint32_t h, uint32_t w,
                  const struct vb_torch *torch)
{
    static const char *names[PREDICTIONS] = { "p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7" };
    const struct vb_extent extent = { BATCH, h, w };
    struct vb_description description;
    struct vb_error err = { 0 };
    *t = (struct traced){ 0 };
    cr_assert_eq(vb_catalogue_describe(model, &t->arena, &description, &err), VB_OK, "%s",
                 err.text);
    cr_assert_eq(vb_expand_for(&description, &extent, CLASSES, &t->arena, &t->graph, &err), VB_OK,
                 "%s", err.text);
    cr_assert_leq(t->graph.n_levels, PLAIN_LEVELS);
    t->program = (struct vb_program){ .arena = &t->arena, .layout = VB_IN_ORDER };
    t->tape = (struct vb_tape){ .program = &t->program,
                                .torch = torch,
                                .module = "",
                                .gradients = t->gradients,
                                .n_parameters = vb_n_predictions(&t->graph),
                                .parameter_names = names };
    t->constants.projection = t->constants.projection_one_to_one = vb_undefined;
}

static void trace_loss(struct traced *t, enum vb_dtype dtype)
{
    uint32_t channels = 4 * t->graph.bins + CLASSES;
    for (uint32_t i = 0; i < vb_n_predictions(&t->graph); i++) {
        const struct vb_level *level = &t->graph.levels[i % t->graph.n_levels];
        t->gradients[i] = vb_undefined;
        t->predictions[i] =
            vb_tape_new(&t->tape, "prediction",
                        &VB_SHAPE(BATCH, channels, level->grid_h, level->grid_w), dtype);
        t->predictions[i].requires_grad = true;
        t->predictions[i].parameter = i;
    }
    t->n_made = t->program.n_instructions;
    t->tape.autocast = dtype != VB_FLOAT32;
    t->tape.autocast_dtype = dtype;
    t->loss = vb_loss_v8(&t->tape, &t->graph, t->predictions, &t->targets, &t->constants);
    t->total = vb_sum(&t->tape, t->loss.parts);
    vb_tape_autocast_end(&t->tape);
    vb_tape_backward(&t->tape, t->total);
    cr_assert(!t->program.failed);
}

/* So many boxes of each image. */
static void draw_boxes(struct traced *t, const uint32_t *n, uint32_t most)
{
    struct vb_target *items = vb_arena_alloc(&t->arena, n[0] + n[1] + 1, sizeof *items);
    t->targets = (struct vb_targets){ .items = items, .most_in_an_image = most };
    for (uint32_t image = 0; image < BATCH; image++) {
        for (uint32_t i = 0; i < n[image]; i++)
            items[t->targets.n++] = (struct vb_target){ image,
                                                        (uint32_t)(next() * CLASSES),
                                                        (float)(0.2 + 0.6 * next()),
                                                        (float)(0.2 + 0.6 * next()),
                                                        (float)(0.1 + 0.6 * next()),
                                                        (float)(0.1 + 0.6 * next()) };
    }
    t->targets.n_foreground = PLAIN_TOP * t->targets.n;
    t->targets.n_one_to_one = t->targets.n;
}

static size_t elements_of(const struct vb_variable *x)
{
    return (size_t)interpret_elements(&x->shape);
}

/* A head's predictions, which begin with the `first`, the same for the program and for the plain
 * loss: some of the bins stand out, so that boxes have all sizes. */
static void give_predictions(const struct traced *t, struct interpreter *in, uint32_t first,
                             struct plain *plain)
{
    *plain = plain_open(&t->graph, &t->targets);
    for (uint32_t l = 0; l < t->graph.n_levels; l++) {
        size_t n = elements_of(&t->predictions[first + l]);
        for (size_t i = 0; i < n; i++)
            plain->predictions[l][i] = (double)(float)(10 * next() * next() - 3);
        memcpy(in->values[t->predictions[first + l].storage], plain->predictions[l],
               n * sizeof(double));
    }
}

static void expect_near(double value, double expected, double tolerance, const char *what)
{
    cr_expect(fabs(value - expected) <= tolerance * fmax(fabs(expected), 1), "%s: %.12g, not %.12g",
              what, value, expected);
}

/* Every 31st gradient of a head of the program against differences of the plain loss, of which the
 * head has a share. */
static void compare_gradients(const struct traced *t, const struct interpreter *in, uint32_t first,
                              double share, struct plain *plain, const char *what)
{
    const double step = 1e-5;
    const size_t stride = 31;
    for (uint32_t l = 0; l < t->graph.n_levels; l++) {
        const struct vb_variable *made = &t->gradients[first + l];
        const double *gradient = in->values[made->storage];
        size_t n = elements_of(&t->predictions[l]);
        cr_assert_not_null(gradient);
        cr_assert_eq(elements_of(made), n);
        for (size_t i = l; i < n; i += stride) {
            double *x = &plain->predictions[l][i], here = *x;
            uint64_t at = 0, rest = i;
            for (uint32_t axis = 4; axis-- > 0; rest /= made->shape.dims[axis])
                at += rest % made->shape.dims[axis] * made->strides[axis];
            *x = here + step;
            double above = plain_loss(plain);
            *x = here - step;
            double below = plain_loss(plain);
            *x = here;
            expect_near(gradient[made->offset + at], share * (above - below) / (2 * step), 2e-8,
                        what);
        }
    }
}

static const struct vb_torch torch_1 = { .sums_in_place = false, .casts_pieces = true };
static const struct vb_torch torch_2 = { .sums_in_place = true, .lean_bce = true };

static const struct loss_case {
    const char *what, *model;
    uint32_t h, w, n[BATCH], most;
    const struct vb_torch *torch;
    enum vb_dtype dtype;
    bool rounds;
    double tolerance; /* of the value */
} loss_cases[] = {
    { "as PyTorch 2", "yolov8n", 64, 96, { 4, 6 }, 6, &torch_2, VB_FLOAT32, false, 1e-12 },
    { "as PyTorch 1", "yolov8n", 96, 64, { 5, 3 }, 6, &torch_1, VB_FLOAT32, false, 1e-12 },
    { "autocast", "yolov8n", 64, 64, { 3, 4 }, 4, &torch_2, VB_BFLOAT16, false, 1e-12 },
    { "the second is empty", "yolov8n", 64, 64, { 5, 0 }, 5, &torch_2, VB_FLOAT32, false, 1e-12 },
    { "the first is empty", "yolov8n", 64, 64, { 0, 1 }, 3, &torch_2, VB_FLOAT16, false, 1e-12 },
    { "more boxes than anchors",
      "yolov8n",
      64,
      64,
      { 9, 12 },
      12,
      &torch_2,
      VB_FLOAT32,
      false,
      1e-12 },
    { "more than are padded to",
      "yolov8n",
      64,
      64,
      { 5, 2 },
      3,
      &torch_2,
      VB_FLOAT32,
      false,
      1e-12 },
    { "rounded to fp32", "yolov8n", 64, 96, { 4, 6 }, 6, &torch_2, VB_FLOAT32, true, 1e-5 },
    { "rounded to bf16", "yolov8n", 64, 96, { 4, 6 }, 6, &torch_2, VB_BFLOAT16, true, 0.1 },
};

static void run_case(const struct loss_case *c)
{
    struct traced t;
    struct plain plain;
    state = 7;
    begin(&t, c->model, c->h, c->w, c->torch);
    draw_boxes(&t, c->n, c->most);
    trace_loss(&t, c->dtype);
    struct interpreter in = interpreter_open(&t.program, c->rounds);
    interpret(&in, 0, t.n_made);
    give_predictions(&t, &in, 0, &plain);
    interpret(&in, t.n_made, t.program.n_instructions);
    double expected = plain_loss(&plain);
    const double parts[] = { plain.box, plain.class, plain.distribution };
    const double *items = in.values[t.loss.items.storage];
    expect_near(*in.values[t.total.storage], expected, c->tolerance, c->what);
    for (int i = 0; i < 3; i++)
        expect_near(items[i], parts[i], c->tolerance, c->what);
    if (!c->rounds)
        compare_gradients(&t, &in, 0, 1, &plain, c->what);
    cr_expect_lt(plain.n_foreground, t.targets.n_foreground, "no row is filled up");
    cr_expect(plain.n_contended > 0 || t.targets.n == 1, "%s: no anchor is contended", c->what);
    plain_close(&plain);
    interpreter_close(&in);
    vb_arena_clear(&t.arena);
}

Test(loss_v8, is_the_loss_of_loops)
{
    for (size_t i = 0; i < sizeof loss_cases / sizeof *loss_cases; i++)
        run_case(&loss_cases[i]);
}

/* YOLOv10's: the second head's boxes have one anchor each. */
Test(loss_v8, of_two_heads_is_the_sum_of_two)
{
    struct traced t;
    struct plain many, one;
    state = 11;
    begin(&t, "yolov10n", 64, 96, &torch_2);
    draw_boxes(&t, (const uint32_t[]){ 4, 6 }, 6);
    trace_loss(&t, VB_FLOAT32);
    cr_assert(t.graph.is_end_to_end);
    struct interpreter in = interpreter_open(&t.program, false);
    interpret(&in, 0, t.n_made);
    give_predictions(&t, &in, 0, &many);
    give_predictions(&t, &in, t.graph.n_levels, &one);
    one.top = 1;
    interpret(&in, t.n_made, t.program.n_instructions);
    expect_near(*in.values[t.total.storage], plain_loss(&many) + plain_loss(&one), 1e-12, "total");
    const double *items = in.values[t.loss.items.storage];
    expect_near(items[0], many.box + one.box, 1e-12, "box");
    expect_near(items[1], many.class + one.class, 1e-12, "class");
    expect_near(items[2], many.distribution + one.distribution, 1e-12, "distribution");
    cr_expect_leq(one.n_foreground, t.targets.n);
    compare_gradients(&t, &in, 0, 1, &many, "of many");
    compare_gradients(&t, &in, t.graph.n_levels, 1, &one, "of one");
    plain_close(&many);
    plain_close(&one);
    interpreter_close(&in);
    vb_arena_clear(&t.arena);
}

/* YOLO26's loss is of two heads: one of ten anchors a box, which counts for 0.8, and one of which
 * the best of seven stays, for 0.2, and which is what is logged. */
Test(loss_v8, of_two_heads_without_distributions_is_the_loss_of_loops)
{
    static const uint32_t n_boxes[BATCH] = { 4, 6 };
    static const enum vb_dtype dtypes[] = { VB_FLOAT32, VB_BFLOAT16 };
    for (size_t i = 0; i < 2; i++) {
        struct traced t;
        struct plain many, one;
        state = 11;
        begin(&t, "yolo26n", 64, 96, &torch_2);
        draw_boxes(&t, n_boxes, 6);
        trace_loss(&t, dtypes[i]);
        struct interpreter in = interpreter_open(&t.program, false);
        interpret(&in, 0, t.n_made);
        give_predictions(&t, &in, 0, &many);
        give_predictions(&t, &in, t.graph.n_levels, &one);
        interpret(&in, t.n_made, t.program.n_instructions);
        one.top = 7;
        one.top_last = 1;
        double expected = 0.8 * plain_loss(&many) + 0.2 * plain_loss(&one);
        const double parts[] = { one.box, one.class, one.distribution };
        const double *items = in.values[t.loss.items.storage];
        expect_near(*in.values[t.total.storage], expected, 1e-12, "two heads");
        for (int k = 0; k < 3; k++)
            expect_near(items[k], parts[k], 1e-12, "the second head's parts");
        compare_gradients(&t, &in, 0, 0.8, &many, "the first head");
        compare_gradients(&t, &in, t.graph.n_levels, 0.2, &one, "the second head");
        cr_expect_gt(one.n_foreground, 0);
        cr_expect_leq(one.n_foreground, t.targets.n);
        cr_expect_gt(many.n_foreground, one.n_foreground);
        plain_close(&many);
        plain_close(&one);
        interpreter_close(&in);
        vb_arena_clear(&t.arena);
    }
}

/* Edges at the centres of cells, or the floats beside them. */
static void place_at_centres(const struct vb_graph *graph, bool is_across, float *centre,
                             float *side)
{
    const struct vb_level *level = &graph->levels[(uint32_t)(next() * graph->n_levels)];
    uint32_t n = is_across ? level->grid_w : level->grid_h;
    double low = floor(next() * n) + 0.5, high = low + 1 + floor(next() * (n - low));
    *centre = (float)((low + high) / 2 / n);
    *side = (float)((high - low) / n);
    float *moved = next() < 0.5 ? centre : side;
    double where = next();
    if (where < 0.66)
        *moved = nextafterf(*moved, where < 0.33 ? 0 : 2);
}

/* The first search for the places of pairs: instructions before it and with it. */
static size_t end_of_search(const struct traced *t)
{
    for (size_t i = 0; i < t->program.n_instructions; i++) {
        struct vb_instruction instruction = t->program.instructions[i];
        const struct vb_call *call = &t->program.calls[instruction.index];
        if (instruction.kind == VB_RUN && call->op == VB_OP_NONZERO &&
            call->operands[1].shape.dims[1] == 3)
            return i + 1;
    }
    cr_assert_fail("nobody looks for pairs");
    return 0;
}

/* The interpreter fails where as many are not true as the host has counted. */
static void find_pairs(uint32_t h, uint32_t w, enum vb_dtype dtype, bool are_drawn)
{
    static const uint32_t n[BATCH] = { 16, 12 };
    struct traced t;
    struct vb_point point = vb_point_default();
    begin(&t, "yolov8n", h, w, &torch_2);
    point.batch = BATCH;
    point.targets = n[0];
    draw_boxes(&t, n, n[0] - 2);
    for (uint32_t i = 0; i < t.targets.n && !are_drawn; i++) {
        struct vb_target *box = (struct vb_target *)&t.targets.items[i];
        place_at_centres(&t.graph, true, &box->cx, &box->w);
        place_at_centres(&t.graph, false, &box->cy, &box->h);
    }
    if (are_drawn)
        t.targets = vb_targets_even(&t.arena, &point);
    trace_loss(&t, dtype);
    struct interpreter in = interpreter_open(&t.program, true);
    interpret(&in, 0, t.n_made);
    for (uint32_t l = 0; l < t.graph.n_levels; l++)
        memset(in.values[t.predictions[l].storage], 0,
               elements_of(&t.predictions[l]) * sizeof(double));
    interpret(&in, t.n_made, end_of_search(&t));
    interpreter_close(&in);
    vb_arena_clear(&t.arena);
}

Test(loss_v8, finds_as_many_pairs_as_the_host)
{
    static const struct {
        uint32_t h, w;
    } sizes[] = { { 64, 64 }, { 96, 320 }, { 416, 64 }, { 32, 1312 }, { 2336, 32 } };
    static const enum vb_dtype dtypes[] = { VB_FLOAT32, VB_FLOAT16, VB_BFLOAT16 };
    state = 1;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t k = 0; k < sizeof dtypes / sizeof *dtypes; k++) {
            for (int n = 0; n < 2; n++)
                find_pairs(sizes[i].h, sizes[i].w, dtypes[k], false);
        }
        find_pairs(sizes[i].h, sizes[i].w, VB_FLOAT32, true);
    }
}
