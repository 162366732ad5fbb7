/* SPDX-License-Identifier: Apache-2.0 */
/* DataParallel's programs: the first GPU's, which has the loss, and a copy's. */

#include "gpus.h"

static struct vb_point point_of(uint32_t gpus, enum vb_precision precision, const char *torch)
{
    struct vb_point point = small_point("yolov5n");
    (void)snprintf(point.torch, sizeof point.torch, "%.15s", torch);
    point.strategy = VB_DP;
    point.precision = precision;
    point.gpus = gpus;
    return point;
}

static void expect_balanced(const struct vb_point *point)
{
    struct made made;
    make(&made, point);
    struct alive alive = expect_rounds(&made.program, label_of(point));
    if (point->rank > 0)
        cr_expect_eq(alive.bytes, 0u, "a copy leaves %lu B", alive.bytes);
    free(alive.is);
    vb_arena_clear(&made.arena);
}

Test(dp, is_balanced)
{
    static const char *const torches[] = { "2.4.0", "1.13", "1.8" };
    for (int i = 0; i < 36; i++) {
        struct vb_point point = point_of(3, i / 3 % 2 == 0 ? VB_FP32 : VB_FP16, torches[i % 3]);
        point.rank = (uint32_t)(i / 6 % 3);
        point.accumulate = i / 18 + 1;
        expect_balanced(&point);
    }
}

/* torch.chunk(): pieces of the size rounded up, the last is what is left. */
Test(dp, cuts_the_batch_as_chunk_does)
{
    static const struct {
        uint32_t batch, gpus, want[4];
    } cases[] = {
        { 8, 4, { 2, 2, 2, 2 } }, { 9, 4, { 3, 3, 3, 0 } }, { 10, 4, { 3, 3, 3, 1 } },
        { 7, 2, { 4, 3, 0, 0 } }, { 1, 2, { 1, 0, 0, 0 } }, { 5, 1, { 5, 0, 0, 0 } },
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct vb_point point = { .strategy = VB_DP, .gpus = cases[c].gpus };
        for (uint32_t r = 0; r < cases[c].gpus; r++)
            cr_expect_eq(vb_share_of(&point, cases[c].batch, r), cases[c].want[r],
                         "%u over %u, GPU %u: %u", cases[c].batch, cases[c].gpus, r,
                         vb_share_of(&point, cases[c].batch, r));
    }
}

static struct alive steady_walk(const struct vb_program *program)
{
    struct alive alive = begin_walk(program);
    walk(&alive, 0, program->loop_start);
    alive.peak = 0;
    walk(&alive, program->loop_start, program->loop_end);
    return alive;
}

/* What a copy is given: every parameter and buffer, in chunks that 10 MiB close; and its part of
 * the images. */
Test(dp, a_copy_has_the_model_and_its_images)
{
    struct vb_point point = point_of(2, VB_FP32, "2.4.0");
    struct made made;
    uint64_t model = 0, received = 0, images = 0;
    uint32_t n_chunks = 0;
    (void)snprintf(point.model, sizeof point.model, "yolov5s");
    point.rank = 1;
    make(&made, &point);
    for (uint32_t i = 0; i < made.graph.n_parameters + made.graph.n_buffers; i++)
        model += made.graph.parameters[i].elements * (made.graph.parameters[i].is_int64 ? 8 : 4);
    for (size_t i = made.program.loop_start; i < made.program.loop_end; i++) {
        struct vb_instruction instruction = made.program.instructions[i];
        const struct vb_tensor *tensor = &made.program.tensors[instruction.index];
        if (instruction.kind != VB_ALLOC)
            continue;
        bool is_chunk = strcmp(tensor->name, "replica") == 0 && tensor->category == VB_WEIGHTS;
        received += is_chunk ? tensor->bytes : 0;
        n_chunks += is_chunk;
        images += strcmp(tensor->name, "scattered images") == 0 ? tensor->bytes : 0;
    }
    cr_expect_eq(received, model, "%lu, not %lu", received, model);
    cr_expect_eq(images, UINT64_C(2) * 3 * 320 * 320 * 4, "%lu", images);
    /* 7,235,389 elements: two chunks of parameters and what is left, buffers, counters. */
    cr_expect_eq(n_chunks, 5u, "%u", n_chunks);
    vb_arena_clear(&made.arena);
}

/* The first GPU has all of one GPU's but for the other images' activations; a copy has no average,
 * no optimizer and no loss. */
Test(dp, the_first_gpu_is_the_heavier)
{
    for (int i = 0; i < 2; i++) {
        struct vb_point point = point_of(2, i == 0 ? VB_FP32 : VB_FP16, "2.4.0");
        struct made first, copy, one;
        point.imgsz = 640;
        make(&first, &point);
        point.rank = 1;
        make(&copy, &point);
        point.rank = 0;
        point.gpus = 1;
        make(&one, &point);
        struct alive on_first = steady_walk(&first.program), on_copy = steady_walk(&copy.program),
                     on_one = steady_walk(&one.program);
        cr_expect_gt(on_first.peak, on_copy.peak, "%lu and %lu", on_first.peak, on_copy.peak);
        cr_expect_lt(on_first.peak, on_one.peak, "%lu and %lu", on_first.peak, on_one.peak);
        cr_expect_gt(2 * on_first.peak, on_one.peak, "%lu and %lu", on_first.peak, on_one.peak);
        cr_expect_eq(bytes_of(&on_copy, VB_EMA), 0u);
        cr_expect_eq(bytes_of(&on_first, VB_OPTIMIZER_STATE),
                     bytes_of(&on_one, VB_OPTIMIZER_STATE));
        free(on_first.is);
        free(on_copy.is);
        free(on_one.is);
        vb_arena_clear(&first.arena);
        vb_arena_clear(&copy.arena);
        vb_arena_clear(&one.arena);
    }
}

/* Gradients of the copies are summed in chunks of 10 MiB at most, or of one tensor: on the first
 * GPU both lie there, and one chunk more, until the sums have taken their place. */
Test(dp, sums_lie_beside_the_first_gpus_own)
{
    struct vb_point point = point_of(2, VB_FP32, "2.4.0");
    struct made made;
    (void)snprintf(point.model, sizeof point.model, "yolov5s");
    make(&made, &point);
    const struct vb_program *program = &made.program;
    uint64_t all = 4 * made.graph.trainable_elements, most = 0, sums = 0, largest = 0;
    struct alive alive = begin_walk(program);
    walk(&alive, 0, program->loop_start);
    for (size_t i = program->loop_start; i < program->loop_end; i++) {
        struct vb_instruction instruction = program->instructions[i];
        const struct vb_tensor *tensor = &program->tensors[instruction.index];
        step_over(&alive, i);
        if (instruction.kind != VB_ALLOC || alive.phase != VB_PHASE_BACKWARD)
            continue;
        uint64_t bytes = bytes_of(&alive, VB_GRADIENTS);
        most = bytes > most ? bytes : most;
        if (strcmp(tensor->name, "replica") != 0)
            continue;
        sums += tensor->category == VB_GRADIENTS ? tensor->bytes : 0;
        largest = tensor->bytes > largest ? tensor->bytes : largest;
    }
    cr_expect_eq(sums, all, "%lu, not %lu", sums, all);
    cr_expect_eq(most, 2 * all, "%lu, not %lu", most, 2 * all);
    cr_expect_leq(largest, UINT64_C(10) << 20, "%lu", largest);
    free(alive.is);
    vb_arena_clear(&made.arena);
}

/* The loss is of the whole batch's predictions: as large as on one GPU. */
Test(dp, predictions_are_gathered)
{
    struct vb_point point = point_of(2, VB_FP32, "2.4.0");
    struct made made;
    uint64_t gathered = 0, want = 0;
    make(&made, &point);
    for (uint32_t i = 0; i < made.graph.n_levels; i++)
        want += 4 * vb_shape_elements(&made.graph.values[made.graph.levels[i].output].shape);
    for (size_t i = made.program.loop_start; i < made.program.loop_end; i++) {
        struct vb_instruction instruction = made.program.instructions[i];
        const struct vb_tensor *tensor = &made.program.tensors[instruction.index];
        if (instruction.kind == VB_ALLOC && strcmp(tensor->name, "gathered") == 0)
            gathered += tensor->bytes;
    }
    cr_expect_eq(gathered, want, "%lu, not %lu", gathered, want);
    vb_arena_clear(&made.arena);
}

/* Each of a copy's parameters has its own gradient, in mixed precision by a cast of its own. */
Test(dp, a_copy_has_all_gradients)
{
    for (int i = 0; i < 2; i++) {
        struct vb_point point = point_of(2, i == 0 ? VB_FP32 : VB_FP16, "2.4.0");
        struct made made;
        uint64_t most = 0;
        point.rank = 1;
        make(&made, &point);
        struct alive alive = begin_walk(&made.program);
        for (size_t k = 0; k < made.program.loop_end; k++) {
            step_over(&alive, k);
            uint64_t bytes =
                made.program.instructions[k].kind == VB_ALLOC ? bytes_of(&alive, VB_GRADIENTS) : 0;
            most = bytes > most ? bytes : most;
        }
        cr_expect_eq(most, 4 * made.graph.trainable_elements, "%s: %lu",
                     vb_precision_names[point.precision], most);
        free(alive.is);
        vb_arena_clear(&made.arena);
    }
}
