/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_WATCH_INJECT_CUPTI_H
#define VB_WATCH_INJECT_CUPTI_H

/* CUPTI in the process that is watched. Only memory is recorded. The one subscription that a
 * process has is left to the program: it is asked for only to learn whether someone else has it,
 * and given back at once.
 *
 * Source of what each call does: cupti_activity.h and cupti_callbacks.h.
 */

#include <stdbool.h>
#include <stdint.h>

struct vb_inject_clock {
    uint64_t monotonic_ns, record_ns;
};

/* Starts to record: events go to the file. False: it does not, `why` says why. `*version` is 0
 * where there is no CUPTI; the clock is set on success. */
bool vb_inject_cupti_start(uint32_t *version, struct vb_inject_clock *clock, char *why,
                           unsigned room);

/* Both clocks now. False: CUPTI does not tell its own. */
bool vb_inject_cupti_clock(struct vb_inject_clock *clock);

/* Has all records of what is done written; at the end also those that are not whole. */
void vb_inject_cupti_flush(bool is_end);

/* From now on records are dropped: the process is ending, or is another one. */
void vb_inject_cupti_leave(void);

/* Whether another subscriber came. */
bool vb_inject_cupti_is_taken(void);

/* How many buffers came back so far. */
uint64_t vb_inject_cupti_n_completed(void);

#endif
