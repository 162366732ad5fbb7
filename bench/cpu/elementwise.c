/* SPDX-License-Identifier: Apache-2.0 */
/* The engine: a walk along the result, cut into strips that fit the cache. Operands that are fp32
 * without gaps are computed where they lie, others go through a buffer; so each operator is one
 * simple loop for all types and strides. */

#include "cpu/elementwise.h"

#include <math.h>

#include "cpu/convert.h"
#include "cpu/parallel.h"
#include "cpu/strip.h"

/* Elements that are worth another thread. */
enum { GRAIN = 16384 };

struct vb_numbers vb_numbers_of(const struct vb_cpu_work *work)
{
    double a = work->call->a, b = work->call->b;
    return (struct vb_numbers){ .a = a,
                                .b = b,
                                .whole_a = vb_whole_of_float(ceil(a)),
                                .whole_b = vb_whole_of_float(floor(b)),
                                .update = work->update };
}

/* A number that is read again and again is in its buffer already after the first time. */
struct repeated {
    const char *data;
    size_t n;
};

static void *open_strip(const struct vb_strip_job *job, uint32_t i, const struct vb_strip *strip,
                        size_t n, union vb_buffer *buffer, struct repeated *repeated)
{
    if (vb_strip_is_direct(strip, job->compute))
        return strip->data;
    if ((job->use.reads >> i & 1U) == 0)
        return buffer;
    bool repeats = strip->stride == 0 && (job->use.writes >> i & 1U) == 0;
    if (repeats && repeated->data == strip->data && n <= repeated->n)
        return buffer;
    *repeated = repeats ? (struct repeated){ strip->data, n } : (struct repeated){ 0 };
    return vb_strip_read(strip, n, job->compute, buffer);
}

static void run_strip(const struct vb_strip_job *job, const struct vb_place *place, size_t n,
                      union vb_buffer *buffers, struct repeated *repeated)
{
    struct vb_strip strips[VB_MAX_STRIPS];
    void *open[VB_MAX_STRIPS];
    for (uint32_t i = 0; i < job->use.n; i++) {
        strips[i] = vb_strip_of(&job->arrays[i], place->offsets[i], job->walk.strides[i][0]);
        open[i] = open_strip(job, i, &strips[i], n, &buffers[i], &repeated[i]);
    }
    job->function(open, n, &job->numbers);
    for (uint32_t i = 0; i < job->use.n; i++) {
        if ((job->use.writes >> i & 1U) == 1 && !vb_strip_is_direct(&strips[i], job->compute))
            vb_strip_write(&strips[i], n, job->compute, open[i]);
    }
}

static void run_stretch(void *context, size_t begin, size_t end)
{
    const struct vb_strip_job *job = context;
    union vb_buffer buffers[VB_MAX_STRIPS];
    struct repeated repeated[VB_MAX_STRIPS] = { 0 };
    struct vb_place place;
    vb_walk_seek(&job->walk, begin, &place);
    while (begin < end) {
        size_t most = end - begin < VB_STRIP ? end - begin : VB_STRIP;
        size_t n = vb_walk_run(&job->walk, &place, most);
        run_strip(job, &place, n, buffers, repeated);
        vb_walk_advance(&job->walk, n, &place);
        begin += n;
    }
}

enum vb_status vb_walk_strips(const struct vb_cpu_work *work, struct vb_strip_job *job,
                              uint32_t leader, struct vb_error *err)
{
    const struct vb_shape *shape = &job->arrays[leader].shape;
    for (uint32_t i = 0; i < job->use.n; i++) {
        const struct vb_array *array = &job->arrays[i];
        bool writes = (job->use.writes >> i & 1U) == 1;
        if (!vb_broadcasts_to(&array->shape, shape))
            return vb_refuse_shapes(work, err);
        if (writes && (!vb_is_distinct(array) ||
                       vb_array_elements(array) != vb_array_elements(&job->arrays[leader])))
            return vb_refuse_result(work, err);
    }
    vb_walk_along(&job->walk, shape, job->arrays, job->use.n, leader);
    return VB_OK;
}

void vb_run_strips(struct vb_strip_job *job)
{
    vb_parallel(vb_walk_elements(&job->walk), GRAIN, run_stretch, job);
}

static struct vb_strip_use use_of(enum vb_operator op)
{
    static const struct vb_strip_use of_one = { 2, 1, 2 }, of_two = { 3, 3, 4 };
    if (op == VB_OP_FILL)
        return (struct vb_strip_use){ 1, 0, 1 };
    if (op == VB_OP_WHERE)
        return (struct vb_strip_use){ 4, 7, 8 };
    if (op == VB_OP_MASKED_FILL)
        return (struct vb_strip_use){ 2, 3, 2 };
    bool two = (op >= VB_OP_ADD && op <= VB_OP_LESS) || op == VB_OP_SIGMOID_BACKWARD ||
               op == VB_OP_SILU_BACKWARD || op == VB_OP_RELU_BACKWARD || op == VB_OP_MIX;
    return two ? of_two : of_one;
}

/* Operators that compute with a, which int64 arithmetic has to be able to hold. */
static bool takes_a(enum vb_operator op)
{
    return op == VB_OP_FILL || op == VB_OP_MASKED_FILL || op == VB_OP_ADD_SCALED ||
           op == VB_OP_ADD_NUMBER || op == VB_OP_MUL_NUMBER || op == VB_OP_SUBTRACT_FROM ||
           op == VB_OP_REMAINDER;
}

enum vb_status vb_prepare_elementwise(const struct vb_cpu_work *work, struct vb_strip_job *job,
                                      struct vb_error *err)
{
    enum vb_operator op = work->call->op;
    *job = (struct vb_strip_job){ .use = use_of(op), .numbers = vb_numbers_of(work) };
    enum vb_status status = vb_arrays_of(work, job->use.n, 0, job->arrays, err);
    if (status != VB_OK)
        return status;
    job->compute = vb_compute_type(job->arrays, job->use.n);
    if (op == VB_OP_MIX) /* of bytes, and not of whole shares */
        job->compute = VB_FLOAT32;
    bool in_floats = job->compute == VB_FLOAT32;
    job->function = in_floats ? vb_float_strips[op] : vb_whole_strips[op];
    if (job->function == NULL)
        return vb_refuse_types(work, err);
    if (!in_floats && takes_a(op) && job->numbers.a != (double)job->numbers.whole_a)
        return vb_refuse(work, "has a number that is not whole for whole ones", err);
    if (!in_floats && op == VB_OP_REMAINDER && job->numbers.whole_a == 0)
        return vb_refuse(work, "divides by 0", err);
    return vb_walk_strips(work, job, job->use.n - 1, err);
}

enum vb_status vb_run_elementwise(struct vb_cpu *cpu, const struct vb_cpu_work *work,
                                  struct vb_error *err)
{
    struct vb_strip_job job;
    (void)cpu;
    enum vb_status status = vb_prepare_elementwise(work, &job, err);
    if (status == VB_OK)
        vb_run_strips(&job);
    return status;
}
