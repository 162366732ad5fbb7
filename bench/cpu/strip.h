/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CPU_STRIP_H
#define VB_CPU_STRIP_H

/* Strips: elements of one type at equal distances, which kernels read into the type they compute in
 * and write from it. That is fp32, or int64 where no operand is a floating-point number. */

#include <stddef.h>

#include "step/program.h"

struct vb_strip {
    char *data;
    enum vb_dtype dtype;
    size_t stride; /* in elements; 0: one element, again and again */
};

/* Elements that are read or written at a time: the buffers of all operands stay in the first level
 * of the cache. */
enum { VB_STRIP = 1024 };
union vb_buffer {
    float floats[VB_STRIP];
    int64_t wholes[VB_STRIP];
};

/* The strip `n` elements on. */
static inline struct vb_strip vb_strip_from(struct vb_strip strip, size_t n)
{
    strip.data += n * strip.stride * vb_dtype_bytes[strip.dtype];
    return strip;
}

/* Its elements need no conversion to be computed in `compute`. */
static inline bool vb_strip_is_direct(const struct vb_strip *strip, enum vb_dtype compute)
{
    return strip->dtype == compute && strip->stride == 1;
}

/* `n` elements, VB_STRIP at most, as fp32 or int64 (`compute`): where they lie, or in the buffer. A
 * floating-point strip is only read as fp32. */
void *vb_strip_read(const struct vb_strip *strip, size_t n, enum vb_dtype compute,
                    union vb_buffer *buffer);

/* Writes what was computed; a floating-point number becomes a whole one towards zero. */
void vb_strip_write(const struct vb_strip *strip, size_t n, enum vb_dtype compute,
                    const void *values);

/* Any number of elements; of one type they stay what they are, bit by bit. */
void vb_strip_copy(const struct vb_strip *from, const struct vb_strip *to, size_t n);

#endif
