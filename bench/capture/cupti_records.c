/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/timeline.h"
#include "config.h"

#if VB_WITH_CUPTI
#include "capture/cupti_records.h"

#include <stddef.h>

/* Those of CUDA 12.0, which later headers keep. */
typedef CUpti_ActivityMemory3 memory_record;
typedef CUpti_ActivityMemoryPool2 pool_record;
typedef CUpti_ActivityKernel8 kernel_record;
typedef CUpti_ActivityMemset4 memset_record;

#if CUPTI_API_VERSION >= 130000
#define SAME_PLACE(old, new, field)                                                                \
    _Static_assert(offsetof(old, field) == offsetof(new, field), #field " has moved")
SAME_PLACE(memory_record, CUpti_ActivityMemory4, memoryOperationType);
SAME_PLACE(memory_record, CUpti_ActivityMemory4, memoryKind);
SAME_PLACE(memory_record, CUpti_ActivityMemory4, correlationId);
SAME_PLACE(memory_record, CUpti_ActivityMemory4, address);
SAME_PLACE(memory_record, CUpti_ActivityMemory4, bytes);
SAME_PLACE(memory_record, CUpti_ActivityMemory4, timestamp);
SAME_PLACE(memory_record, CUpti_ActivityMemory4, isAsync);
SAME_PLACE(memory_record, CUpti_ActivityMemory4, memoryPoolConfig.memoryPoolType);
SAME_PLACE(memory_record, CUpti_ActivityMemory4, memoryPoolConfig.address);
SAME_PLACE(memory_record, CUpti_ActivityMemory4, memoryPoolConfig.pool);
SAME_PLACE(memory_record, CUpti_ActivityMemory4, memoryPoolConfig.utilizedSize);
SAME_PLACE(pool_record, CUpti_ActivityMemoryPool3, memoryPoolOperationType);
SAME_PLACE(pool_record, CUpti_ActivityMemoryPool3, memoryPoolType);
SAME_PLACE(pool_record, CUpti_ActivityMemoryPool3, correlationId);
SAME_PLACE(pool_record, CUpti_ActivityMemoryPool3, address);
SAME_PLACE(pool_record, CUpti_ActivityMemoryPool3, size);
SAME_PLACE(pool_record, CUpti_ActivityMemoryPool3, timestamp);
SAME_PLACE(pool_record, CUpti_ActivityMemoryPool3, utilizedSize);
SAME_PLACE(kernel_record, CUpti_ActivityKernel10, start);
SAME_PLACE(kernel_record, CUpti_ActivityKernel10, end);
SAME_PLACE(kernel_record, CUpti_ActivityKernel10, correlationId);
#endif

static enum vb_memory_kind memory_kind(uint32_t kind)
{
    switch (kind) {
    case CUPTI_ACTIVITY_MEMORY_KIND_DEVICE:
    case CUPTI_ACTIVITY_MEMORY_KIND_ARRAY:
    case CUPTI_ACTIVITY_MEMORY_KIND_DEVICE_STATIC:
        return VB_MEMORY_DEVICE;
    case CUPTI_ACTIVITY_MEMORY_KIND_MANAGED:
    case CUPTI_ACTIVITY_MEMORY_KIND_MANAGED_STATIC:
        return VB_MEMORY_MANAGED;
    case CUPTI_ACTIVITY_MEMORY_KIND_PINNED:
        return VB_MEMORY_PINNED;
    case CUPTI_ACTIVITY_MEMORY_KIND_PAGEABLE:
        return VB_MEMORY_PAGEABLE;
    default:
        return VB_MEMORY_UNKNOWN;
    }
}

/* What comes out of a driver's pool is inside what the pool holds: it tells the pool's size. A pool
 * of another process is that one's. */
static void read_memory(const memory_record *record, struct vb_timeline *timeline)
{
    struct vb_memory_event event = { .ns = record->timestamp,
                                     .address = record->address,
                                     .bytes = record->bytes,
                                     .correlation = record->correlationId,
                                     .kind = memory_kind(record->memoryKind),
                                     .change = VB_MEMORY_TAKEN };
    if (record->memoryOperationType == CUPTI_ACTIVITY_MEMORY_OPERATION_TYPE_RELEASE)
        event.change = VB_MEMORY_GIVEN;
    else if (record->memoryOperationType != CUPTI_ACTIVITY_MEMORY_OPERATION_TYPE_ALLOCATION)
        return;

    const uint32_t pool = record->memoryPoolConfig.memoryPoolType;
    if (record->isAsync && pool == CUPTI_ACTIVITY_MEMORY_POOL_TYPE_IMPORTED)
        return;
    if (record->isAsync && pool == CUPTI_ACTIVITY_MEMORY_POOL_TYPE_LOCAL) {
        uint64_t held = record->memoryPoolConfig.pool.size;
        uint64_t used = record->memoryPoolConfig.utilizedSize;
        event.change = VB_MEMORY_RESIZED;
        event.address = record->memoryPoolConfig.address;
        event.bytes = held > used ? held : used;
    }
    vb_timeline_add_memory(timeline, event);
}

static void read_pool(const pool_record *record, struct vb_timeline *timeline)
{
    bool is_gone =
        record->memoryPoolOperationType == CUPTI_ACTIVITY_MEMORY_POOL_OPERATION_TYPE_DESTROYED;
    uint64_t held = record->size > record->utilizedSize ? record->size : record->utilizedSize;
    if (record->memoryPoolType != CUPTI_ACTIVITY_MEMORY_POOL_TYPE_LOCAL)
        return;
    vb_timeline_add_memory(timeline, (struct vb_memory_event){ .ns = record->timestamp,
                                                               .address = record->address,
                                                               .bytes = is_gone ? 0 : held,
                                                               .correlation = record->correlationId,
                                                               .kind = VB_MEMORY_DEVICE,
                                                               .change = VB_MEMORY_RESIZED });
}

static void read_record(const CUpti_Activity *record, struct vb_timeline *timeline)
{
    const void *at = record;
    const kernel_record *kernel = at;
    const memset_record *memset = at;
    const CUpti_ActivityExternalCorrelation *external = at;
    switch ((uint32_t)record->kind) {
    case CUPTI_ACTIVITY_KIND_MEMORY2:
        read_memory(at, timeline);
        break;
    case CUPTI_ACTIVITY_KIND_MEMORY_POOL:
        read_pool(at, timeline);
        break;
    case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL:
        vb_timeline_add_work(timeline, (struct vb_work_event){ kernel->start, kernel->end,
                                                               kernel->correlationId, false });
        break;
    case CUPTI_ACTIVITY_KIND_MEMSET:
        vb_timeline_add_work(timeline, (struct vb_work_event){ memset->start, memset->end,
                                                               memset->correlationId, true });
        break;
    case CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION:
        if (external->externalKind == CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM0)
            vb_timeline_add_correlation(
                timeline, (struct vb_correlation){ external->correlationId, external->externalId });
        break;
    default:
        break;
    }
}

void vb_cupti_read_records(const struct vb_cupti_table *table, uint8_t *buffer, size_t n_bytes,
                           struct vb_timeline *timeline)
{
    CUpti_Activity *record = NULL;
    for (;;) {
        CUptiResult result = table->get_next_record(buffer, n_bytes, &record);
        if (result != CUPTI_SUCCESS) {
            vb_timeline_add_dropped(timeline, result != CUPTI_ERROR_MAX_LIMIT_REACHED);
            return;
        }
        read_record(record, timeline);
    }
}

#endif
