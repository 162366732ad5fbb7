/* SPDX-License-Identifier: Apache-2.0 */
#include "step/program.h"

#include <inttypes.h>

#include "base/bytes.h"

const char *const vb_dtype_names[VB_N_DTYPES] = {
    "bool", "uint8", "int64", "fp16", "bf16", "fp32",
};

const uint64_t vb_dtype_bytes[VB_N_DTYPES] = { 1, 1, 8, 2, 2, 4 };

uint32_t vb_program_tensor(struct vb_program *program, const struct vb_tensor *tensor)
{
    struct vb_tensor *tensors = vb_arena_grow(program->arena, program->tensors, program->n_tensors,
                                              &program->tensors_room, sizeof *tensors);
    if (tensors == NULL || program->failed) {
        program->failed = true;
        return 0;
    }
    program->tensors = tensors;
    tensors[program->n_tensors] = *tensor;
    return (uint32_t)program->n_tensors++;
}

void vb_program_emit(struct vb_program *program, enum vb_instruction_kind kind, uint32_t index)
{
    struct vb_instruction *instructions =
        vb_arena_grow(program->arena, program->instructions, program->n_instructions,
                      &program->instructions_room, sizeof *instructions);
    if (instructions == NULL || program->failed) {
        program->failed = true;
        return;
    }
    program->instructions = instructions;
    instructions[program->n_instructions++] = (struct vb_instruction){ kind, index };
}

void vb_program_run(struct vb_program *program, const struct vb_call *call)
{
    struct vb_call *calls = vb_arena_grow(program->arena, program->calls, program->n_calls,
                                          &program->calls_room, sizeof *calls);
    if (calls == NULL || program->failed) {
        program->failed = true;
        return;
    }
    program->calls = calls;
    calls[program->n_calls] = *call;
    vb_program_emit(program, VB_RUN, (uint32_t)program->n_calls++);
}

void vb_program_carry(struct vb_program *program, uint32_t end, uint32_t start)
{
    struct vb_carry *carries = vb_arena_grow(program->arena, program->carries, program->n_carries,
                                             &program->carries_room, sizeof *carries);
    if (carries == NULL || program->failed) {
        program->failed = true;
        return;
    }
    program->carries = carries;
    carries[program->n_carries++] = (struct vb_carry){ end, start };
}

static void print_shape(const struct vb_shape *shape, struct vb_text *out)
{
    for (uint32_t i = 0; i < shape->n_dims; i++)
        vb_text_append(out, "%s%" PRIu32, i == 0 ? "" : "x", shape->dims[i]);
    if (shape->n_dims == 0)
        vb_text_append(out, "scalar");
}

static void print_tensor(const struct vb_program *program, const char *verb, uint32_t index,
                         bool csv, uint64_t alive_bytes, struct vb_text *out)
{
    const struct vb_tensor *tensor = &program->tensors[index];

    vb_text_append(out,
                   csv ? "%s,%" PRIu32 ",%s,%s,%s,%" PRIu64 ","
                       : "%-5s t%-6" PRIu32 " %-36s %-11s %-5s %12" PRIu64 " ",
                   verb, index, tensor->name, vb_category_names[tensor->category],
                   vb_dtype_names[tensor->dtype], tensor->bytes);
    print_shape(&tensor->shape, out);
    if (csv)
        vb_text_append(out, ",%" PRIu64 "\n", alive_bytes);
    else
        vb_text_append(out, "\n");
}

static void print_call(const struct vb_call *call, bool csv, uint64_t alive_bytes,
                       struct vb_text *out)
{
    if (csv)
        vb_text_append(out, "run,,%s %s,,%s,,,%" PRIu64 "\n", vb_operator_names[call->op],
                       call->module, vb_dtype_names[call->dtype], alive_bytes);
    else
        vb_text_append(out, "run   %s %s\n", vb_operator_names[call->op], call->module);
}

/* A phase or a mark, by its name. */
static void print_place(const char *kind, const char *name, bool csv, uint64_t alive_bytes,
                        struct vb_text *out)
{
    if (csv)
        vb_text_append(out, "%s,,%s,,,,,%" PRIu64 "\n", kind, name, alive_bytes);
    else
        vb_text_append(out, "%-5s %-60s %12" PRIu64 "\n", kind, name, alive_bytes);
}

void vb_program_print(const struct vb_program *program, bool csv, struct vb_text *out)
{
    static const char *const marks[] = {
        "step",
        "epoch",
        "later epoch",
        "empty cache",
        "empty a full cache",
        "empty a full cache",
        "AutoBatch begins",
        "size",
        "size once more",
    };
    uint64_t alive_bytes = 0;
    if (csv)
        vb_text_append(out, "instruction,tensor,name,category,dtype,bytes,shape,alive_bytes\n");

    for (size_t i = 0; i < program->n_instructions; i++) {
        struct vb_instruction instruction = program->instructions[i];
        if (i == program->first_step && !csv)
            vb_text_append(out, "step  first\n");
        if (i == program->second_step && i != program->loop_start && !csv)
            vb_text_append(out, "step  second\n");
        if (i == program->loop_start && i < program->loop_end && !csv)
            vb_text_append(out, "step  steady, repeated\n");
        switch (instruction.kind) {
        case VB_ALLOC:
            alive_bytes += program->tensors[instruction.index].bytes;
            print_tensor(program, "alloc", instruction.index, csv, alive_bytes, out);
            break;
        case VB_FREE:
            alive_bytes -= program->tensors[instruction.index].bytes;
            print_tensor(program, "free", instruction.index, csv, alive_bytes, out);
            break;
        case VB_RUN:
            print_call(&program->calls[instruction.index], csv, alive_bytes, out);
            break;
        case VB_PHASE:
            print_place("phase", vb_phase_names[instruction.index], csv, alive_bytes, out);
            break;
        case VB_MARK:
            if (instruction.index >= VB_MARK_PART)
                print_place("part", vb_part_names[instruction.index - VB_MARK_PART], csv,
                            alive_bytes, out);
            else
                print_place("mark", marks[instruction.index], csv, alive_bytes, out);
            break;
        }
    }
}
