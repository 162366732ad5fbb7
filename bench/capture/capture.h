/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CAPTURE_CAPTURE_H
#define VB_CAPTURE_CAPTURE_H

/* What happened on the GPU, as CUPTI recorded it: every allocation of this process, whoever made
 * it, and the time of every kernel. Where it cannot be recorded there is a reason, and all else
 * goes on. What the driver takes by itself (context, modules, heaps) is in no record.
 *
 * Every function but open takes a capture that is NULL or off and then does nothing, so that
 * callers need no ifs. All are for the one thread that makes the calls; CUPTI may bring its records
 * on any.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "capture/tag.h"
#include "capture/timeline.h"

struct vb_capture;

enum { VB_CAPTURE_BUFFER_BYTES = 8 << 20 };

struct vb_capture_info {
    bool is_on;
    bool has_memory, has_kernels, has_memsets; /* each is captured */
    bool uses_device_memory; /* some of the device's memory is CUPTI's own, in no record */
    uint32_t cupti_version;  /* as 130001; 0: not known */
    const char *cupti_path;  /* "": not found */
    const char *why;         /* what is not captured, why, and the remedy; "": all is */
};

struct vb_capture_reading {
    bool has_memory;  /* `answer`'s peak and largest, and `now`, hold */
    bool has_kernels; /* `answer`'s work holds */
    struct vb_timeline_answer answer;
    struct vb_live now;
    char note[256]; /* why the peak is a lower bound, "" where it is exact */
};

/* Starts to capture, before cuInit() so that nothing is missed. `buffer_bytes`: of each buffer that
 * CUPTI fills, 0 for VB_CAPTURE_BUFFER_BYTES. That nothing can be captured is no failure: the info
 * says why. VB_E_SYSTEM: host memory. */
VB_CHECKED enum vb_status vb_capture_open(size_t buffer_bytes, struct vb_capture **out,
                                          struct vb_error *err);
void vb_capture_close(struct vb_capture *capture);

/* Valid until it is closed. */
struct vb_capture_info vb_capture_info(const struct vb_capture *capture);

/* From now on kernels are recorded too, as they are at first, or memory alone, which costs next to
 * nothing. False: they cannot be, or there is no capture. */
bool vb_capture_watch(struct vb_capture *capture, bool watches);

/* What is called between the two belongs to `tag` (capture/tag.h); they nest. */
void vb_capture_enter(struct vb_capture *capture, uint64_t tag);
void vb_capture_leave(struct vb_capture *capture);

/* The moment on the clock of the records, to ask for later; 0 where it is not known. */
uint64_t vb_capture_now(const struct vb_capture *capture);

/* All from the opening until now. Work that the GPU has not ended yet is not in it: synchronise
 * first. What the answer points to is in `arena`. Of a capture that is off it is all 0 and has
 * nothing. VB_E_SYSTEM: host memory. */
VB_CHECKED enum vb_status vb_capture_read(struct vb_capture *capture,
                                          struct vb_capture_reading *out, struct vb_arena *arena,
                                          struct vb_error *err);

/* What was live at the moment `ns`. Of a capture without memory `*has` is false.
 * VB_E_SYSTEM: host memory. */
VB_CHECKED enum vb_status vb_capture_live(struct vb_capture *capture, uint64_t ns, bool *has,
                                          struct vb_live *out, struct vb_error *err);

#endif
