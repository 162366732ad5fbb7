/* SPDX-License-Identifier: Apache-2.0 */
/* The largest of each line: a heap of k candidates with the least on top, then taken apart from the
 * end. Equal numbers come in the order of their places. */

#include <stdatomic.h>
#include <stdlib.h>

#include "cpu/kernel.h"
#include "cpu/order.h"
#include "cpu/parallel.h"
#include "cpu/prepare.h"

enum { X, VALUES, PLACES, GRAIN_ELEMENTS = 8192 };

struct top {
    struct vb_lines of;
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
    size_t stride = top->of.strides[X];
    for (size_t i = 0; i < top->of.lengths[X]; i++) {
        struct vb_keyed item = { vb_key_at(&top->of.arrays[X], offset + i * stride), i };
        if (i < top->of.lengths[VALUES]) {
            push(heap, i, item);
        } else if (comes_after(&heap[0], &item)) {
            heap[0] = item;
            sift_down(heap, top->of.lengths[VALUES]);
        }
    }
}

static void take_line(const struct top *top, const struct vb_place *place, struct vb_keyed *heap)
{
    const size_t *strides = top->of.strides;
    gather(top, place->offsets[X], heap);
    for (size_t left = top->of.lengths[VALUES]; left-- > 0;) {
        struct vb_strip from =
            vb_strip_of(&top->of.arrays[X], place->offsets[X] + heap[0].place * strides[X], 1);
        struct vb_strip to = vb_strip_of(&top->of.arrays[VALUES],
                                         place->offsets[VALUES] + left * strides[VALUES], 1);
        vb_strip_copy(&from, &to, 1);
        vb_set_whole(&top->of.arrays[PLACES], place->offsets[PLACES] + left * strides[PLACES],
                     (int64_t)heap[0].place);
        heap[0] = heap[left];
        sift_down(heap, left);
    }
}

static void take_stretch(void *context, size_t begin, size_t end)
{
    struct top *top = context;
    struct vb_place place;
    struct vb_keyed *heap = malloc(top->of.lengths[VALUES] * sizeof *heap);
    if (heap == NULL) {
        atomic_store(&top->failed, true);
        return;
    }
    vb_walk_seek(&top->of.walk, begin, &place);
    for (; begin < end; begin++) {
        take_line(top, &place, heap);
        vb_walk_advance(&top->of.walk, 1, &place);
    }
    free(heap);
}

enum vb_status vb_prepare_top_k(const struct vb_cpu_work *work, struct vb_lines *out,
                                struct vb_error *err)
{
    *out = (struct vb_lines){ .n_arrays = 3 };
    enum vb_status status = vb_arrays_of(work, 3, 0, out->arrays, err);
    if (status == VB_OK)
        status = vb_plan_lines(work, out, 7, err);
    if (status != VB_OK)
        return status;
    if (!vb_is_distinct(&out->arrays[VALUES]) || !vb_is_distinct(&out->arrays[PLACES]))
        return vb_refuse_result(work, err);
    if (out->lengths[VALUES] != out->lengths[PLACES] || out->lengths[VALUES] > out->lengths[X])
        return vb_refuse_shapes(work, err);
    if (out->arrays[PLACES].dtype != VB_INT64 || out->arrays[X].dtype != out->arrays[VALUES].dtype)
        return vb_refuse_types(work, err);
    return VB_OK;
}

enum vb_status vb_run_top_k(struct vb_cpu *cpu, const struct vb_cpu_work *work,
                            struct vb_error *err)
{
    struct top top = { 0 };
    (void)cpu;
    enum vb_status status = vb_prepare_top_k(work, &top.of, err);
    if (status != VB_OK || top.of.lengths[VALUES] == 0)
        return status;
    vb_parallel(vb_walk_elements(&top.of.walk), 1 + GRAIN_ELEMENTS / top.of.lengths[X],
                take_stretch, &top);
    if (atomic_load(&top.failed))
        return vb_fail(err, VB_E_SYSTEM, "no host memory left to sort in");
    return VB_OK;
}
