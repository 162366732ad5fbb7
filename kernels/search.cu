/* SPDX-License-Identifier: Apache-2.0 */
/* What is true, in order, and what is different, ascending. */

#include "kernels/search.h"

#include "kernels/atomic.h"
#include "kernels/block.h"
#include "kernels/order.h"
#include "kernels/place.h"

static_assert(VB_TILE == VB_BLOCK * VB_TILE_RUN, "each thread of a block has a run of a tile");

VB_DEVICE bool is_true(const struct vb_search &a, uint64_t i)
{
    const uint64_t at = vb_offset_of(a.mask, vb_coordinates_of(a.axes, i));
    if (a.mask.dtype >= VB_FLOAT16)
        return vb_get_real(a.mask.data, a.mask.dtype, at) != 0.0F;
    return vb_get_whole(a.mask.data, a.mask.dtype, at) != 0;
}

VB_DEVICE uint64_t end_of_chunk(const struct vb_search &a)
{
    const uint64_t end = (VB_BLOCK_X + (uint64_t)1) * a.tiles_a_chunk * VB_TILE;
    return end < a.axes.n ? end : a.axes.n;
}

VB_DEVICE uint64_t *counts_of(struct vb_kernel_scratch *scratch)
{
    return (uint64_t *)(void *)scratch->sums;
}

VB_KERNEL(count_true, vb_search)
{
    VB_SHARED(uint64_t, counts, [VB_BLOCK]);
    const struct vb_seats one_line = { VB_BLOCK_LOG, 0 };
    VB_THREADS(t)
    {
        uint64_t count = 0;
        for (uint64_t i = VB_BLOCK_X * a.tiles_a_chunk * VB_TILE + t; i < end_of_chunk(a);
             i += VB_BLOCK)
            count += is_true(a, i);
        counts[t] = count;
    }
    VB_BARRIER();
    vb_join(counts, one_line, [](uint64_t s, uint64_t x) { return s + x; });
    VB_THREADS(t)
    {
        if (t == 0)
            counts_of(a.scratch)[VB_BLOCK_X] = counts[0];
    }
}

/* Each of the first VB_BLOCK becomes the sum of those up to it; the others are room to work in. */
VB_DEVICE void sum_up(uint64_t *sums)
{
    uint64_t *from = sums, *to = sums + VB_BLOCK;
    static_assert(VB_BLOCK_LOG % 2 == 0, "the last step ends where the first began");
    for (uint32_t step = 1; step < VB_BLOCK; step *= 2) {
        VB_THREADS(t)
        {
            to[t] = from[t] + (t >= step ? from[t - step] : 0);
        }
        VB_BARRIER();
        uint64_t *other = from;
        from = to;
        to = other;
    }
}

/* One block: from how many there are in each chunk to how many there are before it. */
VB_KERNEL(add_counts, vb_search)
{
    VB_SHARED(uint64_t, sums, [2 * VB_BLOCK]);
    uint64_t *counts = counts_of(a.scratch);
    const uint32_t share = (a.n_chunks + VB_BLOCK - 1) / VB_BLOCK;
    VB_THREADS(t)
    {
        uint64_t sum = 0;
        for (uint32_t i = t * share; i < (t + 1) * share && i < a.n_chunks; i++)
            sum += counts[i];
        sums[t] = sum;
    }
    VB_BARRIER();
    sum_up(sums);
    VB_THREADS(t)
    {
        uint64_t before = t > 0 ? sums[t - 1] : 0;
        for (uint32_t i = t * share; i < (t + 1) * share && i < a.n_chunks; i++) {
            const uint64_t count = counts[i];
            counts[i] = before;
            before += count;
        }
        const uint64_t found = sums[VB_BLOCK - 1];
        if (t == 0) {
            counts[a.n_chunks] = found;
            if (found > a.room || (found < a.room && a.fills == 0))
                vb_set_fault(a.scratch, VB_FAULT_COUNT);
        }
    }
}

/* Where there is room. */
VB_DEVICE void write_place(const struct vb_search &a, uint64_t row, uint64_t element)
{
    if (row >= a.room)
        return;
    for (uint32_t k = VB_AXES; k-- > 0;) {
        if (k < a.n_dims) {
            const uint64_t rest = element / a.dims[k];
            a.places[row * a.row_step + (uint64_t)k * a.axis_step] =
                (int64_t)(element - rest * a.dims[k]);
            element = rest;
        }
    }
}

/* A thread's run of a tile; `before`: how many are true before it. */
VB_DEVICE void write_run(const struct vb_search &a, uint64_t begin, uint64_t before)
{
    const uint64_t found = counts_of(a.scratch)[a.n_chunks];
    for (uint64_t i = begin; i < begin + VB_TILE_RUN && i < a.axes.n; i++) {
        if (is_true(a, i))
            write_place(a, before++, i);
        else if (a.fills != 0)
            write_place(a, found + (i - before), i);
    }
}

VB_KERNEL(write_true, vb_search)
{
    VB_SHARED(uint64_t, sums, [2 * VB_BLOCK]);
    uint64_t before = counts_of(a.scratch)[VB_BLOCK_X];
    for (uint64_t tile = VB_BLOCK_X * a.tiles_a_chunk * VB_TILE; tile < end_of_chunk(a);
         tile += VB_TILE) {
        VB_THREADS(t)
        {
            const uint64_t begin = tile + t * VB_TILE_RUN;
            uint64_t count = 0;
            for (uint64_t i = begin; i < begin + VB_TILE_RUN && i < a.axes.n; i++)
                count += is_true(a, i);
            sums[t] = count;
        }
        VB_BARRIER();
        sum_up(sums);
        VB_THREADS(t)
        {
            write_run(a, tile + t * VB_TILE_RUN, before + (t > 0 ? sums[t - 1] : 0));
        }
        before += sums[VB_BLOCK - 1];
        VB_BARRIER();
    }
}

VB_DEVICE int64_t key_of(const struct vb_listed &list, uint64_t i)
{
    return vb_key_at(list.data, list.dtype, i * list.step);
}

/* The least of thread t's elements beyond `last`, of all if that has no place. */
VB_DEVICE struct vb_ranked next_of(const struct vb_find_unique &a, uint32_t t,
                                   const struct vb_ranked &last)
{
    struct vb_ranked least = { 0, VB_NO_PLACE };
    for (uint64_t i = t; i < a.n; i += VB_BLOCK) {
        const struct vb_ranked x = { key_of(a.x, i), (uint32_t)i };
        if ((last.place == VB_NO_PLACE || x.key > last.key) && vb_is_smaller(x, least))
            least = x;
    }
    return least;
}

/* One block: a pass over x for each value. There are few: the images of a batch. */
VB_KERNEL(unique, vb_find_unique)
{
    VB_SHARED(struct vb_ranked, least, [VB_BLOCK]);
    const struct vb_seats one_line = { VB_BLOCK_LOG, 0 };
    struct vb_ranked last = { 0, VB_NO_PLACE };
    for (uint64_t n = 0; n <= a.room; n++) {
        VB_THREADS(t)
        {
            least[t] = next_of(a, t, last);
        }
        VB_BARRIER();
        vb_join(least, one_line, [](const struct vb_ranked &x, const struct vb_ranked &z) {
            return vb_is_smaller(z, x) ? z : x;
        });
        last = least[0];
        const bool is_there = last.place != VB_NO_PLACE, is_room = n < a.room;
        VB_THREADS(t)
        {
            if (t == 0 && is_there != is_room)
                vb_set_fault(a.scratch, VB_FAULT_COUNT);
            if (t == 0 && is_there && is_room) {
                vb_copy_element(a.x.data, a.x.dtype, (uint64_t)last.place * a.x.step, a.values.data,
                                a.values.dtype, n * a.values.step);
                if (a.counts.data != nullptr)
                    ((int64_t *)a.counts.data)[n * a.counts.step] = 0;
            }
        }
        VB_BARRIER();
        if (!is_there)
            break;
    }
}

/* Each element finds itself among the values. */
VB_KERNEL(unique_places, vb_find_unique)
{
    VB_STRIDE(i, a.n)
    {
        const int64_t key = key_of(a.x, i);
        uint64_t low = 0, high = a.room;
        while (low < high) {
            const uint64_t middle = (low + high) / 2;
            if (key_of(a.values, middle) < key)
                low = middle + 1;
            else
                high = middle;
        }
        if (low < a.room && key_of(a.values, low) == key) {
            if (a.places.data != nullptr)
                ((int64_t *)a.places.data)[i * a.places.step] = (int64_t)low;
            if (a.counts.data != nullptr)
                vb_add_at((uint64_t *)a.counts.data + low * a.counts.step, 1);
        }
    }
}
