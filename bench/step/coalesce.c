/* SPDX-License-Identifier: Apache-2.0 */
#include "step/coalesce.h"

#include "base/bytes.h"
#include "step/builder.h"
#include "step/view.h"

static const uint64_t broadcast_bytes = VB_MIB(250);
enum { UNDER_WAY = 2 };

bool vb_plan_chunks(struct vb_builder *self, uint32_t first, uint32_t n, uint64_t limit,
                    struct vb_chunks *out)
{
    struct vb_arena *arena = self->tape.program->arena;
    *out = (struct vb_chunks){ .first = first, .n = n };
    out->sizes = vb_arena_alloc(arena, n + 1, sizeof *out->sizes);
    out->chunk_of = vb_arena_alloc(arena, n + 1, sizeof *out->chunk_of);
    if (out->sizes == NULL || out->chunk_of == NULL) {
        self->tape.program->failed = true;
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        const struct vb_parameter *parameter = &self->graph->parameters[first + i];
        enum vb_dtype dtype = parameter->is_int64 ? VB_INT64 : VB_FLOAT32;
        out->sizes[i] = (struct vb_sized){ parameter->elements * vb_dtype_bytes[dtype], dtype };
    }
    out->n_chunks = vb_fill_buckets(out->sizes, n, &limit, 1, out->chunk_of);
    return true;
}

uint32_t vb_count_chunk(const struct vb_chunks *chunks, uint32_t chunk)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < chunks->n; i++)
        count += chunks->chunk_of[i] == chunk;
    return count;
}

struct vb_variable vb_new_chunk(struct vb_tape *tape, const struct vb_chunks *chunks,
                                uint32_t chunk, const char *what)
{
    uint64_t bytes = 0;
    enum vb_dtype dtype = VB_FLOAT32;
    for (uint32_t i = 0; i < chunks->n; i++) {
        if (chunks->chunk_of[i] != chunk)
            continue;
        bytes += chunks->sizes[i].bytes;
        dtype = chunks->sizes[i].dtype;
    }
    return vb_tape_new(tape, what, &VB_SHAPE((uint32_t)(bytes / vb_dtype_bytes[dtype])), dtype);
}

void vb_pass_chunk(struct vb_tape *tape, struct vb_variable flat)
{
    if (vb_is_defined(&flat))
        vb_tape_copy(tape, flat, flat);
}

struct vb_variable vb_part_of(const struct vb_variable *flat, uint64_t place,
                              const struct vb_shape *shape)
{
    struct vb_variable part = *flat;
    part.offset += place;
    part.shape = *shape;
    vb_strides_in_order(shape, part.strides);
    return part;
}

/* The chunk's tensors have what was sent. */
static void finish(struct vb_tape *tape, struct vb_variable *flat)
{
    vb_pass_chunk(tape, *flat);
    vb_tape_assign(tape, flat, vb_undefined);
}

void vb_broadcast_tensors(struct vb_builder *self, uint32_t first, uint32_t n)
{
    struct vb_tape *tape = &self->tape;
    struct vb_variable flats[UNDER_WAY] = { vb_undefined, vb_undefined };
    struct vb_chunks chunks;
    if (!vb_plan_chunks(self, first, n, broadcast_bytes, &chunks))
        return;
    for (uint32_t c = 0; c < chunks.n_chunks; c++) {
        struct vb_variable *flat = &flats[c % UNDER_WAY];
        finish(tape, flat);
        if (vb_count_chunk(&chunks, c) > 1)
            *flat = vb_new_chunk(tape, &chunks, c, "broadcast");
        vb_pass_chunk(tape, *flat);
    }
    for (uint32_t c = chunks.n_chunks; c < chunks.n_chunks + UNDER_WAY; c++)
        finish(tape, &flats[c % UNDER_WAY]);
}
