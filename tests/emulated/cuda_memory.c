/* SPDX-License-Identifier: Apache-2.0 */
/* libcuda.so.1: memory, and copies and fills in streams. */
#include <stdlib.h>
#include <string.h>

#include "cuda_call.h"

static void *at(CUdeviceptr address)
{
    return (void *)(uintptr_t)address;
}

CUresult EMULATED_API cuMemAlloc(CUdeviceptr *out, size_t bytes)
{
    struct emulated_call call;
    int status = BEGIN(cuMemAlloc_v2, NEEDS_CONTEXT);
    uint64_t address = 0;
    if (status == 0)
        status = emulated_unsafe_call();
    if (status == 0)
        status = emulated_allocate(&call, bytes, (uint64_t)(uintptr_t)__builtin_return_address(0),
                                   &address);
    if (status == 0)
        *out = address;
    return END(status);
}

/* Waits for the whole device, as the real one does. */
CUresult EMULATED_API cuMemFree(CUdeviceptr address)
{
    struct emulated_call call;
    int status = BEGIN(cuMemFree_v2, NEEDS_CONTEXT);
    if (status == 0)
        status = emulated_unsafe_call();
    if (emulated_goes_on(&call, status) && address != 0) {
        emulated_run_all();
        status = emulated_free(&call, address, (uint64_t)(uintptr_t)__builtin_return_address(0));
    }
    return END(status);
}

CUresult EMULATED_API cuMemAllocAsync(CUdeviceptr *out, size_t bytes, CUstream handle)
{
    struct emulated_call call;
    int status = BEGIN(cuMemAllocAsync, NEEDS_CONTEXT);
    uint64_t address = 0;
    const struct emulated_stream *stream =
        status == 0 ? emulated_stream_of(handle, call.function) : NULL;
    if (status == 0 && stream == NULL)
        status = CUDA_ERROR_INVALID_HANDLE;
    else if (status == 0 && stream->captured != NULL)
        status = emulated_capture_allocation(stream, bytes, &address);
    else if (status == 0)
        status = emulated_allocate_from_pool(
            &call, bytes, (uint64_t)(uintptr_t)__builtin_return_address(0), &address);
    if (status == 0)
        *out = address;
    return END(status);
}

/* What the stream has to do with it is done first. */
CUresult EMULATED_API cuMemFreeAsync(CUdeviceptr address, CUstream handle)
{
    struct emulated_call call;
    int status = BEGIN(cuMemFreeAsync, NEEDS_CONTEXT);
    struct emulated_stream *stream = emulated_stream_of(handle, call.function);
    if (status == 0 && stream == NULL)
        status = CUDA_ERROR_INVALID_HANDLE;
    if (status == 0 && stream->captured != NULL)
        return END(emulated_capture_release(stream, address));
    if (emulated_goes_on(&call, status) && address != 0) {
        emulated_run_stream(stream);
        status = emulated_free(&call, address, (uint64_t)(uintptr_t)__builtin_return_address(0));
    }
    return END(status);
}

struct physical {
    struct emulated_object object;
    uint64_t bytes;
};

/* It cannot be mapped: what it is here for is that it is gone. */
CUresult EMULATED_API cuMemCreate(CUmemGenericAllocationHandle *out, size_t bytes,
                                  const CUmemAllocationProp *what, unsigned long long flags)
{
    struct emulated_call call;
    int status = BEGIN(cuMemCreate, NEEDS_INIT);
    if (status == 0 && (what == NULL || flags != 0 || what->type != CU_MEM_ALLOCATION_TYPE_PINNED ||
                        what->location.type != CU_MEM_LOCATION_TYPE_DEVICE))
        status = CUDA_ERROR_INVALID_VALUE;
    if (status == 0)
        status = emulated_physical_take(bytes);
    if (status == 0) {
        struct physical *made = emulated_object_make(EMULATED_PHYSICAL, sizeof *made);
        made->bytes = bytes;
        *out = (uint64_t)(uintptr_t)made;
    }
    return END(status);
}

CUresult EMULATED_API cuMemRelease(CUmemGenericAllocationHandle handle)
{
    struct emulated_call call;
    int status = BEGIN(cuMemRelease, NEEDS_INIT);
    struct physical *memory = at(handle);
    if (!emulated_goes_on(&call, status))
        return END(status);
    if (!emulated_object_is(memory, EMULATED_PHYSICAL, call.function))
        return END(CUDA_ERROR_INVALID_HANDLE);
    emulated_physical_give(memory->bytes);
    emulated_object_drop(memory);
    return END(status);
}

CUresult EMULATED_API cuMemGetInfo(size_t *free_bytes, size_t *total_bytes)
{
    struct emulated_call call;
    int status = BEGIN(cuMemGetInfo_v2, NEEDS_CONTEXT);
    if (status == 0) {
        *free_bytes = emulated_free_bytes();
        *total_bytes = emulated_settings()->capacity_bytes;
    }
    return END(status);
}

struct copy {
    void *to;
    const void *from;
    size_t bytes;
};

static void run_copy(const struct emulated_work *work)
{
    struct copy copy;
    memcpy(&copy, work->data, sizeof copy);
    if (emulated_is_idle())
        memset(copy.to, 0, copy.bytes); /* a number, of what was not computed */
    else
        memmove(copy.to, copy.from, copy.bytes);
}

static int queue_copy(const struct emulated_call *call, CUstream handle, const struct copy *copy)
{
    struct emulated_stream *stream = emulated_stream_of(handle, call->function);
    if (stream == NULL)
        return CUDA_ERROR_INVALID_HANDLE;
    emulated_queue(call, stream, run_copy, copy, sizeof *copy);
    return CUDA_SUCCESS;
}

/* The host's memory is read when the copy is done, as by a GPU that reaches what is not pinned; one
 * that does not takes it at once. */
CUresult EMULATED_API cuMemcpyHtoDAsync(CUdeviceptr to, const void *from, size_t bytes,
                                        CUstream stream)
{
    struct emulated_call call;
    int status = BEGIN(cuMemcpyHtoDAsync_v2, NEEDS_CONTEXT);
    if (status == 0 && (from == NULL || !emulated_holds(call.function, to, bytes)))
        status = CUDA_ERROR_INVALID_VALUE;
    if (status == 0) {
        const struct copy copy = { .to = at(to), .from = from, .bytes = bytes };
        status = queue_copy(&call, stream, &copy);
    }
    return END(status);
}

/* What the host reads before it waits is no number. */
CUresult EMULATED_API cuMemcpyDtoHAsync(void *to, CUdeviceptr from, size_t bytes, CUstream stream)
{
    struct emulated_call call;
    int status = BEGIN(cuMemcpyDtoHAsync_v2, NEEDS_CONTEXT);
    if (status == 0 && (to == NULL || !emulated_holds(call.function, from, bytes)))
        status = CUDA_ERROR_INVALID_VALUE;
    if (status == 0) {
        const struct copy copy = { .to = to, .from = at(from), .bytes = bytes };
        memset(to, 0xff, bytes);
        status = queue_copy(&call, stream, &copy);
    }
    return END(status);
}

CUresult EMULATED_API cuMemcpyDtoDAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes,
                                        CUstream stream)
{
    struct emulated_call call;
    int status = BEGIN(cuMemcpyDtoDAsync_v2, NEEDS_CONTEXT);
    if (status == 0 &&
        (!emulated_holds(call.function, to, bytes) || !emulated_holds(call.function, from, bytes)))
        status = CUDA_ERROR_INVALID_VALUE;
    if (status == 0 && to < from + bytes && from < to + bytes) {
        emulated_log("%s: from and to overlap", call.function);
        status = CUDA_ERROR_INVALID_VALUE;
    }
    if (status == 0) {
        const struct copy copy = { .to = at(to), .from = at(from), .bytes = bytes };
        status = queue_copy(&call, stream, &copy);
    }
    return END(status);
}

struct filling {
    void *to;
    size_t bytes;
    unsigned char value;
};

static void run_filling(const struct emulated_work *work)
{
    const uint64_t start = emulated_now();
    struct filling filling;
    memcpy(&filling, work->data, sizeof filling);
    memset(filling.to, filling.value, filling.bytes);
    emulated_record_memset(work, filling.value, filling.bytes, start);
}

CUresult EMULATED_API cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t bytes,
                                      CUstream handle)
{
    struct emulated_call call;
    int status = BEGIN(cuMemsetD8Async, NEEDS_CONTEXT);
    struct emulated_stream *stream = NULL;
    if (status == 0 && !emulated_holds(call.function, to, bytes))
        status = CUDA_ERROR_INVALID_VALUE;
    if (status == 0) {
        stream = emulated_stream_of(handle, call.function);
        status = stream == NULL ? CUDA_ERROR_INVALID_HANDLE : CUDA_SUCCESS;
    }
    if (status == 0) {
        const struct filling filling = { at(to), bytes, value };
        emulated_queue(&call, stream, run_filling, &filling, sizeof filling);
    }
    return END(status);
}
