/* SPDX-License-Identifier: Apache-2.0 */
/* libcuda.so.1: streams, events, launches. */
#include <string.h>

#include "cuda_call.h"

CUresult EMULATED_API cuStreamCreate(CUstream *out, unsigned int flags)
{
    struct emulated_call call;
    int status = BEGIN(cuStreamCreate, NEEDS_CONTEXT);
    if (status == 0 && flags > CU_STREAM_NON_BLOCKING)
        status = CUDA_ERROR_INVALID_VALUE;
    if (status == 0) {
        struct emulated_stream *made = emulated_object_make(EMULATED_STREAM, sizeof *made);
        made->is_blocking = flags == CU_STREAM_DEFAULT;
        *out = (CUstream)(void *)made;
    }
    return END(status);
}

CUresult EMULATED_API cuStreamDestroy(CUstream handle)
{
    struct emulated_call call;
    int status = BEGIN(cuStreamDestroy_v2, NEEDS_CONTEXT);
    if (!emulated_goes_on(&call, status))
        return END(status);
    struct emulated_stream *stream = emulated_stream_of(handle, call.function);
    if (stream == NULL || handle == NULL)
        return END(CUDA_ERROR_INVALID_HANDLE);
    if (emulated_spoils_capture(stream))
        return END(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    emulated_run_stream(stream);
    emulated_object_drop(stream);
    return END(status);
}

CUresult EMULATED_API cuStreamSynchronize(CUstream handle)
{
    struct emulated_call call;
    int status = BEGIN(cuStreamSynchronize, NEEDS_CONTEXT);
    if (status != 0)
        return END(status);
    struct emulated_stream *stream = emulated_stream_of(handle, call.function);
    if (stream == NULL)
        return END(CUDA_ERROR_INVALID_HANDLE);
    if (emulated_spoils_capture(stream))
        return END(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    if (handle == NULL)
        emulated_run_all();
    else
        emulated_run_stream(stream);
    return END(0);
}

CUresult EMULATED_API cuEventCreate(CUevent *out, unsigned int flags)
{
    struct emulated_call call;
    int status = BEGIN(cuEventCreate, NEEDS_CONTEXT);
    if (status == 0 && flags > (CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING))
        status = CUDA_ERROR_INVALID_VALUE;
    if (status == 0) {
        struct emulated_event *made = emulated_object_make(EMULATED_EVENT, sizeof *made);
        made->has_time = (flags & CU_EVENT_DISABLE_TIMING) == 0;
        *out = (CUevent)(void *)made;
    }
    return END(status);
}

static void pass_event(const struct emulated_work *work)
{
    struct emulated_event *event = NULL;
    memcpy(&event, work->data, sizeof event);
    event->done++;
    event->time = emulated_now();
}

/* The event that a handle points to; NULL: none, and the status says so. */
static struct emulated_event *event_of(const struct emulated_call *call, CUevent handle,
                                       int *status)
{
    if (!emulated_object_is(handle, EMULATED_EVENT, call->function)) {
        *status = CUDA_ERROR_INVALID_HANDLE;
        return NULL;
    }
    return (struct emulated_event *)(void *)handle;
}

CUresult EMULATED_API cuEventRecord(CUevent handle, CUstream stream_handle)
{
    struct emulated_call call;
    int status = BEGIN(cuEventRecord, NEEDS_CONTEXT);
    struct emulated_event *event = status == 0 ? event_of(&call, handle, &status) : NULL;
    if (event == NULL)
        return END(status);
    struct emulated_stream *stream = emulated_stream_of(stream_handle, call.function);
    if (stream == NULL)
        return END(CUDA_ERROR_INVALID_HANDLE);
    if (emulated_spoils_capture(stream))
        return END(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    emulated_run_until(event); /* of two records the later one counts */
    event->asked++;
    event->stream = stream;
    emulated_queue(&call, stream, pass_event, &event, sizeof event);
    return END(0);
}

CUresult EMULATED_API cuEventSynchronize(CUevent handle)
{
    struct emulated_call call;
    int status = BEGIN(cuEventSynchronize, NEEDS_CONTEXT);
    struct emulated_event *event = status == 0 ? event_of(&call, handle, &status) : NULL;
    if (event != NULL)
        emulated_run_until(event);
    return END(status);
}

CUresult EMULATED_API cuEventDestroy(CUevent handle)
{
    struct emulated_call call;
    int status = BEGIN(cuEventDestroy_v2, NEEDS_CONTEXT);
    struct emulated_event *event =
        emulated_goes_on(&call, status) ? event_of(&call, handle, &status) : NULL;
    if (event != NULL) {
        emulated_run_until(event);
        emulated_object_drop(event);
    }
    return END(status);
}

/* The header gives this name to another version of it. */
#undef cuEventElapsedTime
CUresult EMULATED_API cuEventElapsedTime(float *milliseconds, CUevent start_handle,
                                         CUevent end_handle);
CUresult EMULATED_API cuEventElapsedTime(float *milliseconds, CUevent start_handle,
                                         CUevent end_handle)
{
    struct emulated_call call;
    int status = BEGIN(cuEventElapsedTime, NEEDS_CONTEXT);
    struct emulated_event *start = status == 0 ? event_of(&call, start_handle, &status) : NULL;
    struct emulated_event *end = start != NULL ? event_of(&call, end_handle, &status) : NULL;
    if (end == NULL)
        return END(status);
    if (!start->has_time || !end->has_time || start->asked == 0 || end->asked == 0)
        return END(CUDA_ERROR_INVALID_HANDLE);
    if (start->done < start->asked || end->done < end->asked)
        return END(CUDA_ERROR_NOT_READY);
    *milliseconds = (float)((double)(int64_t)(end->time - start->time) / 1e6);
    return END(0);
}

enum { MAX_ARGUMENT_BYTES = 4096 };

struct launch {
    struct emulated_launch launch;
    _Alignas(max_align_t) unsigned char argument[MAX_ARGUMENT_BYTES];
};

static void run_launch(const struct emulated_work *work)
{
    const uint64_t start = emulated_now();
    const struct launch *launch = (const struct launch *)work->data;
    if (!emulated_is_idle() && !emulated_kernel_run(&launch->launch, launch->argument))
        emulated_log("kernel %s: it does not run", launch->launch.name);
    emulated_record_kernel(work, &launch->launch, start);
}

/* The one argument, by either of the two ways to hand it on; NULL: it is not given. */
static const void *argument_of(const struct function *function, void **parameters, void **extra)
{
    if (parameters != NULL)
        return extra == NULL ? parameters[0] : NULL;
    if (extra == NULL || extra[0] != CU_LAUNCH_PARAM_BUFFER_POINTER ||
        extra[2] != CU_LAUNCH_PARAM_BUFFER_SIZE || extra[4] != CU_LAUNCH_PARAM_END ||
        *(const size_t *)extra[3] != function->argument_bytes)
        return NULL;
    return extra[1];
}

static bool is_within_limits(const struct emulated_launch *launch, unsigned int shared_bytes)
{
    static const uint32_t most_grid[] = { 2147483647, 65535, 65535 };
    static const uint32_t most_block[] = { 1024, 1024, 64 };
    uint64_t threads = 1;
    for (int i = 0; i < 3; i++) {
        if (launch->grid[i] == 0 || launch->grid[i] > most_grid[i] || launch->block[i] == 0 ||
            launch->block[i] > most_block[i])
            return false;
        threads *= launch->block[i];
    }
    return threads <= (uint64_t)emulated_property("maxThreadsPerBlock") &&
           shared_bytes <= (uint64_t)emulated_property("maxSharedMemoryPerBlock");
}

/* A word of an argument that looks like an address may be a small number and what lay in the
 * padding behind it: few addresses have a lower half as small. */
static bool may_be_padded(uint64_t word)
{
    return (word & UINT32_MAX) < 1 << 20;
}

/* An argument's words that are addresses must be of memory that there is. */
static bool has_stale(const struct function *function, const void *argument)
{
    bool found = false;
    for (size_t i = 0; i + sizeof(uint64_t) <= function->argument_bytes; i += sizeof(uint64_t)) {
        uint64_t word = 0;
        memcpy(&word, (const char *)argument + i, sizeof word);
        if (!emulated_is_stale(word) || may_be_padded(word))
            continue;
        emulated_log("kernel %s: byte %zu of its argument points to 0x%llx, which is not allocated",
                     function->name, i, (unsigned long long)word);
        found = true;
    }
    return found;
}

CUresult EMULATED_API cuLaunchKernel(CUfunction handle, unsigned int grid_x, unsigned int grid_y,
                                     unsigned int grid_z, unsigned int block_x,
                                     unsigned int block_y, unsigned int block_z,
                                     unsigned int shared_bytes, CUstream stream_handle,
                                     void **parameters, void **extra)
{
    struct emulated_call call;
    int status = BEGIN(cuLaunchKernel, NEEDS_CONTEXT);
    if (status != 0)
        return END(status);
    if (!emulated_object_is(handle, EMULATED_FUNCTION, call.function))
        return END(CUDA_ERROR_INVALID_HANDLE);
    const struct function *function = (const struct function *)(void *)handle;
    struct emulated_stream *stream = emulated_stream_of(stream_handle, call.function);
    if (stream == NULL)
        return END(CUDA_ERROR_INVALID_HANDLE);
    const void *argument = argument_of(function, parameters, extra);
    struct launch launch = { .launch = { .name = function->name,
                                         .grid = { grid_x, grid_y, grid_z },
                                         .block = { block_x, block_y, block_z } } };
    if (argument == NULL || function->argument_bytes > MAX_ARGUMENT_BYTES ||
        !is_within_limits(&launch.launch, shared_bytes)) {
        emulated_log("kernel %s: grid %u,%u,%u of block %u,%u,%u, %s", function->name, grid_x,
                     grid_y, grid_z, block_x, block_y, block_z,
                     argument == NULL ? "argument not given as it is" : "beyond the limits");
        return END(CUDA_ERROR_INVALID_VALUE);
    }
    if (has_stale(function, argument))
        return END(emulated_driver()->sticky = CUDA_ERROR_ILLEGAL_ADDRESS);
    memcpy(launch.argument, argument, function->argument_bytes);
    emulated_queue(&call, stream, run_launch, &launch, sizeof launch);
    return END(0);
}
