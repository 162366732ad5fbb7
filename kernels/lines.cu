/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax, the product with a vector, and what a class's score costs. The threads of a line take
 * its elements in turn, so that they are read as they lie; lines that are read twice come from the
 * cache the second time. */

#include "kernels/lines.h"

#include "kernels/atomic.h"
#include "kernels/block.h"
#include "kernels/place.h"

/* Where an operand's line begins; its element i is `step` times i further. */
struct line {
    void *data;
    uint64_t first;
    uint32_t dtype, step;
};

VB_DEVICE struct line line_of(const struct vb_line_call &a, uint32_t operand,
                              const struct vb_coordinates &place)
{
    const struct vb_lying &x = a.operands[operand];
    return { x.data, vb_offset_of(x, place), x.dtype, a.steps[operand] };
}

VB_DEVICE float get(const struct line &line, uint32_t i)
{
    return vb_get_real(line.data, line.dtype, line.first + (uint64_t)i * line.step);
}

VB_DEVICE void put(const struct line &line, uint32_t i, float x)
{
    vb_put_real(line.data, line.dtype, line.first + (uint64_t)i * line.step, x);
}

VB_DEVICE float larger(float s, float x)
{
    return s > x || s != s ? s : x;
}

VB_DEVICE float largest_of(const struct vb_line_call &a, uint64_t number, uint32_t lane)
{
    const struct line x = line_of(a, 0, vb_coordinates_of(a.axes, number));
    float largest = -INFINITY;
    for (uint64_t i = lane; i < a.lengths[0]; i += 1U << a.seats.lanes_log)
        largest = larger(largest, get(x, (uint32_t)i));
    return largest;
}

VB_DEVICE double sum_of_exp(const struct vb_line_call &a, uint64_t number, uint32_t lane,
                            float largest)
{
    const struct line x = line_of(a, 0, vb_coordinates_of(a.axes, number));
    double sum = 0;
    for (uint64_t i = lane; i < a.lengths[0]; i += 1U << a.seats.lanes_log)
        sum += (double)expf(get(x, (uint32_t)i) - largest);
    return sum;
}

/* `total`: what the sum is divided by, or its logarithm is subtracted. */
VB_DEVICE void write_softmax(const struct vb_line_call &a, uint64_t number, uint32_t lane,
                             float largest, double total)
{
    const struct vb_coordinates place = vb_coordinates_of(a.axes, number);
    const struct line x = line_of(a, 0, place), y = line_of(a, 1, place);
    for (uint64_t i = lane; i < a.lengths[0]; i += 1U << a.seats.lanes_log) {
        const float value = get(x, (uint32_t)i);
        if (a.op == VB_OP_SOFTMAX)
            put(y, (uint32_t)i, expf(value - largest) * (float)total);
        else
            put(y, (uint32_t)i, (float)((double)value - (double)largest - total));
    }
}

VB_KERNEL(softmax, vb_line_call)
{
    VB_SHARED(float, largest, [VB_BLOCK]);
    VB_SHARED(double, sums, [VB_BLOCK]);
    VB_LINES(first, a.axes.n, a.seats)
    {
        VB_THREADS(t)
        {
            const struct vb_seat seat = vb_seat_of(a.seats, t);
            const bool is_there = first + seat.line < a.axes.n;
            largest[vb_slot_of(a.seats, seat)] =
                is_there ? largest_of(a, first + seat.line, seat.lane) : 0.0F;
        }
        VB_BARRIER();
        vb_join(largest, a.seats, [](float s, float x) { return larger(s, x); });
        VB_THREADS(t)
        {
            const struct vb_seat seat = vb_seat_of(a.seats, t);
            const bool is_there = first + seat.line < a.axes.n;
            sums[vb_slot_of(a.seats, seat)] =
                is_there ? sum_of_exp(a, first + seat.line, seat.lane, largest[seat.line]) : 1.0;
        }
        VB_BARRIER();
        vb_join(sums, a.seats, [](double s, double x) { return s + x; });
        VB_THREADS(t)
        {
            if (t < vb_lines_of_block(a.seats))
                sums[t] = a.op == VB_OP_SOFTMAX ? 1.0 / sums[t] : log(sums[t]);
        }
        VB_BARRIER();
        VB_THREADS(t)
        {
            const struct vb_seat seat = vb_seat_of(a.seats, t);
            if (first + seat.line < a.axes.n)
                write_softmax(a, first + seat.line, seat.lane, largest[seat.line], sums[seat.line]);
        }
        VB_BARRIER();
    }
}

/* The sum of the first operand, times the second if so. */
VB_DEVICE double sum_of(const struct vb_line_call &a, uint64_t number, uint32_t lane, bool times)
{
    const struct vb_coordinates place = vb_coordinates_of(a.axes, number);
    const struct line x = line_of(a, 0, place), z = line_of(a, 1, place);
    double sum = 0;
    for (uint64_t i = lane; i < a.lengths[0]; i += 1U << a.seats.lanes_log) {
        const float other = times ? get(z, (uint32_t)i) : 1.0F;
        sum += (double)get(x, (uint32_t)i) * (double)other;
    }
    return sum;
}

/* The sums of all lines of the block. Between threads. */
VB_DEVICE void sum_lines(const struct vb_line_call &a, uint64_t first, bool times, double *sums)
{
    VB_THREADS(t)
    {
        const struct vb_seat seat = vb_seat_of(a.seats, t);
        const bool is_there = first + seat.line < a.axes.n;
        sums[vb_slot_of(a.seats, seat)] =
            is_there ? sum_of(a, first + seat.line, seat.lane, times) : 0.0;
    }
    VB_BARRIER();
    vb_join(sums, a.seats, [](double s, double x) { return s + x; });
}

VB_DEVICE void write_gradient(const struct vb_line_call &a, uint64_t number, uint32_t lane,
                              float sum)
{
    const struct vb_coordinates place = vb_coordinates_of(a.axes, number);
    const struct line g = line_of(a, 0, place), y = line_of(a, 1, place), dx = line_of(a, 2, place);
    for (uint64_t i = lane; i < a.lengths[0]; i += 1U << a.seats.lanes_log) {
        const float gradient = get(g, (uint32_t)i), mine = get(y, (uint32_t)i);
        put(dx, (uint32_t)i,
            a.op == VB_OP_SOFTMAX_BACKWARD ? (gradient - sum) * mine : gradient - expf(mine) * sum);
    }
}

VB_KERNEL(softmax_backward, vb_line_call)
{
    VB_SHARED(double, sums, [VB_BLOCK]);
    VB_LINES(first, a.axes.n, a.seats)
    {
        sum_lines(a, first, a.op == VB_OP_SOFTMAX_BACKWARD, sums);
        VB_THREADS(t)
        {
            const struct vb_seat seat = vb_seat_of(a.seats, t);
            if (first + seat.line < a.axes.n)
                write_gradient(a, first + seat.line, seat.lane, (float)sums[seat.line]);
        }
        VB_BARRIER();
    }
}

VB_KERNEL(matvec, vb_line_call)
{
    VB_SHARED(double, sums, [VB_BLOCK]);
    VB_LINES(first, a.axes.n, a.seats)
    {
        sum_lines(a, first, true, sums);
        VB_THREADS(t)
        {
            if (t < vb_lines_of_block(a.seats) && first + t < a.axes.n)
                put(line_of(a, 2, vb_coordinates_of(a.axes, first + t)), 0, (float)sums[t]);
        }
        VB_BARRIER();
    }
}

/* What line `number`'s class costs; 0 where there is no such class. Operands: x, target, y. */
VB_DEVICE float cost_of(const struct vb_line_call &a, uint64_t number)
{
    const struct vb_coordinates place = vb_coordinates_of(a.axes, number);
    const int64_t target =
        vb_get_whole(a.operands[1].data, VB_INT64, vb_offset_of(a.operands[1], place));
    if ((uint64_t)target < a.lengths[0])
        return -get(line_of(a, 0, place), (uint32_t)target);
    vb_set_fault(a.scratch, VB_FAULT_PLACE);
    return 0.0F;
}

VB_KERNEL(nll, vb_line_call)
{
    VB_STRIDE(i, a.axes.n)
    {
        put(line_of(a, 2, vb_coordinates_of(a.axes, i)), 0, cost_of(a, i));
    }
}

/* One block: a batch has some thousand lines at most. */
VB_KERNEL(nll_mean, vb_line_call)
{
    VB_SHARED(double, sums, [VB_BLOCK]);
    VB_THREADS(t)
    {
        double sum = 0;
        for (uint64_t i = t; i < a.axes.n; i += VB_BLOCK)
            sum += (double)cost_of(a, i);
        sums[t] = sum;
    }
    VB_BARRIER();
    vb_join(sums, a.seats, [](double s, double x) { return s + x; });
    VB_THREADS(t)
    {
        if (t == 0)
            vb_put_real(a.operands[2].data, a.operands[2].dtype, 0,
                        (float)(sums[0] / (double)a.axes.n));
    }
}

/* Operands: gradient, target, gradient of x. */
VB_KERNEL(nll_backward, vb_line_call)
{
    VB_LINES(first, a.axes.n, a.seats)
    {
        VB_THREADS(t)
        {
            const struct vb_seat seat = vb_seat_of(a.seats, t);
            if (first + seat.line < a.axes.n) {
                const struct vb_coordinates place = vb_coordinates_of(a.axes, first + seat.line);
                const struct line dx = line_of(a, 2, place);
                const float g = get(line_of(a, 0, place), 0);
                const int64_t target =
                    vb_get_whole(a.operands[1].data, VB_INT64, vb_offset_of(a.operands[1], place));
                if ((uint64_t)target >= a.lengths[2])
                    vb_set_fault(a.scratch, VB_FAULT_PLACE);
                for (uint64_t i = seat.lane; i < a.lengths[2]; i += 1U << a.seats.lanes_log)
                    put(dx, (uint32_t)i, (int64_t)i == target ? (float)(-(double)g * a.a) : 0.0F);
            }
        }
    }
}
