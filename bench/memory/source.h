/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_MEMORY_SOURCE_H
#define VB_MEMORY_SOURCE_H

/* Where a pool gets its segments from: two functions, so that the pool knows no device. */

#include <stdint.h>

#include "base/error.h"

struct vb_source {
    void *context; /* borrowed; handed to both */

    /* Takes `bytes` (a multiple of 512) from the device. VB_E_NO_FIT: it has not that much left. */
    enum vb_status (*reserve)(void *context, uint64_t bytes, uint64_t *address,
                              struct vb_error *err);
    /* Gives back what reserve() gave, all of it. */
    void (*release)(void *context, uint64_t address, uint64_t bytes);

    uint64_t total_bytes; /* the device's capacity: fractions and reservations are of it */
};

#endif
