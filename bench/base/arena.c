/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bytes.h"

enum {
    CHUNK_BYTES = 1 << 16, /* the first; each is twice as large as the one before, ... */
    PAGE_BYTES = 1 << 21,  /* ... up to a huge page */
    LARGE_BYTES = 1 << 17,
    ALIGNMENT = 16
};

struct vb_arena_chunk {
    struct vb_arena_chunk *next;
    void *origin; /* of malloc() */
    size_t used;
    size_t room;
    _Alignas(ALIGNMENT) unsigned char memory[];
};

/* Large ones are whole huge pages, where the system gives some: a run's program has tens of
 * megabytes, and to come by them in small pages takes a sixth of the time that planning it does. */
static struct vb_arena_chunk *get_chunk(size_t bytes)
{
    const bool is_large = bytes >= PAGE_BYTES;
    if (is_large)
        bytes = vb_round_up(bytes, PAGE_BYTES);
    /* aligned_alloc() cuts its pieces so that they cannot be given out again: twice the memory. */
    unsigned char *origin = malloc(is_large ? bytes + PAGE_BYTES : bytes);
    if (origin == NULL)
        return NULL;
    const size_t before = is_large ? -(uintptr_t)origin % PAGE_BYTES : 0;
    if (is_large)
        (void)madvise(origin + before, bytes, MADV_HUGEPAGE);
    struct vb_arena_chunk *chunk = (struct vb_arena_chunk *)(void *)(origin + before);
    chunk->origin = origin;
    chunk->room = bytes - sizeof *chunk;
    return chunk;
}

/* The smallest that suffices; NULL: none does. */
static struct vb_arena_chunk *take_spare(struct vb_arena *arena, size_t bytes)
{
    struct vb_arena_chunk **best = NULL;
    for (struct vb_arena_chunk **at = &arena->spare; *at != NULL; at = &(*at)->next) {
        if ((*at)->room >= bytes && (best == NULL || (*at)->room < (*best)->room))
            best = at;
    }
    if (best == NULL)
        return NULL;
    struct vb_arena_chunk *chunk = *best;
    *best = chunk->next;
    return chunk;
}

static struct vb_arena_chunk *new_chunk(struct vb_arena *arena, size_t bytes)
{
    struct vb_arena_chunk *last = arena->chunks, *chunk = take_spare(arena, bytes);
    size_t whole = CHUNK_BYTES;
    if (last != NULL)
        whole = last->room < PAGE_BYTES / 2 ? 2 * (last->room + sizeof *last) : PAGE_BYTES;
    if (whole < bytes + sizeof *chunk)
        whole = bytes + sizeof *chunk;
    if (chunk == NULL)
        chunk = get_chunk(whole);
    if (chunk == NULL)
        return NULL;

    chunk->used = 0;
    chunk->next = last;
    arena->chunks = chunk;
    return chunk;
}

/* Memory as it comes; `*asked`: how much was asked for. */
static void *take(struct vb_arena *arena, size_t count, size_t size, uint64_t *asked)
{
    uint64_t bytes;
    if (!vb_mul(count, size, &bytes) || bytes > SIZE_MAX / 2)
        return NULL;

    *asked = bytes;
    bytes = vb_round_up(bytes, ALIGNMENT);
    struct vb_arena_chunk *chunk = arena->chunks;
    if (chunk == NULL || chunk->room - chunk->used < bytes)
        chunk = new_chunk(arena, bytes);
    if (chunk == NULL)
        return NULL;

    void *memory = chunk->memory + chunk->used;
    chunk->used += bytes;
    return memory;
}

void *vb_arena_alloc(struct vb_arena *arena, size_t count, size_t size)
{
    uint64_t bytes;
    void *memory = take(arena, count, size, &bytes);
    return memory != NULL ? memset(memory, 0, bytes) : NULL;
}

void *vb_arena_grow(struct vb_arena *arena, void *items, size_t count, size_t *capacity,
                    size_t size)
{
    if (count < *capacity)
        return items;

    /* What is moved is left behind: of large lists a third of what they have, not all. */
    size_t factor = *capacity > LARGE_BYTES / size ? 4 : 2;
    size_t room = *capacity < 16 ? 16 : *capacity * factor;
    uint64_t bytes;
    void *moved = take(arena, room, size, &bytes);
    if (moved == NULL)
        return NULL;

    if (count > 0)
        memcpy(moved, items, count * size);
    *capacity = room;
    return moved;
}

char *vb_arena_copy(struct vb_arena *arena, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = vb_arena_alloc(arena, bytes, 1);
    if (copy != NULL)
        memcpy(copy, text, bytes);
    return copy;
}

char *vb_arena_format(struct vb_arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0)
        return NULL;

    char *text = vb_arena_alloc(arena, (size_t)length + 1, 1);
    if (text == NULL)
        return NULL;
    va_start(arguments, format);
    (void)vsnprintf(text, (size_t)length + 1, format, arguments);
    va_end(arguments);
    return text;
}

char *vb_arena_join(struct vb_arena *arena, const char *const *texts, size_t n)
{
    size_t bytes = 1;
    for (size_t i = 0; i < n; i++)
        bytes += strlen(texts[i]);
    char *joined = vb_arena_alloc(arena, bytes, 1);
    if (joined == NULL)
        return NULL;
    char *end = joined;
    for (size_t i = 0; i < n; i++)
        end = stpcpy(end, texts[i]);
    return joined;
}

struct vb_arena_place vb_arena_mark(const struct vb_arena *arena)
{
    return (struct vb_arena_place){ arena->chunks,
                                    arena->chunks != NULL ? arena->chunks->used : 0 };
}

void vb_arena_rewind(struct vb_arena *arena, struct vb_arena_place mark)
{
    while (arena->chunks != mark.chunk) {
        struct vb_arena_chunk *chunk = arena->chunks;
        arena->chunks = chunk->next;
        chunk->next = arena->spare;
        arena->spare = chunk;
    }
    if (mark.chunk != NULL)
        mark.chunk->used = mark.used;
}

void vb_arena_reset(struct vb_arena *arena)
{
    vb_arena_rewind(arena, (struct vb_arena_place){ NULL, 0 });
}

void vb_arena_clear(struct vb_arena *arena)
{
    vb_arena_reset(arena);
    while (arena->spare != NULL) {
        struct vb_arena_chunk *next = arena->spare->next;
        free(arena->spare->origin);
        arena->spare = next;
    }
}
