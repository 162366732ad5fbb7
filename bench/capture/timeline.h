/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CAPTURE_TIMELINE_H
#define VB_CAPTURE_TIMELINE_H

/* The accounting behind a capture: what was taken and given back, in any order, becomes the exact
 * peak of live device memory, whose it was, and the time of kernels. Nothing is sampled: between
 * two events nothing changes, so every moment is looked at. It knows no library of NVIDIA's.
 *
 * Records may come late and out of order, so an answer holds for what has come so far. Whose a
 * record is: capture/attribution.h. What becomes of one that lacks its other half: capture/lives.h.
 *
 * Where records were lost the peak is a lower bound: what they would have taken is not in it. A
 * lost release raises it instead, until the address is taken again or, if it never is, to the end;
 * the answer counts what shows that this happened.
 *
 * Not for two threads at once.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "capture/attribution.h"
#include "capture/lives.h"
#include "capture/tag.h"

/* A kernel or a memset that ran on the device. */
struct vb_work_event {
    uint64_t start_ns, end_ns; /* both 0, or the end before the start: its time is not known */
    uint32_t correlation;
    bool is_memset;
};

/* All that came. Zeroed is valid and empty. */
struct vb_timeline {
    struct vb_arena arena;
    struct vb_memory_event *memory;
    size_t n_memory, room_memory;
    struct vb_work_event *work;
    size_t n_work, room_work;
    struct vb_correlation *correlations;
    size_t n_correlations, room_correlations;
    struct vb_span *windows;
    size_t n_windows, room_windows;
    size_t *entered; /* indices of windows that were not left yet */
    size_t n_entered, room_entered;
    size_t n_entered_lost; /* entered after those, for which there was no memory */
    uint64_t n_dropped;    /* records that CUPTI or the host had no room for */
};

void vb_timeline_clear(struct vb_timeline *timeline);

/* What the host has no memory for is counted as dropped. */
void vb_timeline_add_memory(struct vb_timeline *timeline, struct vb_memory_event event);
void vb_timeline_add_work(struct vb_timeline *timeline, struct vb_work_event event);
void vb_timeline_add_correlation(struct vb_timeline *timeline, struct vb_correlation correlation);
void vb_timeline_add_window(struct vb_timeline *timeline, struct vb_span window);
void vb_timeline_add_dropped(struct vb_timeline *timeline, uint64_t n);

/* A window from now on, and the end of the one entered last. */
void vb_timeline_enter(struct vb_timeline *timeline, uint64_t ns, uint64_t tag);
void vb_timeline_leave(struct vb_timeline *timeline, uint64_t ns);

/* What is live at a moment. */
struct vb_live {
    uint64_t ns;
    uint64_t device_bytes; /* the sum of the next */
    uint64_t owner_bytes[VB_OWNERS];
    uint64_t kind_bytes[VB_MEMORY_KINDS]; /* VB_MEMORY_DEVICE is `device_bytes` again */
};

enum { VB_TIMELINE_LARGEST = 8 };

/* The work of one tag. */
struct vb_tag_work {
    uint64_t tag;
    double kernel_seconds, memset_seconds; /* the sum of each one's own time */
    uint64_t n_kernels, n_memsets;
    uint64_t n_untimed; /* of both: they are in no seconds */
};

struct vb_timeline_answer {
    struct vb_live peak; /* at the first moment with the most live device bytes */
    struct vb_life largest[VB_TIMELINE_LARGEST]; /* device allocations alive then, largest first */
    size_t n_largest;
    struct vb_tag_work *work; /* by tag */
    size_t n_work;
    uint64_t n_dropped;
    uint64_t n_unknown_releases, n_lost_releases; /* capture/lives.h */
    bool is_complete; /* all three are 0; else the peak is a lower bound */
};

/* `work` is in `arena`. VB_E_SYSTEM: host memory. */
VB_CHECKED enum vb_status vb_timeline_answer(const struct vb_timeline *timeline,
                                             struct vb_timeline_answer *out, struct vb_arena *arena,
                                             struct vb_error *err);

/* What is live at `ns`: what is taken at that very ns is, what is given back is not.
 * VB_E_SYSTEM: host memory. */
VB_CHECKED enum vb_status vb_timeline_live(const struct vb_timeline *timeline, uint64_t ns,
                                           struct vb_live *out, struct vb_error *err);

/* The live device bytes over time: each holds from its moment to that of the next. */
struct vb_live_point {
    uint64_t ns, device_bytes;
};

struct vb_live_curve {
    struct vb_live_point *points; /* by time, no two of one moment */
    size_t n;
};

/* The whole curve, in `arena`. VB_E_SYSTEM: host memory. */
VB_CHECKED enum vb_status vb_timeline_curve(const struct vb_timeline *timeline,
                                            struct vb_live_curve *out, struct vb_arena *arena,
                                            struct vb_error *err);

#endif
