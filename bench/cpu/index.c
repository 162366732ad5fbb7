/* SPDX-License-Identifier: Apache-2.0 */
/* Rows picked by index tensors, read or written. A walk over the index's shape gives for each row
 * where it lies, a second walk goes along the row. Rows are written one after the other, for two
 * may be one. */

#include "cpu/kernel.h"
#include "cpu/parallel.h"
#include "cpu/prepare.h"

enum { GRAIN_ELEMENTS = 8192 };

static void add_run(const struct vb_rows *rows, const struct vb_strip *from,
                    const struct vb_strip *to, size_t n)
{
    union vb_buffer buffers[2];
    void *sums = vb_strip_read(to, n, rows->compute, &buffers[0]);
    const void *more = vb_strip_read(from, n, rows->compute, &buffers[1]);
    for (size_t i = 0; i < n; i++) {
        if (rows->compute == VB_FLOAT32)
            ((float *)sums)[i] += ((const float *)more)[i];
        else
            ((uint64_t *)sums)[i] += ((const uint64_t *)more)[i];
    }
    if (!vb_strip_is_direct(to, rows->compute))
        vb_strip_write(to, n, rows->compute, sums);
}

/* The row `in_whole` and `in_other` elements from the first. */
static void move_row(const struct vb_rows *rows, size_t in_whole, size_t in_other)
{
    struct vb_place place;
    vb_walk_seek(&rows->row, 0, &place);
    for (size_t left = rows->row_elements; left > 0;) {
        size_t n = vb_walk_run(&rows->row, &place, left < VB_STRIP ? left : VB_STRIP);
        struct vb_strip whole =
            vb_strip_of(&rows->whole, in_whole + place.offsets[0], rows->row.strides[0][0]);
        struct vb_strip other =
            vb_strip_of(&rows->other, in_other + place.offsets[1], rows->row.strides[1][0]);
        if (rows->op == VB_OP_INDEX)
            vb_strip_copy(&whole, &other, n);
        else if (rows->op == VB_OP_INDEX_PUT)
            vb_strip_copy(&other, &whole, n);
        else
            add_run(rows, &other, &whole, n);
        vb_walk_advance(&rows->row, n, &place);
        left -= n;
    }
}

static void move_rows(void *context, size_t begin, size_t end)
{
    const struct vb_rows *rows = context;
    struct vb_place place;
    vb_walk_seek(&rows->picks, begin, &place);
    for (; begin < end; begin++) {
        size_t in_whole = 0;
        for (uint32_t i = 0; i < rows->n_indices; i++)
            in_whole +=
                (size_t)vb_whole_at(&rows->indices[i], place.offsets[i]) * rows->whole.strides[i];
        move_row(rows, in_whole, place.offsets[rows->n_indices]);
        vb_walk_advance(&rows->picks, 1, &place);
    }
}

/* Broadcast together; false where they do not go together. */
static bool shape_of_index(const struct vb_rows *rows, struct vb_shape *out)
{
    *out = (struct vb_shape){ 0 };
    for (uint32_t i = 0; i < rows->n_indices; i++) {
        const struct vb_shape *shape = &rows->indices[i].shape;
        if (vb_broadcasts_to(out, shape))
            *out = *shape;
        else if (!vb_broadcasts_to(shape, out))
            return false;
    }
    return true;
}

/* The walks. The other's shape is that of the index, then the row's. */
static enum vb_status plan_walks(const struct vb_cpu_work *work, struct vb_rows *rows,
                                 struct vb_error *err)
{
    struct vb_shape index, all;
    struct vb_array along[VB_MAX_ALONG];
    struct vb_array row = vb_without_first(&rows->whole, rows->n_indices);
    if (!shape_of_index(rows, &index) || index.n_dims + row.shape.n_dims > VB_MAX_DIMS)
        return vb_refuse_shapes(work, err);
    all = index;
    for (uint32_t i = 0; i < row.shape.n_dims; i++)
        all.dims[all.n_dims++] = row.shape.dims[i];
    bool fits = rows->op == VB_OP_INDEX ? vb_same_shape(&rows->other.shape, &all)
                                        : vb_broadcasts_to(&rows->other.shape, &all);
    if (!fits)
        return vb_refuse_shapes(work, err);
    rows->other = vb_array_expanded(&rows->other, &all);
    for (uint32_t i = 0; i < rows->n_indices; i++)
        along[i] = rows->indices[i];
    along[rows->n_indices] = rows->other;
    along[rows->n_indices].shape = index;
    vb_walk_in_order(&rows->picks, &index, along, rows->n_indices + 1);
    const struct vb_array both[] = { row, vb_without_first(&rows->other, index.n_dims) };
    vb_walk_along(&rows->row, &row.shape, both, 2, rows->op == VB_OP_INDEX ? 1 : 0);
    rows->row_elements = vb_walk_elements(&rows->row);
    return VB_OK;
}

static enum vb_status check_types(const struct vb_cpu_work *work, const struct vb_rows *rows,
                                  struct vb_error *err)
{
    const struct vb_array *result = rows->op == VB_OP_INDEX ? &rows->other : &rows->whole;
    if (!vb_is_distinct(result))
        return vb_refuse_result(work, err);
    for (uint32_t i = 0; i < rows->n_indices; i++) {
        if (rows->indices[i].dtype != VB_INT64)
            return vb_refuse_types(work, err);
    }
    return VB_OK;
}

enum vb_status vb_prepare_index(const struct vb_cpu_work *work, struct vb_rows *out,
                                struct vb_error *err)
{
    struct vb_array arrays[VB_MAX_OPERANDS];
    uint32_t n = work->call->n_operands;
    if (n < 3 || n > VB_MAX_DIMS + 2)
        return vb_refuse(work, "takes another number of operands", err);
    enum vb_status status = vb_arrays_of(work, n, 0, arrays, err);
    if (status != VB_OK)
        return status;
    *out = (struct vb_rows){ .op = work->call->op, .n_indices = n - 2 };
    out->whole = out->op == VB_OP_INDEX ? arrays[0] : arrays[n - 1];
    out->other = out->op == VB_OP_INDEX ? arrays[n - 1] : arrays[0];
    const struct vb_array both[] = { out->whole, out->other };
    out->compute = vb_compute_type(both, 2);
    for (uint32_t i = 0; i < out->n_indices; i++)
        out->indices[i] = arrays[1 + i];
    if (out->n_indices > out->whole.shape.n_dims)
        return vb_refuse_shapes(work, err);
    status = check_types(work, out, err);
    return status == VB_OK ? plan_walks(work, out, err) : status;
}

enum vb_status vb_run_index(struct vb_cpu *cpu, const struct vb_cpu_work *work,
                            struct vb_error *err)
{
    struct vb_rows rows;
    (void)cpu;
    enum vb_status status = vb_prepare_index(work, &rows, err);
    for (uint32_t i = 0; status == VB_OK && i < rows.n_indices; i++)
        status = vb_check_places(work, &rows.indices[i], rows.whole.shape.dims[i], err);
    if (status != VB_OK)
        return status;
    size_t n_rows = vb_walk_elements(&rows.picks);
    bool in_parts = rows.op == VB_OP_INDEX;
    vb_parallel(n_rows, in_parts ? 1 + GRAIN_ELEMENTS / (rows.row_elements + 1) : n_rows + 1,
                move_rows, &rows);
    return VB_OK;
}
