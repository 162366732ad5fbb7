/* SPDX-License-Identifier: Apache-2.0 */
/* Reductions. The results are taken in blocks along the axis in which they lie in x, a sum for each
 * in double or int64. Where x's innermost axis goes, each result's elements are read in a run;
 * where it stays, a row of the block's results at a time: either way x is read as it lies.
 *
 * Where there are few results, what goes is cut into chunks for the threads. Their number follows
 * from the sizes alone, so sums do not depend on how many threads there are. */

#include <math.h>

#include "cpu/array.h"
#include "cpu/convert.h"
#include "cpu/fold.h"
#include "cpu/kernel.h"
#include "cpu/parallel.h"

enum { BLOCK = 64, MOST_CHUNKS = 64, CHUNK_ELEMENTS = 32768, MANY_BLOCKS = 16 };

struct reduction {
    enum vb_operator op;
    struct vb_array x, y;
    struct vb_walk kept; /* arrays: x, y */
    struct vb_walk gone; /* array: x */
    size_t n_gone;
    size_t blocks_a_row; /* of the kept walk's innermost axis */
    bool in_rows;        /* the innermost axis stays */
    enum vb_dtype compute;
    const struct vb_fold *fold;
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
    size_t inner = r->kept.sizes[0], start = number % r->blocks_a_row * BLOCK;
    struct vb_place place;
    vb_walk_seek(&r->kept, number / r->blocks_a_row * inner + start, &place);
    return (struct block){ vb_strip_of(&r->x, place.offsets[0], r->kept.strides[0][0]),
                           vb_strip_of(&r->y, place.offsets[1], r->kept.strides[1][0]),
                           vb_walk_run(&r->kept, &place, BLOCK) };
}

/* What goes from `begin` to `end`, into the block's sums. */
static void fold_rows(const struct reduction *r, const struct block *block, size_t begin,
                      size_t end, union vb_sum *sums)
{
    union vb_buffer buffer;
    struct vb_place place;
    vb_walk_seek(&r->gone, begin, &place);
    for (; begin < end; begin++) {
        struct vb_strip row = block->x;
        row.data += place.offsets[0] * vb_dtype_bytes[row.dtype];
        r->fold->row(sums, vb_strip_read(&row, block->n, r->compute, &buffer), block->n);
        vb_walk_advance(&r->gone, 1, &place);
    }
}

static void fold_runs(const struct reduction *r, const struct block *block, size_t begin,
                      size_t end, union vb_sum *sums)
{
    union vb_buffer buffer;
    for (size_t i = 0; i < block->n; i++) {
        struct vb_strip first = vb_strip_from(block->x, i);
        struct vb_place place;
        vb_walk_seek(&r->gone, begin, &place);
        for (size_t at = begin; at < end;) {
            size_t most = end - at < VB_STRIP ? end - at : VB_STRIP;
            size_t n = vb_walk_run(&r->gone, &place, most);
            struct vb_strip run = { first.data + place.offsets[0] * vb_dtype_bytes[first.dtype],
                                    first.dtype, r->gone.strides[0][0] };
            r->fold->run(&sums[i], vb_strip_read(&run, n, r->compute, &buffer), n);
            vb_walk_advance(&r->gone, n, &place);
            at += n;
        }
    }
}

static void fold(const struct reduction *r, const struct block *block, size_t begin, size_t end,
                 union vb_sum *sums)
{
    for (size_t i = 0; i < block->n; i++)
        sums[i] = r->fold->start;
    if (r->in_rows)
        fold_rows(r, block, begin, end, sums);
    else
        fold_runs(r, block, begin, end, sums);
}

static float finished(const struct reduction *r, double sum)
{
    if (r->op == VB_OP_MEAN)
        return (float)(sum / (double)r->n_gone);
    return (float)(r->op == VB_OP_NORM ? sqrt(sum) : sum);
}

static void finish(const struct reduction *r, const struct block *block, const union vb_sum *sums)
{
    union vb_buffer buffer;
    for (size_t i = 0; i < block->n; i++) {
        if (r->compute == VB_FLOAT32)
            buffer.floats[i] = finished(r, sums[i].real);
        else
            buffer.wholes[i] = sums[i].whole;
    }
    vb_strip_write(&block->y, block->n, r->compute, &buffer);
}

static void reduce_blocks(void *context, size_t begin, size_t end)
{
    const struct reduction *r = context;
    union vb_sum sums[BLOCK];
    for (size_t i = begin; i < end; i++) {
        struct block block = block_at(r, i);
        fold(r, &block, 0, r->n_gone, sums);
        finish(r, &block, sums);
    }
}

static void fold_chunks(void *context, size_t begin, size_t end)
{
    const struct reduction *r = context;
    struct block block = block_at(r, r->block);
    for (size_t i = begin; i < end; i++) {
        size_t size = r->n_gone / r->n_chunks, rest = r->n_gone % r->n_chunks;
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
            r->fold->combine(parts[0], parts[i], block.n);
        finish(r, &block, parts[0]);
    }
}

/* The axes of x that y has not become its own walk; on the other one x is seen without them. */
static void split_axes(struct reduction *r)
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
    r->blocks_a_row = r->kept.sizes[0] / BLOCK + (r->kept.sizes[0] % BLOCK != 0);
    r->in_rows = r->kept.sizes[0] > 1 &&
                 (r->gone.sizes[0] == 1 || r->kept.strides[0][0] < r->gone.strides[0][0]);
}

static void reduce(struct reduction *r)
{
    size_t n_kept = vb_walk_elements(&r->kept);
    if (n_kept == 0)
        return;
    size_t n_blocks = n_kept / r->kept.sizes[0] * r->blocks_a_row;
    size_t block = r->kept.sizes[0] < BLOCK ? r->kept.sizes[0] : BLOCK;
    size_t chunks = r->n_gone / (CHUNK_ELEMENTS / block) + 1;
    r->n_chunks = chunks < MOST_CHUNKS ? chunks : MOST_CHUNKS;
    if (n_blocks < MANY_BLOCKS && r->n_chunks > 1)
        reduce_by_chunks(r, n_blocks);
    else
        vb_parallel(n_blocks, 1 + CHUNK_ELEMENTS / (block * (r->n_gone + 1)), reduce_blocks, r);
}

enum vb_status vb_run_reduction(struct vb_cpu *cpu, const struct vb_cpu_work *work,
                                struct vb_error *err)
{
    struct vb_array arrays[2];
    (void)cpu;
    enum vb_status status = vb_arrays_of(work, 2, 0, arrays, err);
    if (status != VB_OK)
        return status;
    struct reduction r = { .op = work->call->op, .x = arrays[0], .y = arrays[1] };
    r.compute = vb_compute_type(arrays, 2);
    r.fold = vb_fold_of(r.op, r.compute);
    if (r.fold == NULL)
        return vb_refuse_types(work, err);
    if (!vb_broadcasts_to(&r.y.shape, &r.x.shape))
        return vb_refuse_shapes(work, err);
    if (!vb_is_distinct(&r.y))
        return vb_refuse_result(work, err);
    split_axes(&r);
    if (r.x.data == NULL) /* no element of it is read */
        r.x.data = r.y.data;
    if (r.op == VB_OP_MAX_OF && r.n_gone == 0 && vb_array_elements(&r.y) > 0)
        return vb_refuse(work, "is the largest of nothing", err);
    reduce(&r);
    return VB_OK;
}
