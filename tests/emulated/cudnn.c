/* SPDX-License-Identifier: Apache-2.0 */
/* libcudnn.so.9: the real one, found by its own path, and the handles. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "cudnn_wrapped.h"

#define BEGIN(name) emulated_begin(&call, #name, 0, NEEDS_NOTHING)
#define END(status) ((cudnnStatus_t)emulated_end(&call, (int)(status)))

static struct vb_cudnn real;
static _Thread_local char last_error[512];

const struct vb_cudnn *emulated_real(void)
{
    static bool is_tried;
    static struct vb_error err;
    const char *path = getenv("VRAMBENCH_EMULATED_CUDNN");
    if (!is_tried &&
        vb_cudnn_open_at(path != NULL ? path : VB_CUDA_LIBRARY_DIR, &real, &err) != VB_OK)
        emulated_log("settings: VRAMBENCH_EMULATED_CUDNN: %s", err.text);
    is_tried = true;
    if (real.handle != NULL)
        return &real;
    (void)snprintf(last_error, sizeof last_error, "%s", err.text);
    return NULL;
}

int emulated_cudnn_fail(int status, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    (void)vsnprintf(last_error, sizeof last_error, format, list);
    va_end(list);
    emulated_log("%s", last_error);
    return status;
}

size_t EMULATED_API cudnnGetVersion(void)
{
    struct emulated_call call;
    (void)BEGIN(cudnnGetVersion);
    const struct vb_cudnn *library = emulated_real();
    (void)END(0);
    return library != NULL ? library->version : 0;
}

/* The stand-ins' own fault where there was one since the last time it was asked. */
void EMULATED_API cudnnGetLastErrorString(char *text, size_t room)
{
    struct emulated_call call;
    (void)BEGIN(cudnnGetLastErrorString);
    const struct vb_cudnn *library = emulated_real();
    if (last_error[0] != '\0')
        (void)snprintf(text, room, "%s", last_error);
    else if (library != NULL)
        library->get_last_error(text, room);
    last_error[0] = '\0';
    (void)END(0);
}

static int check_context(const struct emulated_call *call)
{
    if (emulated_driver()->sticky != 0)
        return CUDNN_STATUS_EXECUTION_FAILED_CUDA_DRIVER;
    if (*emulated_current() != NULL && *emulated_current() == emulated_driver()->context)
        return CUDNN_STATUS_SUCCESS;
    return emulated_cudnn_fail(CUDNN_STATUS_NOT_INITIALIZED,
                               "%s: no context is current in this thread", call->function);
}

cudnnStatus_t EMULATED_API cudnnCreate(cudnnHandle_t *out)
{
    struct emulated_call call;
    int status = BEGIN(cudnnCreate);
    const uint64_t bytes = emulated_settings()->cudnn_bytes;
    uint64_t memory = 0;
    if (status == 0)
        status = check_context(&call);
    if (status == 0 && emulated_real() == NULL)
        status = CUDNN_STATUS_SUBLIBRARY_LOADING_FAILED;
    if (status == 0 && bytes > 0 &&
        emulated_allocate(&call, bytes, (uint64_t)(uintptr_t)&cudnnCreate, &memory) != 0)
        status = CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED;
    if (status == 0) {
        *out = emulated_object_make(EMULATED_CUDNN_HANDLE, sizeof **out);
        (*out)->memory = memory;
    }
    return END(status);
}

cudnnStatus_t EMULATED_API cudnnDestroy(cudnnHandle_t handle)
{
    struct emulated_call call;
    int status = BEGIN(cudnnDestroy);
    if (!emulated_goes_on(&call, status))
        return END(status);
    if (!emulated_object_is(handle, EMULATED_CUDNN_HANDLE, call.function))
        return END(CUDNN_STATUS_BAD_PARAM);
    emulated_run_all();
    if (handle->memory != 0)
        (void)emulated_free(&call, handle->memory, (uint64_t)(uintptr_t)&cudnnDestroy);
    emulated_object_drop(handle);
    return END(status);
}

cudnnStatus_t EMULATED_API cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream)
{
    struct emulated_call call;
    int status = BEGIN(cudnnSetStream);
    if (status == 0 && (!emulated_object_is(handle, EMULATED_CUDNN_HANDLE, call.function) ||
                        emulated_stream_of(stream, call.function) == NULL))
        status = CUDNN_STATUS_BAD_PARAM;
    if (status == 0)
        handle->stream = stream;
    return END(status);
}

cudnnStatus_t EMULATED_API cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                               cudnnBackendDescriptor_t pack)
{
    struct emulated_call call;
    int status = BEGIN(cudnnBackendExecute);
    if (status == 0)
        status = check_context(&call);
    if (status == 0 && (!emulated_object_is(handle, EMULATED_CUDNN_HANDLE, call.function) ||
                        !emulated_object_is(plan, EMULATED_DESCRIPTOR, call.function) ||
                        !emulated_object_is(pack, EMULATED_DESCRIPTOR, call.function)))
        status = CUDNN_STATUS_BAD_PARAM;
    if (status == 0)
        status = emulated_execute(&call, handle, ((struct descriptor *)plan)->wrapped,
                                  ((struct descriptor *)pack)->wrapped);
    return END(status);
}
