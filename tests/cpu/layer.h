/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CPU_LAYER_H
#define TESTS_CPU_LAYER_H

/* Tensors of any type and strides for the tests of layers, and a run that watches what a kernel
 * must leave alone: what lies between the elements of its operands, its inputs, and what follows
 * its workspace, which holds NaN before. */

#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/convert.h"
#include "cpu/cpu.h"

enum lies {
    LAST,     /* the channels last */
    ORDERED,  /* in the order of the axes */
    SLICED,   /* a stretch of the channels of a wider tensor that has them last */
    SPREAD,   /* with gaps everywhere */
    REPEATED, /* along the first axis: a stride of 0 */
};

struct tensor {
    struct vb_operand operand;
    void *data, *before;
    size_t room; /* elements that there is memory for */
};

static inline uint64_t index_of(const struct tensor *of, size_t n, size_t c, size_t h, size_t w)
{
    const uint32_t *strides = of->operand.strides;
    return of->operand.offset + n * strides[0] + c * strides[1] + h * strides[2] + w * strides[3];
}

static inline double get_at(const struct tensor *of, uint64_t i)
{
    if (of->operand.dtype == VB_INT64)
        return (double)((const int64_t *)of->data)[i];
    if (of->operand.dtype == VB_FLOAT16)
        return (double)vb_float_of_half(((const uint16_t *)of->data)[i]);
    if (of->operand.dtype == VB_BFLOAT16)
        return (double)vb_float_of_bfloat(((const uint16_t *)of->data)[i]);
    return (double)((const float *)of->data)[i];
}

static inline void put_at(const struct tensor *of, uint64_t i, double value)
{
    if (of->operand.dtype == VB_INT64)
        ((int64_t *)of->data)[i] = (int64_t)value;
    else if (of->operand.dtype == VB_FLOAT16)
        ((uint16_t *)of->data)[i] = vb_half_of_float((float)value);
    else if (of->operand.dtype == VB_BFLOAT16)
        ((uint16_t *)of->data)[i] = vb_bfloat_of_float((float)value);
    else
        ((float *)of->data)[i] = (float)value;
}

static inline double get(const struct tensor *of, size_t n, size_t c, size_t h, size_t w)
{
    return get_at(of, index_of(of, n, c, h, w));
}

static inline double noise(uint64_t *state)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (double)(*state >> 40) / 8388608.0 - 1.0;
}

/* A tensor [d0,d1,d2,d3] of numbers between -1 and 1; everything else of its memory is NaN, or -1.
 * Shapes of fewer axes have ones at the end, which `n_dims` leaves away. */
static inline struct tensor make_tensor(uint32_t n_dims, const uint32_t *dims, enum vb_dtype dtype,
                                        enum lies lies, uint64_t seed)
{
    static const uint32_t orders[][4] = {
        [LAST] = { 1, 3, 2, 0 },   [ORDERED] = { 3, 2, 1, 0 },  [SLICED] = { 1, 3, 2, 0 },
        [SPREAD] = { 3, 1, 0, 2 }, [REPEATED] = { 3, 2, 1, 0 },
    };
    uint32_t stride = lies == SPREAD ? 2 : 1, full[4] = { 1, 1, 1, 1 };
    struct tensor made = { .operand = { .dtype = dtype, .shape = { .n_dims = n_dims } } };
    for (uint32_t i = 0; i < n_dims; i++)
        full[i] = made.operand.shape.dims[i] = dims[i];
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t axis = orders[lies][i];
        made.operand.strides[axis] = lies == REPEATED && axis == 0 ? 0 : stride;
        stride *= full[axis] + (lies == SLICED && axis == 1 ? 5 : 0) + (lies == SPREAD ? 1 : 0);
    }
    made.operand.offset = lies == SLICED ? 3 : lies == SPREAD ? 7 : 0;
    made.room = stride + made.operand.offset;
    made.data = malloc(made.room * sizeof(int64_t));
    made.before = malloc(made.room * sizeof(int64_t));
    for (size_t i = 0; i < made.room; i++)
        put_at(&made, i, dtype == VB_INT64 ? -1 : (double)NAN);
    for (uint64_t n = 0, state = seed; n < full[0]; n++)
        for (size_t c = 0; c < full[1]; c++)
            for (size_t h = 0; h < full[2]; h++)
                for (size_t w = 0; w < full[3]; w++)
                    put_at(&made, index_of(&made, n, c, h, w), noise(&state));
    return made;
}

static inline void drop_tensors(struct tensor *tensors, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(tensors[i].data);
        free(tensors[i].before);
    }
}

/* Forgets what the elements were, so that only the rest is compared. */
static inline void forget_elements(const struct tensor *of)
{
    struct tensor before = *of;
    size_t dims[4] = { 1, 1, 1, 1 };
    before.data = of->before;
    for (uint32_t i = 0; i < of->operand.shape.n_dims; i++)
        dims[i] = of->operand.shape.dims[i];
    for (size_t n = 0; n < dims[0]; n++)
        for (size_t c = 0; c < dims[1]; c++)
            for (size_t h = 0; h < dims[2]; h++)
                for (size_t w = 0; w < dims[3]; w++) {
                    uint64_t i = index_of(of, n, c, h, w);
                    size_t bytes = vb_dtype_bytes[of->operand.dtype];
                    memcpy((char *)before.data + i * bytes, (char *)of->data + i * bytes, bytes);
                }
}

/* Runs the call; operands whose bit is set in `results` may change. */
static inline void run_call(struct vb_cpu *cpu, struct vb_call *call, struct tensor *tensors,
                            uint32_t n, uint32_t results, const char *label)
{
    enum { CANARY = 256 };
    struct vb_operand operands[VB_MAX_OPERANDS];
    void *data[VB_MAX_OPERANDS];
    struct vb_error err = { "" };
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < n; i++) {
        operands[i] = tensors[i].operand;
        data[i] = tensors[i].data;
        memcpy(tensors[i].before, tensors[i].data,
               tensors[i].room * vb_dtype_bytes[operands[i].dtype]);
    }
    call->operands = operands;
    call->n_operands = n;
    cr_assert_eq(vb_cpu_workspace(cpu, call, &bytes, &err), VB_OK, "%s: %s", label, err.text);
    size_t room = (size_t)(bytes + 63) / 64 * 64 + CANARY;
    unsigned char *workspace = aligned_alloc(64, room);
    memset(workspace, 0xff, room); /* NaN in every type */
    const struct vb_cpu_work work = { .call = call, .tensors = data, .workspace = workspace };
    cr_assert_eq(vb_cpu_run(cpu, &work, &err), VB_OK, "%s: %s", label, err.text);
    for (size_t i = (size_t)bytes; i < room; i++)
        cr_assert_eq(workspace[i], 0xff, "%s: byte %zu after the workspace", label,
                     i - (size_t)bytes);
    free(workspace);
    for (uint32_t i = 0; i < n; i++) {
        if (results >> i & 1)
            forget_elements(&tensors[i]);
        cr_assert_eq(memcmp(tensors[i].before, tensors[i].data,
                            tensors[i].room * vb_dtype_bytes[operands[i].dtype]),
                     0, "%s: what is not operand %u's to write", label, i);
    }
}

/* How far results may be off, of the largest value: the sums' rounding and the type's. */
static inline double tolerance_of(enum vb_dtype dtype)
{
    return dtype == VB_FLOAT16 ? 0x1p-10 : dtype == VB_BFLOAT16 ? 0x1p-7 : 1e-5;
}

/* `want`: the elements in the order of the axes. */
static inline void compare_tensor(const struct tensor *got, const double *want, double tolerance,
                                  const char *label, const char *what)
{
    size_t dims[4] = { 1, 1, 1, 1 }, n = 1, at = 0;
    double largest = 0;
    for (uint32_t i = 0; i < got->operand.shape.n_dims; i++) {
        dims[i] = got->operand.shape.dims[i];
        n *= dims[i];
    }
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(want[i]));
    for (size_t a = 0; a < dims[0]; a++)
        for (size_t c = 0; c < dims[1]; c++)
            for (size_t h = 0; h < dims[2]; h++)
                for (size_t w = 0; w < dims[3]; w++, at++) {
                    double value = get(got, a, c, h, w);
                    bool is_near = fabs(value - want[at]) <= tolerance * largest;
                    cr_assert(is_near || (isnan(value) && isnan(want[at])) || value == want[at],
                              "%s: %s[%zu,%zu,%zu,%zu] is %.9g, must be %.9g within %.1e", label,
                              what, a, c, h, w, value, want[at], tolerance * largest);
                }
}

static inline struct vb_cpu *open_cpu(void)
{
    struct vb_cpu *cpu = NULL;
    struct vb_error err = { "" };
    cr_assert_eq(vb_cpu_open(2, &cpu, &err), VB_OK, "%s", err.text);
    return cpu;
}

#endif
