/* SPDX-License-Identifier: Apache-2.0 */
/* The records that CUPTI would make of what is done. They are kept here until libcupti's stand-in
 * takes them, so that its callbacks run without the lock.
 *
 * As CUPTI documents it, an external correlation record goes with an API record: without the driver
 * or runtime API's kind enabled there is none. */
#include <assert.h>
#include <cupti.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "emulated.h"

enum { MAX_KINDS = 64, BATCH = 256, MAX_EXTERNAL = 64, CONTEXT_ID = 1 };

static bool is_enabled[MAX_KINDS];
static void (*hook)(void);
static struct emulated_record *pending;
static size_t n_pending, room;
static _Thread_local struct {
    uint32_t kind;
    uint64_t id;
} external[MAX_EXTERNAL];
static _Thread_local size_t n_external;

static_assert(sizeof(CUpti_ActivityKernel10) <= sizeof pending->data, "a record's room");

void emulated_activity_enable(uint32_t kind, bool is_on)
{
    if (kind < MAX_KINDS)
        is_enabled[kind] = is_on;
}

void emulated_activity_hook(void (*pump)(void))
{
    hook = pump;
}

struct emulated_record *emulated_activity_take(size_t *n)
{
    emulated_lock();
    struct emulated_record *taken = pending;
    *n = n_pending;
    pending = NULL;
    n_pending = room = 0;
    emulated_unlock();
    return taken;
}

bool emulated_activity_is_due(void)
{
    return hook != NULL && n_pending >= BATCH;
}

void emulated_activity_pump(void)
{
    hook();
}

static void add(const void *record, size_t bytes)
{
    if (n_pending == room) {
        room = room > 0 ? 2 * room : BATCH;
        pending = realloc(pending, room * sizeof *pending);
        if (pending == NULL)
            abort();
    }
    pending[n_pending].bytes = bytes;
    memcpy(pending[n_pending++].data, record, bytes);
}

bool emulated_external_push(uint32_t kind, uint64_t id)
{
    if (n_external == MAX_EXTERNAL)
        return false;
    external[n_external].kind = kind;
    external[n_external++].id = id;
    return true;
}

/* The last of that kind. */
static size_t find_external(uint32_t kind)
{
    size_t i = n_external;
    while (i > 0 && external[i - 1].kind != kind)
        i--;
    return i;
}

bool emulated_external_pop(uint32_t kind, uint64_t *id)
{
    const size_t i = find_external(kind);
    if (i == 0)
        return false;
    *id = external[i - 1].id;
    memmove(&external[i - 1], &external[i], (n_external - i) * sizeof *external);
    n_external--;
    return true;
}

void emulated_record_memory(const struct emulated_call *call, bool is_allocation, uint64_t address,
                            uint64_t bytes, uint64_t pc, const struct emulated_pool *pool)
{
    CUpti_ActivityMemory4 record = {
        .kind = CUPTI_ACTIVITY_KIND_MEMORY2,
        .memoryOperationType = is_allocation ? CUPTI_ACTIVITY_MEMORY_OPERATION_TYPE_ALLOCATION
                                             : CUPTI_ACTIVITY_MEMORY_OPERATION_TYPE_RELEASE,
        .memoryKind = CUPTI_ACTIVITY_MEMORY_KIND_DEVICE,
        .correlationId = call->correlation,
        .address = address,
        .bytes = bytes,
        .timestamp = emulated_now(),
        .PC = pc,
        .processId = (uint32_t)getpid(),
        .contextId = CONTEXT_ID,
    };
    if (pool != NULL) {
        record.isAsync = 1;
        record.memoryPoolConfig.memoryPoolType = CUPTI_ACTIVITY_MEMORY_POOL_TYPE_LOCAL;
        record.memoryPoolConfig.address = pool->address;
        record.memoryPoolConfig.pool.size = pool->bytes;
        record.memoryPoolConfig.utilizedSize = pool->used_bytes;
    }
    if (is_enabled[CUPTI_ACTIVITY_KIND_MEMORY2])
        add(&record, sizeof record);
}

void emulated_record_call(const struct emulated_call *call, int status)
{
    const bool has_driver = is_enabled[CUPTI_ACTIVITY_KIND_DRIVER];
    if (!has_driver && !is_enabled[CUPTI_ACTIVITY_KIND_RUNTIME])
        return;
    for (uint32_t kind = 0; kind < CUPTI_EXTERNAL_CORRELATION_KIND_SIZE; kind++) {
        const size_t i = find_external(kind);
        const CUpti_ActivityExternalCorrelation record = {
            .kind = CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION,
            .externalKind = (CUpti_ExternalCorrelationKind)kind,
            .externalId = i > 0 ? external[i - 1].id : 0,
            .correlationId = call->correlation,
        };
        if (i > 0 && is_enabled[CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION])
            add(&record, sizeof record);
    }
    const CUpti_ActivityAPI record = {
        .kind = CUPTI_ACTIVITY_KIND_DRIVER,
        .cbid = call->cbid,
        .start = call->start,
        .end = emulated_now(),
        .processId = (uint32_t)getpid(),
        .threadId = (uint32_t)syscall(SYS_gettid),
        .correlationId = call->correlation,
        .returnValue = (uint32_t)status,
    };
    if (has_driver)
        add(&record, sizeof record);
}

void emulated_record_kernel(const struct emulated_work *work, const struct emulated_launch *launch,
                            uint64_t start)
{
    const CUpti_ActivityKernel10 record = {
        .kind = is_enabled[CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL]
                    ? CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL
                    : CUPTI_ACTIVITY_KIND_KERNEL,
        .start = start,
        .end = emulated_now(),
        .contextId = CONTEXT_ID,
        .streamId = work->stream,
        .gridX = (int32_t)launch->grid[0],
        .gridY = (int32_t)launch->grid[1],
        .gridZ = (int32_t)launch->grid[2],
        .blockX = (int32_t)launch->block[0],
        .blockY = (int32_t)launch->block[1],
        .blockZ = (int32_t)launch->block[2],
        .correlationId = work->correlation,
        .name = launch->name,
        .queued = work->queued,
    };
    if (is_enabled[CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL] || is_enabled[CUPTI_ACTIVITY_KIND_KERNEL])
        add(&record, sizeof record);
}

void emulated_record_memset(const struct emulated_work *work, uint8_t value, uint64_t bytes,
                            uint64_t start)
{
    const CUpti_ActivityMemset4 record = {
        .kind = CUPTI_ACTIVITY_KIND_MEMSET,
        .value = value,
        .bytes = bytes,
        .start = start,
        .end = emulated_now(),
        .contextId = CONTEXT_ID,
        .streamId = work->stream,
        .correlationId = work->correlation,
        .memoryKind = CUPTI_ACTIVITY_MEMORY_KIND_DEVICE,
    };
    if (is_enabled[CUPTI_ACTIVITY_KIND_MEMSET])
        add(&record, sizeof record);
}
