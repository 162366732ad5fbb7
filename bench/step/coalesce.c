/* SPDX-License-Identifier: Apache-2.0 */
#include "step/coalesce.h"

#include "base/bytes.h"
#include "step/bucket.h"
#include "step/builder.h"
#include "step/view.h"

static const uint64_t chunk_bytes = VB_MIB(250);
enum { UNDER_WAY = 2 };

struct vb_variable vb_part_of(const struct vb_variable *flat, uint64_t place,
                              const struct vb_shape *shape)
{
    struct vb_variable part = *flat;
    part.offset += place;
    part.shape = *shape;
    vb_strides_in_order(shape, part.strides);
    return part;
}

/* A tensor that is alone in its chunk is sent as it is. */
static struct vb_variable flatten(struct vb_builder *self, const struct vb_sized *sizes,
                                  const uint32_t *chunk_of, uint32_t n, uint32_t chunk)
{
    uint64_t bytes = 0;
    uint32_t count = 0;
    enum vb_dtype dtype = VB_FLOAT32;
    for (uint32_t i = 0; i < n; i++) {
        if (chunk_of[i] != chunk)
            continue;
        bytes += sizes[i].bytes;
        dtype = sizes[i].dtype;
        count++;
    }
    if (count < 2)
        return vb_undefined;
    struct vb_variable flat = vb_tape_new(
        &self->tape, "broadcast", &VB_SHAPE((uint32_t)(bytes / vb_dtype_bytes[dtype])), dtype);
    vb_tape_copy(&self->tape, flat, flat);
    return flat;
}

/* The chunk's tensors have what was sent. */
static void finish(struct vb_builder *self, struct vb_variable *flat)
{
    if (vb_is_defined(flat))
        vb_tape_copy(&self->tape, *flat, *flat);
    vb_tape_assign(&self->tape, flat, vb_undefined);
}

void vb_broadcast_tensors(struct vb_builder *self, uint32_t first, uint32_t n)
{
    struct vb_sized *sizes = self->reducer.sizes;
    uint32_t *chunk_of = self->reducer.numbers;
    struct vb_variable flats[UNDER_WAY] = { vb_undefined, vb_undefined };
    for (uint32_t i = 0; i < n; i++) {
        const struct vb_parameter *parameter = &self->graph->parameters[first + i];
        enum vb_dtype dtype = parameter->is_int64 ? VB_INT64 : VB_FLOAT32;
        sizes[i] = (struct vb_sized){ parameter->elements * vb_dtype_bytes[dtype], dtype };
    }
    uint32_t n_chunks = vb_fill_buckets(sizes, n, &chunk_bytes, 1, chunk_of);
    for (uint32_t c = 0; c < n_chunks && !self->tape.program->failed; c++) {
        finish(self, &flats[c % UNDER_WAY]);
        flats[c % UNDER_WAY] = flatten(self, sizes, chunk_of, n, c);
    }
    for (uint32_t c = n_chunks; c < n_chunks + UNDER_WAY; c++)
        finish(self, &flats[c % UNDER_WAY]);
}
