/* SPDX-License-Identifier: Apache-2.0 */
/* The places of what is true, in order. How many there are is known before the program runs, for
 * it allocates the result: another number is an error. */

#include <stdio.h>

#include "cpu/kernel.h"
#include "cpu/prepare.h"

struct search {
    struct vb_array mask, places; /* [n,axes] */
    size_t room;                  /* n */
};

static void write_place(const struct search *search, size_t element, size_t row)
{
    const struct vb_array *places = &search->places;
    for (uint32_t i = search->mask.shape.n_dims; i-- > 0;) {
        size_t size = search->mask.shape.dims[i];
        vb_set_whole(places, row * places->strides[0] + i * places->strides[1],
                     (int64_t)(element % size));
        element /= size;
    }
}

/* Writes places of what is true, or false if not `wanted`, from row `row` on where there is room;
 * gives the row after the last that there would be. */
static size_t find(const struct search *search, bool wanted, size_t row)
{
    enum vb_dtype compute = vb_compute_type(&search->mask, 1);
    union vb_buffer buffer;
    struct vb_walk walk;
    struct vb_place place;
    vb_walk_in_order(&walk, &search->mask.shape, &search->mask, 1);
    size_t n = vb_walk_elements(&walk);
    vb_walk_seek(&walk, 0, &place);
    for (size_t at = 0; at < n;) {
        size_t run = vb_walk_run(&walk, &place, n - at < VB_STRIP ? n - at : VB_STRIP);
        struct vb_strip strip = vb_strip_of(&search->mask, place.offsets[0], walk.strides[0][0]);
        const union vb_buffer *values = vb_strip_read(&strip, run, compute, &buffer);
        for (size_t i = 0; i < run; i++) {
            bool is_true =
                compute == VB_FLOAT32 ? values->floats[i] != 0.0F : values->wholes[i] != 0;
            if (is_true == wanted && row++ < search->room)
                write_place(search, at + i, row - 1);
        }
        vb_walk_advance(&walk, run, &place);
        at += run;
    }
    return row;
}

static enum vb_status refuse_count(const struct vb_cpu_work *work, size_t room, size_t found,
                                   struct vb_error *err)
{
    char text[128];
    (void)snprintf(text, sizeof text,
                   "cannot go on: the program has room for %zu places and the "
                   "mask has %zu",
                   room, found);
    return vb_refuse(work, text, err);
}

enum vb_status vb_prepare_nonzero(const struct vb_cpu_work *work, struct vb_array *arrays,
                                  struct vb_error *err)
{
    const struct vb_array *mask = &arrays[0], *places = &arrays[1];
    enum vb_status status = vb_arrays_of(work, 2, 0, arrays, err);
    if (status != VB_OK)
        return status;
    if (places->shape.n_dims != 2 || places->shape.dims[1] != mask->shape.n_dims)
        return vb_refuse_shapes(work, err);
    if (places->dtype != VB_INT64)
        return vb_refuse_types(work, err);
    if (!vb_is_distinct(places))
        return vb_refuse_result(work, err);
    return VB_OK;
}

enum vb_status vb_run_nonzero(struct vb_cpu *cpu, const struct vb_cpu_work *work,
                              struct vb_error *err)
{
    struct vb_array arrays[2];
    (void)cpu;
    enum vb_status status = vb_prepare_nonzero(work, arrays, err);
    if (status != VB_OK)
        return status;
    const struct search search = { .mask = arrays[0],
                                   .places = arrays[1],
                                   .room = arrays[1].shape.dims[0] };
    size_t found = find(&search, true, 0);
    if (found > search.room || (found < search.room && work->call->op == VB_OP_NONZERO))
        return refuse_count(work, search.room, found, err);
    if (found < search.room && find(&search, false, found) < search.room)
        return refuse_count(work, search.room, vb_array_elements(&search.mask), err);
    return VB_OK;
}
