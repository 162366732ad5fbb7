/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CAPTURE_CUPTI_MEMORY_H
#define VB_CAPTURE_CUPTI_MEMORY_H

/* One of CUPTI's records of memory (MEMORY2, MEMORY_POOL) as the plain event that the accounts are
 * made of (capture/lives.h), and what it tells beside. It needs no library. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/cupti_table.h"
#include "capture/lives.h"

/* What a later header's record has where an older one, as which records are read, has it. */
#define VB_SAME_PLACE(old, new, field)                                                             \
    _Static_assert(offsetof(old, field) == offsetof(new, field), #field " has moved")

/* False: the record is of another kind, or changes nothing that this process holds. What comes out
 * of a driver's pool is inside what the pool holds: it tells the pool's size. A pool of another
 * process is that one's. */
bool vb_cupti_memory_event(const CUpti_Activity *record, struct vb_memory_event *out);

/* Where an event is from. */
struct vb_cupti_origin {
    uint32_t device;       /* its number in the process */
    uint64_t call_address; /* of the code that made the call; 0: not told */
    bool is_pool;          /* the driver's, of cudaMallocAsync() */
    bool is_array;         /* of cudaMallocArray() and its like */
    bool is_variable;      /* of a module */
};

/* Of a record that there is an event for. */
struct vb_cupti_origin vb_cupti_memory_origin(const CUpti_Activity *record);

#endif
