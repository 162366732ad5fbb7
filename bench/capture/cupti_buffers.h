/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CAPTURE_CUPTI_BUFFERS_H
#define VB_CAPTURE_CUPTI_BUFFERS_H

/* The buffers that CUPTI fills. It asks for them and hands them back by two functions that get no
 * pointer of ours, on a thread of its own as on ours, so where the records go is known to the
 * process: one capture at a time. */

#include "capture/cupti_table.h"
#include "capture/timeline.h"

/* From now on records go to `timeline`, which is only touched between lock and unlock. `table` and
 * `timeline` are borrowed until stop. False: another capture of this process is on. */
bool vb_cupti_buffers_start(const struct vb_cupti_table *table, struct vb_timeline *timeline,
                            size_t buffer_bytes);

/* Buffers that come back later are only freed. */
void vb_cupti_buffers_stop(void);

/* CUPTI is not to be called in between, but to step through a buffer: it may be waiting for the
 * lock in one of the two functions below. */
void vb_cupti_buffers_lock(void);
void vb_cupti_buffers_unlock(void);

/* For cuptiActivityRegisterCallbacks(). */
void vb_cupti_buffer_requested(uint8_t **buffer, size_t *n_bytes, size_t *most_records);
void vb_cupti_buffer_completed(CUcontext context, uint32_t stream, uint8_t *buffer, size_t n_bytes,
                               size_t n_valid_bytes);

#endif
