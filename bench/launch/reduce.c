/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu/prepare.h"

#include "launch/parts.h"

/* Blocks that keep a GPU busy; a part has so many elements at least for each of its threads. */
enum { ENOUGH_BLOCKS = 1024, LEAST_SHARE = 16 };

static bool is_in_packs(const struct vb_reduction *r)
{
    const uint64_t in_pack = VB_PACK_BYTES / vb_dtype_bytes[r->x.dtype];
    bool is = vb_is_float(&r->x) && r->gone.n_axes == 1 && r->gone.strides[0][0] == 1 &&
              (uintptr_t)r->x.data % VB_PACK_BYTES == 0;
    for (uint32_t i = 0; i < r->kept.n_axes; i++)
        is = is && (r->kept.sizes[i] == 1 || r->kept.strides[0][i] % in_pack == 0);
    return is;
}

static uint32_t parts_of(const struct vb_reduction *r, struct vb_seats seats, uint64_t n_lines)
{
    uint64_t lanes = 1U << seats.lanes_log, in_block = VB_BLOCK / lanes;
    uint64_t blocks = n_lines / in_block + 1, parts = ENOUGH_BLOCKS / blocks;
    uint64_t most = r->n_gone / (lanes * LEAST_SHARE);
    parts = parts < most ? parts : most;
    parts = parts * n_lines <= VB_SCRATCH_WORDS ? parts : VB_SCRATCH_WORDS / n_lines;
    return parts > 1 ? (uint32_t)parts : 1;
}

static enum vb_kernel_number kernel_of(const struct vb_reduction *r)
{
    static const enum vb_kernel_number kernels[] = { [VB_FLOAT16] = VB_KERNEL_reduce_fp16,
                                                     [VB_BFLOAT16] = VB_KERNEL_reduce_bf16,
                                                     [VB_FLOAT32] = VB_KERNEL_reduce_fp32 };
    if (r->compute == VB_INT64)
        return VB_KERNEL_reduce_whole;
    return vb_is_float(&r->x) ? kernels[r->x.dtype] : VB_KERNEL_reduce_mixed;
}

enum vb_status vb_launch_reduction(const struct vb_cpu_work *work, struct vb_launches *out,
                                   struct vb_error *err)
{
    struct vb_reduction r;
    enum vb_status status = vb_prepare_reduction(work, &r, err);
    if (status != VB_OK)
        return status;
    struct vb_reduce a = { .scratch = vb_scratch_of(work),
                           .op = (uint32_t)work->call->op,
                           .in_packs = is_in_packs(&r) };
    const struct vb_array both[] = { r.x, r.y };
    struct vb_lying along_kept[2];
    if (!vb_lay_out(&r.kept, both, &a.kept, along_kept) ||
        !vb_lay_out(&r.gone, &r.x, &a.gone, &a.x_gone))
        return vb_refuse_size(work, err);
    a.x = along_kept[0];
    a.y = along_kept[1];
    if (a.kept.n == 0)
        return VB_OK;
    a.seats = vb_seats_for(a.kept.n, a.gone.n, r.in_rows);
    a.n_parts = parts_of(&r, a.seats, a.kept.n);
    struct vb_launch *launch = vb_add_lines(out, kernel_of(&r), a.kept.n, a.seats);
    launch->grid_y = a.n_parts;
    launch->arguments.reduce_fp32 = a;
    if (a.n_parts == 1)
        return VB_OK;
    a.seats = vb_seats_for(a.kept.n, a.n_parts, true);
    launch = vb_add_lines(
        out, r.compute == VB_INT64 ? VB_KERNEL_reduce_parts_whole : VB_KERNEL_reduce_parts_real,
        a.kept.n, a.seats);
    launch->arguments.reduce_fp32 = a;
    return VB_OK;
}
