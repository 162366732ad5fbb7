/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_TESTS_STEP_GPUS_H
#define VB_TESTS_STEP_GPUS_H

/* Programs of one of several GPUs, and what is alive in them. */

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "model/catalogue.h"
#include "step/build.h"

struct made {
    struct vb_arena arena;
    struct vb_graph graph;
    struct vb_recipe recipe;
    struct vb_program program;
};

static inline struct vb_point small_point(const char *model)
{
    struct vb_point point = vb_point_default();
    (void)snprintf(point.model, sizeof point.model, "%.200s", model);
    point.batch = 4;
    point.imgsz = 320;
    point.accumulate = 1;
    return point;
}

static inline const char *label_of(const struct vb_point *point)
{
    static char label[160];
    (void)snprintf(label, sizeof label, "%.20s %.40s torch %.16s, view %d, zero %u, rank %u, %s",
                   point->model, point->trainer, point->torch, point->bucket_view, point->zero,
                   point->rank, vb_precision_names[point->precision]);
    return label;
}

/* With operands, so that it can be seen what calls read and write. */
static inline void make(struct made *made, const struct vb_point *point)
{
    struct vb_error err = { 0 };
    *made = (struct made){ 0 };
    cr_assert_eq(vb_catalogue_expand(point->model, vb_loaded_of(point), point->imgsz, 0,
                                     &made->arena, &made->graph, &err),
                 VB_OK, "%s", err.text);
    cr_assert_eq(vb_recipe_find(point, vb_family_of(&made->graph), &made->recipe, &err), VB_OK,
                 "%s", err.text);
    cr_assert_eq(vb_program_build(&made->graph, point, &made->recipe, NULL, VB_IN_ORDER,
                                  &made->arena, &made->program, &err),
                 VB_OK, "%s", err.text);
}

/* A walk over a program's instructions. */
struct alive {
    const struct vb_program *program;
    bool *is;       /* of each tensor */
    uint64_t bytes; /* requested */
    uint64_t peak;
    enum vb_phase phase, peak_phase;
};

static inline struct alive begin_walk(const struct vb_program *program)
{
    return (struct alive){ .program = program, .is = calloc(program->n_tensors + 1, sizeof(bool)) };
}

/* A tensor is taken while it is not there, given while it is, and there while it is used. */
static inline void step_over(struct alive *alive, size_t i)
{
    const struct vb_program *program = alive->program;
    struct vb_instruction instruction = program->instructions[i];
    uint32_t index = instruction.index;
    if (instruction.kind == VB_PHASE)
        alive->phase = (enum vb_phase)index;
    if (instruction.kind == VB_ALLOC || instruction.kind == VB_FREE) {
        bool takes = instruction.kind == VB_ALLOC;
        cr_assert_eq(alive->is[index], !takes, "instruction %zu: %s", i,
                     program->tensors[index].name);
        alive->is[index] = takes;
        alive->bytes += takes ? program->tensors[index].bytes : -program->tensors[index].bytes;
    }
    if (alive->bytes > alive->peak) {
        alive->peak = alive->bytes;
        alive->peak_phase = alive->phase;
    }
    const struct vb_call *call = instruction.kind == VB_RUN ? &program->calls[index] : NULL;
    for (uint32_t k = 0; call != NULL && k < call->n_operands; k++) {
        uint32_t tensor = call->operands[k].tensor;
        cr_assert(tensor == VB_NONE || alive->is[tensor], "instruction %zu: %s is not there", i,
                  program->tensors[tensor].name);
    }
}

static inline void walk(struct alive *alive, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        step_over(alive, i);
}

/* What the loop leaves goes by the names under which it begins again. */
static inline void carry(struct alive *alive)
{
    for (size_t i = 0; i < alive->program->n_carries; i++) {
        struct vb_carry carry = alive->program->carries[i];
        cr_assert(alive->is[carry.end], "%s", alive->program->tensors[carry.end].name);
        alive->is[carry.end] = false;
        alive->is[carry.start] = true;
    }
}

/* Each round of the loop ends with the tensors alive that it begins with. */
static inline struct alive expect_rounds(const struct vb_program *program, const char *label)
{
    struct alive alive = begin_walk(program);
    bool *start = calloc(program->n_tensors + 1, sizeof *start);
    walk(&alive, 0, program->loop_start);
    memcpy(start, alive.is, program->n_tensors);
    for (int round = 0; round < 3; round++) {
        walk(&alive, program->loop_start, program->n_instructions);
        carry(&alive);
        for (size_t i = 0; i < program->n_tensors; i++)
            cr_assert_eq(alive.is[i], start[i], "%s: %s is %s", label, program->tensors[i].name,
                         alive.is[i] ? "left over" : "gone");
    }
    free(start);
    return alive;
}

static inline uint64_t bytes_named(const struct alive *alive, const char *name, uint32_t *count)
{
    uint64_t bytes = 0;
    *count = 0;
    for (size_t i = 0; i < alive->program->n_tensors; i++) {
        if (!alive->is[i] || strcmp(alive->program->tensors[i].name, name) != 0)
            continue;
        bytes += alive->program->tensors[i].bytes;
        ++*count;
    }
    return bytes;
}

static inline uint64_t bytes_of(const struct alive *alive, enum vb_category category)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < alive->program->n_tensors; i++)
        bytes += alive->is[i] && alive->program->tensors[i].category == category
                     ? alive->program->tensors[i].bytes
                     : 0;
    return bytes;
}

#endif
