/* SPDX-License-Identifier: Apache-2.0 */
/* The update of parameters: of many tensors by one launch, as most are small; each block works on
 * one. Bound by memory: every element is read and written once, 16 bytes at a time. */

#include "kernels/update.h"

#include "kernels/eight.h"
#include "kernels/place.h"

/* Strips of so many elements, as they are read and then as they are written. */
template <uint32_t N> struct values {
    float of[VB_UPDATE_STRIPS][N];
};

/* One element; strips as the kind has them. True: it is not finite where it has to be. */
template <uint32_t kind>
VB_DEVICE bool update_one(const struct vb_update_rule &r, float &v0, float &v1, float &v2,
                          float &v3)
{
    bool is_infinite = false;
    if (kind == VB_UPDATE_NESTEROV) {
        const float d = v0;
        v1 = r.b * v1 + d;
        v2 = d + r.b * v1;
        v3 -= r.a * v2;
    } else if (kind == VB_UPDATE_SGD) {
        v1 = r.b * v1 + v0;
        v2 -= r.a * v1;
    } else if (kind == VB_UPDATE_MOMENTS) {
        v1 = r.a * v1 + r.rest_a * v0;
        v2 = r.b * v2 + r.rest_b * v0 * v0;
    } else if (kind == VB_UPDATE_ADAM) {
        v2 = v1 / r.b + (float)VB_ADAM_EPSILON;
        v3 -= r.a * v0 / v2;
    } else if (kind == VB_UPDATE_DECAY) {
        v0 *= r.a;
    } else if (kind == VB_UPDATE_CLIP) {
        const float share = r.a / (v0 + 1e-6F);
        v1 *= share > 1.0F ? 1.0F : share;
    } else if (kind == VB_UPDATE_UNSCALE) {
        is_infinite = !(fabsf(v1) <= 3.402823466e+38F);
        v1 *= v0;
    } else {
        v1 = r.rest_a * v0;
        v2 = r.a * v2 + v1;
    }
    return is_infinite;
}

template <uint32_t kind, uint32_t N>
VB_DEVICE void update_all(const struct vb_update_rule &rule, struct values<N> *v)
{
    bool is_infinite = false;
    VB_UNROLL(8)
    for (uint32_t k = 0; k < N; k++)
        is_infinite |= update_one<kind>(rule, v->of[0][k], v->of[1][k], v->of[2][k], v->of[3][k]);
    if (is_infinite) /* whoever finds one writes the same */
        vb_put_float(rule.found, rule.found_dtype, 0, 1.0F);
}

/* The kind is the same for all threads. */
template <uint32_t N>
VB_DEVICE void update_values(const struct vb_update_rule &rule, struct values<N> *v)
{
    switch (rule.kind) {
    case VB_UPDATE_NESTEROV:
        return update_all<VB_UPDATE_NESTEROV>(rule, v);
    case VB_UPDATE_SGD:
        return update_all<VB_UPDATE_SGD>(rule, v);
    case VB_UPDATE_MOMENTS:
        return update_all<VB_UPDATE_MOMENTS>(rule, v);
    case VB_UPDATE_ADAM:
        return update_all<VB_UPDATE_ADAM>(rule, v);
    case VB_UPDATE_DECAY:
        return update_all<VB_UPDATE_DECAY>(rule, v);
    case VB_UPDATE_CLIP:
        return update_all<VB_UPDATE_CLIP>(rule, v);
    case VB_UPDATE_UNSCALE:
        return update_all<VB_UPDATE_UNSCALE>(rule, v);
    default:
        return update_all<VB_UPDATE_EMA>(rule, v);
    }
}

VB_DEVICE bool is_left_out(const struct vb_update_rule &rule)
{
    return rule.found != nullptr && rule.kind != VB_UPDATE_UNSCALE &&
           vb_get_float(rule.found, rule.found_dtype, 0) != 0.0F;
}

VB_DEVICE bool has(uint32_t bits, uint32_t i)
{
    return (bits >> i & 1U) == 1;
}

VB_DEVICE void update_eight(const struct vb_update &a, const struct vb_update_tensor &tensor,
                            uint64_t at)
{
    struct values<VB_EIGHT> v = {
    };
    VB_UNROLL(4)
    for (uint32_t i = 0; i < VB_UPDATE_STRIPS; i++) {
        if (!has(a.rule.reads, i))
            continue;
        struct vb_eight read;
        if (has(a.repeats, i)) {
            const float x = vb_get_float(tensor.strips[i], a.dtypes[i], 0);
            read = { { x, x, x, x, x, x, x, x } };
        } else {
            read = vb_get_eight(tensor.strips[i], a.dtypes[i], at);
        }
        VB_UNROLL(8)
        for (uint32_t k = 0; k < VB_EIGHT; k++)
            v.of[i][k] = read.x[k];
    }
    update_values(a.rule, &v);
    VB_UNROLL(4)
    for (uint32_t i = 0; i < VB_UPDATE_STRIPS; i++) {
        if (!has(a.rule.writes, i))
            continue;
        struct vb_eight written;
        VB_UNROLL(8)
        for (uint32_t k = 0; k < VB_EIGHT; k++)
            written.x[k] = v.of[i][k];
        vb_put_eight(tensor.strips[i], a.dtypes[i], at, written);
    }
}

VB_DEVICE void update_single(const struct vb_update &a, const struct vb_update_tensor &tensor,
                             uint64_t at)
{
    struct values<1> v = {
    };
    VB_UNROLL(4)
    for (uint32_t i = 0; i < VB_UPDATE_STRIPS; i++) {
        if (has(a.rule.reads, i))
            v.of[i][0] = vb_get_float(tensor.strips[i], a.dtypes[i], has(a.repeats, i) ? 0 : at);
    }
    update_values(a.rule, &v);
    VB_UNROLL(4)
    for (uint32_t i = 0; i < VB_UPDATE_STRIPS; i++) {
        if (has(a.rule.writes, i))
            vb_put_float(tensor.strips[i], a.dtypes[i], at, v.of[i][0]);
    }
}

/* Whole packs, where all strips begin at one; the rest one by one. */
VB_DEVICE uint64_t eights_of(const struct vb_update &a, const struct vb_update_tensor &tensor)
{
    uint64_t addresses = 0;
    VB_UNROLL(4)
    for (uint32_t i = 0; i < VB_UPDATE_STRIPS; i++)
        addresses |= i < a.rule.n && !has(a.repeats, i) ? (uint64_t)(uintptr_t)tensor.strips[i] : 0;
    return addresses % sizeof(struct vb_pack) == 0 ? tensor.n / VB_EIGHT : 0;
}

VB_KERNEL(update, vb_update)
{
    uint32_t k = 0;
    while (k + 1 < a.n_tensors && a.tensors[k + 1].first_block <= VB_BLOCK_X)
        k++;
    const struct vb_update_tensor &tensor = a.tensors[k];
    const uint32_t end = k + 1 < a.n_tensors ? a.tensors[k + 1].first_block : VB_BLOCKS_X;
    const uint64_t first = (uint64_t)(VB_BLOCK_X - tensor.first_block) * VB_BLOCK;
    const uint64_t stride = (uint64_t)(end - tensor.first_block) * VB_BLOCK;
    const uint64_t n_eights = is_left_out(a.rule) ? 0 : eights_of(a, tensor);
    const uint64_t n = is_left_out(a.rule) ? 0 : tensor.n;
    VB_THREADS(t)
    {
        for (uint64_t i = first + t; i < n_eights; i += stride)
            update_eight(a, tensor, i * VB_EIGHT);
        for (uint64_t i = n_eights * VB_EIGHT + first + t; i < n; i += stride)
            update_single(a, tensor, i);
    }
}

VB_KERNEL(update_strided, vb_update_strided)
{
    const uint64_t n = is_left_out(a.rule) ? 0 : a.axes.n;
    VB_STRIDE(i, n)
    {
        const struct vb_coordinates place = vb_coordinates_of(a.axes, i);
        struct values<1> v = {
        };
        VB_UNROLL(4)
        for (uint32_t k = 0; k < VB_UPDATE_STRIPS; k++) {
            const struct vb_lying &x = a.strips[k];
            if (has(a.rule.reads, k))
                v.of[k][0] = vb_get_float(x.data, x.dtype, vb_offset_of(x, place));
        }
        update_values(a.rule, &v);
        VB_UNROLL(4)
        for (uint32_t k = 0; k < VB_UPDATE_STRIPS; k++) {
            const struct vb_lying &y = a.strips[k];
            if (has(a.rule.writes, k))
                vb_put_float(y.data, y.dtype, vb_offset_of(y, place), v.of[k][0]);
        }
    }
}

VB_DEVICE float read_scalar(const struct vb_scalar &x)
{
    return vb_get_float(x.data, x.dtype, 0);
}

VB_KERNEL(rescale, vb_rescale)
{
    VB_STRIDE(i, 1)
    {
        const float now = read_scalar(a.scale), count = read_scalar(a.steps) + 1.0F;
        const bool halves = read_scalar(a.found) != 0.0F;
        const bool doubles = !halves && (double)count >= a.interval;
        if (halves || doubles)
            vb_put_float(a.scale.data, a.scale.dtype, i, halves ? now * 0.5F : now * 2.0F);
        vb_put_float(a.steps.data, a.steps.dtype, i, halves || doubles ? 0.0F : count);
    }
}
