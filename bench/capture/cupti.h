/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CAPTURE_CUPTI_H
#define VB_CAPTURE_CUPTI_H

/* CUPTI, without its types: opens it, turns on what it can record, and puts what it recorded into a
 * timeline. That it cannot is no failure: it has a reason, which is kept for the user.
 *
 * Source of what each error means: cupti_result.h and the descriptions of cuptiSubscribe() and
 * cuptiActivityEnable().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "capture/timeline.h"

struct vb_cupti;

struct vb_cupti_info {
    bool has_memory, has_kernels, has_memsets; /* each is recorded */
    bool has_correlations;   /* records say which call they belong to; else the host's time tells */
    bool uses_device_memory; /* CUPTI's own buffers lie there: no call of ours took them */
    uint32_t version;        /* of the library, as 130001; 0: not known */
    char path[4096];         /* of the library; "": not open */
    char why[512];           /* what is not recorded and why, with the remedy; "": all is */
};

/* Call it before cuInit(), so that no allocation is missed. Records go to `timeline`, which is
 * borrowed until closed and is touched between lock and unlock only. VB_E_SYSTEM: host memory. */
VB_CHECKED enum vb_status vb_cupti_open(struct vb_timeline *timeline, size_t buffer_bytes,
                                        struct vb_cupti **out, struct vb_error *err);

/* Takes what is recorded so far, then ends recording. NULL is fine. */
void vb_cupti_close(struct vb_cupti *cupti);

/* From now on kernels, memsets and the calls that they come of are recorded, as they are at first,
 * or memory alone, which costs next to nothing. False: kernels cannot be. */
bool vb_cupti_watch(struct vb_cupti *cupti, bool watches);

const struct vb_cupti_info *vb_cupti_info(const struct vb_cupti *cupti);

/* Something is recorded. */
bool vb_cupti_is_on(const struct vb_cupti *cupti);

/* The moment on the clock of the records, 0 where it is not known. */
uint64_t vb_cupti_now(struct vb_cupti *cupti);

/* What this thread calls until the pop belongs to `tag`. False: it does not, and there is nothing
 * to pop. */
bool vb_cupti_push(struct vb_cupti *cupti, uint64_t tag);
void vb_cupti_pop(struct vb_cupti *cupti);

/* Has the timeline filled with all records of work that is done. */
void vb_cupti_flush(struct vb_cupti *cupti);

void vb_cupti_lock(void);
void vb_cupti_unlock(void);

#endif
