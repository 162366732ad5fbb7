/* SPDX-License-Identifier: Apache-2.0 */
/* The buffers are of malloc() and aligned by it: should a client that comes later be handed one of
 * them it can free it as its own. */
#include "watch/inject_cupti.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/library.h"
#include "capture/cupti_memory.h"
#include "watch/format.h"
#include "watch/inject_events.h"
#include "watch/inject_file.h"
#include "watch/inject_loaded.h"

enum { BUFFER_BYTES = 256 << 10, MOST_FREE = 8 };

#define SYMBOL(name, field)                                                                        \
    {                                                                                              \
        name, offsetof(struct vb_cupti_table, field), false                                        \
    }
static const struct vb_symbol symbols[] = {
    SYMBOL("cuptiGetVersion", get_version),
    SYMBOL("cuptiGetResultString", get_result_string),
    SYMBOL("cuptiSubscribe", subscribe),
    SYMBOL("cuptiUnsubscribe", unsubscribe),
    SYMBOL("cuptiActivityRegisterCallbacks", register_callbacks),
    SYMBOL("cuptiActivityEnable", enable),
    SYMBOL("cuptiActivityFlushAll", flush_all),
    SYMBOL("cuptiActivityGetNextRecord", get_next_record),
    SYMBOL("cuptiActivityGetNumDroppedRecords", get_n_dropped),
    SYMBOL("cuptiGetTimestamp", get_timestamp),
};

static struct vb_cupti_table cupti;
static pthread_mutex_t pool_mutex = PTHREAD_MUTEX_INITIALIZER;
static void *free_buffers[MOST_FREE];
static size_t n_free;
static atomic_bool is_left;
static atomic_ullong n_completed;

/* ---------------------------------------------------------------------------------- buffers */

static void *take_buffer(void)
{
    void *buffer = NULL;
    (void)pthread_mutex_lock(&pool_mutex);
    if (n_free > 0)
        buffer = free_buffers[--n_free];
    (void)pthread_mutex_unlock(&pool_mutex);
    return buffer != NULL ? buffer : malloc(BUFFER_BYTES);
}

static void give_buffer(void *buffer)
{
    (void)pthread_mutex_lock(&pool_mutex);
    if (n_free < MOST_FREE) {
        free_buffers[n_free++] = buffer;
        buffer = NULL;
    }
    (void)pthread_mutex_unlock(&pool_mutex);
    free(buffer);
}

/* Without a buffer CUPTI drops the record and counts it. */
static void buffer_requested(uint8_t **buffer, size_t *n_bytes, size_t *most_records)
{
    int kept = errno;
    *buffer = atomic_load(&is_left) ? NULL : take_buffer();
    *n_bytes = *buffer != NULL ? BUFFER_BYTES : 0;
    *most_records = 0; /* as many as fit */
    errno = kept;
}

static void buffer_completed(CUcontext context, uint32_t stream, uint8_t *buffer, size_t n_bytes,
                             size_t n_valid_bytes)
{
    int kept = errno;
    size_t n_dropped = 0;
    CUpti_Activity *record = NULL;
    (void)n_bytes;
    if (atomic_load(&is_left)) {
        free(buffer);
        errno = kept;
        return;
    }
    /* Where it does not say there may have been one. */
    if (cupti.get_n_dropped(context, stream, &n_dropped) != CUPTI_SUCCESS)
        n_dropped = 1;
    CUptiResult result = CUPTI_ERROR_MAX_LIMIT_REACHED;
    vb_inject_events_lock();
    while (buffer != NULL && n_valid_bytes > 0) {
        result = cupti.get_next_record(buffer, n_valid_bytes, &record);
        if (result != CUPTI_SUCCESS)
            break;
        vb_inject_events_add(record);
    }
    vb_inject_events_dropped(n_dropped + (result != CUPTI_ERROR_MAX_LIMIT_REACHED));
    vb_inject_events_write();
    vb_inject_events_unlock();
    if (buffer != NULL)
        give_buffer(buffer);
    (void)atomic_fetch_add(&n_completed, 1);
    errno = kept;
}

/* ------------------------------------------------------------------------------------ start */

static void no_callback(void *context, CUpti_CallbackDomain domain, CUpti_CallbackId id,
                        const void *info)
{
    (void)context;
    (void)domain;
    (void)id;
    (void)info;
}

/* There is no other way to ask. Who subscribes in the microsecond between the two calls is
 * refused, as by any tool that holds the subscription: this is asked once a second at most. */
static CUptiResult ask_for_subscriber(void)
{
    CUpti_SubscriberHandle subscriber;
    CUptiResult result = cupti.subscribe(&subscriber, no_callback, NULL);
    if (result == CUPTI_SUCCESS)
        (void)cupti.unsubscribe(subscriber);
    return result;
}

bool vb_inject_cupti_is_taken(void)
{
    return ask_for_subscriber() == CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED;
}

static bool refuse(char *why, unsigned room, const char *call, CUptiResult result)
{
    const char *name = NULL;
    if (cupti.get_result_string(result, &name) != CUPTI_SUCCESS || name == NULL)
        name = "an error without a name";
    (void)snprintf(why, room, "%s says %s%s", call, name, vb_cupti_remedy(result));
    return false;
}

/* The library that the program has, if it has one: two of them would be two clients. */
static bool open_library(char *why, unsigned room)
{
    static char loaded[4096];
    static struct vb_library library; /* stays to the end */
    struct vb_library_query query = {
        .names = { "libcupti.so.13", "libcupti.so.12", "libcupti.so" },
        .toolkit_folder = "../extras/CUPTI/lib64",
        .symbols = symbols,
        .n_symbols = sizeof symbols / sizeof *symbols,
    };
    struct vb_error err;
    const char *only = getenv("VRAMBENCH_CUDA_LIBS");
    if ((only == NULL || only[0] == '\0') && vb_loaded_find("libcupti.so", loaded, sizeof loaded)) {
        query.names[0] = loaded;
        query.names[1] = NULL;
    }
    if (vb_library_open(&query, &cupti, &library, &err) == VB_OK)
        return true;
    (void)snprintf(why, room, "%s", err.text);
    return false;
}

/* Buffers can be flushed only where someone has registered callbacks: then that one keeps them. */
static bool is_free(char *why, unsigned room)
{
    CUptiResult result = ask_for_subscriber();
    if (result != CUPTI_SUCCESS)
        return refuse(why, room, "cuptiSubscribe", result);
    if (cupti.flush_all(0) != CUPTI_SUCCESS)
        return true;
    (void)snprintf(why, room, "the program records CUPTI's activities itself");
    return false;
}

bool vb_inject_cupti_clock(struct vb_inject_clock *clock)
{
    struct timespec now = { 0 };
    bool is_known = cupti.get_timestamp(&clock->record_ns) == CUPTI_SUCCESS;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    clock->monotonic_ns = (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
    return is_known;
}

bool vb_inject_cupti_start(uint32_t *version, struct vb_inject_clock *clock, char *why,
                           unsigned room)
{
    CUptiResult result;
    *version = 0;
    if (!open_library(why, room))
        return false;
    result = cupti.get_version(version);
    if (result != CUPTI_SUCCESS)
        return refuse(why, room, "cuptiGetVersion", result);
    if (*version < VB_CUPTI_OLDEST_VERSION) {
        (void)snprintf(why, room, "CUPTI is version %u, that of CUDA 12.0 (%d) is needed", *version,
                       VB_CUPTI_OLDEST_VERSION);
        return false;
    }
    if (!is_free(why, room))
        return false;
    result = cupti.register_callbacks(buffer_requested, buffer_completed);
    if (result != CUPTI_SUCCESS)
        return refuse(why, room, "cuptiActivityRegisterCallbacks", result);
    result = cupti.enable(CUPTI_ACTIVITY_KIND_MEMORY2);
    if (result != CUPTI_SUCCESS)
        return refuse(why, room, "cuptiActivityEnable(MEMORY2)", result);
    /* Without it the driver's pools are seen only where they are used. */
    (void)cupti.enable(CUPTI_ACTIVITY_KIND_MEMORY_POOL);
    if (vb_inject_cupti_clock(clock))
        return true;
    (void)snprintf(why, room, "cuptiGetTimestamp fails: records have no known time");
    vb_inject_cupti_leave();
    return false;
}

void vb_inject_cupti_flush(bool is_end)
{
    (void)cupti.flush_all(is_end ? CUPTI_ACTIVITY_FLAG_FLUSH_FORCED : 0);
}

void vb_inject_cupti_leave(void)
{
    atomic_store(&is_left, true);
}

uint64_t vb_inject_cupti_n_completed(void)
{
    return atomic_load(&n_completed);
}
