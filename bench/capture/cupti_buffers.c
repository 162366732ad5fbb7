/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/timeline.h"
#include "config.h"

#if VB_WITH_CUPTI
#include "capture/cupti_buffers.h"

#include <pthread.h>
#include <stdlib.h>

#include "capture/cupti_records.h"

static struct {
    pthread_mutex_t mutex;
    const struct vb_cupti_table *table; /* NULL: no capture is on */
    struct vb_timeline *timeline;
    size_t buffer_bytes;
} sink = { .mutex = PTHREAD_MUTEX_INITIALIZER };

bool vb_cupti_buffers_start(const struct vb_cupti_table *table, struct vb_timeline *timeline,
                            size_t buffer_bytes)
{
    vb_cupti_buffers_lock();
    bool is_free = sink.table == NULL;
    if (is_free) {
        sink.table = table;
        sink.timeline = timeline;
        sink.buffer_bytes = buffer_bytes;
    }
    vb_cupti_buffers_unlock();
    return is_free;
}

void vb_cupti_buffers_stop(void)
{
    vb_cupti_buffers_lock();
    sink.table = NULL;
    sink.timeline = NULL;
    vb_cupti_buffers_unlock();
}

void vb_cupti_buffers_lock(void)
{
    (void)pthread_mutex_lock(&sink.mutex);
}

void vb_cupti_buffers_unlock(void)
{
    (void)pthread_mutex_unlock(&sink.mutex);
}

/* Without a buffer CUPTI drops the record and counts it. */
void vb_cupti_buffer_requested(uint8_t **buffer, size_t *n_bytes, size_t *most_records)
{
    vb_cupti_buffers_lock();
    size_t wanted = sink.table != NULL ? sink.buffer_bytes : 0;
    vb_cupti_buffers_unlock();
    *buffer = wanted > 0 ? malloc(wanted) : NULL;
    *n_bytes = *buffer != NULL ? wanted : 0;
    *most_records = 0; /* as many as fit */
}

void vb_cupti_buffer_completed(CUcontext context, uint32_t stream, uint8_t *buffer, size_t n_bytes,
                               size_t n_valid_bytes)
{
    (void)n_bytes;
    CUptiResult (*get_n_dropped)(CUcontext context, uint32_t stream, size_t * n) = NULL;
    vb_cupti_buffers_lock();
    if (sink.table != NULL)
        get_n_dropped = sink.table->get_n_dropped;
    vb_cupti_buffers_unlock();

    /* Asked without the lock, which CUPTI may wait for with locks of its own. Where it does not say
     * there may have been one. */
    size_t n_dropped = 0;
    if (get_n_dropped != NULL && get_n_dropped(context, stream, &n_dropped) != CUPTI_SUCCESS)
        n_dropped = 1;

    vb_cupti_buffers_lock();
    if (sink.table != NULL) {
        vb_timeline_add_dropped(sink.timeline, n_dropped);
        if (buffer != NULL && n_valid_bytes > 0)
            vb_cupti_read_records(sink.table, buffer, n_valid_bytes, sink.timeline);
    }
    vb_cupti_buffers_unlock();
    free(buffer);
}

#endif
