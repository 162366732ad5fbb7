/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax and its logarithm. A line is read as often as it is asked for, a strip at a time: it may
 * be of any length, and one that fits the cache is read from memory once. */

#include <math.h>

#include "cpu/clones.h"
#include "cpu/exponential.h"
#include "cpu/kernel.h"
#include "cpu/prepare.h"

enum { X, Y, GRADIENT_OF_X };

/* Up to VB_STRIP elements of a line from `at` on. */
static float *read_line(const struct vb_strip *line, size_t at, size_t n, union vb_buffer *buffer)
{
    struct vb_strip strip = vb_strip_from(*line, at);
    return vb_strip_read(&strip, n, VB_FLOAT32, buffer);
}

static void write_line(const struct vb_strip *line, size_t at, size_t n, const float *values)
{
    struct vb_strip strip = vb_strip_from(*line, at);
    vb_strip_write(&strip, n, VB_FLOAT32, values);
}

static size_t run_from(size_t at, size_t n)
{
    return n - at < VB_STRIP ? n - at : VB_STRIP;
}

static float largest_of(const struct vb_strip *line, size_t n)
{
    union vb_buffer buffer;
    float largest = -INFINITY;
    for (size_t at = 0; at < n; at += VB_STRIP) {
        const float *x = read_line(line, at, run_from(at, n), &buffer);
        for (size_t i = 0; i < run_from(at, n); i++)
            largest = x[i] > largest || isnan(x[i]) ? x[i] : largest;
    }
    return largest;
}

VB_CLONES static double exp_all(const float *x, float largest, size_t n, float *out)
{
    double sum = 0;
    _Pragma("omp simd") for (size_t i = 0; i < n; i++) out[i] = vb_exp(x[i] - largest);
    _Pragma("omp simd reduction(+ : sum)") for (size_t i = 0; i < n; i++) sum += (double)out[i];
    return sum;
}

static double sum_of_exp(const struct vb_strip *line, float largest, size_t n)
{
    union vb_buffer buffer;
    float out[VB_STRIP];
    double sum = 0;
    for (size_t at = 0; at < n; at += VB_STRIP) {
        size_t run = run_from(at, n);
        sum += exp_all(read_line(line, at, run, &buffer), largest, run, out);
    }
    return sum;
}

static void softmax_line(const struct vb_lines *lines, const struct vb_strip *strips)
{
    size_t n = lines->lengths[X];
    union vb_buffer buffer;
    float out[VB_STRIP];
    float largest = largest_of(&strips[X], n);
    double sum = n > VB_STRIP ? sum_of_exp(&strips[X], largest, n) : 0;
    for (size_t at = 0; at < n; at += VB_STRIP) {
        size_t run = run_from(at, n);
        double here = exp_all(read_line(&strips[X], at, run, &buffer), largest, run, out);
        float scale = (float)(1 / (n > VB_STRIP ? sum : here));
        for (size_t i = 0; i < run; i++)
            out[i] *= scale;
        write_line(&strips[Y], at, run, out);
    }
}

static void log_softmax_line(const struct vb_lines *lines, const struct vb_strip *strips)
{
    size_t n = lines->lengths[X];
    union vb_buffer buffer;
    float out[VB_STRIP];
    float largest = largest_of(&strips[X], n);
    double log_sum = log(sum_of_exp(&strips[X], largest, n));
    for (size_t at = 0; at < n; at += VB_STRIP) {
        size_t run = run_from(at, n);
        const float *x = read_line(&strips[X], at, run, &buffer);
        for (size_t i = 0; i < run; i++)
            out[i] = (float)((double)x[i] - (double)largest - log_sum);
        write_line(&strips[Y], at, run, out);
    }
}

/* The sum of the gradient, times y if so. */
static double sum_of(const struct vb_strip *strips, size_t n, bool times_y)
{
    union vb_buffer buffers[2];
    double sum = 0;
    for (size_t at = 0; at < n; at += VB_STRIP) {
        size_t run = run_from(at, n);
        const float *g = read_line(&strips[X], at, run, &buffers[0]);
        const float *y = read_line(&strips[Y], at, run, &buffers[1]);
        for (size_t i = 0; i < run; i++)
            sum += times_y ? (double)g[i] * (double)y[i] : (double)g[i];
    }
    return sum;
}

static void backward_line(const struct vb_lines *lines, const struct vb_strip *strips, bool of_log)
{
    size_t n = lines->lengths[X];
    union vb_buffer buffers[2];
    float out[VB_STRIP], sum = (float)sum_of(strips, n, !of_log);
    for (size_t at = 0; at < n; at += VB_STRIP) {
        size_t run = run_from(at, n);
        const float *g = read_line(&strips[X], at, run, &buffers[0]);
        const float *y = read_line(&strips[Y], at, run, &buffers[1]);
        for (size_t i = 0; i < run; i++)
            out[i] = of_log ? g[i] - vb_exp(y[i]) * sum : (g[i] - sum) * y[i];
        write_line(&strips[GRADIENT_OF_X], at, run, out);
    }
}

static void softmax_backward_line(const struct vb_lines *lines, const struct vb_strip *strips)
{
    backward_line(lines, strips, false);
}

static void log_softmax_backward_line(const struct vb_lines *lines, const struct vb_strip *strips)
{
    backward_line(lines, strips, true);
}

static bool is_backward(enum vb_operator op)
{
    return op == VB_OP_SOFTMAX_BACKWARD || op == VB_OP_LOG_SOFTMAX_BACKWARD;
}

enum vb_status vb_prepare_softmax(const struct vb_cpu_work *work, struct vb_lines *out,
                                  struct vb_error *err)
{
    *out = (struct vb_lines){ .n_arrays = is_backward(work->call->op) ? 3 : 2 };
    enum vb_status status = vb_arrays_of(work, out->n_arrays, 0, out->arrays, err);
    if (status != VB_OK)
        return status;
    for (uint32_t i = 0; i < out->n_arrays; i++) {
        if (!vb_is_float(&out->arrays[i]))
            return vb_refuse_types(work, err);
        if (!vb_same_shape(&out->arrays[i].shape, &out->arrays[0].shape))
            return vb_refuse_shapes(work, err);
    }
    if (!vb_is_distinct(&out->arrays[out->n_arrays - 1]))
        return vb_refuse_result(work, err);
    return vb_plan_lines(work, out, out->n_arrays == 3 ? 7 : 3, err);
}

enum vb_status vb_run_softmax(struct vb_cpu *cpu, const struct vb_cpu_work *work,
                              struct vb_error *err)
{
    enum vb_operator op = work->call->op;
    bool of_log = op == VB_OP_LOG_SOFTMAX || op == VB_OP_LOG_SOFTMAX_BACKWARD;
    struct vb_lines lines;
    (void)cpu;
    enum vb_status status = vb_prepare_softmax(work, &lines, err);
    if (status != VB_OK)
        return status;
    if (is_backward(op))
        lines.line = of_log ? log_softmax_backward_line : softmax_backward_line;
    else
        lines.line = of_log ? log_softmax_line : softmax_line;
    vb_run_lines(&lines);
    return VB_OK;
}
