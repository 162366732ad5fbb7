/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that an index names. */

#include "kernels/rows.h"

#include "kernels/atomic.h"
#include "kernels/place.h"

/* Where the row begins that the indices name at a pick; false where there is no such row. */
VB_DEVICE bool find_row(const struct vb_picked_rows &a, const struct vb_coordinates &pick,
                        uint64_t *first)
{
    bool is_there = true;
    *first = 0;
    for (uint32_t i = 0; i < VB_AXES; i++) {
        if (i < a.n_indices) {
            const int64_t at =
                ((const int64_t *)a.indices[i].data)[vb_offset_of(a.indices[i], pick)];
            is_there = is_there && (uint64_t)at < a.sizes[i];
            *first += (uint64_t)at * a.steps[i];
        }
    }
    if (!is_there)
        vb_set_fault(a.scratch, VB_FAULT_PLACE);
    return is_there;
}

/* Element number i of all rows: false where its row is not there. */
struct pair {
    uint64_t whole, other;
};
VB_DEVICE bool find_pair(const struct vb_picked_rows &a, uint64_t i, struct pair *out)
{
    const uint64_t number = i / a.row.n;
    const struct vb_coordinates pick = vb_coordinates_of(a.picks, number);
    const struct vb_coordinates place = vb_coordinates_of(a.row, i - number * a.row.n);
    uint64_t first;
    if (!find_row(a, pick, &first))
        return false;
    out->whole = first + vb_offset_of(a.whole, place);
    out->other = vb_offset_of(a.other_of_pick, pick) + vb_offset_of(a.other, place);
    return true;
}

VB_KERNEL(read_rows, vb_picked_rows)
{
    VB_STRIDE(i, a.picks.n * a.row.n)
    {
        struct pair at;
        if (find_pair(a, i, &at))
            vb_copy_element(a.whole.data, a.whole.dtype, at.whole, a.other.data, a.other.dtype,
                            at.other);
    }
}

VB_KERNEL(add_rows, vb_picked_rows)
{
    VB_STRIDE(i, a.picks.n * a.row.n)
    {
        struct pair at;
        if (!find_pair(a, i, &at))
            continue;
        if (a.in_floats != 0)
            vb_add_float(a.whole.data, a.whole.dtype, at.whole,
                         vb_get_float(a.other.data, a.other.dtype, at.other));
        else
            vb_add_whole(a.whole.data, a.whole.dtype, at.whole,
                         vb_get_whole(a.other.data, a.other.dtype, at.other));
    }
}

/* A row that is another block's, or nobody's. */
#define NOT_MINE UINT64_MAX

/* Spreads rows that lie at regular distances. */
VB_DEVICE uint32_t block_of(uint64_t row)
{
    return (uint32_t)(row * 0x9e3779b97f4a7c15U >> 32) % VB_BLOCKS_X;
}

VB_DEVICE void put_row(const struct vb_picked_rows &a, uint64_t number, uint64_t row, uint32_t lane,
                       uint32_t lanes)
{
    const uint64_t from = vb_offset_of(a.other_of_pick, vb_coordinates_of(a.picks, number));
    for (uint64_t i = lane; i < a.row.n; i += lanes) {
        const struct vb_coordinates place = vb_coordinates_of(a.row, i);
        vb_copy_element(a.other.data, a.other.dtype, from + vb_offset_of(a.other, place),
                        a.whole.data, a.whole.dtype, row + vb_offset_of(a.whole, place));
    }
}

/* Of two picks of one row the last one stays: each row is one block's own, which takes the picks in
 * order, as many at a time as it has threads, and of those that are one row the last. */
VB_KERNEL(put_rows, vb_picked_rows)
{
    enum { LANES = 32 };
    VB_SHARED(uint64_t, rows, [VB_BLOCK]);
    VB_SHARED(bool, stays, [VB_BLOCK]);
    for (uint64_t first = 0; first < a.picks.n; first += VB_BLOCK) {
        VB_THREADS(t)
        {
            uint64_t row = NOT_MINE;
            const bool is_there =
                first + t < a.picks.n && find_row(a, vb_coordinates_of(a.picks, first + t), &row);
            rows[t] = is_there && block_of(row) == VB_BLOCK_X ? row : NOT_MINE;
        }
        VB_BARRIER();
        VB_THREADS(t)
        {
            bool is_last = rows[t] != NOT_MINE;
            for (uint32_t later = t + 1; later < VB_BLOCK && is_last; later++)
                is_last = rows[later] != rows[t];
            stays[t] = is_last;
        }
        VB_BARRIER();
        VB_THREADS(t)
        {
            for (uint32_t k = t / LANES; k < VB_BLOCK; k += VB_BLOCK / LANES) {
                if (stays[k])
                    put_row(a, first + k, rows[k], t % LANES, LANES);
            }
        }
        VB_BARRIER();
    }
}
