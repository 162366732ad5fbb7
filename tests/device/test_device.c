/* SPDX-License-Identifier: Apache-2.0 */
/* What device.h promises of a device, held against the virtual T4: 15835594752 B, of which the
 * context takes 0.135 GiB = 144955146 B. cuDNN is kept out: memory does not depend on it. */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <criterion/parameterized.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "device/device.h"

static struct vb_device *open_t4(void)
{
    struct vb_device *device = NULL;
    struct vb_error err = { 0 };
    (void)setenv("VRAMBENCH_CUDNN", "off", 1);
    cr_assert(eq(int, vb_device_open("virtual:t4", &device, &err), VB_OK), "%s", err.text);
    return device;
}

struct reserve_case {
    char label[40];
    uint64_t asked_bytes;
    uint64_t given_bytes;
    enum vb_status status;
};

/* 15835594752 - 144955146 = 15690639606 B: 7481 granules of 2 MiB and some. */
ParameterizedTestParameters(device_reserve, rounds_up_or_refuses)
{
    static struct reserve_case cases[] = {
        { "one byte takes a granule", 1, VB_MIB(2), VB_OK },
        { "a granule stays a granule", VB_MIB(2), VB_MIB(2), VB_OK },
        { "a byte more takes two", VB_MIB(2) + 1, VB_MIB(4), VB_OK },
        { "all that the context leaves", VB_MIB(2) * 7481, VB_MIB(2) * 7481, VB_OK },
        { "a granule more than that", VB_MIB(2) * 7482, 0, VB_E_NO_FIT },
        { "rounding up must not wrap", UINT64_MAX, 0, VB_E_NO_FIT },
    };
    return cr_make_param_array(struct reserve_case, cases, sizeof cases / sizeof *cases);
}

ParameterizedTest(struct reserve_case *c, device_reserve, rounds_up_or_refuses)
{
    struct vb_device *device = open_t4();
    struct vb_segment segment = { 0 };
    struct vb_error err = { 0 };
    uint64_t before = vb_device_free_bytes(device);

    enum vb_status status = vb_device_reserve(device, c->asked_bytes, &segment, &err);
    cr_expect(eq(int, status, c->status), "%s: %s", c->label, err.text);
    cr_expect(eq(u64, segment.bytes, c->given_bytes), "%s", c->label);
    cr_expect(eq(u64, vb_device_free_bytes(device), before - c->given_bytes), "%s", c->label);

    if (status == VB_OK) /* known by what was asked for */
        vb_device_release(device, (struct vb_segment){ segment.address, c->asked_bytes });
    cr_expect(eq(u64, vb_device_free_bytes(device), before), "%s", c->label);
    vb_device_close(device);
}

Test(device_reserve, each_segment_lies_below_the_one_before)
{
    struct vb_device *device = open_t4();
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

/* The T4: 320 GB/s, 8.1 TFLOPS in fp32, 65 in fp16; it has no TF32. */
struct time_case {
    char label[48];
    struct vb_call call;
    double seconds;
};

ParameterizedTestParameters(device_run, takes_the_longer_of_computing_and_moving)
{
    static struct time_case cases[] = {
        { "bytes decide",
          { .op = VB_OP_CONV, .dtype = VB_FLOAT32, .flops = 1e9, .bytes = 320000000 },
          1e-3 },
        { "arithmetic decides",
          { .op = VB_OP_CONV, .dtype = VB_FLOAT32, .flops = 8.1e9, .bytes = 1000 },
          1e-3 },
        { "tensor cores for a convolution in fp16",
          { .op = VB_OP_CONV, .dtype = VB_FLOAT16, .flops = 65e9, .bytes = 1000 },
          1e-3 },
        { "none for anything else",
          { .op = VB_OP_ADD, .dtype = VB_FLOAT16, .flops = 8.1e9, .bytes = 1000 },
          1e-3 },
    };
    return cr_make_param_array(struct time_case, cases, sizeof cases / sizeof *cases);
}

ParameterizedTest(struct time_case *c, device_run, takes_the_longer_of_computing_and_moving)
{
    struct vb_device *device = open_t4();
    const struct vb_work work = { .call = &c->call };
    double seconds = 0.0;
    cr_assert(eq(int, vb_device_run(device, &work, NULL), VB_OK));
    cr_assert(eq(int, vb_device_run(device, &work, NULL), VB_OK));
    cr_assert(eq(int, vb_device_elapsed(device, &seconds, NULL), VB_OK));
    cr_expect(epsilon_eq(dbl, seconds, 2.0 * c->seconds, 1e-9), "%s: %g", c->label, seconds);
    cr_assert(eq(int, vb_device_elapsed(device, &seconds, NULL), VB_OK));
    cr_expect(eq(dbl, seconds, 0.0), "what was told is not told again");
    vb_device_close(device);
}

Test(device_open, says_which_devices_there_are)
{
    struct vb_device *device = NULL;
    struct vb_error err = { 0 };
    cr_expect(eq(int, vb_device_open("virtuel:t4", &device, &err), VB_E_INPUT));
    cr_expect(strstr(err.text, "virtual:GPU") != NULL, "%s", err.text);
    cr_expect(eq(int, vb_device_open("virtual:t5", &device, &err), VB_E_INPUT));
    cr_expect(strstr(err.text, "did you mean") != NULL, "%s", err.text);
    cr_expect(zero(ptr, device));
    vb_device_close(device);
}

/* One that borrows all but its memory from another, whose own memory stays as it is. */
Test(device_open, a_boundless_device_of_another_answers_as_that_does)
{
    struct vb_device *t4 = open_t4(), *boundless = NULL, *cpu = NULL;
    struct vb_error err = { 0 };
    struct vb_segment segment;
    struct vb_conv_plan plan = { 0 }, same = { 0 };
    const struct vb_conv conv = { .type = VB_CONV_FP16,
                                  .n = 16,
                                  .c = 64,
                                  .h = 80,
                                  .w = 80,
                                  .k = 64,
                                  .kernel_h = 3,
                                  .kernel_w = 3,
                                  .stride = 1,
                                  .pad = 1,
                                  .dilation = 1,
                                  .groups = 1 };
    const struct vb_conv_rules rules = { true, true, false, false };
    cr_assert(eq(int, vb_device_limit(t4, VB_GIB(2), &err), VB_OK));
    cr_assert(eq(int, vb_device_reserve(t4, VB_GIB(1), &segment, &err), VB_OK));
    cr_assert(eq(int, vb_device_open_boundless_of(t4, &boundless, &err), VB_OK), "%s", err.text);
    cr_expect(eq(u64, vb_device_info(boundless)->context_bytes, vb_device_info(t4)->context_bytes));
    cr_expect(eq(str, (char *)vb_device_info(boundless)->name, "virtual:t4"));
    cr_expect(eq(int, vb_device_reserve(boundless, VB_GIB(1000), &segment, &err), VB_OK));
    cr_expect(eq(int, vb_device_reserve(t4, VB_GIB(1), &segment, &err), VB_E_NO_FIT));
    cr_assert(eq(int, vb_device_plan(boundless, &conv, &rules, &plan, &err), VB_OK), "%s",
              err.text);
    vb_device_close(boundless);
    cr_assert(eq(int, vb_device_plan(t4, &conv, &rules, &same, &err), VB_OK), "%s", err.text);
    cr_expect(eq(u64, plan.workspace_bytes, same.workspace_bytes));
    vb_device_close(t4);
    cr_assert(eq(int, vb_device_open("cpu:1", &cpu, &err), VB_OK), "%s", err.text);
    cr_expect(eq(int, vb_device_open_boundless_of(cpu, &boundless, &err), VB_E_INPUT));
    vb_device_close(cpu);
}

Test(device_open, a_boundless_device_differs_in_its_memory_alone)
{
    struct vb_device *t4 = open_t4(), *boundless = NULL;
    struct vb_error err = { 0 };
    struct vb_segment segment;
    cr_assert(eq(int, vb_device_open_boundless("virtual:t4", &boundless, &err), VB_OK), "%s",
              err.text);
    cr_assert(eq(int, vb_device_reserve(boundless, VB_GIB(1000), &segment, &err), VB_OK));
    cr_expect(eq(u64, vb_device_info(boundless)->context_bytes, vb_device_info(t4)->context_bytes));
    cr_expect(eq(u64, vb_device_info(boundless)->granularity_bytes,
                 vb_device_info(t4)->granularity_bytes));
    vb_device_close(boundless);
    vb_device_close(t4);
    cr_expect(eq(int, vb_device_open_boundless("cuda:0", &boundless, &err), VB_E_INPUT));
    cr_expect(eq(int, vb_device_open_boundless("virtual:t9", &boundless, &err), VB_E_INPUT));
}
