/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/trace_map.h"

enum { ROUNDING_BYTES = 512, SPARE_SLOTS = 64 };

bool vb_trace_map_init(struct vb_trace_map *map, size_t n, struct vb_arena *arena)
{
    map->n = 2 * n + SPARE_SLOTS;
    map->slots = vb_arena_alloc(arena, map->n, sizeof *map->slots);
    return map->slots != NULL;
}

struct vb_trace_slot *vb_trace_map_at(struct vb_trace_map *map, uint64_t address)
{
    size_t i = (size_t)(address / ROUNDING_BYTES * UINT64_C(0x9e3779b97f4a7c15) >> 20) % map->n;
    while (map->slots[i].address != 0 && map->slots[i].address != address)
        i = i + 1 < map->n ? i + 1 : 0;
    return &map->slots[i];
}
