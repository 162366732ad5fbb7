/* SPDX-License-Identifier: Apache-2.0 */
/* This machine as a device: its memory, what makes mistakes show, and a program small enough to be
 * followed by hand. */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/bytes.h"
#include "device/execute.h"
#include "device/host.h"

static struct vb_device *open_cpu(uint64_t memory_bytes)
{
    struct vb_device *device = NULL;
    struct vb_error err = { 0 };
    cr_assert(eq(int, vb_device_open("cpu:2", &device, &err), VB_OK), "%s", err.text);
    if (memory_bytes > 0)
        cr_assert(eq(int, vb_device_limit(device, memory_bytes, &err), VB_OK), "%s", err.text);
    return device;
}

struct reserve_case {
    char label[40];
    uint64_t asked_bytes;
    uint64_t given_bytes;
    enum vb_status status;
};

ParameterizedTestParameters(cpu_reserve, rounds_up_or_refuses)
{
    static struct reserve_case cases[] = {
        { "one byte takes a granule", 1, VB_MIB(2), VB_OK },
        { "a granule stays a granule", VB_MIB(2), VB_MIB(2), VB_OK },
        { "a byte more takes two", VB_MIB(2) + 1, VB_MIB(4), VB_OK },
        { "all that there is", VB_MIB(64), VB_MIB(64), VB_OK },
        { "a byte more than that", VB_MIB(64) + 1, 0, VB_E_NO_FIT },
        { "rounding up must not wrap", UINT64_MAX, 0, VB_E_NO_FIT },
    };
    return cr_make_param_array(struct reserve_case, cases, sizeof cases / sizeof *cases);
}

ParameterizedTest(struct reserve_case *c, cpu_reserve, rounds_up_or_refuses)
{
    struct vb_device *device = open_cpu(VB_MIB(64));
    struct vb_segment segment = { 0 };
    struct vb_error err = { 0 };
    enum vb_status status = vb_device_reserve(device, c->asked_bytes, &segment, &err);
    cr_expect(eq(int, status, c->status), "%s: %s", c->label, err.text);
    cr_expect(eq(u64, segment.bytes, c->given_bytes), "%s", c->label);
    cr_expect(eq(u64, vb_device_free_bytes(device), VB_MIB(64) - c->given_bytes), "%s", c->label);
    if (status == VB_OK) /* known by what was asked for */
        vb_device_release(device, (struct vb_segment){ segment.address, c->asked_bytes });
    cr_expect(eq(u64, vb_device_free_bytes(device), VB_MIB(64)), "%s", c->label);
    vb_device_close(device);
}

Test(cpu_reserve, each_segment_lies_below_the_one_before)
{
    struct vb_device *device = open_cpu(0);
    struct vb_segment last = { 0 };
    cr_assert(eq(int, vb_device_reserve(device, 1, &last, NULL), VB_OK));
    for (uint64_t i = 1; i < 50; i++) {
        struct vb_segment next = { 0 };
        cr_assert(eq(int, vb_device_reserve(device, VB_MIB(i), &next, NULL), VB_OK));
        cr_expect(eq(u64, next.address + next.bytes, last.address));
        if (i % 3 == 0)
            vb_device_release(device, next);
        last = next;
    }
    vb_device_close(device);
}

/* The limit is set once the device is open, as when something else took the memory since. */
Test(cpu_reserve, what_the_kernel_refuses_does_not_fit)
{
    struct vb_device *device = open_cpu(0);
    const struct rlimit none = { VB_MIB(1), RLIM_INFINITY };
    struct rlimit before;
    struct vb_segment segment;
    struct vb_error err = { 0 };
    cr_assert(eq(int, getrlimit(RLIMIT_AS, &before), 0));
    cr_assert(eq(int, setrlimit(RLIMIT_AS, &none), 0));
    enum vb_status status = vb_device_reserve(device, VB_MIB(32), &segment, &err);
    cr_assert(eq(int, setrlimit(RLIMIT_AS, &before), 0));
    cr_expect(eq(int, status, VB_E_NO_FIT), "%s", err.text);
    cr_expect(eq(u64, vb_device_free_bytes(device), vb_device_info(device)->capacity_bytes));
    vb_device_close(device);
}

Test(cpu_open, tells_its_threads_and_refuses_what_are_none)
{
    static const char *const bad[] = { "cpu:0", "cpu:1025", "cpu:x", "cpu:2x", "cpu:-1" };
    struct vb_device *device = open_cpu(0);
    struct vb_error err = { 0 };
    const struct vb_device_info *info = vb_device_info(device);
    cr_expect(eq(u32, info->threads, 2));
    cr_expect(info->measures);
    cr_expect(eq(str, (char *)info->name, "cpu:2"));
    cr_expect_neq(info->onednn[0], '\0');
    cr_expect_gt(info->capacity_bytes, 0);
    vb_device_close(device);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_expect(eq(int, vb_device_open(bad[i], &device, &err), VB_E_INPUT), "%s", bad[i]);
        cr_expect(strstr(err.text, "cpu:THREADS") != NULL, "%s", err.text);
    }
}

Test(cpu_mark, poisoned_memory_is_no_number_of_any_type)
{
    uint32_t word = 0;
    float value = 0;
    struct vb_segment segment;
    (void)setenv("VRAMBENCH_POISON", "1", 1);
    struct vb_device *device = open_cpu(0);
    cr_assert(eq(int, vb_device_reserve(device, 4096, &segment, NULL), VB_OK));
    vb_device_mark(device, segment.address, 4096, true);
    cr_assert(eq(int, vb_device_read(device, segment.address + 4092, &word, 4, NULL), VB_OK));
    memcpy(&value, &word, sizeof value);
    cr_expect(isnan(value));
    /* All of bf16's eight bits of exponent are set, fp16's five among them, and a fraction. */
    cr_expect(eq(u32, word & 0x7f80, 0x7f80));
    cr_expect_neq(word & 0x3ff, 0);
    cr_expect_neq(word & 0x7f, 0);
    cr_expect(eq(u32, word >> 16, word & 0xffff));
    vb_device_close(device);
}

/* A scalar that the first step fills and each further step adds one to. */
struct tiny {
    struct vb_tensor tensors[2];
    struct vb_operand operands[3];
    struct vb_call calls[2];
    struct vb_instruction instructions[5];
    struct vb_carry carry;
    struct vb_program program;
};

static void make_tiny(struct tiny *tiny)
{
    *tiny = (struct tiny){
        .tensors = { { .name = "first", .dtype = VB_FLOAT32, .category = VB_LOSS, .bytes = 4 },
                     { .name = "next", .dtype = VB_FLOAT32, .category = VB_LOSS, .bytes = 4 } },
        .operands = { { .tensor = 0, .dtype = VB_FLOAT32 },
                      { .tensor = 0, .dtype = VB_FLOAT32 },
                      { .tensor = 1, .dtype = VB_FLOAT32 } },
        .calls = { { .op = VB_OP_FILL,
                     .dtype = VB_FLOAT32,
                     .module = "tiny",
                     .a = 1,
                     .flops = 1,
                     .n_operands = 1 },
                   { .op = VB_OP_ADD_NUMBER,
                     .dtype = VB_FLOAT32,
                     .module = "tiny",
                     .a = 1,
                     .flops = 1,
                     .n_operands = 2 } },
        .instructions = { { VB_ALLOC, 0 },
                          { VB_RUN, 0 },
                          { VB_ALLOC, 1 },
                          { VB_RUN, 1 },
                          { VB_FREE, 0 } },
        .carry = { .end = 1, .start = 0 },
    };
    tiny->calls[0].operands = &tiny->operands[0];
    tiny->calls[1].operands = &tiny->operands[1];
    tiny->program = (struct vb_program){
        .tensors = tiny->tensors,
        .n_tensors = 2,
        .calls = tiny->calls,
        .n_calls = 2,
        .instructions = tiny->instructions,
        .n_instructions = 5,
        .second_step = 2,
        .loop_start = 2,
        .loop_end = 5,
        .loop_batches = 1,
        .carries = &tiny->carry,
        .n_carries = 1,
        .layout = VB_CHANNELS_LAST,
        .first_loss = 0,
        .loss = 1,
        .empties_above_percent = 100,
    };
}

static enum vb_status execute(struct tiny *tiny, struct vb_record *record, struct vb_error *err)
{
    struct vb_point point = vb_point_default();
    struct vb_device *device = open_cpu(0);
    struct vb_arena arena = { 0 };
    point.warmup = 2;
    point.steps = 5;
    *record = (struct vb_record){ .point = point };
    enum vb_status status = vb_execute(&tiny->program, &point, device, false, &arena, record, err);
    cr_expect(eq(u64, vb_device_free_bytes(device), vb_device_info(device)->capacity_bytes));
    vb_device_close(device);
    vb_arena_clear(&arena);
    return status;
}

Test(cpu_execute, follows_each_step_and_tells_what_it_measured)
{
    struct tiny tiny;
    struct vb_record record;
    struct vb_error err = { 0 };
    make_tiny(&tiny);
    cr_assert(eq(int, execute(&tiny, &record, &err), VB_OK), "%s", err.text);
    cr_expect(eq(int, record.state, VB_STATE_OK));
    cr_expect(eq(int, record.provenance, VB_MEASURED));
    cr_expect(eq(dbl, record.loss_first, 1));
    cr_expect(eq(dbl, record.loss_last, 7), "six steps after the first");
    cr_expect_gt(record.step_seconds, 0);
    cr_expect_leq(record.step_p10_seconds, record.step_seconds);
    cr_expect_geq(record.step_p90_seconds, record.step_seconds);
    cr_expect(eq(dbl, record.step_flops, 1));
    cr_expect_not(record.time_is_modelled);
    cr_expect(eq(u64, record.threads, 2));
    cr_expect(eq(u64, record.peak_requested_bytes, 8));
    cr_expect(eq(u64, record.peak_allocated_bytes, 1024));
    cr_expect(eq(u64, record.peak_reserved_bytes, VB_MIB(2)));
    cr_expect_geq(record.peak_rss_bytes, 512);
    cr_expect(eq(u64, record.peak_device_bytes, 0), "no driver told");
}

Test(cpu_execute, a_tensor_that_is_read_before_it_is_written_shows)
{
    struct tiny tiny;
    struct vb_record record;
    struct vb_error err = { 0 };
    (void)setenv("VRAMBENCH_POISON", "1", 1);
    make_tiny(&tiny);
    tiny.instructions[1] = (struct vb_instruction){ VB_PHASE, VB_PHASE_SETUP };
    cr_expect(eq(int, execute(&tiny, &record, &err), VB_E_DEVICE));
    cr_expect(strstr(err.text, "step 1: the loss is") != NULL, "%s", err.text);
}

Test(cpu_execute, a_tensor_that_is_used_after_it_was_freed_is_named)
{
    struct tiny tiny;
    struct vb_record record;
    struct vb_error err = { 0 };
    make_tiny(&tiny);
    tiny.instructions[3] = (struct vb_instruction){ VB_FREE, 0 };
    tiny.instructions[4] = (struct vb_instruction){ VB_RUN, 1 };
    cr_expect(eq(int, execute(&tiny, &record, &err), VB_E_DEVICE));
    cr_expect(strstr(err.text, "uses first, which is not there") != NULL, "%s", err.text);
}

Test(cpu_execute, what_it_cannot_run_is_refused_before_memory_is_taken)
{
    struct tiny tiny;
    struct vb_record record;
    struct vb_error err = { 0 };
    make_tiny(&tiny);
    tiny.calls[1].op = VB_OP_PLANNED;
    cr_expect(eq(int, execute(&tiny, &record, &err), VB_E_UNSUPPORTED), "%s", err.text);
    make_tiny(&tiny);
    tiny.calls[1].n_operands = 0;
    cr_expect(eq(int, execute(&tiny, &record, &err), VB_E_UNSUPPORTED), "%s", err.text);
    make_tiny(&tiny);
    tiny.program.layout = VB_ONLY_PLANNED;
    cr_expect(eq(int, execute(&tiny, &record, &err), VB_E_UNSUPPORTED), "%s", err.text);
}
