/* SPDX-License-Identifier: Apache-2.0 */
/* The update of a parameter: functions of strips, which the engine of elementwise.c runs. Where a
 * gradient was infinite the whole update is left out. */

#include <math.h>
#include <string.h>

#include "cpu/clones.h"
#include "cpu/elementwise.h"

#define VECTORS _Pragma("omp simd")

/* direction, momentum, step, parameter */
VB_CLONES static void nesterov(void *const *strips, size_t n, const struct vb_numbers *numbers)
{
    const float a = (float)numbers->a, b = (float)numbers->b;
    const float *direction = strips[0];
    float *momentum = strips[1], *step = strips[2], *parameter = strips[3];
    VECTORS for (size_t i = 0; i < n; i++)
    {
        float d = direction[i], m = b * momentum[i] + d;
        momentum[i] = m;
        step[i] = d + b * m;
        parameter[i] -= a * (d + b * m);
    }
}

/* direction, momentum, parameter */
VB_CLONES static void sgd(void *const *strips, size_t n, const struct vb_numbers *numbers)
{
    const float a = (float)numbers->a, b = (float)numbers->b;
    const float *direction = strips[0];
    float *momentum = strips[1], *parameter = strips[2];
    VECTORS for (size_t i = 0; i < n; i++)
    {
        float m = b * momentum[i] + direction[i];
        momentum[i] = m;
        parameter[i] -= a * m;
    }
}

/* gradient, mean, squares */
VB_CLONES static void adam_moments(void *const *strips, size_t n, const struct vb_numbers *numbers)
{
    const float a = (float)numbers->a, b = (float)numbers->b;
    const float of_mean = (float)(1 - numbers->a), of_square = (float)(1 - numbers->b);
    const float *gradient = strips[0];
    float *mean = strips[1], *squares = strips[2];
    VECTORS for (size_t i = 0; i < n; i++)
    {
        float g = gradient[i];
        mean[i] = a * mean[i] + of_mean * g;
        squares[i] = b * squares[i] + of_square * g * g;
    }
}

/* mean, root of the squares, denominator, parameter */
VB_CLONES static void adam_step(void *const *strips, size_t n, const struct vb_numbers *numbers)
{
    const float rate = (float)numbers->a, start = (float)numbers->b;
    const float *mean = strips[0], *root = strips[1];
    float *denominator = strips[2], *parameter = strips[3];
    VECTORS for (size_t i = 0; i < n; i++)
    {
        float d = root[i] / start + (float)VB_ADAM_EPSILON, m = mean[i];
        denominator[i] = d;
        parameter[i] -= rate * m / d;
    }
}

VB_CLONES static void decay(void *const *strips, size_t n, const struct vb_numbers *numbers)
{
    const float a = (float)numbers->a;
    float *parameter = strips[0];
    for (size_t i = 0; i < n; i++)
        parameter[i] *= a;
}

/* norm, gradient */
VB_CLONES static void clip(void *const *strips, size_t n, const struct vb_numbers *numbers)
{
    const float a = (float)numbers->a;
    const float *norm = strips[0];
    float *gradient = strips[1];
    VECTORS for (size_t i = 0; i < n; i++)
    {
        float share = a / (norm[i] + 1e-6F), g = gradient[i];
        gradient[i] = g * (share > 1.0F ? 1.0F : share);
    }
}

/* inverse, gradient. A difference of a number with itself is 0 where that is finite. */
VB_CLONES static void unscale(void *const *strips, size_t n, const struct vb_numbers *numbers)
{
    const float *inverse = strips[0];
    float *gradient = strips[1], rest = 0;
    for (size_t i = 0; i < n; i++)
        rest += gradient[i] - gradient[i];
    VECTORS for (size_t i = 0; i < n; i++)
    {
        float g = gradient[i];
        gradient[i] = g * inverse[i];
    }
    if (isnan(rest))
        atomic_store(numbers->found, true);
}

/* parameter, product, average */
VB_CLONES static void average(void *const *strips, size_t n, const struct vb_numbers *numbers)
{
    const float kept = (float)numbers->a, taken = (float)(1 - numbers->a);
    const float *parameter = strips[0];
    float *product = strips[1], *of_all = strips[2];
    VECTORS for (size_t i = 0; i < n; i++)
    {
        float p = taken * parameter[i], before = of_all[i];
        product[i] = p;
        of_all[i] = kept * before + p;
    }
}

/* What an update has to do with `found`, operand 0 where it is asked, the last where it is told. */
enum found_use { NOTHING, ASKS, TELLS };

struct update {
    vb_strip_function *function;
    struct vb_strip_use use; /* of the strips */
    enum found_use found;
};

static const struct update updates[VB_N_OPERATORS] = {
    [VB_OP_SGD] = { nesterov, { 4, 11, 14 }, ASKS },
    [VB_OP_ADAM_MOMENTS] = { adam_moments, { 3, 7, 6 }, ASKS },
    [VB_OP_ADAM_STEP] = { adam_step, { 4, 11, 12 }, ASKS },
    [VB_OP_DECAY] = { decay, { 1, 1, 1 }, ASKS },
    [VB_OP_CLIP] = { clip, { 2, 3, 2 }, NOTHING },
    [VB_OP_UNSCALE] = { unscale, { 2, 3, 2 }, TELLS },
    [VB_OP_EMA] = { average, { 3, 5, 6 }, NOTHING },
};

static bool is_found(const struct vb_array *found)
{
    return found->is_given && found->data != NULL && vb_float_at(found, 0) != 0.0F;
}

/* a and b of Adam's step are its rate, and what the squares are not yet for having begun at 0; a of
 * the average is its decay. */
static struct vb_numbers numbers_of(const struct vb_cpu_work *work)
{
    struct vb_numbers numbers = vb_numbers_of(work);
    const double t = numbers.update;
    if (work->call->op == VB_OP_ADAM_STEP) {
        numbers.a /= 1 - pow(numbers.b, t);
        numbers.b = sqrt(1 - pow(VB_SQUARES_DECAY, t));
    } else if (work->call->op == VB_OP_EMA) {
        numbers.a *= 1 - exp(-t / numbers.b);
    }
    return numbers;
}

/* Without a step the parameter comes third. */
static void become_plain_sgd(struct vb_strip_job *job)
{
    job->arrays[2] = job->arrays[3];
    job->function = sgd;
    job->use = (struct vb_strip_use){ 3, 7, 6 };
}

enum vb_status vb_prepare_update(const struct vb_cpu_work *work, struct vb_strip_job *job,
                                 struct vb_array *found, struct vb_error *err)
{
    const enum vb_operator op = work->call->op;
    const struct update *update = &updates[op];
    struct vb_array arrays[VB_MAX_STRIPS + 1];
    const uint32_t n = update->use.n, first = update->found == ASKS ? 1 : 0;
    const uint32_t optional = first | (op == VB_OP_SGD ? 1U << 3 : 0U);
    enum vb_status status =
        vb_arrays_of(work, n + (update->found == NOTHING ? 0 : 1), optional, arrays, err);
    if (status != VB_OK)
        return status;
    *job = (struct vb_strip_job){ .function = update->function,
                                  .use = update->use,
                                  .compute = VB_FLOAT32,
                                  .numbers = numbers_of(work) };
    memcpy(job->arrays, &arrays[first], n * sizeof *arrays);
    *found = update->found == NOTHING ? (struct vb_array){ 0 } : arrays[first == 1 ? 0 : n];
    if (update->found == TELLS && vb_array_elements(found) != 1)
        return vb_refuse_shapes(work, err);
    if (op == VB_OP_SGD && !job->arrays[2].is_given)
        become_plain_sgd(job);
    for (uint32_t i = 0; i < job->use.n; i++) {
        if (!vb_is_float(&job->arrays[i]))
            return vb_refuse_types(work, err);
    }
    return vb_walk_strips(work, job, job->use.n - 1, err);
}

enum vb_status vb_run_update(struct vb_cpu *cpu, const struct vb_cpu_work *work,
                             struct vb_error *err)
{
    struct vb_strip_job job;
    struct vb_array found;
    atomic_bool is_infinite = false;
    const bool tells = updates[work->call->op].found == TELLS;
    (void)cpu;
    enum vb_status status = vb_prepare_update(work, &job, &found, err);
    if (status != VB_OK || (!tells && is_found(&found)))
        return status;
    job.numbers.found = &is_infinite;
    vb_run_strips(&job);
    if (atomic_load(&is_infinite))
        vb_set_float(&found, 0, 1.0F);
    return VB_OK;
}

enum vb_status vb_prepare_rescale(const struct vb_cpu_work *work, struct vb_array *arrays,
                                  struct vb_error *err)
{
    enum vb_status status = vb_arrays_of(work, 3, 0, arrays, err);
    for (uint32_t i = 0; i < 3 && status == VB_OK; i++) {
        if (vb_array_elements(&arrays[i]) != 1)
            status = vb_refuse_shapes(work, err);
    }
    return status;
}

enum vb_status vb_run_rescale(struct vb_cpu *cpu, const struct vb_cpu_work *work,
                              struct vb_error *err)
{
    struct vb_array arrays[3];
    const struct vb_array *steps = &arrays[1], *scale = &arrays[2];
    (void)cpu;
    enum vb_status status = vb_prepare_rescale(work, arrays, err);
    if (status != VB_OK)
        return status;
    float now = vb_float_at(scale, 0), count = vb_float_at(steps, 0) + 1.0F;
    bool halves = is_found(&arrays[0]), doubles = !halves && (double)count >= work->call->a;
    if (halves || doubles)
        vb_set_float(scale, 0, halves ? now * 0.5F : now * 2.0F);
    vb_set_float(steps, 0, halves || doubles ? 0.0F : count);
    return VB_OK;
}
