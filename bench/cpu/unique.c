/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "cpu/kernel.h"
#include "cpu/order.h"
#include "cpu/prepare.h"

enum { X, VALUES, PLACES, COUNTS };

static int compare(const void *a, const void *b)
{
    const struct vb_keyed *x = a, *z = b;
    if (x->key != z->key)
        return x->key < z->key ? -1 : 1;
    return x->place < z->place ? -1 : 1;
}

/* Writes what is asked for of the sorted elements, where there is room; gives how many different
 * ones there are. */
static size_t write_groups(const struct vb_array *arrays, const struct vb_keyed *items, size_t n)
{
    const struct vb_array *x = &arrays[X], *values = &arrays[VALUES], *places = &arrays[PLACES],
                          *counts = &arrays[COUNTS];
    size_t room = values->shape.dims[0], groups = 0, first = 0;
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || items[i].key != items[i - 1].key) {
            first = i;
            groups++;
        }
        if (groups > room)
            continue;
        if (first == i) {
            struct vb_strip from = vb_strip_of(x, items[i].place * x->strides[0], 1);
            struct vb_strip to = vb_strip_of(values, (groups - 1) * values->strides[0], 1);
            vb_strip_copy(&from, &to, 1);
        }
        if (places->is_given)
            vb_set_whole(places, items[i].place * places->strides[0], (int64_t)(groups - 1));
        if (counts->is_given)
            vb_set_whole(counts, (groups - 1) * counts->strides[0], (int64_t)(i - first + 1));
    }
    return groups;
}

enum vb_status vb_prepare_unique(const struct vb_cpu_work *work, struct vb_array *arrays,
                                 struct vb_error *err)
{
    enum vb_status status = vb_arrays_of(work, 4, 1U << PLACES | 1U << COUNTS, arrays, err);
    if (status != VB_OK)
        return status;
    for (uint32_t i = 0; i < 4; i++) {
        const struct vb_array *like = &arrays[i == PLACES ? X : VALUES];
        if (!arrays[i].is_given)
            continue;
        if (arrays[i].shape.n_dims != 1 ||
            (i > VALUES && arrays[i].shape.dims[0] != like->shape.dims[0]))
            return vb_refuse_shapes(work, err);
        if (i > VALUES ? arrays[i].dtype != VB_INT64 : arrays[i].dtype != arrays[X].dtype)
            return vb_refuse_types(work, err);
        if (i != X && !vb_is_distinct(&arrays[i]))
            return vb_refuse_result(work, err);
    }
    return VB_OK;
}

enum vb_status vb_run_unique(struct vb_cpu *cpu, const struct vb_cpu_work *work,
                             struct vb_error *err)
{
    struct vb_array arrays[4];
    (void)cpu;
    enum vb_status status = vb_prepare_unique(work, arrays, err);
    if (status != VB_OK)
        return status;
    size_t n = arrays[X].shape.dims[0], room = arrays[VALUES].shape.dims[0];
    struct vb_keyed *items = malloc((n + 1) * sizeof *items);
    if (items == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left to sort in");
    for (size_t i = 0; i < n; i++)
        items[i] = (struct vb_keyed){ vb_key_at(&arrays[X], i * arrays[X].strides[0]), i };
    qsort(items, n, sizeof *items, compare);
    size_t groups = write_groups(arrays, items, n);
    free(items);
    if (groups == room)
        return VB_OK;
    char text[128];
    (void)snprintf(text, sizeof text,
                   "cannot go on: the program has room for %zu different ones "
                   "and there are %zu",
                   room, groups);
    return vb_refuse(work, text, err);
}
