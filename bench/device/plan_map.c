/* SPDX-License-Identifier: Apache-2.0 */
#include "device/plan_map.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

enum { FIRST_ROOM = 256 };

static enum vb_plan_choice choice_of(const struct vb_conv_rules *rules)
{
    if (rules->fixed && rules->deterministic && !rules->benchmark)
        return VB_PLAN_FIXED;
    return rules->deterministic ? VB_PLAN_DETERMINISTIC : VB_PLAN_ANY;
}

struct vb_plan_key vb_plan_key(const struct vb_conv *conv, const struct vb_conv_rules *rules)
{
    return (struct vb_plan_key){
        .direction = conv->direction,
        .type = conv->type,
        .channels_last = conv->channels_last,
        .n = conv->n,
        .c = conv->c,
        .h = conv->h,
        .w = conv->w,
        .k = conv->k,
        .kernel_h = conv->kernel_h,
        .kernel_w = conv->kernel_w,
        .stride = conv->stride,
        .pad = conv->pad,
        .dilation = conv->dilation,
        .groups = conv->groups,
        .deterministic = choice_of(rules),
        .tf32 = rules->tf32 || conv->type != VB_CONV_FP32,
    };
}

struct vb_conv vb_plan_key_conv(const struct vb_plan_key *key)
{
    return (struct vb_conv){
        .direction = (enum vb_conv_direction)key->direction,
        .type = (enum vb_conv_type)key->type,
        .channels_last = key->channels_last != 0,
        .n = key->n,
        .c = key->c,
        .h = key->h,
        .w = key->w,
        .k = key->k,
        .kernel_h = key->kernel_h,
        .kernel_w = key->kernel_w,
        .stride = key->stride,
        .pad = key->pad,
        .dilation = key->dilation,
        .groups = key->groups,
    };
}

/* The slot that holds the key, or the free one where it would go. There is a free one always. */
static size_t slot_of(const struct vb_plan_map *map, const struct vb_plan_key *key)
{
    size_t mask = map->n_slots - 1;
    size_t slot = (size_t)vb_hash(VB_HASH_START, key, sizeof *key) & mask;
    while (map->slots[slot] != 0 &&
           memcmp(&map->entries[map->slots[slot] - 1].key, key, sizeof *key) != 0)
        slot = (slot + 1) & mask;
    return slot;
}

/* Room for one entry more, with half of the slots free at least. */
static enum vb_status make_room(struct vb_plan_map *map, struct vb_error *err)
{
    if (map->n < map->room)
        return VB_OK;

    size_t room = map->room > 0 ? map->room * 2 : FIRST_ROOM;
    struct vb_plan_entry *entries = realloc(map->entries, room * sizeof *entries);
    if (entries == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for %zu convolution plans", room);
    map->entries = entries;

    uint32_t *slots = calloc(room * 2, sizeof *slots);
    if (slots == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for %zu convolution plans", room);
    free(map->slots);
    map->slots = slots;
    map->n_slots = room * 2;
    map->room = room;
    for (size_t i = 0; i < map->n; i++)
        slots[slot_of(map, &entries[i].key)] = (uint32_t)(i + 1);
    return VB_OK;
}

const struct vb_plan_answer *vb_plan_map_find(const struct vb_plan_map *map,
                                              const struct vb_plan_key *key)
{
    if (map->n == 0)
        return NULL;
    uint32_t found = map->slots[slot_of(map, key)];
    return found != 0 ? &map->entries[found - 1].answer : NULL;
}

enum vb_status vb_plan_map_put(struct vb_plan_map *map, const struct vb_plan_key *key,
                               const struct vb_plan_answer *answer, struct vb_error *err)
{
    enum vb_status status = make_room(map, err);
    if (status != VB_OK)
        return status;

    size_t slot = slot_of(map, key);
    uint32_t known = map->slots[slot];
    if (known != 0 &&
        (vb_plan_has_range(&map->entries[known - 1].answer) || !vb_plan_has_range(answer)))
        return VB_OK;
    map->entries[map->n] = (struct vb_plan_entry){ *key, *answer };
    map->slots[slot] = (uint32_t)++map->n;
    return VB_OK;
}

void vb_plan_map_clear(struct vb_plan_map *map)
{
    free(map->entries);
    free(map->slots);
    *map = (struct vb_plan_map){ 0 };
}
