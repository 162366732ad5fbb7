/* SPDX-License-Identifier: Apache-2.0 */
/* A capture over a CUPTI that does as it is told (fake/cupti.c): records of CUPTI's own structs
 * come through buffers of many sizes, and each way to have no capture says why. */

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "capture/capture.h"
#include "config.h"

static void set(const char *name, const char *value)
{
    cr_assert_eq(setenv(name, value, 1), 0);
}

Test(capture, without_one_every_call_does_nothing)
{
    struct vb_capture_reading reading;
    struct vb_arena arena = { 0 };
    struct vb_live live;
    bool has = true;
    memset(&reading, 0x55, sizeof reading);
    vb_capture_enter(NULL, 1);
    vb_capture_leave(NULL);
    cr_assert_eq(vb_capture_now(NULL), 0);
    cr_assert_eq(vb_capture_read(NULL, &reading, &arena, NULL), VB_OK);
    cr_assert_not(reading.has_memory);
    cr_assert_not(reading.has_kernels);
    cr_assert_eq(vb_capture_live(NULL, 5, &has, &live, NULL), VB_OK);
    cr_assert_not(has);
    cr_assert_not(vb_capture_info(NULL).is_on);
    cr_assert_str_neq(vb_capture_info(NULL).why, "");
    vb_capture_close(NULL);
}

Test(capture, that_is_not_there_says_so_and_does_nothing)
{
    struct vb_capture *capture = NULL;
    struct vb_capture_reading reading;
    struct vb_arena arena = { 0 };
    set("VRAMBENCH_CUDA_LIBS", "/nowhere");
    cr_assert_eq(vb_capture_open(0, &capture, NULL), VB_OK);
    struct vb_capture_info info = vb_capture_info(capture);
    cr_assert_not(info.is_on);
    cr_assert_not_null(strstr(info.why, VB_WITH_CUPTI ? "libcupti.so.13" : "headers"), "%s",
                       info.why);
    vb_capture_enter(capture, 1);
    vb_capture_leave(capture);
    cr_assert_eq(vb_capture_read(capture, &reading, &arena, NULL), VB_OK);
    cr_assert_not(reading.has_memory);
    vb_capture_close(capture);
}

#if VB_WITH_CUPTI
#include <cupti.h>

struct why_case {
    const char *told, *expected[3];
    bool is_on, has_memory;
};

static const struct why_case why_cases[] = {
    { "", { "" }, true, true },
    { "cuptiActivityEnable=35",
      { "CUPTI_ERROR_INSUFFICIENT_PRIVILEGES", "NVreg_RestrictProfilingToAdminUsers=0",
        "CAP_SYS_ADMIN" },
      false,
      false },
    { "cuptiSubscribe=39",
      { "CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED", "another profiler" },
      false,
      false },
    { "cuptiActivityEnable=14",
      { "CUPTI_ERROR_NOT_COMPATIBLE", "driver is too old" },
      false,
      false },
    { "cuptiSubscribe=15", { "CUPTI_ERROR_NOT_INITIALIZED", "no NVIDIA driver" }, false, false },
    { "cuptiActivityRegisterCallbacks=77", { "an error without a name" }, false, false },
    { "version=18", { "version 18", "CUDA 12.0 (19)" }, false, false },
    { "version=19", { "" }, true, true },
    { "enable49=21",
      { "memory is not captured", "cuptiActivityEnable(MEMORY2)", "CUPTI_ERROR_INVALID_KIND" },
      true,
      false },
    { "enable10=35,enable02=35",
      { "kernels are not timed", "memsets are not timed", "NVreg_RestrictProfilingToAdminUsers=0" },
      true,
      true },
    { "enable39=21", { "told apart by time alone" }, true, true },
};

Test(capture, each_way_to_have_none_has_a_reason)
{
    set("VRAMBENCH_CUDA_LIBS", VB_TEST_LIBRARIES);
    for (size_t i = 0; i < sizeof why_cases / sizeof *why_cases; i++) {
        const struct why_case *c = &why_cases[i];
        struct vb_capture *capture = NULL;
        struct vb_capture_reading reading;
        struct vb_arena arena = { 0 };
        set("VB_FAKE_CUPTI", c->told);
        cr_assert_eq(vb_capture_open(0, &capture, NULL), VB_OK);
        struct vb_capture_info info = vb_capture_info(capture);
        cr_expect_eq(info.is_on, c->is_on, "%s: %s", c->told, info.why);
        for (size_t j = 0; j < 3 && c->expected[j] != NULL; j++)
            cr_expect_not_null(strstr(info.why, c->expected[j]), "%s: %s", c->told, info.why);
        cr_expect_eq(info.why[0] == '\0', c->expected[0][0] == '\0', "%s: %s", c->told, info.why);
        cr_assert_eq(vb_capture_read(capture, &reading, &arena, NULL), VB_OK);
        cr_expect_eq(reading.has_memory, c->has_memory, "%s", c->told);
        vb_capture_close(capture);
        vb_arena_clear(&arena);
    }
}

Test(capture, says_whether_cupti_takes_device_memory)
{
    struct vb_capture *capture = NULL;
    set("VRAMBENCH_CUDA_LIBS", VB_TEST_LIBRARIES);
    cr_assert_eq(vb_capture_open(0, &capture, NULL), VB_OK);
    cr_assert_not(vb_capture_info(capture).uses_device_memory);
    vb_capture_close(capture);
    set("VB_FAKE_CUPTI", "cuptiActivitySetAttribute=27"); /* a confidential device */
    cr_assert_eq(vb_capture_open(0, &capture, NULL), VB_OK);
    cr_assert(vb_capture_info(capture).is_on);
    cr_assert(vb_capture_info(capture).uses_device_memory);
    vb_capture_close(capture);
}

Test(capture, only_one_is_on_at_a_time)
{
    struct vb_capture *first = NULL, *second = NULL;
    set("VRAMBENCH_CUDA_LIBS", VB_TEST_LIBRARIES);
    cr_assert_eq(vb_capture_open(0, &first, NULL), VB_OK);
    cr_assert_eq(vb_capture_open(0, &second, NULL), VB_OK);
    cr_assert_not(vb_capture_info(second).is_on);
    cr_assert_not_null(strstr(vb_capture_info(second).why, "captures already"));
    vb_capture_close(second);
    cr_assert(vb_capture_info(first).is_on);
    vb_capture_close(first);
    cr_assert_eq(vb_capture_open(0, &second, NULL), VB_OK);
    cr_assert(vb_capture_info(second).is_on);
    vb_capture_close(second);
}

/* ---- records ---- */

static struct {
    void (*add)(const void *record, size_t bytes);
    void (*set_time)(uint64_t ns);
    uint64_t (*pushed)(size_t *n);
} fake;

static struct vb_capture *open_fake(size_t buffer_bytes)
{
    struct vb_capture *capture = NULL;
    set("VRAMBENCH_CUDA_LIBS", VB_TEST_LIBRARIES);
    set("VB_FAKE_CUPTI", "");
    cr_assert_eq(vb_capture_open(buffer_bytes, &capture, NULL), VB_OK);
    cr_assert(vb_capture_info(capture).is_on, "%s", vb_capture_info(capture).why);
    void *handle = dlopen(vb_capture_info(capture).cupti_path, RTLD_NOW);
    cr_assert_not_null(handle);
    void *addresses[] = { dlsym(handle, "vb_fake_add"), dlsym(handle, "vb_fake_set_time"),
                          dlsym(handle, "vb_fake_pushed") };
    memcpy(&fake.add, &addresses[0], sizeof addresses[0]);
    memcpy(&fake.set_time, &addresses[1], sizeof addresses[1]);
    memcpy(&fake.pushed, &addresses[2], sizeof addresses[2]);
    cr_assert_eq(dlclose(handle), 0);
    return capture;
}

static void add_memory(uint64_t ns, uint64_t address, uint64_t bytes, bool is_release,
                       CUpti_ActivityMemoryKind kind, uint32_t correlation)
{
    CUpti_ActivityMemory4 record = { 0 };
    record.kind = CUPTI_ACTIVITY_KIND_MEMORY2;
    record.memoryOperationType = is_release ? CUPTI_ACTIVITY_MEMORY_OPERATION_TYPE_RELEASE
                                            : CUPTI_ACTIVITY_MEMORY_OPERATION_TYPE_ALLOCATION;
    record.memoryKind = kind;
    record.correlationId = correlation;
    record.address = address;
    record.bytes = bytes;
    record.timestamp = ns;
    fake.add(&record, sizeof record);
}

static void add_from_pool(uint64_t ns, uint64_t held, uint64_t used, bool is_release,
                          CUpti_ActivityMemoryPoolType type)
{
    CUpti_ActivityMemory4 record = { 0 };
    record.kind = CUPTI_ACTIVITY_KIND_MEMORY2;
    record.memoryOperationType = is_release ? CUPTI_ACTIVITY_MEMORY_OPERATION_TYPE_RELEASE
                                            : CUPTI_ACTIVITY_MEMORY_OPERATION_TYPE_ALLOCATION;
    record.memoryKind = CUPTI_ACTIVITY_MEMORY_KIND_DEVICE;
    record.address = 0xaaaa;
    record.bytes = used;
    record.timestamp = ns;
    record.isAsync = 1;
    record.memoryPoolConfig.memoryPoolType = type;
    record.memoryPoolConfig.address = 0xbbbb;
    record.memoryPoolConfig.pool.size = held;
    record.memoryPoolConfig.utilizedSize = used;
    fake.add(&record, sizeof record);
}

static void add_pool(uint64_t ns, CUpti_ActivityMemoryPoolOperationType operation, uint64_t held)
{
    CUpti_ActivityMemoryPool3 record = { 0 };
    record.kind = CUPTI_ACTIVITY_KIND_MEMORY_POOL;
    record.memoryPoolOperationType = operation;
    record.memoryPoolType = CUPTI_ACTIVITY_MEMORY_POOL_TYPE_LOCAL;
    record.address = 0xbbbb;
    record.size = held;
    record.timestamp = ns;
    fake.add(&record, sizeof record);
}

static void add_kernel(uint64_t start, uint64_t end, uint32_t correlation)
{
    CUpti_ActivityKernel10 record = { 0 };
    record.kind = CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL;
    record.start = start;
    record.end = end;
    record.correlationId = correlation;
    fake.add(&record, sizeof record);
}

static void add_memset(uint64_t start, uint64_t end, uint32_t correlation)
{
    CUpti_ActivityMemset4 record = { 0 };
    record.kind = CUPTI_ACTIVITY_KIND_MEMSET;
    record.start = start;
    record.end = end;
    record.correlationId = correlation;
    fake.add(&record, sizeof record);
}

static void add_external(uint32_t correlation, uint64_t tag, CUpti_ExternalCorrelationKind kind)
{
    CUpti_ActivityExternalCorrelation record = { 0 };
    record.kind = CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION;
    record.externalKind = kind;
    record.externalId = tag;
    record.correlationId = correlation;
    fake.add(&record, sizeof record);
}

static void add_call(void)
{
    CUpti_ActivityAPI record = { 0 };
    record.kind = CUPTI_ACTIVITY_KIND_DRIVER;
    fake.add(&record, sizeof record);
}

/* A step: a module, a segment, a workspace of cuDNN's that is given back, managed and pinned memory
 * beside. Its records out of order. */
static void add_step(void)
{
    const uint64_t conv = vb_tag(VB_OWNER_CUDNN, 3);
    const uint64_t stranger = vb_tag(VB_OWNER_POOL, 9);
    add_kernel(500, 600, 40);
    add_memory(90, 0x300, 0, true, CUPTI_ACTIVITY_MEMORY_KIND_DEVICE, 41);
    add_memory(10, 0x100, 7, false, CUPTI_ACTIVITY_MEMORY_KIND_DEVICE_STATIC, 0);
    add_call();
    add_external(40, conv, CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM0);
    add_external(40, stranger, CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM1);
    add_memory(60, 0x300, 300, false, CUPTI_ACTIVITY_MEMORY_KIND_DEVICE, 40);
    add_memory(31, 0x200, 2000, false, CUPTI_ACTIVITY_MEMORY_KIND_ARRAY, 0);
    add_memory(32, 0x500, 50000, false, CUPTI_ACTIVITY_MEMORY_KIND_MANAGED, 0);
    add_memory(33, 0x600, 600000, false, CUPTI_ACTIVITY_MEMORY_KIND_PINNED, 0);
    add_memset(700, 710, 40);
    add_kernel(35, 36, 0);
}

Test(capture, a_step_is_read_whatever_the_buffers_hold)
{
    const uint64_t pool = vb_tag(VB_OWNER_POOL, 0), conv = vb_tag(VB_OWNER_CUDNN, 3);
    /* From one record of the largest kind a buffer to all in one. */
    for (size_t bytes = sizeof(CUpti_ActivityKernel10); bytes < 4096; bytes += 88) {
        struct vb_capture *capture = open_fake(bytes);
        struct vb_capture_reading reading;
        struct vb_arena arena = { 0 };
        struct vb_live live;
        size_t n_pushed = 0;
        bool has = false;
        fake.set_time(30);
        vb_capture_enter(capture, pool);
        cr_assert_eq(fake.pushed(&n_pushed), pool);
        fake.set_time(40);
        vb_capture_leave(capture);
        fake.pushed(&n_pushed);
        cr_assert_eq(n_pushed, 0);
        add_step();
        fake.set_time(1000);
        cr_assert_eq(vb_capture_now(capture), 1000);
        cr_assert_eq(vb_capture_read(capture, &reading, &arena, NULL), VB_OK);
        cr_assert(reading.has_memory && reading.has_kernels);
        const struct vb_timeline_answer *answer = &reading.answer;
        cr_assert(answer->is_complete, "%zu bytes: %s", bytes, reading.note);
        cr_assert_str_eq(reading.note, "");
        cr_assert_eq(answer->peak.ns, 60);
        cr_assert_eq(answer->peak.device_bytes, 2307);
        cr_assert_eq(answer->peak.owner_bytes[VB_OWNER_OTHERS], 7);
        cr_assert_eq(answer->peak.owner_bytes[VB_OWNER_POOL], 2000);
        cr_assert_eq(answer->peak.owner_bytes[VB_OWNER_CUDNN], 300);
        cr_assert_eq(answer->peak.kind_bytes[VB_MEMORY_MANAGED], 50000);
        cr_assert_eq(answer->peak.kind_bytes[VB_MEMORY_PINNED], 600000);
        cr_assert_eq(reading.now.device_bytes, 2007);
        cr_assert_eq(answer->n_work, 2);
        cr_assert_eq(answer->work[0].tag, pool);
        cr_assert_eq(answer->work[1].tag, conv);
        cr_assert_float_eq(answer->work[1].kernel_seconds, 100e-9, 1e-15);
        cr_assert_float_eq(answer->work[1].memset_seconds, 10e-9, 1e-15);
        cr_assert_eq(vb_capture_live(capture, 30, &has, &live, NULL), VB_OK);
        cr_assert(has);
        cr_assert_eq(live.device_bytes, 7);
        vb_arena_clear(&arena);
        vb_capture_close(capture);
    }
}

Test(capture, a_drivers_pool_counts_with_what_it_holds)
{
    struct vb_capture *capture = open_fake(0);
    struct vb_capture_reading reading;
    struct vb_arena arena = { 0 };
    add_pool(1, CUPTI_ACTIVITY_MEMORY_POOL_OPERATION_TYPE_CREATED, 0);
    add_from_pool(5, 32, 10, false, CUPTI_ACTIVITY_MEMORY_POOL_TYPE_LOCAL);
    add_from_pool(6, 64, 40, false, CUPTI_ACTIVITY_MEMORY_POOL_TYPE_LOCAL);
    add_from_pool(7, 64, 0, true, CUPTI_ACTIVITY_MEMORY_POOL_TYPE_LOCAL);
    add_from_pool(7, 9999, 9999, false, CUPTI_ACTIVITY_MEMORY_POOL_TYPE_IMPORTED);
    add_pool(8, CUPTI_ACTIVITY_MEMORY_POOL_OPERATION_TYPE_TRIMMED, 16);
    fake.set_time(9);
    cr_assert_eq(vb_capture_read(capture, &reading, &arena, NULL), VB_OK);
    cr_assert_eq(reading.answer.peak.ns, 6);
    cr_assert_eq(reading.answer.peak.device_bytes, 64);
    cr_assert_eq(reading.now.device_bytes, 16);
    add_pool(10, CUPTI_ACTIVITY_MEMORY_POOL_OPERATION_TYPE_DESTROYED, 16);
    fake.set_time(11);
    cr_assert_eq(vb_capture_read(capture, &reading, &arena, NULL), VB_OK);
    cr_assert_eq(reading.now.device_bytes, 0);
    cr_assert(reading.answer.is_complete);
    vb_arena_clear(&arena);
    vb_capture_close(capture);
}

Test(capture, dropped_records_make_a_lower_bound)
{
    struct vb_capture *capture = open_fake(sizeof(CUpti_ActivityMemory4));
    struct vb_capture_reading reading;
    struct vb_arena arena = { 0 };
    add_memory(10, 0x100, 7, false, CUPTI_ACTIVITY_MEMORY_KIND_DEVICE, 0);
    add_kernel(1, 2, 0); /* does not fit into a buffer */
    cr_assert_eq(vb_capture_read(capture, &reading, &arena, NULL), VB_OK);
    cr_assert_eq(reading.answer.n_dropped, 1);
    cr_assert_not(reading.answer.is_complete);
    cr_assert_not_null(strstr(reading.note, "lower bound: 1 records dropped"), "%s", reading.note);
    cr_assert_eq(reading.answer.peak.device_bytes, 7);
    fake.add(NULL, 0);
    cr_assert_eq(vb_capture_read(capture, &reading, &arena, NULL), VB_OK);
    cr_assert_eq(reading.answer.n_dropped, 2);
    vb_arena_clear(&arena);
    vb_capture_close(capture);
}

Test(capture, a_record_that_hides_those_after_it_counts_as_dropped)
{
    struct vb_capture *capture = open_fake(0);
    struct vb_capture_reading reading;
    struct vb_arena arena = { 0 };
    uint64_t strange[4] = { 999 };
    add_memory(10, 0x100, 7, false, CUPTI_ACTIVITY_MEMORY_KIND_DEVICE, 0);
    fake.add(strange, sizeof strange);
    add_memory(11, 0x200, 70, false, CUPTI_ACTIVITY_MEMORY_KIND_DEVICE, 0);
    cr_assert_eq(vb_capture_read(capture, &reading, &arena, NULL), VB_OK);
    cr_assert_eq(reading.answer.peak.device_bytes, 7);
    cr_assert_eq(reading.answer.n_dropped, 1);
    vb_arena_clear(&arena);
    vb_capture_close(capture);
}

/* ---- NVIDIA's own, where it is ---- */

Test(capture, the_real_library_says_why_where_there_is_no_driver)
{
    struct vb_capture *capture = NULL;
    cr_assert_eq(unsetenv("VRAMBENCH_CUDA_LIBS"), 0);
    cr_assert_eq(vb_capture_open(0, &capture, NULL), VB_OK);
    struct vb_capture_info info = vb_capture_info(capture);
    cr_assert_eq(info.is_on || info.why[0] != '\0', true);
    if (!info.is_on)
        cr_assert_eq(strncmp(info.why, "nothing is captured: ", 21), 0, "%s", info.why);
    vb_capture_close(capture);
}
#endif
