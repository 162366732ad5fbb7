/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_WATCH_INJECT_EVENTS_H
#define VB_WATCH_INJECT_EVENTS_H

/* CUPTI's records on their way to the file, and what the driver tells of graphs. All between lock
 * and unlock. */

#include <stdbool.h>
#include <stdint.h>

#include "capture/cupti_table.h"

enum { VB_INJECT_MOST_DEVICES = 64 };

void vb_inject_events_lock(void);
/* False: someone has held it for so long. */
bool vb_inject_events_try_lock(int seconds);
void vb_inject_events_unlock(void);

/* Kinds that are not of memory are passed over. */
void vb_inject_events_add(const CUpti_Activity *record);
void vb_inject_events_dropped(uint64_t n);

/* From then on CUDA graphs hold so much on the device for their memory nodes. */
void vb_inject_events_graphs(uint32_t device, uint64_t ns, uint64_t bytes);

/* Whether there was a record of the device. */
bool vb_inject_events_has_device(uint32_t device);

/* What was added goes to the file; what the file does not take counts as dropped. */
void vb_inject_events_write(void);

/* Which code the calls came from and which GPUs they were for, of those seen since the last time.
 * `is_any`: something was written since. Not from a callback: it looks at what is loaded and calls
 * the driver. */
void vb_inject_events_describe(bool *is_any);

#endif
