/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/cupti.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/library.h"
#include "config.h"

#if VB_WITH_CUPTI
#include "capture/cupti_buffers.h"
#include "capture/cupti_table.h"

struct vb_cupti {
    struct vb_cupti_info info;
    struct vb_cupti_table table;
    struct vb_library library;
    struct vb_timeline *timeline;
    CUpti_SubscriberHandle subscriber;
    bool is_subscribed, is_started;
    bool watches;     /* kernels are recorded, and whose calls launched them */
    uint32_t enabled; /* bits by the table of kinds */
};

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
    SYMBOL("cuptiActivityDisable", disable),
    SYMBOL("cuptiActivityFlushAll", flush_all),
    SYMBOL("cuptiActivityGetNextRecord", get_next_record),
    SYMBOL("cuptiActivityGetNumDroppedRecords", get_n_dropped),
    SYMBOL("cuptiActivityPushExternalCorrelationId", push),
    SYMBOL("cuptiActivityPopExternalCorrelationId", pop),
    SYMBOL("cuptiGetTimestamp", get_timestamp),
    { "cuptiActivitySetAttribute", offsetof(struct vb_cupti_table, set_attribute), true },
};

/* What is recorded. A record that ties a call to our tag is written only for calls that are
 * recorded themselves, hence the last two, which are not read.
 * Source: the description of cuptiActivityPushExternalCorrelationId(). */
enum { MEMORY, POOLS, KERNELS, MEMSETS, CORRELATIONS, DRIVER, RUNTIME, KINDS };

static const struct kind {
    CUpti_ActivityKind kind;
    const char *name, *without;
} kinds[KINDS] = {
    [MEMORY] = { CUPTI_ACTIVITY_KIND_MEMORY2, "MEMORY2", "memory is not captured" },
    [POOLS] = { CUPTI_ACTIVITY_KIND_MEMORY_POOL, "MEMORY_POOL",
                "the driver's pools are seen only where they are used" },
    [KERNELS] = { CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL, "CONCURRENT_KERNEL",
                  "kernels are not timed" },
    [MEMSETS] = { CUPTI_ACTIVITY_KIND_MEMSET, "MEMSET", "memsets are not timed" },
    [CORRELATIONS] = { CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION, "EXTERNAL_CORRELATION",
                       "records are told apart by time alone" },
    [DRIVER] = { CUPTI_ACTIVITY_KIND_DRIVER, "DRIVER", "records are told apart by time alone" },
    [RUNTIME] = { CUPTI_ACTIVITY_KIND_RUNTIME, "RUNTIME",
                  "some records are told apart by time alone" },
};

static const char *result_name(const struct vb_cupti *cupti, CUptiResult result)
{
    const char *name = NULL;
    if (cupti->table.get_result_string(result, &name) != CUPTI_SUCCESS || name == NULL)
        return "an error without a name";
    return name;
}

static void no_callback(void *context, CUpti_CallbackDomain domain, CUpti_CallbackId id,
                        const void *info)
{
    (void)context;
    (void)domain;
    (void)id;
    (void)info;
}

static bool refuse(struct vb_cupti *cupti, const char *call, CUptiResult result)
{
    (void)snprintf(cupti->info.why, sizeof cupti->info.why, "nothing is captured: %s says %s%s",
                   call, result_name(cupti, result), vb_cupti_remedy(result));
    return false;
}

/* What is not as it should be for want of a call goes into `why`, of each call once. */
static void note(struct vb_cupti *cupti, const char *what, const char *call, CUptiResult result)
{
    char *why = cupti->info.why;
    const size_t length = strlen(why);
    if (strstr(why, call) == NULL)
        (void)snprintf(why + length, sizeof cupti->info.why - length, "%s%s: %s says %s",
                       length > 0 ? "; " : "", what, call, result_name(cupti, result));
}

static void note_kind(struct vb_cupti *cupti, size_t kind, CUptiResult result)
{
    char call[64];
    (void)snprintf(call, sizeof call, "cuptiActivityEnable(%s)", kinds[kind].name);
    note(cupti, kinds[kind].without, call, result);
}

/* With each that could not be turned on its error, once the remedy. */
static void note_missing(struct vb_cupti *cupti, const CUptiResult *results)
{
    char *why = cupti->info.why;
    CUptiResult first = CUPTI_SUCCESS;
    for (size_t i = 0; i < KINDS; i++) {
        if (results[i] == CUPTI_SUCCESS)
            continue;
        note_kind(cupti, i, results[i]);
        if (first == CUPTI_SUCCESS)
            first = results[i];
    }
    const size_t length = strlen(why);
    (void)snprintf(why + length, sizeof cupti->info.why - length, "%s", vb_cupti_remedy(first));
}

/* False: not one of them is. */
static bool enable_kinds(struct vb_cupti *cupti)
{
    CUptiResult results[KINDS];
    for (size_t i = 0; i < KINDS; i++) {
        results[i] = cupti->table.enable(kinds[i].kind);
        cupti->enabled |= (uint32_t)(results[i] == CUPTI_SUCCESS) << i;
    }
    struct vb_cupti_info *info = &cupti->info;
    info->has_memory = results[MEMORY] == CUPTI_SUCCESS;
    info->has_kernels = results[KERNELS] == CUPTI_SUCCESS;
    info->has_memsets = results[MEMSETS] == CUPTI_SUCCESS;
    info->has_correlations =
        results[CORRELATIONS] == CUPTI_SUCCESS && results[DRIVER] == CUPTI_SUCCESS;
    if (!info->has_memory && !info->has_kernels && !info->has_memsets)
        return refuse(cupti, "cuptiActivityEnable(MEMORY2)", results[MEMORY]);
    note_missing(cupti, results);
    cupti->watches = true;
    return true;
}

/* Since CUDA 12.0 CUPTI keeps what it times kernels with in the device's memory, 3 buffers of 3.2
 * MB or more, which would be measured as the context's. Before cuInit() it can be told not to.
 * Source: the description of CUPTI_ACTIVITY_ATTR_MEM_ALLOCATION_TYPE_HOST_PINNED. */
static void keep_off_device(struct vb_cupti *cupti)
{
    uint8_t is_pinned = 1;
    size_t size = sizeof is_pinned;
    cupti->info.uses_device_memory =
        cupti->table.set_attribute == NULL ||
        cupti->table.set_attribute(CUPTI_ACTIVITY_ATTR_MEM_ALLOCATION_TYPE_HOST_PINNED, &size,
                                   &is_pinned) != CUPTI_SUCCESS;
}

/* Subscribing is what tells of another profiler. */
static bool start(struct vb_cupti *cupti, size_t buffer_bytes)
{
    struct vb_cupti_info *info = &cupti->info;
    CUptiResult result = cupti->table.get_version(&info->version);
    if (result != CUPTI_SUCCESS)
        return refuse(cupti, "cuptiGetVersion", result);
    if (info->version < VB_CUPTI_OLDEST_VERSION) {
        (void)snprintf(
            info->why, sizeof info->why,
            "nothing is captured: %.300s is version %u, that of CUDA 12.0 (%d) is needed",
            info->path, info->version, VB_CUPTI_OLDEST_VERSION);
        return false;
    }
    cupti->is_started = vb_cupti_buffers_start(&cupti->table, cupti->timeline, buffer_bytes);
    if (!cupti->is_started) {
        (void)snprintf(info->why, sizeof info->why,
                       "nothing is captured: this process captures already");
        return false;
    }
    result = cupti->table.subscribe(&cupti->subscriber, no_callback, NULL);
    if (result != CUPTI_SUCCESS)
        return refuse(cupti, "cuptiSubscribe", result);
    cupti->is_subscribed = true;
    keep_off_device(cupti);
    result = cupti->table.register_callbacks(vb_cupti_buffer_requested, vb_cupti_buffer_completed);
    if (result != CUPTI_SUCCESS)
        return refuse(cupti, "cuptiActivityRegisterCallbacks", result);
    return enable_kinds(cupti);
}

/* Buffers come back as they are flushed; what was dropped for want of one is counted apart. Where
 * either is not told, something may be missing: one record is counted for it. */
static void take_records(struct vb_cupti *cupti, uint32_t flag)
{
    size_t n_dropped = 0;
    CUptiResult result = cupti->table.flush_all(flag);
    const bool is_flushed = result == CUPTI_SUCCESS;
    if (!is_flushed)
        note(cupti, "records may be missing", "cuptiActivityFlushAll", result);
    result = cupti->table.get_n_dropped(NULL, 0, &n_dropped);
    if (result != CUPTI_SUCCESS) {
        note(cupti, "records may be missing", "cuptiActivityGetNumDroppedRecords", result);
        n_dropped = 1;
    }
    vb_cupti_buffers_lock();
    vb_timeline_add_dropped(cupti->timeline, n_dropped + !is_flushed);
    vb_cupti_buffers_unlock();
}

/* Also after a start that failed halfway. */
static void stop(struct vb_cupti *cupti)
{
    if (cupti->enabled != 0)
        take_records(cupti, CUPTI_ACTIVITY_FLAG_FLUSH_FORCED);
    for (size_t i = 0; i < KINDS; i++) {
        if (cupti->enabled >> i & 1)
            (void)cupti->table.disable(kinds[i].kind);
    }
    cupti->enabled = 0;
    if (cupti->is_subscribed)
        (void)cupti->table.unsubscribe(cupti->subscriber);
    cupti->is_subscribed = false;
    if (cupti->is_started)
        vb_cupti_buffers_stop();
    cupti->is_started = false;
}

static void open_library(struct vb_cupti *cupti, size_t buffer_bytes)
{
    static const struct vb_library_query query = {
        .names = { "libcupti.so.13", "libcupti.so.12", "libcupti.so" },
        .toolkit_folder = "../extras/CUPTI/lib64",
        .symbols = symbols,
        .n_symbols = sizeof symbols / sizeof *symbols,
    };
    struct vb_error err;
    if (vb_library_open(&query, &cupti->table, &cupti->library, &err) != VB_OK) {
        (void)snprintf(cupti->info.why, sizeof cupti->info.why, "nothing is captured: %.480s",
                       err.text);
        return;
    }
    memcpy(cupti->info.path, cupti->library.path, sizeof cupti->info.path);
    if (!start(cupti, buffer_bytes))
        stop(cupti);
}

enum vb_status vb_cupti_open(struct vb_timeline *timeline, size_t buffer_bytes,
                             struct vb_cupti **out, struct vb_error *err)
{
    struct vb_cupti *cupti = calloc(1, sizeof *cupti);
    if (cupti == NULL)
        return vb_fail(err, VB_E_SYSTEM, "capture: no host memory");
    cupti->timeline = timeline;
    open_library(cupti, buffer_bytes);
    *out = cupti;
    return VB_OK;
}

bool vb_cupti_watch(struct vb_cupti *cupti, bool watches)
{
    struct vb_cupti_info *info = &cupti->info;
    for (size_t i = 0; i < KINDS; i++) {
        if (i == MEMORY || i == POOLS || (cupti->enabled >> i & 1) == 0)
            continue;
        CUptiResult result =
            watches ? cupti->table.enable(kinds[i].kind) : cupti->table.disable(kinds[i].kind);
        if (result == CUPTI_SUCCESS)
            continue;
        if (watches)
            note_kind(cupti, i, result);
        else
            note(cupti, "what should not is recorded, which costs time", "cuptiActivityDisable",
                 result);
        info->has_kernels = info->has_kernels && i != KERNELS; /* else those of all steps are */
    }
    cupti->watches = watches && info->has_kernels;
    return info->has_kernels;
}

const struct vb_cupti_info *vb_cupti_info(const struct vb_cupti *cupti)
{
    return &cupti->info;
}

bool vb_cupti_is_on(const struct vb_cupti *cupti)
{
    return cupti->enabled != 0;
}

void vb_cupti_close(struct vb_cupti *cupti)
{
    if (cupti == NULL)
        return;
    stop(cupti);
    vb_library_close(&cupti->library);
    free(cupti);
}

static const char told_apart_wrongly[] = "some records may be told apart wrongly";

uint64_t vb_cupti_now(struct vb_cupti *cupti)
{
    uint64_t ns = 0;
    CUptiResult result = cupti->table.get_timestamp(&ns);
    if (result != CUPTI_SUCCESS)
        note(cupti, told_apart_wrongly, "cuptiGetTimestamp", result);
    return result == CUPTI_SUCCESS ? ns : 0;
}

bool vb_cupti_push(struct vb_cupti *cupti, uint64_t tag)
{
    if (!cupti->info.has_correlations || !cupti->watches)
        return false;
    CUptiResult result = cupti->table.push(CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM0, tag);
    if (result != CUPTI_SUCCESS)
        note(cupti, told_apart_wrongly, "cuptiActivityPushExternalCorrelationId", result);
    return result == CUPTI_SUCCESS;
}

void vb_cupti_pop(struct vb_cupti *cupti)
{
    uint64_t tag;
    CUptiResult result = cupti->table.pop(CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM0, &tag);
    if (result != CUPTI_SUCCESS)
        note(cupti, told_apart_wrongly, "cuptiActivityPopExternalCorrelationId", result);
}

void vb_cupti_flush(struct vb_cupti *cupti)
{
    take_records(cupti, 0);
}

void vb_cupti_lock(void)
{
    vb_cupti_buffers_lock();
}

void vb_cupti_unlock(void)
{
    vb_cupti_buffers_unlock();
}

#endif
