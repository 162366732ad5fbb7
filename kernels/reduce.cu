/* SPDX-License-Identifier: Apache-2.0 */
/* Sums, means, norms and largest ones: bound by reading x, once, as it lies. The threads of a line
 * take its elements in turn and a tree puts their sums together, so the result depends on the sizes
 * alone. Where there are few results the elements are shared among several blocks, whose sums a
 * second launch puts together. */

#include "kernels/reduce.h"

#include "kernels/block.h"
#include "kernels/number.h"
#include "kernels/place.h"

/* An element into a sum, and a sum into a sum. What is no number stays none. */
VB_DEVICE double joined(uint32_t op, double s, double x)
{
    if (op == VB_OP_MAX_OF)
        return s > x || s != s ? s : x;
    return s + x;
}
VB_DEVICE int64_t joined(uint32_t op, int64_t s, int64_t x)
{
    if (op == VB_OP_MAX_OF)
        return s > x ? s : x;
    return (int64_t)((uint64_t)s + (uint64_t)x);
}
VB_DEVICE double folded(uint32_t op, double s, double x)
{
    return joined(op, s, op == VB_OP_NORM ? x * x : x);
}
VB_DEVICE int64_t folded(uint32_t op, int64_t s, int64_t x)
{
    return joined(op, s, x);
}

VB_DEVICE void get_start(uint32_t op, double *s)
{
    *s = op == VB_OP_MAX_OF ? -(double)INFINITY : 0.0;
}
VB_DEVICE void get_start(uint32_t op, int64_t *s)
{
    *s = op == VB_OP_MAX_OF ? INT64_MIN : 0;
}

VB_DEVICE void finish(const struct vb_reduce &a, uint64_t to, double sum)
{
    if (a.op == VB_OP_MEAN)
        sum /= (double)a.gone.n;
    vb_put_float(a.y.data, a.y.dtype, to, (float)(a.op == VB_OP_NORM ? sqrt(sum) : sum));
}
VB_DEVICE void finish(const struct vb_reduce &a, uint64_t to, int64_t sum)
{
    vb_put_whole(a.y.data, a.y.dtype, to, sum);
}

/* As it is summed up: as a double, of type `dtype` or any, or as an int64. */
enum { ANY = VB_N_DTYPES, OF_PARTS };
template <class Total> constexpr bool is_real = (Total)0.5 != 0;
template <class Total, uint32_t dtype>
VB_DEVICE Total element_of(const struct vb_lying &x, uint64_t i)
{
    if constexpr (dtype != ANY)
        return (Total)vb_get_float(x.data, dtype, i);
    else if constexpr (is_real<Total>)
        return (Total)vb_get_float(x.data, x.dtype, i);
    else
        return vb_get_whole(x.data, x.dtype, i);
}

/* The elements number `begin`, `begin + step` .. of the line whose first is `base`. */
template <class Total, uint32_t dtype>
VB_DEVICE Total fold_line(const struct vb_reduce &a, uint64_t base, uint32_t begin, uint32_t step)
{
    Total sum;
    get_start(a.op, &sum);
    if (begin >= a.gone.n)
        return sum;
    if (a.gone.n_axes == 1) {
        const uint64_t stride = a.x_gone.strides[0];
        for (uint64_t i = begin; i < a.gone.n; i += step)
            sum = folded(a.op, sum, element_of<Total, dtype>(a.x, base + i * stride));
        return sum;
    }
    const struct vb_coordinates by = vb_coordinates_of(a.gone, step);
    struct vb_coordinates place = vb_coordinates_of(a.gone, begin);
    for (uint64_t i = begin; i < a.gone.n; i += step) {
        const uint64_t at = base + vb_offset_of(a.x_gone, place);
        sum = folded(a.op, sum, element_of<Total, dtype>(a.x, at));
        vb_go_on(a.gone, by, place);
    }
    return sum;
}

/* The same of a line that is packs, and the rest of one. */
template <uint32_t dtype>
VB_DEVICE double fold_packs(const struct vb_reduce &a, uint64_t base, uint32_t begin, uint32_t step)
{
    enum { N = sizeof(struct vb_pack) / (dtype == VB_FLOAT32 ? 4 : 2) };
    const struct vb_pack *packs = (const struct vb_pack *)a.x.data + base / N;
    const uint64_t n_packs = a.gone.n / N;
    double sum;
    get_start(a.op, &sum);
    for (uint64_t i = begin; i < n_packs; i += step) {
        const struct vb_pack x = packs[i];
        for (uint32_t k = 0; k < N; k++)
            sum = folded(a.op, sum, (double)vb_get_float(&x, dtype, k));
    }
    for (uint64_t i = n_packs * N + begin; i < a.gone.n; i += step)
        sum = folded(a.op, sum, element_of<double, dtype>(a.x, base + i));
    return sum;
}

/* Of a part the sums are left to the second launch, in which the parts are the elements. */
template <class Total> VB_DEVICE Total *sums_of(const struct vb_reduce &a)
{
    static_assert(sizeof(Total) == sizeof a.scratch->sums[0], "a sum is a word");
    return (Total *)(void *)a.scratch->sums;
}

template <class Total, uint32_t dtype>
VB_DEVICE Total fold_share(const struct vb_reduce &a, uint64_t line, uint32_t lane)
{
    const uint32_t lanes = 1U << a.seats.lanes_log;
    if constexpr (dtype == OF_PARTS) {
        Total sum;
        get_start(a.op, &sum);
        for (uint32_t i = lane; i < a.n_parts; i += lanes)
            sum = joined(a.op, sum, sums_of<Total>(a)[i * a.kept.n + line]);
        return sum;
    } else {
        const uint64_t base = vb_offset_of(a.x, vb_coordinates_of(a.kept, line));
        const uint32_t begin = VB_BLOCK_Y * lanes + lane, step = a.n_parts * lanes;
        if constexpr (dtype != ANY) {
            if (a.in_packs != 0)
                return fold_packs<dtype>(a, base, begin, step);
        }
        return fold_line<Total, dtype>(a, base, begin, step);
    }
}

template <class Total, uint32_t dtype> VB_DEVICE void reduce(const struct vb_reduce &a)
{
    VB_SHARED(Total, sums, [VB_BLOCK]);
    const uint32_t op = a.op;
    VB_LINES(first, a.kept.n, a.seats)
    {
        VB_THREADS(t)
        {
            const struct vb_seat seat = vb_seat_of(a.seats, t);
            Total sum;
            get_start(op, &sum);
            if (first + seat.line < a.kept.n)
                sum = fold_share<Total, dtype>(a, first + seat.line, seat.lane);
            sums[vb_slot_of(a.seats, seat)] = sum;
        }
        VB_BARRIER();
        vb_join(sums, a.seats, [=](Total s, Total x) { return joined(op, s, x); });
        VB_THREADS(t)
        {
            const uint64_t line = first + t;
            if (t < vb_lines_of_block(a.seats) && line < a.kept.n) {
                if (dtype != OF_PARTS && a.n_parts > 1)
                    sums_of<Total>(a)[VB_BLOCK_Y * a.kept.n + line] = sums[t];
                else
                    finish(a, vb_offset_of(a.y, vb_coordinates_of(a.kept, line)), sums[t]);
            }
        }
        VB_BARRIER();
    }
}

VB_KERNEL(reduce_fp32, vb_reduce)
{
    reduce<double, VB_FLOAT32>(a);
}

VB_KERNEL(reduce_fp16, vb_reduce)
{
    reduce<double, VB_FLOAT16>(a);
}

VB_KERNEL(reduce_bf16, vb_reduce)
{
    reduce<double, VB_BFLOAT16>(a);
}

/* Of whole numbers into a floating-point one. */
VB_KERNEL(reduce_mixed, vb_reduce)
{
    reduce<double, ANY>(a);
}

VB_KERNEL(reduce_whole, vb_reduce)
{
    reduce<int64_t, ANY>(a);
}

VB_KERNEL(reduce_parts_real, vb_reduce)
{
    reduce<double, OF_PARTS>(a);
}

VB_KERNEL(reduce_parts_whole, vb_reduce)
{
    reduce<int64_t, OF_PARTS>(a);
}
