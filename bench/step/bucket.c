/* SPDX-License-Identifier: Apache-2.0 */
#include "step/bucket.h"

#include <string.h>

/* The bucket of a type that is being filled. */
struct open_bucket {
    bool is_open;
    uint32_t number;
    uint64_t bytes;
    uint32_t limit; /* which of the limits */
};

static uint32_t put(struct open_bucket *bucket, const struct vb_sized *tensor, uint32_t *n_buckets)
{
    if (!bucket->is_open) {
        bucket->is_open = true;
        bucket->number = (*n_buckets)++;
        bucket->bytes = 0;
    }
    bucket->bytes += tensor->bytes;
    return bucket->number;
}

uint32_t vb_fill_buckets(const struct vb_sized *tensors, uint32_t n, const uint64_t *limits,
                         uint32_t n_limits, uint32_t *bucket_of)
{
    struct open_bucket open[VB_N_DTYPES] = { 0 };
    uint32_t n_buckets = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct open_bucket *bucket = &open[tensors[i].dtype];
        bucket_of[i] = put(bucket, &tensors[i], &n_buckets);
        if (bucket->bytes < limits[bucket->limit])
            continue;
        bucket->is_open = false;
        if (bucket->limit + 1 < n_limits)
            bucket->limit++;
    }
    return n_buckets;
}

uint32_t vb_pack_buckets(const struct vb_sized *tensors, uint32_t n, uint64_t limit,
                         uint32_t *bucket_of)
{
    struct open_bucket open[VB_N_DTYPES] = { 0 };
    uint32_t n_buckets = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct open_bucket *bucket = &open[tensors[i].dtype];
        if (bucket->is_open && bucket->bytes > 0 && bucket->bytes + tensors[i].bytes > limit)
            bucket->is_open = false;
        bucket_of[i] = put(bucket, &tensors[i], &n_buckets);
    }
    return n_buckets;
}

static uint32_t least_loaded(const uint64_t *sums, uint32_t world)
{
    uint32_t least = 0;
    for (uint32_t r = 1; r < world; r++)
        least = sums[r] < sums[least] ? r : least;
    return least;
}

/* The group's parameters, largest first; equally large ones stay in their order. Gives how many. */
static uint32_t sort_group(const uint64_t *elements, const uint32_t *group, uint32_t n,
                           uint32_t which, uint32_t *order)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = count;
        if (group[i] != which)
            continue;
        for (; at > 0 && elements[order[at - 1]] < elements[i]; at--)
            order[at] = order[at - 1];
        order[at] = i;
        count++;
    }
    return count;
}

void vb_share_out(const uint64_t *elements, const uint32_t *group, uint32_t n, uint32_t n_groups,
                  uint32_t world, uint64_t *sums, uint32_t *order, uint32_t *owner)
{
    memset(sums, 0, world * sizeof *sums);
    for (uint32_t g = 0; g < n_groups; g++) {
        uint32_t count = sort_group(elements, group, n, g, order);
        for (uint32_t i = 0; i < count; i++) {
            owner[order[i]] = least_loaded(sums, world);
            sums[owner[order[i]]] += elements[order[i]];
        }
    }
}
