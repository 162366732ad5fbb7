/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors for tests of kernels: any type and strides, each in memory of its own that ends where the
 * tensor does, read and written as numbers by conversions of their own. */

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpu.h"

enum lies { IN_ORDER, BACKWARDS, WITH_GAPS, N_LIES };
static const char *const lies_names[N_LIES] = { "in order", "backwards", "with gaps" };

struct operand {
    struct vb_operand view;
    void *memory;
    size_t bytes;
};

#define SHAPE(...)                                                                                 \
    ((struct vb_shape){ sizeof((uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t), { __VA_ARGS__ } })
#define SCALAR ((struct vb_shape){ 0 })

static uint64_t test_seed = 1;
static inline uint32_t random_below(uint32_t n)
{
    test_seed = test_seed * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)((test_seed >> 33) % n);
}
static inline double random_in(double low, double high)
{
    return low + (high - low) * random_below(1U << 30) / (1U << 30);
}

static inline size_t elements_of(const struct operand *x)
{
    size_t n = 1;
    for (uint32_t i = 0; i < x->view.shape.n_dims; i++)
        n *= x->view.shape.dims[i];
    return n;
}

/* Its memory ends with its last element, and holds bytes of nobody's. */
static inline struct operand new_operand(enum vb_dtype dtype, struct vb_shape shape, enum lies lies)
{
    struct operand x = { .view = { .dtype = dtype, .shape = shape } };
    uint64_t stride = lies == WITH_GAPS ? 3 : 1, last = 0;
    for (uint32_t k = 0; k < shape.n_dims; k++) {
        uint32_t i = lies == BACKWARDS ? k : shape.n_dims - 1 - k;
        x.view.strides[i] = (uint32_t)stride;
        stride *= shape.dims[i] + (lies == WITH_GAPS ? 1 : 0);
    }
    for (uint32_t i = 0; i < shape.n_dims; i++)
        last += (uint64_t)(shape.dims[i] - 1) * x.view.strides[i];
    x.view.offset = lies == WITH_GAPS ? 5 : 0;
    x.bytes = elements_of(&x) == 0 ? 0 : (x.view.offset + last + 1) * vb_dtype_bytes[dtype];
    x.memory = x.bytes > 0 ? malloc(x.bytes) : NULL;
    if (x.bytes > 0)
        memset(x.memory, 0xff, x.bytes);
    return x;
}

static inline void drop_operand(struct operand *x)
{
    free(x->memory);
    x->memory = NULL;
}

/* Where element number `i`, in the order of the axes, lies. */
static inline size_t place_of(const struct operand *x, size_t i)
{
    size_t at = x->view.offset;
    for (uint32_t k = x->view.shape.n_dims; k-- > 0;) {
        at += i % x->view.shape.dims[k] * x->view.strides[k];
        i /= x->view.shape.dims[k];
    }
    return at;
}

static inline double decode(uint32_t bits, int exponent_bits, int mantissa_bits)
{
    uint32_t mantissa = bits & ((1U << mantissa_bits) - 1);
    int exponent = (int)(bits >> mantissa_bits) & ((1 << exponent_bits) - 1);
    int bias = (1 << (exponent_bits - 1)) - 1;
    double sign = (bits >> (mantissa_bits + exponent_bits)) != 0 ? -1 : 1;
    if (exponent == (1 << exponent_bits) - 1)
        return mantissa != 0 ? NAN : sign * INFINITY;
    if (exponent == 0)
        return sign * ldexp(mantissa, 1 - bias - mantissa_bits);
    return sign * ldexp(mantissa + (1U << mantissa_bits), exponent - bias - mantissa_bits);
}

static inline uint32_t encode(double x, int exponent_bits, int mantissa_bits)
{
    int bias = (1 << (exponent_bits - 1)) - 1, exponent;
    uint32_t sign = signbit(x) ? 1U << (exponent_bits + mantissa_bits) : 0;
    uint32_t infinite = ((1U << exponent_bits) - 1) << mantissa_bits;
    if (isnan(x))
        return infinite | 1U << (mantissa_bits - 1);
    x = fabs(x);
    if (isinf(x))
        return sign | infinite;
    (void)frexp(x, &exponent);
    exponent = x == 0 || exponent - 1 < 1 - bias ? 1 - bias : exponent - 1;
    double mantissa = nearbyint(ldexp(x, mantissa_bits - exponent)); /* ties to even */
    if (mantissa < ldexp(1, mantissa_bits))
        return sign | (uint32_t)mantissa;
    uint32_t bits = (uint32_t)(exponent + bias - 1) << mantissa_bits;
    bits += (uint32_t)mantissa;
    return sign | (bits > infinite ? infinite : bits);
}

static inline double get(const struct operand *x, size_t i)
{
    size_t at = place_of(x, i);
    const char *data = (const char *)x->memory + at * vb_dtype_bytes[x->view.dtype];
    uint16_t half;
    int64_t whole;
    float real;
    switch (x->view.dtype) {
    case VB_BOOL:
    case VB_UINT8:
        return (uint8_t)*data;
    case VB_INT64:
        memcpy(&whole, data, sizeof whole);
        return (double)whole;
    case VB_FLOAT16:
    case VB_BFLOAT16:
        memcpy(&half, data, sizeof half);
        return x->view.dtype == VB_FLOAT16 ? decode(half, 5, 10) : decode(half, 8, 7);
    case VB_FLOAT32:
        memcpy(&real, data, sizeof real);
        return (double)real;
    }
    return NAN;
}

static inline void set(struct operand *x, size_t i, double value)
{
    size_t at = place_of(x, i);
    char *data = (char *)x->memory + at * vb_dtype_bytes[x->view.dtype];
    int64_t whole;
    float real = (float)value;
    uint16_t half;
    switch (x->view.dtype) {
    case VB_BOOL:
        *data = value != 0;
        return;
    case VB_UINT8:
        *data = (char)(uint8_t)value;
        return;
    case VB_INT64:
        whole = (int64_t)value;
        memcpy(data, &whole, sizeof whole);
        return;
    case VB_FLOAT16:
    case VB_BFLOAT16:
        half = (uint16_t)(x->view.dtype == VB_FLOAT16 ? encode(value, 5, 10) : encode(value, 8, 7));
        memcpy(data, &half, sizeof half);
        return;
    case VB_FLOAT32:
        memcpy(data, &real, sizeof real);
        return;
    }
}

static inline void set_all(struct operand *x, const double *values)
{
    for (size_t i = 0; i < elements_of(x); i++)
        set(x, i, values[i]);
}

static inline void set_random(struct operand *x, double low, double high)
{
    bool is_whole = x->view.dtype < VB_FLOAT16;
    for (size_t i = 0; i < elements_of(x); i++) {
        double value = random_in(low, high);
        set(x, i, is_whole ? floor(value) : value);
    }
}

/* The element of x that element `i` of `shape` goes with, broadcast. */
static inline size_t broadcast(const struct operand *x, const struct vb_shape *shape, size_t i)
{
    size_t at = 0, scale = 1;
    uint32_t more = shape->n_dims - x->view.shape.n_dims;
    for (uint32_t k = shape->n_dims; k-- > 0;) {
        size_t here = i % shape->dims[k];
        i /= shape->dims[k];
        if (k < more)
            continue;
        uint32_t size = x->view.shape.dims[k - more];
        at += (size == 1 ? 0 : here) * scale;
        scale *= size;
    }
    return at;
}

/* Half of the last place that the type has at x. */
static inline double half_place(enum vb_dtype dtype, double x)
{
    int bits = dtype == VB_FLOAT16 ? 11 : (dtype == VB_BFLOAT16 ? 8 : 24);
    int least = dtype == VB_FLOAT16 ? -24 : -133, exponent;
    (void)frexp(x, &exponent);
    int place = exponent - bits > least ? exponent - bits : least;
    return dtype < VB_FLOAT16 ? 0 : ldexp(0.5, place);
}

/* Rounded once from a number that is off by `slack` and 1e-5 of itself at most. */
static inline bool is_close(const struct operand *y, size_t i, double expected, double slack)
{
    double got = get(y, i);
    double most = y->view.dtype == VB_FLOAT16 ? 65504 : 3.4028235e38;
    if (isnan(expected))
        return isnan(got);
    if (fabs(expected) > most)
        return got == copysign(INFINITY, expected) || fabs(got) >= most * 0.999;
    if (y->view.dtype < VB_FLOAT16)
        return got == expected;
    return fabs(got - expected) <=
           half_place(y->view.dtype, expected) + 1e-5 * fabs(expected) + slack;
}

/* The text of an error that comes from the data: the kernels of a GPU (tests/kernels) know what
 * went wrong, and neither where nor by how much. */
#ifdef VB_OF_KERNELS
#define SAID(by_cpu, by_kernels) (by_kernels)
#else
#define SAID(by_cpu, by_kernels) (by_cpu)
#endif

struct numbers {
    double a, b;
    const void *data;
    uint32_t update;
};

enum { MAX_OPERANDS = VB_MAX_OPERANDS };

/* Runs one call; an operand without memory and with elements is one that is not given. */
static inline enum vb_status run(enum vb_operator op, struct numbers numbers,
                                 struct operand *const *operands, uint32_t n, uint32_t threads,
                                 struct vb_error *err)
{
    struct vb_operand views[MAX_OPERANDS];
    void *tensors[MAX_OPERANDS];
    struct vb_cpu *cpu;
    for (uint32_t i = 0; i < n; i++) {
        views[i] = operands[i]->view;
        views[i].tensor = operands[i]->bytes == 0 && elements_of(operands[i]) > 0 ? VB_NONE : i;
        tensors[i] = operands[i]->memory;
    }
    const struct vb_call call = { .op = op,
                                  .module = "model.0",
                                  .a = numbers.a,
                                  .b = numbers.b,
                                  .data = numbers.data,
                                  .operands = views,
                                  .n_operands = n };
    const struct vb_cpu_work work = { .call = &call, .tensors = tensors, .update = numbers.update };
    cr_assert_eq(vb_cpu_open(threads, &cpu, err), VB_OK);
    enum vb_status status = vb_cpu_run(cpu, &work, err);
    vb_cpu_close(cpu);
    return status;
}

/* With two threads and the numbers a and b, which most operators do with. */
#define RUN(op, a, b, ...)                                                                         \
    run(op, (struct numbers){ a, b, NULL, 1 }, (struct operand *const[]){ __VA_ARGS__ },           \
        sizeof((struct operand *const[]){ __VA_ARGS__ }) / sizeof(struct operand *), 2, &error)

static const struct operand not_given = { .view = { .shape = { 1, { 1 } } } };
