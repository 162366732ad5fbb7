/* SPDX-License-Identifier: Apache-2.0 */
/* The walks of array.h. */

#include "cpu/array.h"

#include <inttypes.h>
#include <stdio.h>

/* An innermost axis shorter than this costs more to begin than to go along. */
enum { SHORT_AXIS = 16 };

/* The array's stride along the shape's axis `i`. */
static size_t stride_at(const struct vb_array *array, const struct vb_shape *shape, uint32_t i)
{
    uint32_t missing = shape->n_dims - array->shape.n_dims;
    if (i < missing || array->shape.dims[i - missing] == 1)
        return 0;
    return array->strides[i - missing];
}

static void list_axes(struct vb_walk *walk, const struct vb_shape *shape,
                      const struct vb_array *arrays, uint32_t n)
{
    *walk = (struct vb_walk){ .n_arrays = n };
    for (uint32_t i = shape->n_dims; i-- > 0;) {
        if (shape->dims[i] == 1)
            continue;
        uint32_t axis = walk->n_axes++;
        walk->sizes[axis] = shape->dims[i];
        for (uint32_t k = 0; k < n; k++)
            walk->strides[k][axis] = stride_at(&arrays[k], shape, i);
    }
    if (walk->n_axes == 0)
        walk->sizes[walk->n_axes++] = 1;
}

static void copy_axis(struct vb_walk *walk, uint32_t to, const struct vb_walk *other, uint32_t from)
{
    walk->sizes[to] = other->sizes[from];
    for (uint32_t k = 0; k < walk->n_arrays; k++)
        walk->strides[k][to] = other->strides[k][from];
}

static void swap_axes(struct vb_walk *walk, uint32_t a, uint32_t b)
{
    struct vb_walk before = *walk;
    copy_axis(walk, a, &before, b);
    copy_axis(walk, b, &before, a);
}

/* The outer axis continues the inner one in every array. */
static bool is_one_axis(const struct vb_walk *walk, uint32_t inner, uint32_t outer)
{
    for (uint32_t k = 0; k < walk->n_arrays; k++) {
        if (walk->strides[k][outer] != walk->strides[k][inner] * walk->sizes[inner])
            return false;
    }
    return true;
}

static void join_axes(struct vb_walk *walk)
{
    uint32_t last = 0;
    for (uint32_t i = 1; i < walk->n_axes; i++) {
        if (is_one_axis(walk, last, i))
            walk->sizes[last] *= walk->sizes[i];
        else
            copy_axis(walk, ++last, walk, i);
    }
    walk->n_axes = last + 1;
}

void vb_walk_in_order(struct vb_walk *walk, const struct vb_shape *shape,
                      const struct vb_array *arrays, uint32_t n)
{
    list_axes(walk, shape, arrays, n);
    join_axes(walk);
}

void vb_walk_along(struct vb_walk *walk, const struct vb_shape *shape,
                   const struct vb_array *arrays, uint32_t n, uint32_t leader)
{
    list_axes(walk, shape, arrays, n);
    const size_t *strides = walk->strides[leader];
    for (uint32_t i = 1; i < walk->n_axes; i++) {
        for (uint32_t k = i; k > 0 && strides[k] < strides[k - 1]; k--)
            swap_axes(walk, k, k - 1);
    }
    join_axes(walk);
    uint32_t longest = 0;
    for (uint32_t i = 1; i < walk->n_axes; i++)
        longest = walk->sizes[i] > walk->sizes[longest] ? i : longest;
    if (walk->sizes[0] < SHORT_AXIS)
        swap_axes(walk, 0, longest);
}

size_t vb_walk_elements(const struct vb_walk *walk)
{
    size_t n = 1;
    for (uint32_t i = 0; i < walk->n_axes; i++)
        n *= walk->sizes[i];
    return n;
}

void vb_walk_seek(const struct vb_walk *walk, size_t element, struct vb_place *place)
{
    *place = (struct vb_place){ 0 };
    for (uint32_t i = 0; i < walk->n_axes; i++) {
        if (walk->sizes[i] == 0) /* there is no place; kernels that ask walk no further */
            return;
        place->at[i] = element % walk->sizes[i];
        element /= walk->sizes[i];
        for (uint32_t k = 0; k < walk->n_arrays; k++)
            place->offsets[k] += place->at[i] * walk->strides[k][i];
    }
}

size_t vb_walk_run(const struct vb_walk *walk, const struct vb_place *place, size_t most)
{
    size_t left = walk->sizes[0] - place->at[0];
    return left < most ? left : most;
}

void vb_walk_advance(const struct vb_walk *walk, size_t n, struct vb_place *place)
{
    place->at[0] += n;
    for (uint32_t k = 0; k < walk->n_arrays; k++)
        place->offsets[k] += n * walk->strides[k][0];
    for (uint32_t i = 0; i + 1 < walk->n_axes && place->at[i] == walk->sizes[i]; i++) {
        place->at[i] = 0;
        place->at[i + 1]++;
        for (uint32_t k = 0; k < walk->n_arrays; k++)
            place->offsets[k] += walk->strides[k][i + 1] - walk->sizes[i] * walk->strides[k][i];
    }
}

enum vb_status vb_check_places(const struct vb_cpu_work *work, const struct vb_array *places,
                               size_t n, struct vb_error *err)
{
    struct vb_walk walk;
    struct vb_place place;
    vb_walk_in_order(&walk, &places->shape, places, 1);
    size_t left = vb_walk_elements(&walk);
    vb_walk_seek(&walk, 0, &place);
    while (left > 0) {
        size_t run = vb_walk_run(&walk, &place, left);
        const int64_t *data = (const void *)places->data;
        for (size_t i = 0; i < run; i++) {
            int64_t at = data[place.offsets[0] + i * walk.strides[0][0]];
            if (at >= 0 && (uint64_t)at < n)
                continue;
            char text[96];
            (void)snprintf(text, sizeof text, "goes to place %" PRId64 " of %zu", at, n);
            return vb_refuse(work, text, err);
        }
        vb_walk_advance(&walk, run, &place);
        left -= run;
    }
    return VB_OK;
}
