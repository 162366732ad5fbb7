/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_MEMORY_TRACE_MAP_H
#define VB_MEMORY_TRACE_MAP_H

/* For the files that replay recordings: what is known of an address. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

struct vb_block;

struct vb_trace_slot {
    uint64_t address; /* 0: of none yet */
    struct vb_block *block;
    uint64_t bytes;
    bool is_live;
};

/* Open addressing; an entry keeps its slot. */
struct vb_trace_map {
    struct vb_trace_slot *slots;
    size_t n;
};

/* Room for `n` addresses. False: no host memory. */
bool vb_trace_map_init(struct vb_trace_map *map, size_t n, struct vb_arena *arena);

/* The slot of the address, or the one where it is to go: its address is 0 then. */
struct vb_trace_slot *vb_trace_map_at(struct vb_trace_map *map, uint64_t address);

#endif
