/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_DEVICE_PLAN_MAP_H
#define VB_DEVICE_PLAN_MAP_H

/* Answers about convolutions, found by the question: what the cache and the packed table fill and
 * the planner looks in. Private to device/ and to the command that packs tables. */

#include <stddef.h>

#include "device/conv_plan.h"

/* All that an answer depends on for one GPU and one cuDNN. `benchmark` is not in it: an answer
 * holds the first choice and, where it was asked for, the range of the ten that could be timed. */
struct vb_plan_key {
    uint32_t direction, type, channels_last;
    uint32_t n, c, h, w, k, kernel_h, kernel_w, stride, pad, dilation, groups;
    uint32_t deterministic; /* enum vb_plan_choice */
    uint32_t tf32;
};

/* Whether an answer may be nondeterministic, may not, or is the fixed algorithm's. */
enum vb_plan_choice { VB_PLAN_ANY, VB_PLAN_DETERMINISTIC, VB_PLAN_FIXED };

enum {
    VB_PLAN_NATIVE = -1,
    VB_PLAN_NONE = -2
}; /* engines: PyTorch's own kernel; cuDNN has no plan */

struct vb_plan_answer {
    int64_t engine;
    uint64_t workspace_bytes, low_bytes, high_bytes; /* low > high: not asked for */
};

struct vb_plan_entry {
    struct vb_plan_key key;
    struct vb_plan_answer answer;
};

/* Zeroed is valid and empty. Entries stay in the order in which they came; one that a later one
 * completed is there still, but no longer found. */
struct vb_plan_map {
    struct vb_plan_entry *entries; /* owned */
    size_t n, room;
    uint32_t *slots; /* owned: 1 + the index of an entry, 0 where free */
    size_t n_slots;  /* a power of two */
};

/* TF32 is a choice for fp32 only: for other types the key says that it is allowed. */
struct vb_plan_key vb_plan_key(const struct vb_conv *conv, const struct vb_conv_rules *rules);
struct vb_conv vb_plan_key_conv(const struct vb_plan_key *key);

/* NULL where there is none; valid until the next vb_plan_map_put(). */
const struct vb_plan_answer *vb_plan_map_find(const struct vb_plan_map *map,
                                              const struct vb_plan_key *key);

static inline bool vb_plan_has_range(const struct vb_plan_answer *answer)
{
    return answer->low_bytes <= answer->high_bytes;
}

/* Adds the answer, or leaves the one that is there unless it lacks the range that this one has.
 * VB_E_SYSTEM: no host memory. */
VB_CHECKED enum vb_status vb_plan_map_put(struct vb_plan_map *map, const struct vb_plan_key *key,
                                          const struct vb_plan_answer *answer,
                                          struct vb_error *err);
void vb_plan_map_clear(struct vb_plan_map *map);

#endif
