/* SPDX-License-Identifier: Apache-2.0 */
/* Reductions. The results are taken in blocks along the axis in which they lie in x, a sum for each
 * in double or int64. Where x's innermost axis goes, each result's elements are read in a run;
 * where it stays, a row of the block's results at a time: either way x is read as it lies.
 *
 * Where there are few results, what goes is cut into chunks for the threads. Their number follows
 * from the sizes alone, so sums do not depend on how many threads there are. */

#include <math.h>

#include "cpu/convert.h"
#include "cpu/kernel.h"
#include "cpu/parallel.h"
#include "cpu/prepare.h"

enum { BLOCK = 64, MOST_CHUNKS = 64, CHUNK_ELEMENTS = 32768, MANY_BLOCKS = 16 };

struct reduction {
    struct vb_reduction of;
    enum vb_operator op;
    size_t blocks_a_row; /* of the kept walk's innermost axis */
    /* Of the block that is cut into chunks: */
    size_t block, n_chunks;
    union vb_sum (*parts)[BLOCK];
};

/* Where a block lies. */
struct block {
    struct vb_strip x, y; /* of its first element of what goes, and its results */
    size_t n;
};

static struct block block_at(const struct reduction *r, size_t number)
{
    size_t inner = r->of.kept.sizes[0], start = number % r->blocks_a_row * BLOCK;
    struct vb_place place;
    vb_walk_seek(&r->of.kept, number / r->blocks_a_row * inner + start, &place);
    return (struct block){ vb_strip_of(&r->of.x, place.offsets[0], r->of.kept.strides[0][0]),
                           vb_strip_of(&r->of.y, place.offsets[1], r->of.kept.strides[1][0]),
                           vb_walk_run(&r->of.kept, &place, BLOCK) };
}

/* What goes from `begin` to `end`, into the block's sums. */
static void fold_rows(const struct reduction *r, const struct block *block, size_t begin,
                      size_t end, union vb_sum *sums)
{
    union vb_buffer buffer;
    struct vb_place place;
    vb_walk_seek(&r->of.gone, begin, &place);
    for (; begin < end; begin++) {
        struct vb_strip row = block->x;
        row.data += place.offsets[0] * vb_dtype_bytes[row.dtype];
        r->of.fold->row(sums, vb_strip_read(&row, block->n, r->of.compute, &buffer), block->n);
        vb_walk_advance(&r->of.gone, 1, &place);
    }
}

static void fold_runs(const struct reduction *r, const struct block *block, size_t begin,
                      size_t end, union vb_sum *sums)
{
    union vb_buffer buffer;
    for (size_t i = 0; i < block->n; i++) {
        struct vb_strip first = vb_strip_from(block->x, i);
        struct vb_place place;
        vb_walk_seek(&r->of.gone, begin, &place);
        for (size_t at = begin; at < end;) {
            size_t most = end - at < VB_STRIP ? end - at : VB_STRIP;
            size_t n = vb_walk_run(&r->of.gone, &place, most);
            struct vb_strip run = { first.data + place.offsets[0] * vb_dtype_bytes[first.dtype],
                                    first.dtype, r->of.gone.strides[0][0] };
            r->of.fold->run(&sums[i], vb_strip_read(&run, n, r->of.compute, &buffer), n);
            vb_walk_advance(&r->of.gone, n, &place);
            at += n;
        }
    }
}

static void fold(const struct reduction *r, const struct block *block, size_t begin, size_t end,
                 union vb_sum *sums)
{
    for (size_t i = 0; i < block->n; i++)
        sums[i] = r->of.fold->start;
    if (r->of.in_rows)
        fold_rows(r, block, begin, end, sums);
    else
        fold_runs(r, block, begin, end, sums);
}

static float finished(const struct reduction *r, double sum)
{
    if (r->op == VB_OP_MEAN)
        return (float)(sum / (double)r->of.n_gone);
    return (float)(r->op == VB_OP_NORM ? sqrt(sum) : sum);
}

static void finish(const struct reduction *r, const struct block *block, const union vb_sum *sums)
{
    union vb_buffer buffer;
    for (size_t i = 0; i < block->n; i++) {
        if (r->of.compute == VB_FLOAT32)
            buffer.floats[i] = finished(r, sums[i].real);
        else
            buffer.wholes[i] = sums[i].whole;
    }
    vb_strip_write(&block->y, block->n, r->of.compute, &buffer);
}

static void reduce_blocks(void *context, size_t begin, size_t end)
{
    const struct reduction *r = context;
    union vb_sum sums[BLOCK];
    for (size_t i = begin; i < end; i++) {
        struct block block = block_at(r, i);
        fold(r, &block, 0, r->of.n_gone, sums);
        finish(r, &block, sums);
    }
}

static void fold_chunks(void *context, size_t begin, size_t end)
{
    const struct reduction *r = context;
    struct block block = block_at(r, r->block);
    for (size_t i = begin; i < end; i++) {
        size_t size = r->of.n_gone / r->n_chunks, rest = r->of.n_gone % r->n_chunks;
        size_t from = i * size + (i < rest ? i : rest);
        fold(r, &block, from, from + size + (i < rest), r->parts[i]);
    }
}

static void reduce_by_chunks(struct reduction *r, size_t n_blocks)
{
    union vb_sum parts[MOST_CHUNKS][BLOCK];
    r->parts = parts;
    for (r->block = 0; r->block < n_blocks; r->block++) {
        struct block block = block_at(r, r->block);
        vb_parallel(r->n_chunks, 1, fold_chunks, r);
        for (size_t i = 1; i < r->n_chunks; i++)
            r->of.fold->combine(parts[0], parts[i], block.n);
        finish(r, &block, parts[0]);
    }
}

/* The axes of x that y has not become its own walk; on the other one x is seen without them. */
static void split_axes(struct vb_reduction *r)
{
    struct vb_array kept = r->x, gone = r->x;
    uint32_t missing = r->x.shape.n_dims - r->y.shape.n_dims;
    for (uint32_t i = 0; i < r->x.shape.n_dims; i++) {
        bool stays = i >= missing && r->y.shape.dims[i - missing] == r->x.shape.dims[i];
        if (stays)
            gone.shape.dims[i] = 1;
        else
            kept.shape.dims[i] = 1;
    }
    const struct vb_array both[] = { kept, r->y };
    vb_walk_along(&r->kept, &kept.shape, both, 2, 0);
    vb_walk_along(&r->gone, &gone.shape, &gone, 1, 0);
    r->n_gone = vb_walk_elements(&r->gone);
    r->in_rows = r->kept.sizes[0] > 1 &&
                 (r->gone.sizes[0] == 1 || r->kept.strides[0][0] < r->gone.strides[0][0]);
}

enum vb_status vb_prepare_reduction(const struct vb_cpu_work *work, struct vb_reduction *out,
                                    struct vb_error *err)
{
    struct vb_array arrays[2];
    enum vb_operator op = work->call->op;
    enum vb_status status = vb_arrays_of(work, 2, 0, arrays, err);
    if (status != VB_OK)
        return status;
    *out = (struct vb_reduction){ .x = arrays[0], .y = arrays[1] };
    out->compute = vb_compute_type(arrays, 2);
    out->fold = vb_fold_of(op, out->compute);
    if (out->fold == NULL)
        return vb_refuse_types(work, err);
    if (!vb_broadcasts_to(&out->y.shape, &out->x.shape))
        return vb_refuse_shapes(work, err);
    if (!vb_is_distinct(&out->y))
        return vb_refuse_result(work, err);
    split_axes(out);
    if (out->x.data == NULL) /* no element of it is read */
        out->x.data = out->y.data;
    if (op == VB_OP_MAX_OF && out->n_gone == 0 && vb_array_elements(&out->y) > 0)
        return vb_refuse(work, "is the largest of nothing", err);
    return VB_OK;
}

static void reduce(struct reduction *r)
{
    size_t n_kept = vb_walk_elements(&r->of.kept);
    if (n_kept == 0)
        return;
    r->blocks_a_row = r->of.kept.sizes[0] / BLOCK + (r->of.kept.sizes[0] % BLOCK != 0);
    size_t n_blocks = n_kept / r->of.kept.sizes[0] * r->blocks_a_row;
    size_t block = r->of.kept.sizes[0] < BLOCK ? r->of.kept.sizes[0] : BLOCK;
    size_t chunks = r->of.n_gone / (CHUNK_ELEMENTS / block) + 1;
    r->n_chunks = chunks < MOST_CHUNKS ? chunks : MOST_CHUNKS;
    if (n_blocks < MANY_BLOCKS && r->n_chunks > 1)
        reduce_by_chunks(r, n_blocks);
    else
        vb_parallel(n_blocks, 1 + CHUNK_ELEMENTS / (block * (r->of.n_gone + 1)), reduce_blocks, r);
}

enum vb_status vb_run_reduction(struct vb_cpu *cpu, const struct vb_cpu_work *work,
                                struct vb_error *err)
{
    struct reduction r = { .op = work->call->op };
    (void)cpu;
    enum vb_status status = vb_prepare_reduction(work, &r.of, err);
    if (status == VB_OK)
        reduce(&r);
    return status;
}
