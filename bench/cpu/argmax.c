/* SPDX-License-Identifier: Apache-2.0 */
/* Places of the largest: as in reduce.c a block of results at a time, a row of candidates for all
 * of them. What is no number counts as the largest, as it does in PyTorch. */

#include <math.h>

#include "cpu/kernel.h"
#include "cpu/parallel.h"
#include "cpu/prepare.h"

enum { BLOCK = 64, GRAIN_ELEMENTS = 32768 };

static void take_floats(const float *row, size_t n, size_t place, float *best, int64_t *places)
{
    for (size_t i = 0; i < n; i++) {
        bool is_larger = place == 0 || row[i] > best[i] || (isnan(row[i]) && !isnan(best[i]));
        best[i] = is_larger ? row[i] : best[i];
        places[i] = is_larger ? (int64_t)place : places[i];
    }
}

static void take_wholes(const int64_t *row, size_t n, size_t place, int64_t *best, int64_t *places)
{
    for (size_t i = 0; i < n; i++) {
        bool is_larger = place == 0 || row[i] > best[i];
        best[i] = is_larger ? row[i] : best[i];
        places[i] = is_larger ? (int64_t)place : places[i];
    }
}

static void find_block(const struct vb_argmax_job *job, const struct vb_place *place, size_t n)
{
    union vb_buffer buffer, best = { { 0 } };
    int64_t places[BLOCK] = { 0 };
    struct vb_strip row = vb_strip_of(&job->x, place->offsets[0], job->walk.strides[0][0]);
    const struct vb_strip y = vb_strip_of(&job->y, place->offsets[1], job->walk.strides[1][0]);
    for (size_t i = 0; i < job->n; i++) {
        const void *values = vb_strip_read(&row, n, job->compute, &buffer);
        if (job->compute == VB_FLOAT32)
            take_floats(values, n, i, best.floats, places);
        else
            take_wholes(values, n, i, best.wholes, places);
        row.data += job->stride * vb_dtype_bytes[row.dtype];
    }
    vb_strip_write(&y, n, VB_INT64, places);
}

static void find_stretch(void *context, size_t begin, size_t end)
{
    const struct vb_argmax_job *job = context;
    struct vb_place place;
    vb_walk_seek(&job->walk, begin, &place);
    while (begin < end) {
        size_t n = vb_walk_run(&job->walk, &place, end - begin < BLOCK ? end - begin : BLOCK);
        find_block(job, &place, n);
        vb_walk_advance(&job->walk, n, &place);
        begin += n;
    }
}

/* How many axes go; the last of them is the job's. */
static uint32_t find_axis(struct vb_argmax_job *job)
{
    uint32_t n = 0, missing = job->x.shape.n_dims - job->y.shape.n_dims;
    job->n = 1;
    for (uint32_t i = 0; i < job->x.shape.n_dims; i++) {
        if (job->x.shape.dims[i] == 1 ||
            (i >= missing && job->y.shape.dims[i - missing] == job->x.shape.dims[i]))
            continue;
        job->n = job->x.shape.dims[i];
        job->stride = job->x.strides[i];
        job->x.shape.dims[i] = 1;
        n++;
    }
    return n;
}

enum vb_status vb_prepare_argmax(const struct vb_cpu_work *work, struct vb_argmax_job *out,
                                 struct vb_error *err)
{
    struct vb_array arrays[2];
    enum vb_status status = vb_arrays_of(work, 2, 0, arrays, err);
    if (status != VB_OK)
        return status;
    *out = (struct vb_argmax_job){ .x = arrays[0],
                                   .y = arrays[1],
                                   .compute = vb_compute_type(arrays, 1) };
    if (out->y.dtype != VB_INT64)
        return vb_refuse_types(work, err);
    if (!vb_broadcasts_to(&out->y.shape, &out->x.shape) || find_axis(out) > 1)
        return vb_refuse_shapes(work, err);
    if (!vb_is_distinct(&out->y))
        return vb_refuse_result(work, err);
    if (out->n == 0 && vb_array_elements(&out->y) > 0)
        return vb_refuse(work, "is the largest of nothing", err);
    const struct vb_array both[] = { out->x, out->y };
    vb_walk_along(&out->walk, &out->x.shape, both, 2, 0);
    return VB_OK;
}

enum vb_status vb_run_argmax(struct vb_cpu *cpu, const struct vb_cpu_work *work,
                             struct vb_error *err)
{
    struct vb_argmax_job job;
    (void)cpu;
    enum vb_status status = vb_prepare_argmax(work, &job, err);
    if (status == VB_OK)
        vb_parallel(vb_walk_elements(&job.walk), 1 + GRAIN_ELEMENTS / (job.n + 1), find_stretch,
                    &job);
    return status;
}
