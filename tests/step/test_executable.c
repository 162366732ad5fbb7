/* SPDX-License-Identifier: Apache-2.0 */
/* What a device relies on when it runs a program: every element that a call reads lies in a tensor
 * that is there, and was written before. Two rounds of the loop, so what a step leaves to the next
 * is looked at too. */

#include <criterion/criterion.h>
#include <stdlib.h>

#include "step/build.h"
#include "step/sized.h"

/* A tensor's memory. */
struct memory {
    bool is_there;
    uint64_t n_written, n;
    unsigned char *written; /* of each element; NULL until a part is written */
};

/* The last operands, which are written and not read; of the rest those in `updated` are both. */
struct results {
    uint32_t n;
    uint32_t updated; /* bits */
};

static struct results results_of(const struct vb_call *call)
{
    uint32_t last = 1u << (call->n_operands - 1), before = last >> 1;
    switch ((int)call->op) {
    case VB_OP_TOP_K:
    case VB_OP_MAX_POOL:
        return (struct results){ 2, 0 };
    case VB_OP_UNIQUE:
    case VB_OP_BATCH_NORM_BACKWARD:
        return (struct results){ 3, 0 };
    case VB_OP_BATCH_NORM:
        return (struct results){ 3, 1u << 3 | 1u << 4 };
    case VB_OP_MASKED_FILL:
    case VB_OP_SCATTER:
    case VB_OP_SCATTER_ADD:
    case VB_OP_INDEX_PUT:
    case VB_OP_INDEX_ADD:
    case VB_OP_RESOLVE_CLAIMS:
    case VB_OP_DECAY:
    case VB_OP_CLIP:
        return (struct results){ 0, last };
    case VB_OP_ADAM_MOMENTS:
    case VB_OP_UNSCALE:
    case VB_OP_RESCALE:
        return (struct results){ 0, last | before };
    default:
        return (struct results){ 1, 0 };
    }
}

/* Of operators whose results do not all stand last: which operands are written (bits), which read.
 */
static void sort_operands(const struct vb_call *call, uint32_t *read, uint32_t *written)
{
    struct results results = results_of(call);
    uint32_t all = (1u << call->n_operands) - 1;
    *written = all & ~((1u << (call->n_operands - results.n)) - 1);
    *read = all & ~*written;
    *written |= results.updated;
    switch ((int)call->op) {
    case VB_OP_CONV_BACKWARD_DATA:
        *written = 1u << 0;
        break;
    case VB_OP_CONV_BACKWARD_FILTER:
        *written = 1u << 1;
        break;
    case VB_OP_SGD: /* found, direction, momentum, step, parameter */
        *written = 1u << 2 | 1u << 3 | 1u << 4;
        *read = 1u << 0 | 1u << 1 | 1u << 2 | 1u << 4;
        return;
    case VB_OP_ADAM_STEP: /* found, mean, root, denominator, parameter */
        *written = 1u << 3 | 1u << 4;
        *read = 1u << 0 | 1u << 1 | 1u << 2 | 1u << 4;
        return;
    case VB_OP_EMA: /* parameter, product, average */
        *written = 1u << 1 | 1u << 2;
        *read = 1u << 0 | 1u << 2;
        return;
    default:
        return;
    }
    *read = all & ~*written;
}

/* Calls of the elements of an operand that are not written, and marks them so if `writes`. */
static uint64_t visit(const struct vb_operand *operand, struct memory *memory, bool writes)
{
    uint32_t place[VB_MAX_DIMS] = { 0 };
    uint64_t n = vb_shape_elements(&operand->shape), missing = 0;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t at = operand->offset;
        for (uint32_t axis = 0; axis < operand->shape.n_dims; axis++)
            at += (uint64_t)place[axis] * operand->strides[axis];
        cr_assert_lt(at, memory->n);
        missing += memory->written == NULL || !memory->written[at];
        if (writes && !memory->written[at]) {
            memory->written[at] = 1;
            memory->n_written++;
        }
        for (uint32_t axis = operand->shape.n_dims; axis-- > 0;) {
            if (++place[axis] < operand->shape.dims[axis])
                break;
            place[axis] = 0;
        }
    }
    return missing;
}

/* Where in its tensor the operand, which is not empty, ends. */
static uint64_t end_of(const struct vb_operand *operand)
{
    uint64_t last = operand->offset;
    for (uint32_t i = 0; i < operand->shape.n_dims; i++)
        last += (uint64_t)(operand->shape.dims[i] - 1) * operand->strides[i];
    return last + 1;
}

/* Whether it covers its tensor without gaps, so that elements need not be looked at. */
static bool is_whole(const struct vb_operand *operand, const struct memory *memory)
{
    return vb_shape_elements(&operand->shape) == memory->n && end_of(operand) == memory->n;
}

static void check_call(const struct vb_program *program, const struct vb_call *call,
                       struct memory *memories)
{
    uint32_t read, written;
    sort_operands(call, &read, &written);
    for (int writes = 0; writes < 2; writes++) {
        for (uint32_t i = 0; i < call->n_operands; i++) {
            const struct vb_operand *operand = &call->operands[i];
            bool is_concerned = ((writes ? written : read) >> i & 1) != 0;
            if (!is_concerned || operand->tensor == VB_NONE ||
                vb_shape_elements(&operand->shape) == 0)
                continue;
            struct memory *memory = &memories[operand->tensor];
            const char *name = program->tensors[operand->tensor].name;
            cr_assert(memory->is_there, "%s: operand %u, %s, is gone", vb_operator_names[call->op],
                      i, name);
            cr_assert_leq(end_of(operand), memory->n, "%s %s: operand %u leaves %s", call->module,
                          vb_operator_names[call->op], i, name);
            if (memory->n_written == memory->n)
                continue;
            if (writes && is_whole(operand, memory)) {
                memory->n_written = memory->n;
                continue;
            }
            if (writes && memory->written == NULL)
                memory->written = calloc(memory->n, 1);
            uint64_t missing = visit(operand, memory, writes);
            cr_assert(writes || missing == 0, "%s %s: %lu elements of operand %u, %s, are unknown",
                      call->module, vb_operator_names[call->op], (unsigned long)missing, i, name);
        }
    }
}

static void run(const struct vb_program *program, size_t from, size_t to, struct memory *memories)
{
    for (size_t i = from; i < to; i++) {
        struct vb_instruction instruction = program->instructions[i];
        if (instruction.kind == VB_RUN)
            check_call(program, &program->calls[instruction.index], memories);
        if (instruction.kind != VB_ALLOC && instruction.kind != VB_FREE)
            continue;
        struct memory *memory = &memories[instruction.index];
        free(memory->written);
        *memory = (struct memory){
            .is_there = instruction.kind == VB_ALLOC,
            .n = vb_shape_elements(&program->tensors[instruction.index].shape),
        };
    }
}

static void carry(const struct vb_program *program, struct memory *memories)
{
    for (size_t i = 0; i < program->n_carries; i++) {
        struct memory *end = &memories[program->carries[i].end];
        struct memory *start = &memories[program->carries[i].start];
        free(start->written);
        *start = *end;
        *end = (struct memory){ 0 };
    }
}

static void expect_executable(const struct vb_point *point)
{
    struct vb_arena arena = { 0 };
    struct vb_error err = { 0 };
    struct vb_description description;
    struct vb_graph graph;
    struct vb_recipe recipe;
    struct vb_program program;
    enum { ROUNDS = 2 };
    cr_assert_eq(vb_point_graph(point, &arena, &description, &graph, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_recipe_find(point, vb_family_of(&graph), &recipe, &err), VB_OK, "%s", err.text);
    cr_assert_eq(
        vb_program_build(&graph, point, &recipe, NULL, VB_CHANNELS_LAST, &arena, &program, &err),
        VB_OK, "%s", err.text);
    struct memory *memories = calloc(program.n_tensors, sizeof *memories);
    run(&program, 0, program.loop_start, memories);
    for (int round = 0; round < ROUNDS; round++) {
        run(&program, program.loop_start, program.loop_end, memories);
        carry(&program, memories);
    }
    for (size_t i = 0; i < program.n_tensors; i++)
        free(memories[i].written);
    free(memories);
    vb_arena_clear(&arena);
}

static struct vb_point small_point(const char *model)
{
    struct vb_point point = vb_point_default();
    (void)snprintf(point.model, sizeof point.model, "%s", model);
    point.batch = 2;
    point.imgsz = 64;
    point.accumulate = 1;
    point.targets = 3;
    return point;
}

Test(executable, programs_read_what_was_written)
{
    static const char *const models[] = { "yolov5n", "yolov8n" };
    for (size_t m = 0; m < 2; m++) {
        for (int setting = 0; setting < 3 * 3 * 2; setting++) {
            struct vb_point point = small_point(models[m]);
            point.precision = (enum vb_precision)(setting % 3);
            point.optimizer = (enum vb_optimizer)(setting / 3 % 3);
            (void)snprintf(point.torch, sizeof point.torch, setting / 9 == 0 ? "1.13" : "");
            (void)fprintf(stderr, "%s %s %s torch %s\n", point.model,
                          vb_precision_names[point.precision], vb_optimizer_names[point.optimizer],
                          point.torch);
            expect_executable(&point);
        }
    }
}

/* Some channels of a single image have no gaps where channels come first. */
Test(executable, programs_of_one_image_do_too)
{
    static const char *const models[] = { "yolov5n", "yolov8n" };
    for (int setting = 0; setting < 2 * 3; setting++) {
        struct vb_point point = small_point(models[setting % 2]);
        point.batch = 1;
        point.precision = (enum vb_precision)(setting / 2);
        expect_executable(&point);
    }
}

Test(executable, programs_that_compose_and_accumulate_do_too)
{
    for (int setting = 0; setting < 8; setting++) {
        struct vb_point point = small_point(setting % 2 == 0 ? "yolov5n" : "yolov8n");
        point.mosaic = VB_MOSAIC_ON;
        point.mixup = setting / 2 % 2 == 0;
        point.copy_paste = setting / 4 == 0;
        point.accumulate = 2;
        expect_executable(&point);
    }
}

Test(executable, programs_of_frozen_layers_and_of_rectangles_do_too)
{
    for (int setting = 0; setting < 2 * 3 * 2; setting++) {
        struct vb_point point = small_point(setting % 2 == 0 ? "yolov5n" : "yolov8n");
        point.precision = (enum vb_precision)(setting / 2 % 3);
        point.freeze = setting / 6 == 0 ? 10 : 22;
        point.rect = setting / 6 == 0 ? 0.5 : 0;
        point.single_cls = setting / 6 == 0;
        expect_executable(&point);
    }
}

Test(executable, classifiers_programs_do_too)
{
    for (int setting = 0; setting < 3 * 3; setting++) {
        struct vb_point point = small_point(VB_TEST_DATA "/models/resnet50.yaml");
        point.precision = (enum vb_precision)(setting % 3);
        point.optimizer = (enum vb_optimizer)(setting / 3);
        point.mosaic = VB_MOSAIC_OFF;
        expect_executable(&point);
    }
}
