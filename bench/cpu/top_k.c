/* SPDX-License-Identifier: Apache-2.0 */
/* The largest of each line: a heap of k candidates with the least on top, then taken apart from the
 * end. Equal numbers come in the order of their places. */

#include <stdatomic.h>
#include <stdlib.h>

#include "cpu/kernel.h"
#include "cpu/order.h"
#include "cpu/parallel.h"

enum { X, VALUES, PLACES, GRAIN_ELEMENTS = 8192 };

struct top {
    struct vb_array arrays[3];
    struct vb_walk walk;
    size_t n, k;
    atomic_bool failed; /* no memory for a heap */
};

static bool comes_after(const struct vb_keyed *a, const struct vb_keyed *b)
{
    return a->key < b->key || (a->key == b->key && a->place > b->place);
}

/* The heap's top moves down to where both below it come before it. */
static void sift_down(struct vb_keyed *heap, size_t n)
{
    size_t at = 0;
    for (size_t child = 1; child < n; child = 2 * at + 1) {
        if (child + 1 < n && comes_after(&heap[child + 1], &heap[child]))
            child++;
        if (!comes_after(&heap[child], &heap[at]))
            return;
        struct vb_keyed other = heap[at];
        heap[at] = heap[child];
        heap[child] = other;
        at = child;
    }
}

static void push(struct vb_keyed *heap, size_t n, struct vb_keyed item)
{
    size_t at = n;
    heap[at] = item;
    while (at > 0 && comes_after(&heap[at], &heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
        heap[at] = item;
    }
}

static void gather(const struct top *top, size_t offset, struct vb_keyed *heap)
{
    size_t stride = vb_last_stride(&top->arrays[X]);
    for (size_t i = 0; i < top->n; i++) {
        struct vb_keyed item = { vb_key_at(&top->arrays[X], offset + i * stride), i };
        if (i < top->k) {
            push(heap, i, item);
        } else if (comes_after(&heap[0], &item)) {
            heap[0] = item;
            sift_down(heap, top->k);
        }
    }
}

static void take_line(const struct top *top, const struct vb_place *place, struct vb_keyed *heap)
{
    size_t strides[3];
    for (uint32_t i = 0; i < 3; i++)
        strides[i] = vb_last_stride(&top->arrays[i]);
    gather(top, place->offsets[X], heap);
    for (size_t left = top->k; left-- > 0;) {
        struct vb_strip from =
            vb_strip_of(&top->arrays[X], place->offsets[X] + heap[0].place * strides[X], 1);
        struct vb_strip to =
            vb_strip_of(&top->arrays[VALUES], place->offsets[VALUES] + left * strides[VALUES], 1);
        vb_strip_copy(&from, &to, 1);
        vb_set_whole(&top->arrays[PLACES], place->offsets[PLACES] + left * strides[PLACES],
                     (int64_t)heap[0].place);
        heap[0] = heap[left];
        sift_down(heap, left);
    }
}

static void take_stretch(void *context, size_t begin, size_t end)
{
    struct top *top = context;
    struct vb_place place;
    struct vb_keyed *heap = malloc(top->k * sizeof *heap);
    if (heap == NULL) {
        atomic_store(&top->failed, true);
        return;
    }
    vb_walk_seek(&top->walk, begin, &place);
    for (; begin < end; begin++) {
        take_line(top, &place, heap);
        vb_walk_advance(&top->walk, 1, &place);
    }
    free(heap);
}

static enum vb_status check(const struct vb_cpu_work *work, struct top *top, struct vb_error *err)
{
    struct vb_array outer[3];
    for (uint32_t i = 0; i < 3; i++) {
        if (top->arrays[i].shape.n_dims == 0)
            return vb_refuse(work, "has an operand without axes", err);
        if (i != X && !vb_is_distinct(&top->arrays[i]))
            return vb_refuse_result(work, err);
        outer[i] = vb_without_last(&top->arrays[i]);
        if (!vb_same_shape(&outer[i].shape, &outer[X].shape))
            return vb_refuse_shapes(work, err);
    }
    uint32_t last = top->arrays[X].shape.n_dims - 1;
    top->n = top->arrays[X].shape.dims[last];
    top->k = top->arrays[VALUES].shape.dims[last];
    if (!vb_same_shape(&top->arrays[VALUES].shape, &top->arrays[PLACES].shape) || top->k > top->n)
        return vb_refuse_shapes(work, err);
    if (top->arrays[PLACES].dtype != VB_INT64 || top->arrays[X].dtype != top->arrays[VALUES].dtype)
        return vb_refuse_types(work, err);
    vb_walk_in_order(&top->walk, &outer[X].shape, outer, 3);
    return VB_OK;
}

enum vb_status vb_run_top_k(struct vb_cpu *cpu, const struct vb_cpu_work *work,
                            struct vb_error *err)
{
    struct top top = { 0 };
    (void)cpu;
    enum vb_status status = vb_arrays_of(work, 3, 0, top.arrays, err);
    if (status == VB_OK)
        status = check(work, &top, err);
    if (status != VB_OK || top.k == 0)
        return status;
    vb_parallel(vb_walk_elements(&top.walk), 1 + GRAIN_ELEMENTS / top.n, take_stretch, &top);
    if (atomic_load(&top.failed))
        return vb_fail(err, VB_E_SYSTEM, "no host memory left to sort in");
    return VB_OK;
}
