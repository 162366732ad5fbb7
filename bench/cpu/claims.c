/* SPDX-License-Identifier: Apache-2.0 */
/* A block of places at a time, whose claims lie beside each other in each box's row. */

#include <math.h>

#include "cpu/kernel.h"
#include "cpu/parallel.h"
#include "cpu/prepare.h"

enum { B, K, N, BLOCK = 64, GRAIN_ELEMENTS = 32768 };

struct claims {
    struct vb_array overlaps, claims; /* [b,k,n] */
    size_t blocks_a_row;
};

/* What is known of a block's places. */
struct found {
    float best[BLOCK];
    uint32_t owner[BLOCK], count[BLOCK];
};

static struct vb_strip row_of(const struct vb_array *array, size_t b, size_t k, size_t n)
{
    size_t offset = b * array->strides[B] + k * array->strides[K] + n * array->strides[N];
    return vb_strip_of(array, offset, array->strides[N]);
}

static bool find_owners(const struct claims *job, size_t b, size_t first, size_t n,
                        struct found *found)
{
    union vb_buffer buffers[2];
    bool is_disputed = false;
    for (uint32_t k = 0; k < job->claims.shape.dims[K]; k++) {
        struct vb_strip strips[] = { row_of(&job->overlaps, b, k, first),
                                     row_of(&job->claims, b, k, first) };
        const float *overlaps = vb_strip_read(&strips[0], n, VB_FLOAT32, &buffers[0]);
        const float *claims = vb_strip_read(&strips[1], n, VB_FLOAT32, &buffers[1]);
        for (size_t i = 0; i < n; i++) {
            bool is_best = k == 0 || overlaps[i] > found->best[i];
            found->best[i] = is_best ? overlaps[i] : found->best[i];
            found->owner[i] = is_best ? k : found->owner[i];
            found->count[i] += claims[i] != 0.0F;
            is_disputed |= found->count[i] > 1;
        }
    }
    return is_disputed;
}

static void resolve_block(const struct claims *job, size_t b, size_t first, size_t n)
{
    struct found found = { .best = { 0 } };
    if (!find_owners(job, b, first, n, &found))
        return;
    for (uint32_t k = 0; k < job->claims.shape.dims[K]; k++) {
        struct vb_strip row = row_of(&job->claims, b, k, first);
        for (size_t i = 0; i < n; i++) {
            const float claim = found.owner[i] == k ? 1.0F : 0.0F;
            struct vb_strip at = vb_strip_from(row, i);
            if (found.count[i] > 1)
                vb_strip_write(&at, 1, VB_FLOAT32, &claim);
        }
    }
}

static void resolve_stretch(void *context, size_t begin, size_t end)
{
    const struct claims *job = context;
    size_t row = job->claims.shape.dims[N];
    for (; begin < end; begin++) {
        size_t first = begin % job->blocks_a_row * BLOCK;
        resolve_block(job, begin / job->blocks_a_row, first,
                      row - first < BLOCK ? row - first : BLOCK);
    }
}

enum vb_status vb_prepare_claims(const struct vb_cpu_work *work, struct vb_array *arrays,
                                 struct vb_error *err)
{
    enum vb_status status = vb_arrays_of(work, 2, 0, arrays, err);
    if (status != VB_OK)
        return status;
    if (arrays[1].shape.n_dims != 3 || !vb_same_shape(&arrays[1].shape, &arrays[0].shape))
        return vb_refuse_shapes(work, err);
    if (!vb_is_float(&arrays[0]) || arrays[0].dtype != arrays[1].dtype)
        return vb_refuse_types(work, err);
    if (!vb_is_distinct(&arrays[1]))
        return vb_refuse_result(work, err);
    return VB_OK;
}

enum vb_status vb_run_resolve_claims(struct vb_cpu *cpu, const struct vb_cpu_work *work,
                                     struct vb_error *err)
{
    struct vb_array arrays[2];
    (void)cpu;
    enum vb_status status = vb_prepare_claims(work, arrays, err);
    if (status != VB_OK)
        return status;
    struct claims job = { .overlaps = arrays[0], .claims = arrays[1] };
    const struct vb_shape *shape = &job.claims.shape;
    if (vb_array_elements(&job.claims) == 0)
        return VB_OK;
    job.blocks_a_row = shape->dims[N] / BLOCK + (shape->dims[N] % BLOCK != 0);
    vb_parallel(shape->dims[B] * job.blocks_a_row,
                1 + GRAIN_ELEMENTS / ((size_t)BLOCK * shape->dims[K]), resolve_stretch, &job);
    return VB_OK;
}
