/* SPDX-License-Identifier: Apache-2.0 */
/* libcupti.so.13: hands the records on through the caller's buffers.
 *
 * VRAMBENCH_EMULATED_CUPTI says what goes wrong: README.md. Callbacks run without the stand-ins'
 * lock, one at a time, on whichever thread makes records or flushes, or on one of its own.
 */
#include <cupti.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "emulated.h"

#define OPTIONS "VRAMBENCH_EMULATED_CUPTI"
#define BEGIN(name) emulated_begin(&call, #name, 0, NEEDS_NOTHING)
#define END(status) ((CUptiResult)emulated_end(&call, (int)(status)))

enum { RECORD_ALIGNMENT = 8 };

static pthread_mutex_t delivery = PTHREAD_MUTEX_INITIALIZER;
static CUpti_BuffersCallbackRequestFunc request;
static CUpti_BuffersCallbackCompleteFunc complete;
static struct {
    uint8_t *data;
    size_t bytes, filled, n, most;
} buffer;
static size_t n_dropped;
static uint64_t n_seen;
static _Thread_local bool is_delivering; /* this thread is in a callback, or between two */

/* ------------------------------------------------------------------------- delivery, locked */

static void complete_buffer(void)
{
    if (buffer.data != NULL)
        complete(NULL, 0, buffer.data, buffer.bytes, buffer.filled);
    buffer.data = NULL;
}

static bool has_room(size_t bytes)
{
    uint64_t most = buffer.bytes;
    (void)emulated_option(OPTIONS, "buffer", &most);
    if (most > buffer.bytes)
        most = buffer.bytes;
    return buffer.data != NULL && buffer.filled + bytes <= most &&
           (buffer.most == 0 || buffer.n < buffer.most);
}

static void hand_on(const struct emulated_record *record)
{
    const size_t bytes =
        (record->bytes + RECORD_ALIGNMENT - 1) / RECORD_ALIGNMENT * RECORD_ALIGNMENT;
    uint64_t nth = 0;
    const bool is_lost = emulated_option(OPTIONS, "drop", &nth) && nth > 0 && ++n_seen % nth == 0;
    if (!is_lost && !has_room(bytes)) {
        complete_buffer();
        buffer.bytes = buffer.filled = buffer.n = buffer.most = 0;
        request(&buffer.data, &buffer.bytes, &buffer.most);
    }
    if (is_lost || !has_room(bytes)) {
        n_dropped++;
        return;
    }
    memcpy(buffer.data + buffer.filled, record->data, record->bytes);
    buffer.filled += bytes;
    buffer.n++;
}

static void deliver(bool flush)
{
    if (is_delivering)
        return;
    (void)pthread_mutex_lock(&delivery);
    is_delivering = true;
    size_t n = 0;
    struct emulated_record *records = emulated_activity_take(&n);
    const bool is_backwards = emulated_option(OPTIONS, "out-of-order", NULL);
    for (size_t i = 0; i < n && request != NULL; i++)
        hand_on(&records[is_backwards ? n - 1 - i : i]);
    free(records);
    if (flush && complete != NULL)
        complete_buffer();
    is_delivering = false;
    (void)pthread_mutex_unlock(&delivery);
}

static void pump(void)
{
    if (!emulated_option(OPTIONS, "late", NULL))
        deliver(false);
}

static void *deliver_on_thread(void *unused)
{
    deliver(true);
    return unused;
}

/* --------------------------------------------------------------------------------- the calls */

CUptiResult EMULATED_API cuptiGetVersion(uint32_t *version)
{
    struct emulated_call call;
    int status = BEGIN(cuptiGetVersion);
    if (status == 0)
        *version = CUPTI_API_VERSION;
    return END(status);
}

static struct emulated_object *subscriber;

CUptiResult EMULATED_API cuptiSubscribe(CUpti_SubscriberHandle *out, CUpti_CallbackFunc callback,
                                        void *data)
{
    struct emulated_call call;
    int status = BEGIN(cuptiSubscribe);
    (void)callback;
    (void)data;
    if (status == 0 && (subscriber != NULL || emulated_option(OPTIONS, "subscribed", NULL)))
        status = CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED;
    if (status == 0) {
        subscriber = emulated_object_make(EMULATED_SUBSCRIBER, sizeof *subscriber);
        *out = (CUpti_SubscriberHandle)(void *)subscriber;
    }
    return END(status);
}

CUptiResult EMULATED_API cuptiUnsubscribe(CUpti_SubscriberHandle handle)
{
    struct emulated_call call;
    int status = BEGIN(cuptiUnsubscribe);
    if (!emulated_goes_on(&call, status))
        return END(status);
    if (!emulated_object_is(handle, EMULATED_SUBSCRIBER, call.function))
        return END(CUPTI_ERROR_INVALID_PARAMETER);
    emulated_object_drop(subscriber);
    subscriber = NULL;
    return END(status);
}

CUptiResult EMULATED_API cuptiActivityRegisterCallbacks(CUpti_BuffersCallbackRequestFunc requested,
                                                        CUpti_BuffersCallbackCompleteFunc completed)
{
    struct emulated_call call;
    int status = BEGIN(cuptiActivityRegisterCallbacks);
    if (status == 0 && (requested == NULL || completed == NULL))
        status = CUPTI_ERROR_INVALID_PARAMETER;
    if (status == 0) {
        request = requested;
        complete = completed;
        emulated_activity_hook(pump);
    }
    return END(status);
}

static CUptiResult check_kind(CUpti_ActivityKind kind)
{
    switch ((int)kind) {
    case CUPTI_ACTIVITY_KIND_MEMORY2:
    case CUPTI_ACTIVITY_KIND_MEMORY_POOL:
    case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL:
    case CUPTI_ACTIVITY_KIND_KERNEL:
    case CUPTI_ACTIVITY_KIND_MEMSET:
    case CUPTI_ACTIVITY_KIND_DRIVER:
    case CUPTI_ACTIVITY_KIND_RUNTIME:
    case CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION:
        return CUPTI_SUCCESS;
    default:
        emulated_log("cuptiActivityEnable: kind %d is not emulated", (int)kind);
        return CUPTI_ERROR_INVALID_KIND;
    }
}

CUptiResult EMULATED_API cuptiActivityEnable(CUpti_ActivityKind kind)
{
    struct emulated_call call;
    int status = BEGIN(cuptiActivityEnable);
    if (status == 0 && emulated_option(OPTIONS, "unprivileged", NULL))
        status = CUPTI_ERROR_INSUFFICIENT_PRIVILEGES;
    if (status == 0 && emulated_option(OPTIONS, "subscribed", NULL))
        status = CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED;
    if (status == 0)
        status = (int)check_kind(kind);
    if (status == 0)
        emulated_activity_enable((uint32_t)kind, true);
    return END(status);
}

CUptiResult EMULATED_API cuptiActivityDisable(CUpti_ActivityKind kind)
{
    struct emulated_call call;
    int status = BEGIN(cuptiActivityDisable);
    if (emulated_goes_on(&call, status))
        emulated_activity_enable((uint32_t)kind, false);
    return END(status);
}

CUptiResult EMULATED_API cuptiActivityFlushAll(uint32_t flag)
{
    struct emulated_call call;
    int status = BEGIN(cuptiActivityFlushAll);
    (void)flag; /* every record there is, is whole */
    pthread_t thread;
    if (status == 0 && request == NULL)
        status = CUPTI_ERROR_INVALID_OPERATION;
    CUptiResult result = END(status);
    if (result != CUPTI_SUCCESS)
        return result;
    if (!emulated_option(OPTIONS, "late", NULL))
        deliver(true);
    else if (pthread_create(&thread, NULL, deliver_on_thread, NULL) == 0)
        (void)pthread_join(thread, NULL);
    return CUPTI_SUCCESS;
}

static size_t record_bytes(CUpti_ActivityKind kind)
{
    size_t bytes = 0;
    switch ((int)kind) {
    case CUPTI_ACTIVITY_KIND_MEMORY2:
        bytes = sizeof(CUpti_ActivityMemory4);
        break;
    case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL:
    case CUPTI_ACTIVITY_KIND_KERNEL:
        bytes = sizeof(CUpti_ActivityKernel10);
        break;
    case CUPTI_ACTIVITY_KIND_MEMSET:
        bytes = sizeof(CUpti_ActivityMemset4);
        break;
    case CUPTI_ACTIVITY_KIND_DRIVER:
        bytes = sizeof(CUpti_ActivityAPI);
        break;
    case CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION:
        bytes = sizeof(CUpti_ActivityExternalCorrelation);
        break;
    default:
        break;
    }
    return (bytes + RECORD_ALIGNMENT - 1) / RECORD_ALIGNMENT * RECORD_ALIGNMENT;
}

CUptiResult EMULATED_API cuptiActivityGetNextRecord(uint8_t *data, size_t valid_bytes,
                                                    CUpti_Activity **record)
{
    struct emulated_call call;
    int status = BEGIN(cuptiActivityGetNextRecord);
    uint8_t *next = data;
    if (status != 0)
        return END(status);
    if (data == NULL || record == NULL)
        return END(CUPTI_ERROR_INVALID_PARAMETER);
    if (*record != NULL)
        next = (uint8_t *)*record + record_bytes((*record)->kind);
    if (next >= data + valid_bytes)
        return END(CUPTI_ERROR_MAX_LIMIT_REACHED);
    *record = (CUpti_Activity *)(void *)next;
    return END(record_bytes((*record)->kind) == 0 ? CUPTI_ERROR_INVALID_KIND : CUPTI_SUCCESS);
}

CUptiResult EMULATED_API cuptiActivityGetNumDroppedRecords(CUcontext context, uint32_t stream,
                                                           size_t *dropped)
{
    struct emulated_call call;
    int status = BEGIN(cuptiActivityGetNumDroppedRecords);
    (void)context;
    (void)stream;
    if (status == 0) {
        *dropped = n_dropped;
        n_dropped = 0;
    }
    return END(status);
}

CUptiResult EMULATED_API cuptiActivityPushExternalCorrelationId(CUpti_ExternalCorrelationKind kind,
                                                                uint64_t id)
{
    struct emulated_call call;
    int status = BEGIN(cuptiActivityPushExternalCorrelationId);
    if (status == 0 && (kind == CUPTI_EXTERNAL_CORRELATION_KIND_INVALID ||
                        kind >= CUPTI_EXTERNAL_CORRELATION_KIND_SIZE))
        status = CUPTI_ERROR_INVALID_PARAMETER;
    if (status == 0 && !emulated_external_push((uint32_t)kind, id))
        status = CUPTI_ERROR_OUT_OF_MEMORY;
    return END(status);
}

CUptiResult EMULATED_API cuptiActivityPopExternalCorrelationId(CUpti_ExternalCorrelationKind kind,
                                                               uint64_t *id)
{
    struct emulated_call call;
    int status = BEGIN(cuptiActivityPopExternalCorrelationId);
    uint64_t last = 0;
    if (emulated_goes_on(&call, status) && !emulated_external_pop((uint32_t)kind, &last)) {
        emulated_log("%s: nothing was pushed", call.function);
        status = CUPTI_ERROR_QUEUE_EMPTY;
    }
    if (status == 0 && id != NULL)
        *id = last;
    return END(status);
}

CUptiResult EMULATED_API cuptiGetTimestamp(uint64_t *timestamp)
{
    struct emulated_call call;
    int status = BEGIN(cuptiGetTimestamp);
    if (status == 0)
        *timestamp = emulated_now();
    return END(status);
}

CUptiResult EMULATED_API cuptiGetResultString(CUptiResult result, const char **text)
{
    static const struct {
        CUptiResult result;
        const char *name;
    } names[] = {
#define NAME(name) { name, #name }
        NAME(CUPTI_SUCCESS),
        NAME(CUPTI_ERROR_INVALID_PARAMETER),
        NAME(CUPTI_ERROR_MAX_LIMIT_REACHED),
        NAME(CUPTI_ERROR_INVALID_OPERATION),
        NAME(CUPTI_ERROR_NOT_INITIALIZED),
        NAME(CUPTI_ERROR_INVALID_KIND),
        NAME(CUPTI_ERROR_QUEUE_EMPTY),
        NAME(CUPTI_ERROR_OUT_OF_MEMORY),
        NAME(CUPTI_ERROR_INSUFFICIENT_PRIVILEGES),
        NAME(CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED),
        NAME(CUPTI_ERROR_UNKNOWN),
#undef NAME
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i].result == result) {
            *text = names[i].name;
            return CUPTI_SUCCESS;
        }
    }
    return CUPTI_ERROR_INVALID_PARAMETER;
}
