/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/select.h"

#include "kernels/atomic.h"
#include "kernels/block.h"
#include "kernels/order.h"
#include "kernels/place.h"

/* The largest of a lane's candidates. */
VB_DEVICE struct vb_ranked largest_of(const struct vb_argmax &a, uint64_t line, uint32_t lane)
{
    const uint64_t first = vb_offset_of(a.x, vb_coordinates_of(a.axes, line));
    struct vb_ranked best = { 0, VB_NO_PLACE };
    for (uint64_t i = lane; i < a.length; i += 1U << a.seats.lanes_log) {
        const struct vb_ranked x = { vb_key_at(a.x.data, a.x.dtype, first + i * a.step),
                                     (uint32_t)i };
        if (vb_is_larger(x, best))
            best = x;
    }
    return best;
}

VB_KERNEL(argmax, vb_argmax)
{
    VB_SHARED(struct vb_ranked, best, [VB_BLOCK]);
    VB_LINES(first, a.axes.n, a.seats)
    {
        VB_THREADS(t)
        {
            const struct vb_seat seat = vb_seat_of(a.seats, t);
            struct vb_ranked mine = { 0, VB_NO_PLACE };
            if (first + seat.line < a.axes.n)
                mine = largest_of(a, first + seat.line, seat.lane);
            best[vb_slot_of(a.seats, seat)] = mine;
        }
        VB_BARRIER();
        vb_join(best, a.seats, [](const struct vb_ranked &x, const struct vb_ranked &z) {
            return vb_is_larger(z, x) ? z : x;
        });
        VB_THREADS(t)
        {
            if (t < vb_lines_of_block(a.seats) && first + t < a.axes.n) {
                const uint64_t to = vb_offset_of(a.y, vb_coordinates_of(a.axes, first + t));
                ((int64_t *)a.y.data)[to] = best[t].place;
            }
        }
        VB_BARRIER();
    }
}

/* Of the elements number t, t + VB_BLOCK .. of a line the largest that comes after `last`, all of
 * them where that has no place. */
VB_DEVICE struct vb_ranked next_of(const struct vb_line_call &a, uint64_t first, uint32_t t,
                                   const struct vb_ranked &last)
{
    const struct vb_lying &x = a.operands[0];
    struct vb_ranked best = { 0, VB_NO_PLACE };
    for (uint64_t i = t; i < a.lengths[0]; i += VB_BLOCK) {
        const struct vb_ranked item = { vb_key_at(x.data, x.dtype, first + i * a.steps[0]),
                                        (uint32_t)i };
        if (vb_is_larger(item, best) && (last.place == VB_NO_PLACE || vb_is_larger(last, item)))
            best = item;
    }
    return best;
}

/* A line's number `round` of the largest: the value and its place. */
VB_DEVICE void write_top(const struct vb_line_call &a, const struct vb_coordinates &line,
                         uint32_t round, uint32_t place)
{
    const struct vb_lying &x = a.operands[0], &values = a.operands[1], &places = a.operands[2];
    vb_copy_element(x.data, x.dtype, vb_offset_of(x, line) + (uint64_t)place * a.steps[0],
                    values.data, values.dtype,
                    vb_offset_of(values, line) + (uint64_t)round * a.steps[1]);
    ((int64_t *)places.data)[vb_offset_of(places, line) + (uint64_t)round * a.steps[2]] = place;
}

/* A block a line: each thread knows the largest of its elements that are left, the block's largest
 * is taken, and only its thread looks for its next one. */
VB_KERNEL(top_k, vb_line_call)
{
    VB_SHARED(struct vb_ranked, left, [VB_BLOCK]);
    VB_SHARED(uint32_t, best, [VB_BLOCK]); /* whose is the largest of several threads' */
    for (uint64_t line = VB_BLOCK_X; line < a.axes.n; line += VB_BLOCKS_X) {
        const struct vb_coordinates place = vb_coordinates_of(a.axes, line);
        const uint64_t first = vb_offset_of(a.operands[0], place);
        VB_THREADS(t)
        {
            left[t] = next_of(a, first, t, { 0, VB_NO_PLACE }); /* for after a round's barrier */
        }
        for (uint32_t round = 0; round < a.lengths[1]; round++) {
            VB_THREADS(t)
            {
                best[t] = t;
            }
            VB_BARRIER();
            vb_join(best, a.seats,
                    [=](uint32_t x, uint32_t z) { return vb_is_larger(left[z], left[x]) ? z : x; });
            VB_THREADS(t)
            {
                if (t == best[0]) {
                    write_top(a, place, round, left[t].place);
                    left[t] = next_of(a, first, t, left[t]);
                }
            }
            VB_BARRIER();
        }
    }
}

VB_KERNEL(scatter, vb_scatter)
{
    VB_STRIDE(i, a.axes.n)
    {
        const struct vb_coordinates place = vb_coordinates_of(a.axes, i);
        const int64_t to = ((const int64_t *)a.places.data)[vb_offset_of(a.places, place)];
        if ((uint64_t)to >= a.length) {
            vb_set_fault(a.scratch, VB_FAULT_PLACE);
            continue;
        }
        const uint64_t y = vb_offset_of(a.y, place) + (uint64_t)to * a.step;
        if (a.adds != 0) {
            const uint64_t z = vb_offset_of(a.z, place);
            if (a.in_floats != 0)
                vb_add_float(a.y.data, a.y.dtype, y, vb_get_float(a.z.data, a.z.dtype, z));
            else
                vb_add_whole(a.y.data, a.y.dtype, y, vb_get_whole(a.z.data, a.z.dtype, z));
        } else if (a.in_floats != 0) {
            vb_put_float(a.y.data, a.y.dtype, y, a.a);
        } else {
            vb_put_whole(a.y.data, a.y.dtype, y, a.whole_a);
        }
    }
}

/* A thread a place, whose boxes are its own: claims are written where they were read. */
VB_KERNEL(resolve_claims, vb_resolve_claims)
{
    VB_STRIDE(i, a.axes.n)
    {
        const struct vb_coordinates place = vb_coordinates_of(a.axes, i);
        const uint64_t claims = vb_offset_of(a.claims, place);
        uint32_t count = 0, owner = 0;
        for (uint64_t k = 0; k < a.n_boxes; k++)
            count += vb_get_real(a.claims.data, a.claims.dtype, claims + k * a.claims_step) != 0.0F;
        if (count <= 1)
            continue;
        const uint64_t overlaps = vb_offset_of(a.overlaps, place);
        float best = vb_get_real(a.overlaps.data, a.overlaps.dtype, overlaps);
        for (uint64_t k = 1; k < a.n_boxes; k++) {
            const float x =
                vb_get_real(a.overlaps.data, a.overlaps.dtype, overlaps + k * a.overlaps_step);
            owner = x > best ? (uint32_t)k : owner;
            best = x > best ? x : best;
        }
        for (uint64_t k = 0; k < a.n_boxes; k++)
            vb_put_real(a.claims.data, a.claims.dtype, claims + k * a.claims_step,
                        k == owner ? 1.0F : 0.0F);
    }
}
