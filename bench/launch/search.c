/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu/prepare.h"

#include "launch/parts.h"

/* How the mask is cut. */
static void cut(struct vb_search *a)
{
    uint64_t tiles = a->axes.n / VB_TILE + (a->axes.n % VB_TILE != 0);
    a->tiles_a_chunk = tiles / VB_MOST_CHUNKS + 1;
    a->n_chunks = (uint32_t)((tiles + a->tiles_a_chunk - 1) / a->tiles_a_chunk);
}

enum vb_status vb_launch_nonzero(const struct vb_cpu_work *work, struct vb_launches *out,
                                 struct vb_error *err)
{
    struct vb_array arrays[2];
    struct vb_walk walk;
    const struct vb_array *mask = &arrays[0], *places = &arrays[1];
    enum vb_status status = vb_prepare_nonzero(work, arrays, err);
    if (status != VB_OK)
        return status;
    struct vb_search a = { .n_dims = mask->shape.n_dims,
                           .places = (int64_t *)(void *)places->data,
                           .row_step = (uint32_t)places->strides[0],
                           .axis_step = (uint32_t)places->strides[1],
                           .room = places->shape.dims[0],
                           .fills = work->call->op == VB_OP_NONZERO_FILL,
                           .scratch = vb_scratch_of(work) };
    if (a.room > vb_array_elements(mask))
        return vb_refuse(work, "has room for more places than its mask has elements", err);
    for (uint32_t i = 0; i < a.n_dims; i++)
        a.dims[i] = mask->shape.dims[i];
    vb_walk_in_order(&walk, &mask->shape, mask, 1);
    if (!vb_lay_out(&walk, mask, &a.axes, &a.mask))
        return vb_refuse_size(work, err);
    cut(&a);
    /* Of no elements there is nothing to look for, and no room. */
    vb_add_blocks(out, VB_KERNEL_count_true, a.n_chunks, 1)->arguments.count_true = a;
    if (a.n_chunks == 0)
        return VB_OK;
    vb_add_blocks(out, VB_KERNEL_add_counts, 1, 1)->arguments.add_counts = a;
    vb_add_blocks(out, VB_KERNEL_write_true, a.n_chunks, 1)->arguments.write_true = a;
    return VB_OK;
}

static struct vb_listed listed(const struct vb_array *array)
{
    return (struct vb_listed){ array->data, (uint32_t)array->dtype, (uint32_t)array->strides[0] };
}

enum vb_status vb_launch_unique(const struct vb_cpu_work *work, struct vb_launches *out,
                                struct vb_error *err)
{
    enum { X, VALUES, PLACES, COUNTS };
    struct vb_array arrays[4];
    enum vb_status status = vb_prepare_unique(work, arrays, err);
    if (status != VB_OK)
        return status;
    struct vb_find_unique a = { .x = listed(&arrays[X]),
                                .values = listed(&arrays[VALUES]),
                                .places = listed(&arrays[PLACES]),
                                .counts = listed(&arrays[COUNTS]),
                                .n = arrays[X].shape.dims[0],
                                .room = arrays[VALUES].shape.dims[0],
                                .scratch = vb_scratch_of(work) };
    vb_add_blocks(out, VB_KERNEL_unique, 1, 1)->arguments.unique = a;
    if (arrays[PLACES].is_given || arrays[COUNTS].is_given)
        vb_add_launch(out, VB_KERNEL_unique_places, a.n)->arguments.unique_places = a;
    return VB_OK;
}
