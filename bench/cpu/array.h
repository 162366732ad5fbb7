/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CPU_ARRAY_H
#define VB_CPU_ARRAY_H

/* A call's operands with their memory, and walks over several of them at once. For kernels. */

#include "cpu/cpu.h"
#include "cpu/strip.h"

/* An operand where it lies. */
struct vb_array {
    char *data; /* of element 0,..,0; NULL where there are no elements, or none is given */
    enum vb_dtype dtype;
    struct vb_shape shape;
    size_t strides[VB_MAX_DIMS]; /* in elements */
    bool is_given;
};

/* The call's operands, exactly `n`; those whose bit is set in `optional` may be missing.
 * VB_E_DEVICE: others, or too many elements to count. */
VB_CHECKED enum vb_status vb_arrays_of(const struct vb_cpu_work *work, uint32_t n,
                                       uint32_t optional, struct vb_array *arrays,
                                       struct vb_error *err);

/* VB_E_DEVICE with the operator, its module, `what` is wrong and the operands' shapes and types. */
VB_CHECKED enum vb_status vb_refuse(const struct vb_cpu_work *work, const char *what,
                                    struct vb_error *err);
/* The same: shapes do not go together, there is no kernel for the types, a result repeats elements.
 */
VB_CHECKED enum vb_status vb_refuse_shapes(const struct vb_cpu_work *work, struct vb_error *err);
VB_CHECKED enum vb_status vb_refuse_types(const struct vb_cpu_work *work, struct vb_error *err);
VB_CHECKED enum vb_status vb_refuse_result(const struct vb_cpu_work *work, struct vb_error *err);

size_t vb_array_elements(const struct vb_array *array);
bool vb_same_shape(const struct vb_shape *a, const struct vb_shape *b);
/* Aligned at the last axis, each axis as long as the shape's, or of length 1. */
bool vb_broadcasts_to(const struct vb_shape *from, const struct vb_shape *to);
/* No element of it is another one too. */
bool vb_is_distinct(const struct vb_array *array);

static inline bool vb_is_float(const struct vb_array *array)
{
    return array->dtype >= VB_FLOAT16;
}

/* The elements from `offset` on, `stride` apart. */
static inline struct vb_strip vb_strip_of(const struct vb_array *array, size_t offset,
                                          size_t stride)
{
    return (struct vb_strip){ array->data + offset * vb_dtype_bytes[array->dtype], array->dtype,
                              stride };
}

/* What an operator of these operands computes in. */
enum vb_dtype vb_compute_type(const struct vb_array *arrays, uint32_t n);

/* One element, `offset` from the first. */
float vb_float_at(const struct vb_array *array, size_t offset);
int64_t vb_whole_at(const struct vb_array *array, size_t offset);
void vb_set_float(const struct vb_array *array, size_t offset, float value);
void vb_set_whole(const struct vb_array *array, size_t offset, int64_t value);

/* Broadcast to `shape`: repeated axes have stride 0. */
struct vb_array vb_array_expanded(const struct vb_array *array, const struct vb_shape *shape);

/* Without the first axes, or the last. */
struct vb_array vb_without_first(const struct vb_array *array, uint32_t n_axes);
struct vb_array vb_without_last(const struct vb_array *array);
static inline size_t vb_last_stride(const struct vb_array *array)
{
    return array->strides[array->shape.n_dims - 1];
}

/* A walk over the elements of a shape, along which arrays that are broadcast to it go. Axis 0 is
 * the innermost, whose elements are taken many at a time; axes that follow each other without a gap
 * in all arrays are one. */
enum { VB_MAX_ALONG = VB_MAX_DIMS + 1 };
struct vb_walk {
    uint32_t n_axes, n_arrays; /* one axis at least */
    size_t sizes[VB_MAX_DIMS];
    size_t strides[VB_MAX_ALONG][VB_MAX_DIMS];
};

/* In the order of the shape's axes, the last one innermost: an element's number is what it is in
 * PyTorch. */
void vb_walk_in_order(struct vb_walk *walk, const struct vb_shape *shape,
                      const struct vb_array *arrays, uint32_t n);
/* In the order in which array `leader` lies, where the order of elements does not matter. */
void vb_walk_along(struct vb_walk *walk, const struct vb_shape *shape,
                   const struct vb_array *arrays, uint32_t n, uint32_t leader);

size_t vb_walk_elements(const struct vb_walk *walk);

/* A place on a walk: in each array so many elements from its first. */
struct vb_place {
    size_t at[VB_MAX_DIMS];
    size_t offsets[VB_MAX_ALONG];
};
void vb_walk_seek(const struct vb_walk *walk, size_t element, struct vb_place *place);
/* How many elements are left on the innermost axis, `most` at most. */
size_t vb_walk_run(const struct vb_walk *walk, const struct vb_place *place, size_t most);
/* `n` elements on, which are a run's. */
void vb_walk_advance(const struct vb_walk *walk, size_t n, struct vb_place *place);

/* VB_E_DEVICE: a place of the int64 array does not lie in 0 .. n. */
VB_CHECKED enum vb_status vb_check_places(const struct vb_cpu_work *work,
                                          const struct vb_array *places, size_t n,
                                          struct vb_error *err);

#endif
