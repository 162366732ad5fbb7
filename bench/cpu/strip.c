/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu/strip.h"

#include <string.h>

#include "cpu/clones.h"
#include "cpu/convert.h"

/* A function that reads elements of `type` at a distance: element x becomes `value`. */
#define READ(name, type, result, value)                                                            \
    VB_CLONES static void name(const void *data, size_t stride, size_t n, result *restrict y)      \
    {                                                                                              \
        const type *restrict from = data;                                                          \
        if (stride == 1) {                                                                         \
            for (size_t i = 0; i < n; i++) {                                                       \
                const type x = from[i];                                                            \
                y[i] = value;                                                                      \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        for (size_t i = 0; i < n; i++) {                                                           \
            const type x = from[i * stride];                                                       \
            y[i] = value;                                                                          \
        }                                                                                          \
    }

/* The same that writes. */
#define WRITE(name, type, source, value)                                                           \
    VB_CLONES static void name(void *data, size_t stride, size_t n, const source *restrict from)   \
    {                                                                                              \
        type *restrict y = data;                                                                   \
        if (stride == 1) {                                                                         \
            for (size_t i = 0; i < n; i++) {                                                       \
                const source x = from[i];                                                          \
                y[i] = value;                                                                      \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        for (size_t i = 0; i < n; i++) {                                                           \
            const source x = from[i];                                                              \
            y[i * stride] = value;                                                                 \
        }                                                                                          \
    }

/* Bytes are read as such: memory that nobody wrote may hold a bool of 170. */
READ(read_bool, uint8_t, float, (float)(x != 0))
READ(read_uint8, uint8_t, float, (float)x)
READ(read_int64, int64_t, float, (float)x)
READ(read_half, uint16_t, float, vb_float_of_half(x))
READ(read_bfloat, uint16_t, float, vb_float_of_bfloat(x))
READ(read_float, float, float, x)
READ(read_whole_bool, uint8_t, int64_t, x != 0)
READ(read_whole_uint8, uint8_t, int64_t, x)
READ(read_whole_int64, int64_t, int64_t, x)

WRITE(write_bool, uint8_t, float, (uint8_t)(x != 0.0F))
WRITE(write_uint8, uint8_t, float, vb_byte_of_float(x))
WRITE(write_int64, int64_t, float, vb_whole_of_float((double)x))
WRITE(write_half, uint16_t, float, vb_half_of_float(x))
WRITE(write_bfloat, uint16_t, float, vb_bfloat_of_float(x))
WRITE(write_float, float, float, x)
WRITE(write_whole_bool, uint8_t, int64_t, (uint8_t)(x != 0))
WRITE(write_whole_uint8, uint8_t, int64_t, (uint8_t)x)
WRITE(write_whole_int64, int64_t, int64_t, x)

/* Of one type. Both may be the same strip. */
#define COPY(name, type)                                                                           \
    static void name(const struct vb_strip *from, const struct vb_strip *to, size_t n)             \
    {                                                                                              \
        const type *x = (const void *)from->data;                                                  \
        type *y = (void *)to->data;                                                                \
        for (size_t i = 0; i < n; i++)                                                             \
            y[i * to->stride] = x[i * from->stride];                                               \
    }
COPY(copy_bytes, uint8_t)
COPY(copy_halves, uint16_t)
COPY(copy_floats, float)
COPY(copy_wholes, int64_t)

static void read_floats(const struct vb_strip *strip, size_t n, float *out)
{
    static void (*const readers[VB_N_DTYPES])(const void *, size_t, size_t, float *restrict) = {
        [VB_BOOL] = read_bool,    [VB_UINT8] = read_uint8,     [VB_INT64] = read_int64,
        [VB_FLOAT16] = read_half, [VB_BFLOAT16] = read_bfloat, [VB_FLOAT32] = read_float,
    };
    readers[strip->dtype](strip->data, strip->stride, n, out);
}

static void read_wholes(const struct vb_strip *strip, size_t n, int64_t *out)
{
    if (strip->dtype == VB_BOOL)
        read_whole_bool(strip->data, strip->stride, n, out);
    else if (strip->dtype == VB_UINT8)
        read_whole_uint8(strip->data, strip->stride, n, out);
    else
        read_whole_int64(strip->data, strip->stride, n, out);
}

void *vb_strip_read(const struct vb_strip *strip, size_t n, enum vb_dtype compute,
                    union vb_buffer *buffer)
{
    if (vb_strip_is_direct(strip, compute))
        return strip->data;
    if (compute == VB_FLOAT32)
        read_floats(strip, n, buffer->floats);
    else
        read_wholes(strip, n, buffer->wholes);
    return buffer;
}

static void write_floats(const struct vb_strip *strip, size_t n, const float *values)
{
    static void (*const writers[VB_N_DTYPES])(void *, size_t, size_t, const float *restrict) = {
        [VB_BOOL] = write_bool,    [VB_UINT8] = write_uint8,     [VB_INT64] = write_int64,
        [VB_FLOAT16] = write_half, [VB_BFLOAT16] = write_bfloat, [VB_FLOAT32] = write_float,
    };
    writers[strip->dtype](strip->data, strip->stride, n, values);
}

static void write_wholes(const struct vb_strip *strip, size_t n, const int64_t *values)
{
    if (strip->dtype == VB_BOOL)
        write_whole_bool(strip->data, strip->stride, n, values);
    else if (strip->dtype == VB_UINT8)
        write_whole_uint8(strip->data, strip->stride, n, values);
    else
        write_whole_int64(strip->data, strip->stride, n, values);
}

void vb_strip_write(const struct vb_strip *strip, size_t n, enum vb_dtype compute,
                    const void *values)
{
    if (compute == VB_FLOAT32)
        write_floats(strip, n, values);
    else
        write_wholes(strip, n, values);
}

static void copy_converted(struct vb_strip from, struct vb_strip to, size_t n)
{
    bool is_float = from.dtype >= VB_FLOAT16 || to.dtype >= VB_FLOAT16;
    enum vb_dtype compute = is_float ? VB_FLOAT32 : VB_INT64;
    union vb_buffer buffer;
    while (n > 0) {
        size_t run = n < VB_STRIP ? n : VB_STRIP;
        vb_strip_write(&to, run, compute, vb_strip_read(&from, run, compute, &buffer));
        from = vb_strip_from(from, run);
        to = vb_strip_from(to, run);
        n -= run;
    }
}

void vb_strip_copy(const struct vb_strip *from, const struct vb_strip *to, size_t n)
{
    static void (*const copies[VB_N_DTYPES])(const struct vb_strip *, const struct vb_strip *,
                                             size_t) = {
        [VB_BOOL] = copy_bytes,     [VB_UINT8] = copy_bytes,     [VB_INT64] = copy_wholes,
        [VB_FLOAT16] = copy_halves, [VB_BFLOAT16] = copy_halves, [VB_FLOAT32] = copy_floats,
    };
    if (from->dtype != to->dtype)
        copy_converted(*from, *to, n);
    else if (from->stride == 1 && to->stride == 1)
        memmove(to->data, from->data, n * vb_dtype_bytes[to->dtype]);
    else
        copies[to->dtype](from, to, n);
}
