/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CAPTURE_LIVES_H
#define VB_CAPTURE_LIVES_H

/* From the events of memory, in any order, to the lives of allocations: an allocation lives from
 * the moment it was taken until, and without, the moment it was given back.
 *
 * What a whole record would not hold is defined too:
 * - An allocation that is never given back lives to the end of time.
 * - A release of an address where nothing lives lost its allocation: it is counted, no more.
 * - An allocation at an address where one lives lost a release: the earlier ends at that moment.
 * - Of events at one address at the same ns a release comes first where something lives there, an
 *   allocation where nothing does; else they come as given.
 * - A resize of a driver's pool ends it and takes it anew with its new size. While it holds bytes
 * it stays with whoever made it hold some: its growth cannot be told from its use.
 * - An event at address 0 is a call that failed, and no event.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "capture/attribution.h"

enum vb_memory_kind {
    VB_MEMORY_DEVICE,   /* linear memory, arrays, variables of modules, the driver's pools */
    VB_MEMORY_MANAGED,  /* where it lies is not known */
    VB_MEMORY_PINNED,   /* the host's */
    VB_MEMORY_PAGEABLE, /* the host's */
    VB_MEMORY_UNKNOWN,
    VB_MEMORY_KINDS
};

enum vb_memory_change {
    VB_MEMORY_TAKEN,
    VB_MEMORY_GIVEN,
    VB_MEMORY_RESIZED,
};

struct vb_memory_event {
    uint64_t ns;
    uint64_t address; /* of the allocation or the driver's pool */
    uint64_t bytes;   /* not read of a release */
    uint32_t correlation;
    enum vb_memory_kind kind;
    enum vb_memory_change change;
};

struct vb_life {
    uint64_t address, bytes;
    uint64_t from_ns, to_ns; /* UINT64_MAX: not given back */
    uint64_t tag;
    enum vb_memory_kind kind;
};

struct vb_lives {
    struct vb_life *lives; /* by address, then by beginning; none of 0 bytes or 0 ns */
    size_t n;
    uint64_t n_unknown_releases; /* of device memory, where nothing lived */
    uint64_t n_lost_releases; /* of device memory, where an allocation shows that one is missing */
};

/* All in `arena`. VB_E_SYSTEM: host memory. */
VB_CHECKED enum vb_status vb_lives_find(const struct vb_memory_event *events, size_t n_events,
                                        struct vb_attribution *attribution, struct vb_lives *out,
                                        struct vb_arena *arena, struct vb_error *err);

#endif
