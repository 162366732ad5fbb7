/* SPDX-License-Identifier: Apache-2.0 */
/* Element by element: any types and strides, and a fast way for operands of one floating-point type
 * that lie alike, 16 bytes at a time. */

#include "kernels/elementwise.h"

#include "kernels/formula.h"
#include "kernels/place.h"

/* Operands whose mask decides: the mask is the first, y the last. */
VB_DEVICE bool is_chosen(const struct vb_lying &mask, const struct vb_coordinates &place)
{
    return vb_get_float(mask.data, mask.dtype, vb_offset_of(mask, place)) != 0.0F;
}

VB_DEVICE float float_at(const struct vb_lying &x, const struct vb_coordinates &place)
{
    return vb_get_float(x.data, x.dtype, vb_offset_of(x, place));
}

VB_DEVICE int64_t whole_at(const struct vb_lying &x, const struct vb_coordinates &place)
{
    return vb_get_whole(x.data, x.dtype, vb_offset_of(x, place));
}

VB_KERNEL(elementwise, vb_elementwise)
{
    const struct vb_lying &y = a.operands[a.n_operands - 1];
    const bool has_mask = a.op == VB_OP_WHERE || a.op == VB_OP_MASKED_FILL;
    VB_STRIDE(i, a.axes.n)
    {
        const struct vb_coordinates place = vb_coordinates_of(a.axes, i);
        const uint64_t to = vb_offset_of(y, place);
        if (has_mask && a.op == VB_OP_MASKED_FILL && !is_chosen(a.operands[0], place))
            continue;
        /* Of whose element y becomes the copy, where a mask decides. */
        const struct vb_lying &x =
            a.operands[a.op == VB_OP_WHERE ? (is_chosen(a.operands[0], place) ? 1 : 2) : 0];
        uint32_t op = a.op;
        if (has_mask)
            op = a.op == VB_OP_WHERE ? VB_OP_COPY : VB_OP_FILL;
        const bool has_z = !has_mask && a.n_operands == 3;
        if (a.in_floats) {
            const float z = has_z ? float_at(a.operands[1], place) : 0.0F;
            vb_put_float(y.data, y.dtype, to,
                         vb_float_formula(op, float_at(x, place), z, a.numbers));
        } else {
            const int64_t z = has_z ? whole_at(a.operands[1], place) : 0;
            vb_put_whole(y.data, y.dtype, to,
                         vb_whole_formula(op, whole_at(x, place), z, a.numbers));
        }
    }
}

template <uint32_t dtype> VB_DEVICE void run_dense(const struct vb_dense &a)
{
    enum { N = sizeof(struct vb_pack) / (dtype == VB_FLOAT32 ? 4 : 2) };
    const uint64_t n_packs = a.n / N;
    VB_STRIDE(i, n_packs)
    {
        const struct vb_pack x = ((const struct vb_pack *)a.x)[i];
        const struct vb_pack z = ((const struct vb_pack *)a.z)[i];
        struct vb_pack y;
        for (uint32_t k = 0; k < N; k++)
            vb_put_float(&y, dtype, k,
                         vb_float_formula(a.op, vb_get_float(&x, dtype, k),
                                          vb_get_float(&z, dtype, k), a.numbers));
        ((struct vb_pack *)a.y)[i] = y;
    }
    VB_STRIDE(i, a.n % N)
    {
        const uint64_t at = n_packs * N + i;
        vb_put_float(a.y, dtype, at,
                     vb_float_formula(a.op, vb_get_float(a.x, dtype, at),
                                      vb_get_float(a.z, dtype, at), a.numbers));
    }
}

VB_KERNEL(dense_fp32, vb_dense)
{
    run_dense<VB_FLOAT32>(a);
}

VB_KERNEL(dense_fp16, vb_dense)
{
    run_dense<VB_FLOAT16>(a);
}

VB_KERNEL(dense_bf16, vb_dense)
{
    run_dense<VB_BFLOAT16>(a);
}
