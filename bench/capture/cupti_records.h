/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CAPTURE_CUPTI_RECORDS_H
#define VB_CAPTURE_CUPTI_RECORDS_H

/* From CUPTI's records to the plain events of the timeline.
 *
 * A library writes the newest record of each kind that it knows. Each version of a record begins
 * with the one before it, and what is read here has been in its place since CUDA 12.0, so one
 * reader does for all.
 */

#include "capture/cupti_table.h"
#include "capture/timeline.h"

/* Copies the records of a buffer; kinds that are not known are passed over. A record that the
 * library cannot step over hides those after it: it counts as one dropped. */
void vb_cupti_read_records(const struct vb_cupti_table *table, uint8_t *buffer, size_t n_bytes,
                           struct vb_timeline *timeline);

#endif
