/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/timeline.h"
#include "config.h"

#if VB_WITH_CUPTI
#include "capture/cupti_records.h"

#include <stddef.h>

#include "capture/cupti_memory.h"

/* Those of CUDA 12.0, which later headers keep. */
typedef CUpti_ActivityKernel8 kernel_record;
typedef CUpti_ActivityMemset4 memset_record;

#if CUPTI_API_VERSION >= 130000
VB_SAME_PLACE(kernel_record, CUpti_ActivityKernel10, start);
VB_SAME_PLACE(kernel_record, CUpti_ActivityKernel10, end);
VB_SAME_PLACE(kernel_record, CUpti_ActivityKernel10, correlationId);
#endif

static void read_record(const CUpti_Activity *record, struct vb_timeline *timeline)
{
    const void *at = record;
    const kernel_record *kernel = at;
    const memset_record *memset = at;
    const CUpti_ActivityExternalCorrelation *external = at;
    struct vb_memory_event event;
    switch ((uint32_t)record->kind) {
    case CUPTI_ACTIVITY_KIND_MEMORY2:
    case CUPTI_ACTIVITY_KIND_MEMORY_POOL:
        if (vb_cupti_memory_event(record, &event))
            vb_timeline_add_memory(timeline, event);
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
