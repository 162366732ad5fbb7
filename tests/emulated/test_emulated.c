/* SPDX-License-Identifier: Apache-2.0 */
/* The stand-ins for the driver, CUPTI and NVML: that they do what the real ones do, and find what a
 * real GPU would not tell. */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "emulated.h"
#include "kernels/list.h"
#include "libraries.h"
#include "step/operator.h"

enum { MIB = 1 << 20, N = 1000 };

static CUdeviceptr allocate(size_t bytes)
{
    CUdeviceptr address = 0;
    CHECK(on.cuMemAlloc(&address, bytes) == CUDA_SUCCESS);
    return address;
}

/* ---------------------------------------------------------------------------------- the driver */

static void describe_device(void)
{
    CUstream stream = start();
    char name[64];
    int major = 0, minor = 0;
    size_t bytes = 0, left = 0, total = 0;
    CHECK(on.cuDeviceGetName(name, sizeof name, 0) == CUDA_SUCCESS);
    CHECK(strcmp(name, "Tesla T4") == 0 || strcmp(name, "NVIDIA T4") == 0, "%s", name);
    CHECK(on.cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 0) == 0);
    CHECK(on.cuDeviceGetAttribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 0) == 0);
    CHECK(major == 7 && minor == 5);
    CHECK(on.cuDeviceTotalMem(&bytes, 0) == CUDA_SUCCESS && bytes == 1024 * (size_t)MIB);
    CHECK(on.cuMemGetInfo(&left, &total) == CUDA_SUCCESS && total == bytes);
    CHECK(left < total);
    stop(stream);
}

static void give_memory(void)
{
    CUstream stream = start();
    size_t before = 0, after = 0, total = 0;
    CUdeviceptr refused = 0;
    CHECK(on.cuMemGetInfo(&before, &total) == CUDA_SUCCESS);
    const CUdeviceptr a = allocate(20 * MIB), b = allocate(3 * MIB), c = allocate(1);
    CHECK(b < a && c < b && a % (2 * MIB) == 0 && b % (2 * MIB) == 0);
    CHECK(on.cuMemGetInfo(&after, &total) == CUDA_SUCCESS);
    CHECK(before - after == (20 + 4 + 2) * (size_t)MIB);
    CHECK(on.cuMemAlloc(&refused, after + 1) == CUDA_ERROR_OUT_OF_MEMORY);
    const CUdeviceptr rest = allocate(after / (2 * MIB) * (2 * MIB));
    CHECK(on.cuMemAlloc(&refused, 2 * MIB) == CUDA_ERROR_OUT_OF_MEMORY);
    CHECK(on.cuMemFree(rest) == CUDA_SUCCESS && on.cuMemFree(b) == CUDA_SUCCESS);
    const CUdeviceptr d = allocate(1);
    CHECK(d < rest && on.cuMemFree(d) == CUDA_SUCCESS); /* not where there is a gap */
    CHECK(on.cuMemFree(a) == CUDA_SUCCESS && on.cuMemFree(c) == CUDA_SUCCESS);
    stop(stream);
}

static void find_no_room_for_context(void)
{
    CUcontext context = NULL;
    CHECK(on.cuInit(0) == CUDA_SUCCESS);
    CHECK(on.cuDevicePrimaryCtxRetain(&context, 0) == CUDA_ERROR_OUT_OF_MEMORY);
}

static void find_no_gpu(void)
{
    CHECK(on.cuInit(0) == CUDA_ERROR_NO_DEVICE && on.nvmlInit_v2() != 0);
}

static const uint32_t image[] = { 0xBA55ED50, 0 };

static void launch_fill(CUfunction function, CUstream stream, CUdeviceptr address, float value)
{
    struct emulated_fill argument = { address, N, value };
    void *parameters[] = { &argument };
    CHECK(on.cuLaunchKernel(function, 8, 1, 1, 128, 1, 1, 0, stream, parameters, NULL) ==
          CUDA_SUCCESS);
    argument.address = 0; /* it was copied */
}

static void run_in_order(void)
{
    CUstream stream = start();
    CUmodule module = NULL;
    CUfunction function = NULL;
    float host[N], read[N];
    const CUdeviceptr a = allocate(sizeof host), b = allocate(sizeof host);
    CHECK(on.cuModuleLoadFatBinary(&module, image) == CUDA_SUCCESS);
    CHECK(on.cuModuleGetFunction(&function, module, EMULATED_FILL) == CUDA_SUCCESS);
    for (int i = 0; i < N; i++)
        host[i] = 1.0F;
    launch_fill(function, stream, a, 2.0F);
    CHECK(on.cuMemcpyHtoDAsync(a, host, sizeof host / 2, stream) == CUDA_SUCCESS);
    host[0] = 3.0F; /* it is not copied yet */
    CHECK(on.cuMemcpyDtoDAsync(b, a, sizeof host, stream) == CUDA_SUCCESS);
    CHECK(on.cuMemsetD8Async(b + 4, 0, 4, stream) == CUDA_SUCCESS);
    CHECK(on.cuMemcpyDtoHAsync(read, b, sizeof read, stream) == CUDA_SUCCESS);
    CHECK(isnan(read[0]) && isnan(read[N - 1]), "it is there before it is waited for");
    CHECK(on.cuStreamSynchronize(stream) == CUDA_SUCCESS);
    CHECK(read[0] == 3.0F && read[1] == 0.0F && read[2] == 1.0F && read[N - 1] == 2.0F);
    CHECK(on.cuMemFree(a) == CUDA_SUCCESS && on.cuMemFree(b) == CUDA_SUCCESS);
    CHECK(on.cuModuleUnload(module) == CUDA_SUCCESS);
    stop(stream);
}

static void run_kernels(void)
{
    CUstream stream = start();
    CUmodule module = NULL;
    CUfunction fill = NULL, dense = NULL;
    float read[N];
    const CUdeviceptr a = allocate(sizeof read), b = allocate(sizeof read);
    CHECK(on.cuModuleLoadFatBinary(&module, image) == CUDA_SUCCESS);
    CHECK(on.cuModuleGetFunction(&fill, module, EMULATED_FILL) == CUDA_SUCCESS);
    CHECK(on.cuModuleGetFunction(&dense, module, "dense_fp32") == CUDA_SUCCESS);
    launch_fill(fill, stream, a, 2.0F);
    launch_fill(fill, stream, b, 3.0F);
    struct vb_dense argument = { .x = (void *)(uintptr_t)a,
                                 .z = (void *)(uintptr_t)b,
                                 .y = (void *)(uintptr_t)b,
                                 .n = N,
                                 .op = VB_OP_MUL };
    size_t bytes = sizeof argument;
    void *extra[] = { CU_LAUNCH_PARAM_BUFFER_POINTER, &argument, CU_LAUNCH_PARAM_BUFFER_SIZE,
                      &bytes, CU_LAUNCH_PARAM_END };
    CHECK(on.cuLaunchKernel(dense, 4, 1, 1, 256, 1, 1, 0, stream, NULL, extra) == CUDA_SUCCESS);
    CHECK(on.cuMemcpyDtoHAsync(read, b, sizeof read, stream) == CUDA_SUCCESS);
    CHECK(on.cuStreamSynchronize(stream) == CUDA_SUCCESS);
    for (int i = 0; i < N; i++)
        CHECK(read[i] == 6.0F, "%g", (double)read[i]);
    CHECK(on.cuMemFree(a) == CUDA_SUCCESS && on.cuMemFree(b) == CUDA_SUCCESS);
    CHECK(on.cuModuleUnload(module) == CUDA_SUCCESS);
    stop(stream);
}

static void keep_streams_apart(void)
{
    CUstream first = start(), second = NULL;
    int read[2] = { 0, 0 };
    CHECK(on.cuStreamCreate(&second, CU_STREAM_NON_BLOCKING) == CUDA_SUCCESS);
    const CUdeviceptr a = allocate(sizeof read);
    CHECK(on.cuMemsetD8Async(a, 1, sizeof read, first) == CUDA_SUCCESS);
    CHECK(on.cuMemcpyDtoHAsync(read, a, sizeof read, second) == CUDA_SUCCESS);
    CHECK(on.cuStreamSynchronize(second) == CUDA_SUCCESS);
    CHECK(read[0] == -1, "no one waited for the other stream");
    CHECK(on.cuMemFree(a) == CUDA_SUCCESS);
    CHECK(on.cuStreamDestroy(second) == CUDA_SUCCESS);
    stop(first);
}

static void wait_for_default_stream(void)
{
    CUstream stream = start(), blocking = NULL;
    CUevent event = NULL;
    int read = 0;
    CHECK(on.cuStreamCreate(&blocking, CU_STREAM_DEFAULT) == CUDA_SUCCESS);
    CHECK(on.cuEventCreate(&event, CU_EVENT_DISABLE_TIMING) == CUDA_SUCCESS);
    const CUdeviceptr a = allocate(4);
    CHECK(on.cuMemsetD8Async(a, 1, 4, blocking) == CUDA_SUCCESS);
    CHECK(on.cuMemcpyDtoHAsync(&read, a, 4, NULL) == CUDA_SUCCESS);
    CHECK(on.cuEventRecord(event, NULL) == CUDA_SUCCESS);
    CHECK(on.cuEventSynchronize(event) == CUDA_SUCCESS && read == 0x01010101);
    CHECK(on.cuMemsetD8Async(a, 2, 4, NULL) == CUDA_SUCCESS);
    CHECK(on.cuMemcpyDtoHAsync(&read, a, 4, blocking) == CUDA_SUCCESS);
    CHECK(on.cuStreamSynchronize(blocking) == CUDA_SUCCESS && read == 0x02020202);
    CHECK(on.cuMemFree(a) == CUDA_SUCCESS && on.cuEventDestroy(event) == CUDA_SUCCESS);
    CHECK(on.cuStreamDestroy(blocking) == CUDA_SUCCESS);
    stop(stream);
}

static void measure_time(void)
{
    CUstream stream = start();
    CUevent events[2];
    float milliseconds = -1.0F;
    const CUdeviceptr a = allocate(64 * MIB);
    for (int i = 0; i < 2; i++)
        CHECK(on.cuEventCreate(&events[i], CU_EVENT_DEFAULT) == CUDA_SUCCESS);
    CHECK(on.cuEventElapsedTime(&milliseconds, events[0], events[1]) == CUDA_ERROR_INVALID_HANDLE);
    CHECK(on.cuEventRecord(events[0], stream) == CUDA_SUCCESS);
    CHECK(on.cuMemsetD8Async(a, 0, 64 * MIB, stream) == CUDA_SUCCESS);
    CHECK(on.cuEventRecord(events[1], stream) == CUDA_SUCCESS);
    CHECK(on.cuEventElapsedTime(&milliseconds, events[0], events[1]) == CUDA_ERROR_NOT_READY);
    CHECK(on.cuEventSynchronize(events[1]) == CUDA_SUCCESS);
    CHECK(on.cuEventElapsedTime(&milliseconds, events[0], events[1]) == CUDA_SUCCESS);
    CHECK(milliseconds > 0.0F && milliseconds < 60000.0F, "%f", (double)milliseconds);
    for (int i = 0; i < 2; i++)
        CHECK(on.cuEventDestroy(events[i]) == CUDA_SUCCESS);
    CHECK(on.cuMemFree(a) == CUDA_SUCCESS);
    stop(stream);
}

static void leave_things(void)
{
    CUevent event = NULL;
    CUmodule module = NULL;
    (void)start();
    (void)allocate(12345);
    CHECK(on.cuEventCreate(&event, 0) == CUDA_SUCCESS);
    CHECK(on.cuModuleLoadFatBinary(&module, image) == CUDA_SUCCESS);
}

static void release_too_early(void)
{
    (void)start();
    (void)allocate(12345);
    CHECK(on.cuDevicePrimaryCtxRelease(0) == CUDA_SUCCESS);
    size_t bytes = 0;
    CHECK(on.cuMemGetInfo(&bytes, &bytes) == CUDA_ERROR_CONTEXT_IS_DESTROYED);
}

static void misuse_memory(void)
{
    CUstream stream = start();
    char host[8] = "";
    const CUdeviceptr a = allocate(4096), b = allocate(4096);
    CHECK(on.cuMemsetD8Async(a + 4090, 0, 7, stream) == CUDA_ERROR_INVALID_VALUE);
    CHECK(on.cuMemFree(a + 16) == CUDA_ERROR_INVALID_VALUE);
    CHECK(on.cuMemFree(a) == CUDA_SUCCESS);
    CHECK(on.cuMemFree(a) == CUDA_ERROR_INVALID_VALUE);
    CHECK(on.cuMemcpyDtoHAsync(host, a, 8, stream) == CUDA_ERROR_INVALID_VALUE);
    CHECK(on.cuMemcpyDtoDAsync(b, b + 4, 8, stream) == CUDA_ERROR_INVALID_VALUE);
    CHECK(on.cuMemFree(b) == CUDA_SUCCESS);
    stop(stream);
}

static void misuse_kernels(void)
{
    static const uint32_t text[] = { 0x464c457f, 0 };
    CUstream stream = start();
    CUmodule module = NULL;
    CUfunction function = NULL;
    struct emulated_fill argument = { 0, 1, 0.0F };
    void *parameters[] = { &argument };
    CHECK(on.cuModuleLoadFatBinary(&module, text) == CUDA_ERROR_INVALID_IMAGE);
    CHECK(on.cuModuleLoadFatBinary(&module, image) == CUDA_SUCCESS);
    CHECK(on.cuModuleGetFunction(&function, module, "no_such_kernel") == CUDA_ERROR_NOT_FOUND);
    CHECK(on.cuModuleGetFunction(&function, module, EMULATED_FILL) == CUDA_SUCCESS);
    CHECK(on.cuLaunchKernel(function, 1, 65536, 1, 32, 1, 1, 0, stream, parameters, NULL) ==
          CUDA_ERROR_INVALID_VALUE);
    CHECK(on.cuLaunchKernel(function, 1, 1, 1, 1025, 1, 1, 0, stream, parameters, NULL) ==
          CUDA_ERROR_INVALID_VALUE);
    CHECK(on.cuLaunchKernel(function, 1, 1, 1, 32, 1, 1, 0, stream, NULL, NULL) ==
          CUDA_ERROR_INVALID_VALUE);
    argument.address = allocate(4);
    CHECK(on.cuMemFree(argument.address) == CUDA_SUCCESS);
    CHECK(on.cuLaunchKernel(function, 1, 1, 1, 32, 1, 1, 0, stream, parameters, NULL) ==
          CUDA_ERROR_ILLEGAL_ADDRESS);
    CHECK(on.cuStreamSynchronize(stream) == CUDA_ERROR_ILLEGAL_ADDRESS, "it must stick");
}

static void forget_context(void)
{
    CUstream stream = NULL;
    CHECK(on.cuMemGetInfo(NULL, NULL) == CUDA_ERROR_NOT_INITIALIZED);
    CHECK(on.cuInit(0) == CUDA_SUCCESS);
    CHECK(on.cuStreamCreate(&stream, 0) == CUDA_ERROR_INVALID_CONTEXT);
}

static void use_destroyed_handle(void)
{
    CUstream stream = start(), other = NULL;
    CHECK(on.cuStreamCreate(&other, 0) == CUDA_SUCCESS);
    CHECK(on.cuStreamDestroy(other) == CUDA_SUCCESS);
    CHECK(on.cuStreamSynchronize(other) == CUDA_ERROR_INVALID_HANDLE);
    stop(stream);
}

static void fail_second_allocation(void)
{
    CUstream stream = start();
    CUdeviceptr second = 0;
    const CUdeviceptr first = allocate(1);
    CHECK(on.cuMemAlloc(&second, 1) == CUDA_ERROR_OUT_OF_MEMORY);
    const CUdeviceptr third = allocate(1);
    CHECK(on.cuMemFree(first) == CUDA_SUCCESS && on.cuMemFree(third) == CUDA_SUCCESS);
    stop(stream);
}

static void fail_to_free(void)
{
    CUstream stream = start();
    CHECK(on.cuMemFree(allocate(1)) == CUDA_ERROR_INVALID_VALUE);
    stop(stream); /* nothing is left: it was freed all the same */
}

static void fail_for_good(void)
{
    CUstream stream = start();
    const char *name = NULL;
    CHECK(on.cuStreamSynchronize(stream) == CUDA_ERROR_ILLEGAL_ADDRESS);
    CHECK(on.cuStreamSynchronize(stream) == CUDA_ERROR_ILLEGAL_ADDRESS);
    CHECK(on.cuStreamDestroy(stream) == CUDA_ERROR_ILLEGAL_ADDRESS);
    CHECK(on.cuGetErrorName(CUDA_ERROR_ILLEGAL_ADDRESS, &name) == CUDA_SUCCESS);
    CHECK(strcmp(name, "CUDA_ERROR_ILLEGAL_ADDRESS") == 0);
}

#define COUNTS "/tmp/vrambench_emulated_counts"

static void check_counts(void)
{
    char line[128];
    int found = 0;
    (void)unlink(COUNTS);
    pid_t child = fork();
    if (child == 0) {
        stop(start());
        exit(0);
    }
    CHECK(child > 0 && waitpid(child, NULL, 0) == child);
    CHECK(unsetenv("VRAMBENCH_EMULATED_COUNTS") == 0);
    FILE *file = fopen(COUNTS, "r");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL)
        found += strcmp(line, "cuCtxSetCurrent 2\n") == 0 || strcmp(line, "cuInit 1\n") == 0;
    (void)fclose(file);
    (void)unlink(COUNTS);
    CHECK(found == 2);
}

/* --------------------------------------------------------------------------------------- CUPTI */

enum { BUFFER_BYTES = 4096, MAX_SEEN = 2000 };
static struct {
    unsigned int buffers, n;
    CUpti_ActivityKind kinds[MAX_SEEN];
    CUpti_ActivityMemory4 memory[MAX_SEEN];
    uint32_t n_memory, correlation_of_id, n_external;
    pthread_t thread;
    bool is_slow;
} seen;

static void give_buffer(uint8_t **buffer, size_t *bytes, size_t *most)
{
    *buffer = aligned_alloc(8, BUFFER_BYTES);
    *bytes = BUFFER_BYTES;
    *most = 0;
}

static void take_buffer(CUcontext context, uint32_t stream, uint8_t *buffer, size_t bytes,
                        size_t valid)
{
    CUpti_Activity *record = NULL;
    (void)context;
    (void)stream;
    CHECK(bytes == BUFFER_BYTES && valid <= bytes);
    seen.buffers++;
    seen.thread = pthread_self();
    if (seen.is_slow)
        (void)usleep(20000);
    while (on.cuptiActivityGetNextRecord(buffer, valid, &record) == CUPTI_SUCCESS) {
        CHECK(seen.n < MAX_SEEN);
        seen.kinds[seen.n++] = record->kind;
        if (record->kind == CUPTI_ACTIVITY_KIND_MEMORY2)
            memcpy(&seen.memory[seen.n_memory++], record, sizeof *seen.memory);
        if (record->kind == CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION) {
            CUpti_ActivityExternalCorrelation external;
            memcpy(&external, record, sizeof external);
            CHECK(external.externalId == 77);
            seen.correlation_of_id = external.correlationId;
            seen.n_external++;
        }
    }
    free(buffer);
}

static CUpti_SubscriberHandle start_capture(void)
{
    static const CUpti_ActivityKind kinds[] = { CUPTI_ACTIVITY_KIND_MEMORY2,
                                                CUPTI_ACTIVITY_KIND_DRIVER,
                                                CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL,
                                                CUPTI_ACTIVITY_KIND_MEMSET,
                                                CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION };
    CUpti_SubscriberHandle subscriber = NULL;
    CHECK(on.cuptiSubscribe(&subscriber, NULL, NULL) == CUPTI_SUCCESS);
    CHECK(on.cuptiActivityRegisterCallbacks(give_buffer, take_buffer) == CUPTI_SUCCESS);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        CHECK(on.cuptiActivityEnable(kinds[i]) == CUPTI_SUCCESS);
    return subscriber;
}

static void allocate_and_free(int n)
{
    for (int i = 0; i < n; i++)
        CHECK(on.cuMemFree(allocate((size_t)i + 1)) == CUDA_SUCCESS);
}

static unsigned int count_kind(CUpti_ActivityKind kind)
{
    unsigned int n = 0;
    for (unsigned int i = 0; i < seen.n; i++)
        n += seen.kinds[i] == kind;
    return n;
}

static void tell_activities(void)
{
    CUpti_SubscriberHandle subscriber = start_capture();
    CUstream stream = start();
    uint64_t before = 0, id = 0;
    size_t dropped = 1;
    CHECK(on.cuptiGetTimestamp(&before) == CUPTI_SUCCESS);
    CHECK(on.cuptiActivityPushExternalCorrelationId(CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM0, 77) ==
          CUPTI_SUCCESS);
    const CUdeviceptr a = allocate(1000);
    CHECK(on.cuptiActivityPopExternalCorrelationId(CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM0, &id) ==
          CUPTI_SUCCESS);
    CHECK(id == 77);
    CHECK(on.cuMemsetD8Async(a, 0, 1000, stream) == CUDA_SUCCESS);
    CHECK(on.cuMemFree(a) == CUDA_SUCCESS);
    CHECK(on.cuptiActivityFlushAll(0) == CUPTI_SUCCESS);
    CHECK(seen.n_memory == 2 && count_kind(CUPTI_ACTIVITY_KIND_MEMSET) == 1);
    const CUpti_ActivityMemory4 *taken = &seen.memory[0], *freed = &seen.memory[1];
    CHECK(taken->memoryOperationType == CUPTI_ACTIVITY_MEMORY_OPERATION_TYPE_ALLOCATION);
    CHECK(freed->memoryOperationType == CUPTI_ACTIVITY_MEMORY_OPERATION_TYPE_RELEASE);
    CHECK(taken->address == a && freed->address == a && taken->bytes == 1000);
    CHECK(taken->timestamp >= before && freed->timestamp >= taken->timestamp);
    CHECK(seen.n_external == 1 && seen.correlation_of_id == taken->correlationId);
    CHECK(on.cuptiActivityGetNumDroppedRecords(NULL, 0, &dropped) == CUPTI_SUCCESS && dropped == 0);
    CHECK(on.cuptiUnsubscribe(subscriber) == CUPTI_SUCCESS);
    stop(stream);
}

static void hand_on_while_it_runs(void)
{
    CUpti_SubscriberHandle subscriber = start_capture();
    CUstream stream = start();
    allocate_and_free(200);
    CHECK(seen.buffers > 2, "buffers are handed on as they fill");
    CHECK(on.cuptiActivityFlushAll(0) == CUPTI_SUCCESS && seen.n_memory == 400);
    for (uint32_t i = 0; i < 400; i++)
        CHECK(seen.memory[i].bytes == i / 2 + 1);
    CHECK(on.cuptiUnsubscribe(subscriber) == CUPTI_SUCCESS);
    stop(stream);
}

static void hand_on_late(void)
{
    CUpti_SubscriberHandle subscriber = start_capture();
    CUstream stream = start();
    allocate_and_free(200);
    CHECK(seen.buffers == 0);
    CHECK(on.cuptiActivityFlushAll(0) == CUPTI_SUCCESS && seen.n_memory == 400);
    CHECK(!pthread_equal(seen.thread, pthread_self()));
    CHECK(on.cuptiUnsubscribe(subscriber) == CUPTI_SUCCESS);
    stop(stream);
}

static void lose_records(void)
{
    CUpti_SubscriberHandle subscriber = start_capture();
    CUstream stream = start();
    size_t dropped = 0;
    allocate_and_free(150);
    CHECK(on.cuptiActivityFlushAll(0) == CUPTI_SUCCESS);
    CHECK(on.cuptiActivityGetNumDroppedRecords(NULL, 0, &dropped) == CUPTI_SUCCESS);
    CHECK(dropped == (seen.n + dropped) / 10, "%zu of %zu", dropped, seen.n + dropped);
    CHECK(dropped > 50 && on.cuptiActivityGetNumDroppedRecords(NULL, 0, &dropped) == 0);
    CHECK(dropped == 0);
    CHECK(on.cuptiUnsubscribe(subscriber) == CUPTI_SUCCESS);
    stop(stream);
}

static void hand_on_backwards(void)
{
    CUpti_SubscriberHandle subscriber = start_capture();
    CUstream stream = start();
    allocate_and_free(2);
    CHECK(on.cuptiActivityFlushAll(0) == CUPTI_SUCCESS && seen.n_memory == 4);
    CHECK(seen.memory[0].bytes == 2 && seen.memory[3].bytes == 1);
    CHECK(seen.memory[0].timestamp >= seen.memory[3].timestamp);
    CHECK(on.cuptiUnsubscribe(subscriber) == CUPTI_SUCCESS);
    stop(stream);
}

static void hand_on_in_pieces(void)
{
    CUpti_SubscriberHandle subscriber = start_capture();
    CUstream stream = start();
    allocate_and_free(1);
    CHECK(on.cuptiActivityFlushAll(0) == CUPTI_SUCCESS && seen.n_memory == 2);
    CHECK(seen.buffers >= seen.n / 3, "%u buffers, %u records", seen.buffers, seen.n);
    CHECK(on.cuptiUnsubscribe(subscriber) == CUPTI_SUCCESS);
    stop(stream);
}

static atomic_bool is_done;

static void *flush_often(void *unused)
{
    while (!atomic_load(&is_done))
        CHECK(on.cuptiActivityFlushAll(0) == CUPTI_SUCCESS);
    return unused;
}

/* More comes than buffers are emptied. */
static void capture_from_threads(void)
{
    seen.is_slow = true;
    CUpti_SubscriberHandle subscriber = start_capture();
    CUstream stream = start();
    pthread_t thread;
    size_t bytes = 0;
    CHECK(pthread_create(&thread, NULL, flush_often, NULL) == 0);
    for (int i = 0; i < 1500; i++)
        CHECK(on.cuMemGetInfo(&bytes, &bytes) == CUDA_SUCCESS);
    allocate_and_free(1);
    atomic_store(&is_done, true);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(on.cuptiActivityFlushAll(0) == CUPTI_SUCCESS && seen.n_memory == 2);
    CHECK(count_kind(CUPTI_ACTIVITY_KIND_DRIVER) == 1506, "start's, and the rest");
    CHECK(on.cuptiUnsubscribe(subscriber) == CUPTI_SUCCESS);
    stop(stream);
}

static void refuse_capture(void)
{
    CUpti_SubscriberHandle subscriber = NULL;
    CHECK(on.cuptiSubscribe(&subscriber, NULL, NULL) == CUPTI_SUCCESS);
    CHECK(on.cuptiActivityEnable(CUPTI_ACTIVITY_KIND_MEMORY2) ==
          CUPTI_ERROR_INSUFFICIENT_PRIVILEGES);
}

static void find_another_subscriber(void)
{
    CUpti_SubscriberHandle subscriber = NULL;
    CHECK(on.cuptiSubscribe(&subscriber, NULL, NULL) ==
          CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED);
}

/* ---------------------------------------------------------------------------------------- NVML */

static void tell_processes(void)
{
    void *device = NULL;
    struct nvml_memory memory;
    struct nvml_process process = { 0 };
    unsigned int n = 1;
    CHECK(on.nvmlInit_v2() == 0);
    CHECK(on.nvmlDeviceGetHandleByPciBusId_v2("0000:01:00.0", &device) == 0);
    CHECK(on.nvmlDeviceGetComputeRunningProcesses_v3(device, &n, &process) == 0 && n == 0);
    CUstream stream = start();
    const CUdeviceptr a = allocate(64 * MIB);
    n = 0;
    CHECK(on.nvmlDeviceGetComputeRunningProcesses_v3(device, &n, NULL) == 7 && n == 1);
    CHECK(on.nvmlDeviceGetComputeRunningProcesses_v3(device, &n, &process) == 0);
    CHECK(process.pid == (unsigned int)getpid() && process.used > 64 * MIB);
    CHECK(on.nvmlDeviceGetMemoryInfo(device, &memory) == 0 && memory.used == process.used);
    CHECK(on.cuMemFree(a) == CUDA_SUCCESS);
    CHECK(on.nvmlDeviceGetMemoryInfo(device, &memory) == 0);
    CHECK(memory.used + 64 * MIB == process.used);
    CHECK(on.nvmlShutdown() == 0);
    stop(stream);
}

static void hide_processes(void)
{
    void *device = NULL;
    unsigned int n = 0;
    CUstream stream = start();
    CHECK(on.nvmlInit_v2() == 0);
    CHECK(on.nvmlDeviceGetHandleByPciBusId_v2("0000:01:00.0", &device) == 0);
    CHECK(on.nvmlDeviceGetComputeRunningProcesses_v3(device, &n, NULL) == 0 && n == 0);
    stop(stream);
}

static void move_clocks(void)
{
    void *device = NULL;
    unsigned int first = 0, second = 0;
    CHECK(on.nvmlInit_v2() == 0);
    CHECK(on.nvmlDeviceGetHandleByPciBusId_v2("0000:01:00.0", &device) == 0);
    CHECK(on.nvmlDeviceGetClockInfo(device, 1, &first) == 0);
    CHECK(on.nvmlDeviceGetClockInfo(device, 1, &second) == 0 && second < first);
    CHECK(on.nvmlShutdown() == 0);
}

static void miss_nvml(void)
{
    CHECK(on.nvmlInit_v2() == 9);
}

static const struct test_case cases[] = {
    { "the device is the one that is named, with the memory that is given",
      describe_device,
      { "VRAMBENCH_EMULATED_GPU=t4", "VRAMBENCH_EMULATED_MEMORY=1073741824" },
      { NULL } },
    { "memory goes down from the top, in 2 MiB, and has an end",
      give_memory,
      { "VRAMBENCH_EMULATED_MEMORY=1073741824" },
      { NULL } },
    { "a context takes room",
      find_no_room_for_context,
      { "VRAMBENCH_EMULATED_MEMORY=1048576" },
      { NULL } },
    { "a GPU that is not known is not there",
      find_no_gpu,
      { "VRAMBENCH_EMULATED_GPU=no_such_gpu" },
      { "settings: VRAMBENCH_EMULATED_GPU" } },
    { "work is done in order, and only when it is waited for", run_in_order, { NULL }, { NULL } },
    { "the tool's kernels run on the host", run_kernels, { NULL }, { NULL } },
    { "a stream does not wait for another", keep_streams_apart, { NULL }, { NULL } },
    { "blocking streams and the default stream wait for each other",
      wait_for_default_stream,
      { NULL },
      { NULL } },
    { "events tell the time once they have passed", measure_time, { NULL }, { NULL } },
    { "what is left at the end is said",
      leave_things,
      { NULL },
      { "left: allocation of 12345 B", "left: stream", "left: event", "left: module",
        "left: retained context" } },
    { "what goes with the context is said",
      release_too_early,
      { NULL },
      { "context released: allocation of 12345 B", "context released: stream",
        "cuMemGetInfo_v2: no context" } },
    { "memory that is not there is not used",
      misuse_memory,
      { NULL },
      { "cuMemsetD8Async: 7 B at", "cuMemFree_v2: 0x", ", it was freed",
        "cuMemcpyDtoHAsync_v2: 8 B at", "from and to overlap" } },
    { "kernels are called as they are",
      misuse_kernels,
      { NULL },
      { "that is no fat binary", "grid 1,65536,1", "block 1025,1,1", "argument not given",
        "which is not allocated" } },
    { "a context is needed",
      forget_context,
      { NULL },
      { "cuStreamCreate: no context is current" } },
    { "a handle that was destroyed is none", use_destroyed_handle, { NULL }, { "no live stream" } },
    { "the call that is to fail fails, and no other",
      fail_second_allocation,
      { "VRAMBENCH_EMULATED_FAIL=cuMemAlloc_v2:2:2" },
      { NULL } },
    { "a failure to give back gives back",
      fail_to_free,
      { "VRAMBENCH_EMULATED_FAIL=cuMemFree_v2:1" },
      { NULL } },
    { "a broken context stays broken",
      fail_for_good,
      { "VRAMBENCH_EMULATED_FAIL=cuStreamSynchronize:1:700" },
      { NULL } },
    { "calls are counted", check_counts, { "VRAMBENCH_EMULATED_COUNTS=" COUNTS }, { NULL } },
    { "activities are told, with whose they are", tell_activities, { NULL }, { NULL } },
    { "buffers come while it runs", hand_on_while_it_runs, { NULL }, { NULL } },
    { "buffers may come late, from another thread",
      hand_on_late,
      { "VRAMBENCH_EMULATED_CUPTI=late" },
      { NULL } },
    { "records may be lost, and are counted",
      lose_records,
      { "VRAMBENCH_EMULATED_CUPTI=drop=10" },
      { NULL } },
    { "records may come in any order",
      hand_on_backwards,
      { "VRAMBENCH_EMULATED_CUPTI=out-of-order" },
      { NULL } },
    { "buffers may be small",
      hand_on_in_pieces,
      { "VRAMBENCH_EMULATED_CUPTI=late,buffer=256" },
      { NULL } },
    { "a thread may flush while another works", capture_from_threads, { NULL }, { NULL } },
    { "capture may be forbidden",
      refuse_capture,
      { "VRAMBENCH_EMULATED_CUPTI=unprivileged" },
      { "left: CUPTI subscriber" } },
    { "another may have subscribed",
      find_another_subscriber,
      { "VRAMBENCH_EMULATED_CUPTI=subscribed" },
      { NULL } },
    { "NVML tells what the process has", tell_processes, { NULL }, { NULL } },
    { "NVML may not tell processes, and leaks are said",
      hide_processes,
      { "VRAMBENCH_EMULATED_NVML=noprocess" },
      { "left: NVML" } },
    { "clocks may move", move_clocks, { "VRAMBENCH_EMULATED_NVML=moving" }, { NULL } },
    { "NVML may be absent", miss_nvml, { "VRAMBENCH_EMULATED_NVML=absent" }, { NULL } },
};

int main(int argc, char **argv)
{
    CHECK(argc == 2, "expected the libraries' folder");
    return run_cases(argv[1], cases, sizeof cases / sizeof *cases) > 0;
}
