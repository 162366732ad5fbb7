/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu/prepare.h"

#include "launch/parts.h"

/* Blocks that share the rows to put among them; each looks at all picks. */
enum { PUT_BLOCKS = 64 };

static bool lay_rows(const struct vb_rows *rows, struct vb_picked_rows *out)
{
    struct vb_array along[VB_MAX_ALONG];
    struct vb_lying lying[VB_MAX_ALONG];
    const struct vb_array both[] = { rows->whole, rows->other };
    for (uint32_t i = 0; i < rows->n_indices; i++) {
        along[i] = rows->indices[i];
        out->sizes[i] = rows->whole.shape.dims[i];
        out->steps[i] = (uint32_t)rows->whole.strides[i];
    }
    along[rows->n_indices] = rows->other;
    if (!vb_lay_out(&rows->picks, along, &out->picks, lying))
        return false;
    for (uint32_t i = 0; i < rows->n_indices; i++)
        out->indices[i] = lying[i];
    out->other_of_pick = lying[rows->n_indices];
    if (!vb_lay_out(&rows->row, both, &out->row, lying))
        return false;
    out->whole = lying[0];
    out->other = lying[1];
    return true;
}

enum vb_status vb_launch_index(const struct vb_cpu_work *work, struct vb_launches *out,
                               struct vb_error *err)
{
    struct vb_rows rows;
    enum vb_status status = vb_prepare_index(work, &rows, err);
    if (status != VB_OK)
        return status;
    struct vb_picked_rows a = { .n_indices = rows.n_indices,
                                .in_floats = rows.compute == VB_FLOAT32,
                                .scratch = vb_scratch_of(work) };
    if (!lay_rows(&rows, &a))
        return vb_refuse_size(work, err);
    struct vb_launch *launch;
    uint64_t n = a.picks.n * a.row.n;
    if (rows.op == VB_OP_INDEX_PUT)
        launch = vb_add_blocks(out, VB_KERNEL_put_rows, n > 0 ? PUT_BLOCKS : 0, 1);
    else
        launch = vb_add_launch(
            out, rows.op == VB_OP_INDEX ? VB_KERNEL_read_rows : VB_KERNEL_add_rows, n);
    launch->arguments.read_rows = a;
    return VB_OK;
}
