/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/lives.h"
#include "config.h"

#if VB_WITH_CUPTI
#include "capture/cupti_memory.h"

#include <stddef.h>

/* Those of CUDA 12.0, which later headers keep. */
typedef CUpti_ActivityMemory3 memory_record;
typedef CUpti_ActivityMemoryPool2 pool_record;

#if CUPTI_API_VERSION >= 130000
VB_SAME_PLACE(memory_record, CUpti_ActivityMemory4, memoryOperationType);
VB_SAME_PLACE(memory_record, CUpti_ActivityMemory4, memoryKind);
VB_SAME_PLACE(memory_record, CUpti_ActivityMemory4, correlationId);
VB_SAME_PLACE(memory_record, CUpti_ActivityMemory4, address);
VB_SAME_PLACE(memory_record, CUpti_ActivityMemory4, bytes);
VB_SAME_PLACE(memory_record, CUpti_ActivityMemory4, timestamp);
VB_SAME_PLACE(memory_record, CUpti_ActivityMemory4, isAsync);
VB_SAME_PLACE(memory_record, CUpti_ActivityMemory4, memoryPoolConfig.memoryPoolType);
VB_SAME_PLACE(memory_record, CUpti_ActivityMemory4, memoryPoolConfig.address);
VB_SAME_PLACE(memory_record, CUpti_ActivityMemory4, memoryPoolConfig.pool);
VB_SAME_PLACE(memory_record, CUpti_ActivityMemory4, memoryPoolConfig.utilizedSize);
VB_SAME_PLACE(pool_record, CUpti_ActivityMemoryPool3, memoryPoolOperationType);
VB_SAME_PLACE(pool_record, CUpti_ActivityMemoryPool3, memoryPoolType);
VB_SAME_PLACE(pool_record, CUpti_ActivityMemoryPool3, correlationId);
VB_SAME_PLACE(pool_record, CUpti_ActivityMemoryPool3, address);
VB_SAME_PLACE(pool_record, CUpti_ActivityMemoryPool3, size);
VB_SAME_PLACE(pool_record, CUpti_ActivityMemoryPool3, timestamp);
VB_SAME_PLACE(pool_record, CUpti_ActivityMemoryPool3, utilizedSize);
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

static bool read_memory(const memory_record *record, struct vb_memory_event *out)
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
        return false;

    const uint32_t pool = record->memoryPoolConfig.memoryPoolType;
    if (record->isAsync && pool == CUPTI_ACTIVITY_MEMORY_POOL_TYPE_IMPORTED)
        return false;
    if (record->isAsync && pool == CUPTI_ACTIVITY_MEMORY_POOL_TYPE_LOCAL) {
        uint64_t held = record->memoryPoolConfig.pool.size;
        uint64_t used = record->memoryPoolConfig.utilizedSize;
        event.change = VB_MEMORY_RESIZED;
        event.address = record->memoryPoolConfig.address;
        event.bytes = held > used ? held : used;
    }
    *out = event;
    return true;
}

static bool read_pool(const pool_record *record, struct vb_memory_event *out)
{
    bool is_gone =
        record->memoryPoolOperationType == CUPTI_ACTIVITY_MEMORY_POOL_OPERATION_TYPE_DESTROYED;
    uint64_t held = record->size > record->utilizedSize ? record->size : record->utilizedSize;
    if (record->memoryPoolType != CUPTI_ACTIVITY_MEMORY_POOL_TYPE_LOCAL)
        return false;
    *out = (struct vb_memory_event){ .ns = record->timestamp,
                                     .address = record->address,
                                     .bytes = is_gone ? 0 : held,
                                     .correlation = record->correlationId,
                                     .kind = VB_MEMORY_DEVICE,
                                     .change = VB_MEMORY_RESIZED };
    return true;
}

bool vb_cupti_memory_event(const CUpti_Activity *record, struct vb_memory_event *out)
{
    const void *at = record;
    switch ((uint32_t)record->kind) {
    case CUPTI_ACTIVITY_KIND_MEMORY2:
        return read_memory(at, out);
    case CUPTI_ACTIVITY_KIND_MEMORY_POOL:
        return read_pool(at, out);
    default:
        return false;
    }
}

struct vb_cupti_origin vb_cupti_memory_origin(const CUpti_Activity *record)
{
    const void *at = record;
    const memory_record *memory = at;
    const pool_record *pool = at;
    if (record->kind == CUPTI_ACTIVITY_KIND_MEMORY_POOL)
        return (struct vb_cupti_origin){ .device = pool->deviceId, .is_pool = true };
    return (struct vb_cupti_origin){
        .device = memory->deviceId,
        .call_address = memory->PC,
        .is_pool = memory->isAsync != 0,
        .is_array = memory->memoryKind == CUPTI_ACTIVITY_MEMORY_KIND_ARRAY,
        .is_variable = memory->memoryKind == CUPTI_ACTIVITY_MEMORY_KIND_DEVICE_STATIC,
    };
}

#endif
