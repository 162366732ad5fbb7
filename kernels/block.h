/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_KERNELS_BLOCK_H
#define VB_KERNELS_BLOCK_H

/* A block that works on several lines of elements at once (walk.h: struct vb_seats), and what its
 * threads found put together. For kernels. */

#include "kernels/grid.h"
#include "kernels/walk.h"

struct vb_seat {
    uint32_t lane, line; /* the line: of the block's */
};

VB_DEVICE uint32_t vb_lines_of_block(const struct vb_seats &seats)
{
    return (uint32_t)VB_BLOCK >> seats.lanes_log;
}

VB_DEVICE struct vb_seat vb_seat_of(const struct vb_seats &seats, uint32_t t)
{
    const uint32_t lines = vb_lines_of_block(seats);
    struct vb_seat seat = { t & ((1U << seats.lanes_log) - 1), t >> seats.lanes_log };
    if (seats.across != 0)
        seat = { t >> (VB_BLOCK_LOG - seats.lanes_log), t & (lines - 1) };
    return seat;
}

/* Where a seat leaves what vb_join() shall find. */
VB_DEVICE uint32_t vb_slot_of(const struct vb_seats &seats, const struct vb_seat &seat)
{
    return seat.lane * vb_lines_of_block(seats) + seat.line;
}

/* All lines, as many at a time as the block has. */
#define VB_LINES(first, n, seats)                                                                  \
    for (uint64_t first = (uint64_t)VB_BLOCK_X * vb_lines_of_block(seats); first < (n);            \
         first += (uint64_t)VB_BLOCKS_X * vb_lines_of_block(seats))

/* The slots of a line become one, at the line's number. Between threads, not in them. */
template <class Value, class Joined>
VB_DEVICE void vb_join(Value *slots, const struct vb_seats &seats, Joined joined)
{
    for (uint32_t half = VB_BLOCK / 2; half >= vb_lines_of_block(seats); half /= 2) {
        VB_THREADS(t)
        {
            if (t < half)
                slots[t] = joined(slots[t], slots[t + half]);
        }
        VB_BARRIER();
    }
}

#endif
