/* SPDX-License-Identifier: Apache-2.0 */
/* Where data comes from: the program, a rule, chance. Elements are counted in the order of their
 * axes, so they do not depend on how a tensor lies. */

#include "cpu/convert.h"
#include "cpu/kernel.h"
#include "cpu/parallel.h"
#include "cpu/prepare.h"
#include "cpu/random.h"

enum { GRAIN = 16384 };

struct source {
    struct vb_source_job of;
    double a, b;
    const char *data;
    /* Gives `n` elements from number `first` on. */
    void (*write)(const struct source *source, size_t first, size_t n, const struct vb_strip *y);
};

static void write_stretch(void *context, size_t begin, size_t end)
{
    const struct source *source = context;
    struct vb_place place;
    vb_walk_seek(&source->of.walk, begin, &place);
    while (begin < end) {
        size_t most = end - begin < VB_STRIP ? end - begin : VB_STRIP;
        size_t n = vb_walk_run(&source->of.walk, &place, most);
        struct vb_strip y =
            vb_strip_of(&source->of.y, place.offsets[0], source->of.walk.strides[0][0]);
        source->write(source, begin, n, &y);
        vb_walk_advance(&source->of.walk, n, &place);
        begin += n;
    }
}

static void upload(const struct source *source, size_t first, size_t n, const struct vb_strip *y)
{
    size_t bytes = vb_dtype_bytes[y->dtype];
    if (y->stride == 1) {
        memcpy(y->data, source->data + first * bytes, n * bytes);
        return;
    }
    for (size_t i = 0; i < n; i++)
        memcpy(y->data + i * y->stride * bytes, source->data + (first + i) * bytes, bytes);
}

static void count_up(const struct source *source, size_t first, size_t n, const struct vb_strip *y)
{
    union vb_buffer buffer;
    for (size_t i = 0; i < n; i++) {
        double value = source->a + source->b * (double)(first + i);
        if (source->of.compute == VB_FLOAT32)
            buffer.floats[i] = (float)value;
        else
            buffer.wholes[i] = vb_whole_of_float(value);
    }
    vb_strip_write(y, n, source->of.compute, &buffer);
}

/* 24 random bits: as many as a float in 0 to 1 holds at equal distances. */
static void draw(const struct source *source, size_t first, size_t n, const struct vb_strip *y)
{
    union vb_buffer buffer;
    uint64_t seed = vb_seed_of(source->a);
    for (size_t i = 0; i < n; i++) {
        double unit = (double)(vb_random(seed, first + i) >> 40) * 0x1p-24;
        buffer.floats[i] = (float)((2 * unit - 1) * source->b);
    }
    vb_strip_write(y, n, VB_FLOAT32, &buffer);
}

enum vb_status vb_prepare_source(const struct vb_cpu_work *work, struct vb_source_job *out,
                                 struct vb_error *err)
{
    const struct vb_call *call = work->call;
    *out = (struct vb_source_job){ 0 };
    enum vb_status status = vb_arrays_of(work, 1, 0, &out->y, err);
    if (status != VB_OK)
        return status;
    out->compute = vb_compute_type(&out->y, 1);
    if (!vb_is_distinct(&out->y))
        return vb_refuse_result(work, err);
    if (call->op == VB_OP_UPLOAD && call->data == NULL && out->y.data != NULL)
        return vb_refuse(work, "has no data", err);
    if (call->op == VB_OP_RANGE && out->y.shape.n_dims != 1)
        return vb_refuse_shapes(work, err);
    if (call->op == VB_OP_UNIFORM && !vb_is_float(&out->y))
        return vb_refuse_types(work, err);
    vb_walk_in_order(&out->walk, &out->y.shape, &out->y, 1);
    return VB_OK;
}

enum vb_status vb_run_source(struct vb_cpu *cpu, const struct vb_cpu_work *work,
                             struct vb_error *err)
{
    const struct vb_call *call = work->call;
    struct source source = { .a = call->a, .b = call->b, .data = call->data };
    (void)cpu;
    enum vb_status status = vb_prepare_source(work, &source.of, err);
    if (status != VB_OK)
        return status;
    if (call->op == VB_OP_UPLOAD)
        source.write = upload;
    else
        source.write = call->op == VB_OP_RANGE ? count_up : draw;
    vb_parallel(vb_walk_elements(&source.of.walk), GRAIN, write_stretch, &source);
    return VB_OK;
}
