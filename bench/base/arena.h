/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_BASE_ARENA_H
#define VB_BASE_ARENA_H

/* Memory that dies together: everything of one point (graph, program, ledger) lives in one arena
 * and goes at once. A zeroed arena is valid and empty. One thread at a time.
 */

#include <stddef.h>

struct vb_arena_chunk;

struct vb_arena {
    struct vb_arena_chunk *chunks; /* owned, the one in use first */
    struct vb_arena_chunk *spare;  /* owned: not in use */
};

/* Zeroed memory for `count` items of `size` bytes, aligned for any type, valid until the arena is
 * reset or cleared. NULL where the host has no memory left or the product overflows. */
void *vb_arena_alloc(struct vb_arena *arena, size_t count, size_t size);

/* `items`, room for `*capacity` of `size` bytes, with room for one more than `count`: moved to
 * twice the room, large ones to four times, where it is full. What lies beyond `count` is not
 * zeroed. NULL as above; `items` is then still valid. */
void *vb_arena_grow(struct vb_arena *arena, void *items, size_t count, size_t *capacity,
                    size_t size);

/* A copy of the text, and a text formatted. NULL as above. */
char *vb_arena_copy(struct vb_arena *arena, const char *text);
char *vb_arena_format(struct vb_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The `n` texts one after the other. NULL as above. */
char *vb_arena_join(struct vb_arena *arena, const char *const *texts, size_t n);

/* How much has been given. */
struct vb_arena_place {
    struct vb_arena_chunk *chunk;
    size_t used;
};
struct vb_arena_place vb_arena_mark(const struct vb_arena *arena);

/* Takes back what was given since the mark, which is kept for what comes next. Marks made since are
 * valid no more. */
void vb_arena_rewind(struct vb_arena *arena, struct vb_arena_place mark);

/* Empties the arena, which keeps its memory for what comes next: what was given is valid no more.
 */
void vb_arena_reset(struct vb_arena *arena);

/* Gives all of it back; the arena is then empty and may be used again. */
void vb_arena_clear(struct vb_arena *arena);

#endif
