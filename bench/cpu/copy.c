/* SPDX-License-Identifier: Apache-2.0 */
/* Copies to other strides and types. What lies alike in both is one memmove() a thread. */

#include "cpu/array.h"
#include "cpu/kernel.h"
#include "cpu/parallel.h"

enum { GRAIN = 16384 };

struct copy {
    struct vb_array arrays[2];
    struct vb_walk walk;
};

static void copy_stretch(void *context, size_t begin, size_t end)
{
    const struct copy *copy = context;
    struct vb_place place;
    vb_walk_seek(&copy->walk, begin, &place);
    while (begin < end) {
        size_t n = vb_walk_run(&copy->walk, &place, end - begin);
        struct vb_strip strips[2];
        for (uint32_t i = 0; i < 2; i++)
            strips[i] = vb_strip_of(&copy->arrays[i], place.offsets[i], copy->walk.strides[i][0]);
        vb_strip_copy(&strips[0], &strips[1], n);
        vb_walk_advance(&copy->walk, n, &place);
        begin += n;
    }
}

enum vb_status vb_run_copy(struct vb_cpu *cpu, const struct vb_cpu_work *work, struct vb_error *err)
{
    struct copy copy;
    (void)cpu;
    enum vb_status status = vb_arrays_of(work, 2, 0, copy.arrays, err);
    if (status != VB_OK)
        return status;
    const struct vb_array *x = &copy.arrays[0], *y = &copy.arrays[1];
    if (!vb_broadcasts_to(&x->shape, &y->shape))
        return vb_refuse_shapes(work, err);
    if (!vb_is_distinct(y))
        return vb_refuse_result(work, err);
    vb_walk_along(&copy.walk, &y->shape, copy.arrays, 2, 1);
    vb_parallel(vb_walk_elements(&copy.walk), GRAIN, copy_stretch, &copy);
    return VB_OK;
}
