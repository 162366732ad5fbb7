/* SPDX-License-Identifier: Apache-2.0 */
/* DistributedDataParallel's programs: what each process holds beyond a process alone, to the byte.
 */

#include "gpus.h"

/* Versions whose rules differ: the buckets' first pass, whether gradients are forgotten. */
struct version {
    char model[16], trainer[32], torch[16];
    enum vb_reducing kind;
    bool one_first; /* bucket until the order is known */
    bool fills;     /* gradients with 0, rather than forgets them */
};
static const struct version versions[] = {
    { "yolov5n", "yolov5-7.0", "2.4.0", VB_REDUCES_STATIC, true, false },
    { "yolov5n", "yolov5-7.0", "1.13", VB_REDUCES_STATIC, true, true },
    { "yolov5n", "yolov5-7.0", "1.11", VB_REDUCES_STATIC, false, true },
    { "yolov5n", "yolov5-7.0", "1.8", VB_REDUCES_PLAIN, false, true },
    { "yolov5n", "yolov5-6.0", "2.4.0", VB_REDUCES_PLAIN, true, false },
    { "yolov8n", "ultralytics-8.2.52", "2.4.0", VB_REDUCES_PLAIN, true, false },
    { "yolov8n", "ultralytics-8.3.100", "2.4.0", VB_REDUCES_UNUSED, false, false },
    { "yolov8n", "ultralytics-8.3.218", "1.8", VB_REDUCES_UNUSED, false, true },
};
enum { N_VERSIONS = sizeof versions / sizeof *versions };

static struct vb_point point_of(const struct version *version, uint32_t gpus)
{
    struct vb_point point = small_point(version->model);
    (void)snprintf(point.trainer, sizeof point.trainer, "%.31s", version->trainer);
    (void)snprintf(point.torch, sizeof point.torch, "%.15s", version->torch);
    point.gpus = gpus;
    return point;
}

static void expect_balanced(const struct vb_point *point)
{
    struct made made;
    make(&made, point);
    struct alive alive = expect_rounds(&made.program, label_of(point));
    free(alive.is);
    vb_arena_clear(&made.arena);
}

Test(ddp, is_balanced)
{
    for (size_t v = 0; v < N_VERSIONS; v++) {
        for (int i = 0; i < 16; i++) {
            struct vb_point point = point_of(&versions[v], 2);
            point.rank = i & 1;
            point.bucket_view = (i & 2) != 0;
            point.zero = (i & 4) != 0;
            point.precision = (i & 8) != 0 ? VB_FP16 : VB_FP32;
            point.accumulate = i % 3 == 0 ? 2 : 1;
            expect_balanced(&point);
        }
    }
}

/* Each gradient, by its first element's place in the buckets that the loop begins with: there once,
 * without a gap. */
static void expect_covered(const struct made *made, const struct alive *alive,
                           const struct vb_point *point)
{
    const struct vb_program *program = &made->program;
    for (size_t t = 0; t < program->n_tensors; t++) {
        uint64_t covered = 0, last = 0;
        if (!alive->is[t] || strcmp(program->tensors[t].name, "bucket") != 0)
            continue;
        /* Buckets are filled in the order in which gradients come, once they are rebuilt. */
        bool is_rebuilt = made->recipe.trainer.reducing != VB_REDUCES_UNUSED;
        for (size_t i = program->loop_start; i < program->loop_end; i++) {
            struct vb_instruction instruction = program->instructions[i];
            const struct vb_call *call = &program->calls[instruction.index];
            if (instruction.kind != VB_RUN || call->op != VB_OP_COPY ||
                call->operands[1].tensor != t)
                continue;
            cr_expect(!is_rebuilt || call->operands[1].offset == last, "%s: at %lu, not %lu",
                      label_of(point), call->operands[1].offset, last);
            last = call->operands[1].offset + vb_shape_elements(&call->operands[1].shape);
            covered += vb_shape_elements(&call->operands[1].shape);
        }
        cr_expect_eq(covered * 4, program->tensors[t].bytes, "%s: %lu of %lu B", label_of(point),
                     covered * 4, program->tensors[t].bytes);
    }
}

Test(ddp, buckets_are_all_gradients)
{
    for (size_t v = 0; v < N_VERSIONS; v++) {
        struct vb_point point = point_of(&versions[v], 2);
        struct made made;
        uint32_t n = 0;
        make(&made, &point);
        struct alive alive = begin_walk(&made.program);
        walk(&alive, 0, made.program.loop_start);
        cr_expect_eq(bytes_named(&alive, "bucket", &n), 4 * made.graph.trainable_elements, "%s",
                     label_of(&point));
        cr_expect_gt(n, 1u, "%s: %u", label_of(&point), n);
        expect_covered(&made, &alive, &point);
        free(alive.is);
        vb_arena_clear(&made.arena);
    }
}

/* Which forward pass, from 1, first finds other buckets than the one before: 0: none. */
static uint32_t rebuilt_at(const struct made *made, uint32_t *first_count, uint64_t *most_bytes)
{
    const struct vb_program *program = &made->program;
    struct alive alive = begin_walk(program);
    uint32_t forwards = 0, at = 0, n = 0, frees = 0;
    *most_bytes = 0;
    for (size_t i = 0; i < program->loop_end; i++) {
        struct vb_instruction instruction = program->instructions[i];
        step_over(&alive, i);
        if (instruction.kind == VB_PHASE && instruction.index == VB_PHASE_FORWARD)
            forwards++;
        if (instruction.kind == VB_PHASE && forwards == 1)
            (void)bytes_named(&alive, "bucket", first_count);
        /* Whatever was rebuilt before the pass, nothing of the old buckets is left after it. */
        if (instruction.kind == VB_PHASE && instruction.index == VB_PHASE_LOSS)
            cr_expect_eq(bytes_named(&alive, "bucket", &n), 4 * made->graph.trainable_elements);
        bool is_bucket = (instruction.kind == VB_ALLOC || instruction.kind == VB_FREE) &&
                         strcmp(program->tensors[instruction.index].name, "bucket") == 0;
        if (!is_bucket)
            continue;
        uint64_t bytes = bytes_named(&alive, "bucket", &n);
        *most_bytes = bytes > *most_bytes ? bytes : *most_bytes;
        if (instruction.kind == VB_FREE && frees++ == 0)
            at = forwards;
    }
    free(alive.is);
    return at;
}

/* A static graph's order is known after the second pass, else after the first. Old buckets go
 * before new ones come; but gradients that are parts of one keep it until they have moved. */
Test(ddp, buckets_are_rebuilt_once)
{
    static const uint32_t want[] = {
        [VB_REDUCES_PLAIN] = 2, [VB_REDUCES_STATIC] = 3, [VB_REDUCES_UNUSED] = 0
    };
    for (size_t v = 0; v < 2 * N_VERSIONS; v++) {
        const struct version *version = &versions[v / 2];
        struct vb_point point = point_of(version, 2);
        struct made made;
        uint32_t first = 0;
        uint64_t most = 0;
        point.bucket_view = v % 2 == 1;
        make(&made, &point);
        uint64_t all = 4 * made.graph.trainable_elements;
        cr_expect_eq(rebuilt_at(&made, &first, &most), want[version->kind], "%s", label_of(&point));
        if (version->one_first)
            cr_expect_eq(first, 1, "%s: %u", label_of(&point), first);
        else
            cr_expect_gt(first, 1, "%s: %u", label_of(&point), first);
        bool keeps = point.bucket_view && version->fills && version->kind != VB_REDUCES_UNUSED;
        if (!keeps)
            cr_expect_eq(most, all, "%s: %lu", label_of(&point), most);
        else if (version->one_first)
            cr_expect_eq(most, 2 * all, "%s: %lu", label_of(&point), most);
        else
            cr_expect(most > all && most <= 2 * all, "%s: %lu", label_of(&point), most);
        vb_arena_clear(&made.arena);
    }
}

/* The first buckets are those of the parameters as registered, the first of which goes last. */
Test(ddp, first_buckets_are_as_registered)
{
    struct vb_point point = point_of(&versions[6], 2);
    struct made made;
    uint64_t sizes[64] = { 0 }, got[64];
    uint32_t n = 0, n_got = 0;
    make(&made, &point);
    for (uint32_t i = 0; i < made.graph.n_parameters; i++) {
        uint64_t limit = n == 0 ? 1 << 20 : 25 << 20;
        if (made.graph.parameters[i].is_frozen)
            continue;
        sizes[n] += 4 * made.graph.parameters[i].elements;
        n += sizes[n] >= limit;
    }
    n += sizes[n] > 0;
    for (size_t i = 0; i < made.program.n_tensors && n_got < 64; i++) {
        if (strcmp(made.program.tensors[i].name, "bucket") == 0)
            got[n_got++] = made.program.tensors[i].bytes;
    }
    cr_assert_eq(n_got, n, "%u buckets, not %u", n_got, n);
    for (uint32_t b = 0; b < n; b++)
        cr_expect_eq(got[b], sizes[n - 1 - b], "bucket %u: %lu, not %lu", b, got[b],
                     sizes[n - 1 - b]);
    vb_arena_clear(&made.arena);
}

/* The most that gradients and buckets take in the loop. */
static uint64_t most_gradients(const struct made *made)
{
    struct alive alive = begin_walk(&made->program);
    uint64_t most = 0;
    walk(&alive, 0, made->program.loop_start);
    for (size_t i = made->program.loop_start; i < made->program.loop_end; i++) {
        step_over(&alive, i);
        uint64_t bytes =
            made->program.instructions[i].kind == VB_ALLOC ? bytes_of(&alive, VB_GRADIENTS) : 0;
        most = bytes > most ? bytes : most;
    }
    free(alive.is);
    return most;
}

static uint64_t used_map_bytes(const struct made *made, enum vb_reducing kind)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < made->graph.n_parameters; i++)
        n += !made->graph.parameters[i].is_frozen;
    return kind == VB_REDUCES_PLAIN ? 0 : 4 * n;
}

/* Gradients are there twice; as views once, and the one that has just come. */
Test(ddp, views_have_no_copies)
{
    for (size_t v = 0; v < 2 * N_VERSIONS; v++) {
        const struct version *version = &versions[v / 2];
        struct vb_point point = point_of(version, 2);
        struct made made;
        uint64_t largest = 0;
        point.bucket_view = v % 2 == 1;
        make(&made, &point);
        for (uint32_t i = 0; i < made.graph.n_parameters; i++)
            largest = made.graph.parameters[i].elements > largest
                          ? made.graph.parameters[i].elements
                          : largest;
        uint64_t all = 4 * made.graph.trainable_elements;
        uint64_t map = used_map_bytes(&made, version->kind);
        uint64_t once = !point.bucket_view && version->fills ? 4 * largest : 0;
        uint64_t want = point.bucket_view ? all + map + 4 * largest : 2 * all + map + once;
        cr_expect_eq(most_gradients(&made), want, "%s: %lu, not %lu", label_of(&point),
                     most_gradients(&made), want);
        vb_arena_clear(&made.arena);
    }
}

static uint64_t loop_peak(const struct vb_point *point, struct made *made)
{
    make(made, point);
    struct alive alive = begin_walk(&made->program);
    walk(&alive, 0, made->program.loop_start);
    alive.peak = 0;
    walk(&alive, made->program.loop_start, made->program.loop_end);
    cr_assert(alive.peak_phase == VB_PHASE_LOSS || alive.peak_phase == VB_PHASE_BACKWARD);
    free(alive.is);
    return alive.peak;
}

/* The same share of a batch on one GPU: DDP adds the buckets and, where it keeps one, the map of
 * what was used; another rank has no average, where the trainer has it in the first alone. */
Test(ddp, adds_its_buckets_to_one_gpu)
{
    for (size_t v = 0; v < N_VERSIONS; v++) {
        struct vb_point one = point_of(&versions[v], 1), many = point_of(&versions[v], 4);
        struct made alone, first, other;
        one.imgsz = many.imgsz = 640;
        many.batch = 4 * one.batch;
        uint64_t one_peak = loop_peak(&one, &alone), first_peak = loop_peak(&many, &first);
        many.rank = 3;
        uint64_t other_peak = loop_peak(&many, &other);
        uint64_t buckets = 4 * alone.graph.trainable_elements;
        uint64_t map = used_map_bytes(&alone, versions[v].kind), average = 0;
        uint32_t n_all = alone.graph.n_parameters + alone.graph.n_buffers;
        for (uint32_t i = 0; i < n_all && !first.recipe.trainer.averages_on_all; i++)
            average +=
                alone.graph.parameters[i].elements * (alone.graph.parameters[i].is_int64 ? 8 : 4);
        cr_expect_eq(first_peak - one_peak, buckets + map, "%s: %lu, not %lu", label_of(&many),
                     first_peak - one_peak, buckets + map);
        cr_expect_eq(first_peak - other_peak, average, "%s: %lu, not %lu", label_of(&many),
                     first_peak - other_peak, average);
        vb_arena_clear(&alone.arena);
        vb_arena_clear(&first.arena);
        vb_arena_clear(&other.arena);
    }
}

static uint64_t state_bytes(const struct vb_point *point)
{
    struct made made;
    make(&made, point);
    struct alive alive = begin_walk(&made.program);
    walk(&alive, 0, made.program.loop_start);
    uint64_t bytes = bytes_of(&alive, VB_OPTIMIZER_STATE);
    free(alive.is);
    vb_arena_clear(&made.arena);
    return bytes;
}

Test(ddp, shards_are_the_whole_state)
{
    for (int i = 0; i < 6; i++) {
        struct vb_point point = point_of(&versions[i < 3 ? 0 : 6], 1);
        point.optimizer = (enum vb_optimizer)(i % 3);
        uint64_t whole = state_bytes(&point), shards = 0, largest = 0;
        point.gpus = 4;
        point.zero = 1;
        for (point.rank = 0; point.rank < 4; point.rank++) {
            uint64_t shard = state_bytes(&point);
            shards += shard;
            largest = shard > largest ? shard : largest;
        }
        cr_expect_eq(shards, whole, "%s: %lu, not %lu", point.model, shards, whole);
        cr_expect(largest < whole / 3, "%s: %lu of %lu", point.model, largest, whole);
    }
}

/* What is said of several GPUs counts for nothing on one. */
Test(ddp, one_gpu_is_as_ever)
{
    for (size_t v = 0; v < N_VERSIONS; v++) {
        struct vb_point usual = point_of(&versions[v], 1), point = usual;
        struct vb_text a = { 0 }, b = { 0 };
        struct made made, other;
        usual.gpus = 0;
        point.strategy = VB_DP;
        point.zero = 1;
        point.bucket_view = true;
        make(&made, &usual);
        make(&other, &point);
        vb_program_print(&made.program, true, &a);
        vb_program_print(&other.program, true, &b);
        cr_expect_str_eq(vb_text_data(&a), vb_text_data(&b));
        cr_expect_null(strstr(vb_text_data(&a), "bucket"));
        vb_text_clear(&a);
        vb_text_clear(&b);
        vb_arena_clear(&made.arena);
        vb_arena_clear(&other.arena);
    }
}

/* A static graph's first pass gives clones, of all predictions at once. */
Test(ddp, first_pass_of_a_static_graph_is_cloned)
{
    for (size_t v = 0; v < N_VERSIONS; v++) {
        struct vb_point point = point_of(&versions[v], 2);
        struct made made;
        uint32_t n = 0;
        make(&made, &point);
        for (size_t i = 0; i < made.program.n_tensors; i++)
            n += strcmp(made.program.tensors[i].name, "clone") == 0;
        cr_expect_eq(n, versions[v].kind == VB_REDUCES_STATIC ? 3u : 0u, "%s: %u", label_of(&point),
                     n);
        vb_arena_clear(&made.arena);
    }
}

/* What other ranks than the first do, by the versions that changed it. */
Test(ddp, versions_change_what_other_ranks_do)
{
    static const struct {
        char model[16], trainer[32];
        enum vb_reducing kind;
        bool averages, checks, validates;
    } cases[] = {
        { "yolov5n", "yolov5-6.1.179", VB_REDUCES_PLAIN, false, true, false },
        { "yolov5n", "yolov5-6.1.180", VB_REDUCES_STATIC, false, true, false },
        { "yolov5n", "yolov5", VB_REDUCES_STATIC, false, true, false },
        { "yolov8n", "ultralytics-8.0.0", VB_REDUCES_PLAIN, false, false, false },
        { "yolov8n", "ultralytics-8.2.53", VB_REDUCES_UNUSED, false, false, false },
        { "yolov8n", "ultralytics-8.3.217", VB_REDUCES_UNUSED, false, false, false },
        { "yolov8n", "ultralytics-8.3.218", VB_REDUCES_UNUSED, true, false, true },
        { "yolov8n", "ultralytics", VB_REDUCES_UNUSED, true, false, true },
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct vb_point point = small_point(cases[c].model);
        struct made made;
        (void)snprintf(point.trainer, sizeof point.trainer, "%.31s", cases[c].trainer);
        make(&made, &point);
        const struct vb_trainer *trainer = &made.recipe.trainer;
        cr_expect_eq(trainer->reducing, cases[c].kind, "%s", cases[c].trainer);
        cr_expect_eq(trainer->averages_on_all, cases[c].averages, "%s", cases[c].trainer);
        cr_expect_eq(trainer->checks_on_all, cases[c].checks, "%s", cases[c].trainer);
        cr_expect_eq(trainer->validates_on_all, cases[c].validates, "%s", cases[c].trainer);
        vb_arena_clear(&made.arena);
    }
}
