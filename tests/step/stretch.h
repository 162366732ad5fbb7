/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_TESTS_STEP_STRETCH_H
#define VB_TESTS_STEP_STRETCH_H

/* What is alive in a stretch of a program. */

#include <criterion/criterion.h>
#include <stdbool.h>

#include "step/program.h"

/* Walks a stretch; each tensor is taken while it is not there and given while it is. The most bytes
 * alive. */
static inline uint64_t walk(const struct vb_program *program, size_t from, size_t to, bool *alive)
{
    uint64_t bytes = 0, peak = 0;
    for (size_t i = 0; i < program->n_tensors; i++)
        bytes += alive[i] ? program->tensors[i].bytes : 0;
    for (size_t i = from; i < to; i++) {
        struct vb_instruction instruction = program->instructions[i];
        if (instruction.kind != VB_ALLOC && instruction.kind != VB_FREE)
            continue;
        bool takes = instruction.kind == VB_ALLOC;
        const struct vb_tensor *tensor = &program->tensors[instruction.index];
        cr_assert_eq(alive[instruction.index], !takes, "instruction %zu: %s", i, tensor->name);
        alive[instruction.index] = takes;
        bytes = takes ? bytes + tensor->bytes : bytes - tensor->bytes;
        peak = bytes > peak ? bytes : peak;
    }
    return peak;
}

#endif
