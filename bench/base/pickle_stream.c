/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a pickle as they come, and host memory within the limit. */

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "base/pickle_reader.h"

enum vb_status vb_pickle_bad(struct vb_pickle_reader *reader, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return vb_fail(reader->err, VB_E_INPUT, "%s: byte %" PRIu64 ": %s", reader->name, reader->at,
                   text);
}

/* False at the end of the file, and where it cannot be read. */
static bool fill(struct vb_pickle_reader *reader)
{
    reader->from = 0;
    reader->to = fread(reader->buffer, 1, VB_PICKLE_BUFFER_BYTES, reader->file);
    return reader->to > 0;
}

bool vb_pickle_next(struct vb_pickle_reader *reader, unsigned char *out)
{
    if (reader->from == reader->to && !fill(reader))
        return false;
    *out = reader->buffer[reader->from++];
    reader->position++;
    return true;
}

static enum vb_status ended(struct vb_pickle_reader *reader)
{
    return vb_pickle_bad(reader, "the file ends in what begins here: it was cut off");
}

enum vb_status vb_pickle_take(struct vb_pickle_reader *reader, size_t n, unsigned char *out)
{
    for (size_t i = 0; i < n; i++) {
        if (!vb_pickle_next(reader, &out[i]))
            return ended(reader);
    }
    return VB_OK;
}

enum vb_status vb_pickle_skip(struct vb_pickle_reader *reader, uint64_t n)
{
    while (n > 0) {
        if (reader->from == reader->to && !fill(reader))
            return ended(reader);
        uint64_t here = reader->to - reader->from;
        size_t step = here < n ? (size_t)here : (size_t)n;
        reader->from += step;
        reader->position += step;
        n -= step;
    }
    return VB_OK;
}

/* Counts what is taken of the host's memory before it is. */
static enum vb_status charge(struct vb_pickle_reader *reader, uint64_t count, uint64_t size)
{
    uint64_t bytes = 0, total = 0;
    bool is_within = !__builtin_mul_overflow(count, size, &bytes) &&
                     !__builtin_add_overflow(reader->kept_bytes, bytes, &total) &&
                     total <= reader->limits.kept_bytes;
    if (!is_within)
        return vb_pickle_bad(
            reader, "reading on would take more than the %" PRIu64 " MiB of memory allowed for it",
            reader->limits.kept_bytes >> 20);
    reader->kept_bytes = total;
    return VB_OK;
}

static enum vb_status no_memory(struct vb_pickle_reader *reader)
{
    return vb_fail(reader->err, VB_E_SYSTEM, "%s: no host memory left to read it", reader->name);
}

enum vb_status vb_pickle_grow(struct vb_pickle_reader *reader, struct vb_arena *arena, void **items,
                              size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return VB_OK;
    enum vb_status status = charge(reader, *room < 16 ? 16 : *room * 2, size);
    if (status != VB_OK)
        return status;
    void *moved = vb_arena_grow(arena, *items, count, room, size);
    if (moved == NULL)
        return no_memory(reader);
    *items = moved;
    return VB_OK;
}

enum vb_status vb_pickle_keep(struct vb_pickle_reader *reader, size_t count, size_t size,
                              void **out)
{
    enum vb_status status = charge(reader, count, size);
    if (status != VB_OK)
        return status;
    *out = vb_arena_alloc(reader->arena, count, size);
    return *out != NULL ? VB_OK : no_memory(reader);
}
