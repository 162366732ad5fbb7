/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_BASE_PICKLE_READER_H
#define VB_BASE_PICKLE_READER_H

/* For the pickle reader's own files: the stream of bytes, and the stack with its marks and memo. */

#include <stdbool.h>

#include "base/pickle.h"

enum { VB_PICKLE_BUFFER_BYTES = 1 << 16 };

struct vb_pickle_reader {
    const char *name;
    FILE *file;
    const char *const *words;
    size_t n_words;
    struct vb_pickle_limits limits;
    struct vb_arena *arena;  /* what is kept */
    struct vb_arena scratch; /* the rest */
    struct vb_error *err;

    unsigned char *buffer;
    size_t from, to;      /* of the buffer, what is not consumed yet */
    uint64_t position;    /* in the file, of the next byte */
    uint64_t at;          /* of the opcode that is being run */
    uint64_t frame_end;   /* where the last frame said that it ends */
    uint64_t kept_bytes;  /* so far */
    unsigned char opcode; /* being run */
    bool has_stopped;

    struct vb_pickle_value *stack, *memo;
    size_t n_stack, stack_room, n_memo, memo_room;
    uint64_t n_memoized; /* which MEMOIZE counts */
    size_t *marks;       /* how high the stack was at each */
    size_t n_marks, marks_room;
};

/* Writes "NAME: byte AT: ..." and returns VB_E_INPUT. */
VB_CHECKED enum vb_status vb_pickle_bad(struct vb_pickle_reader *reader, const char *format, ...)
    VB_PRINTF(2, 3);

/* `n` bytes, 64 at most, or the next ones left out. VB_E_INPUT: the file ends before. */
VB_CHECKED enum vb_status vb_pickle_take(struct vb_pickle_reader *reader, size_t n,
                                         unsigned char *out);
VB_CHECKED enum vb_status vb_pickle_skip(struct vb_pickle_reader *reader, uint64_t n);
/* False at the end of the file. */
bool vb_pickle_next(struct vb_pickle_reader *reader, unsigned char *out);

/* Room for one more, as vb_arena_grow(), within the limit. VB_E_INPUT: beyond it. */
VB_CHECKED enum vb_status vb_pickle_grow(struct vb_pickle_reader *reader, struct vb_arena *arena,
                                         void **items, size_t count, size_t *room, size_t size);
/* Zeroed memory for what is kept. */
VB_CHECKED enum vb_status vb_pickle_keep(struct vb_pickle_reader *reader, size_t count, size_t size,
                                         void **out);

VB_CHECKED enum vb_status vb_pickle_push(struct vb_pickle_reader *reader,
                                         struct vb_pickle_value value);
VB_CHECKED enum vb_status vb_pickle_mark(struct vb_pickle_reader *reader);
/* Takes off what stands above the last mark: `*n` values from `*out`, valid until the next push. */
VB_CHECKED enum vb_status vb_pickle_pop_mark(struct vb_pickle_reader *reader,
                                             struct vb_pickle_value **out, size_t *n);
/* Takes off `n` values, all above the last mark. */
VB_CHECKED enum vb_status vb_pickle_pop(struct vb_pickle_reader *reader, size_t n,
                                        struct vb_pickle_value **out);
/* The highest value above the last mark, which stays, and has to be of the kind (ABSENT: any). */
VB_CHECKED enum vb_status vb_pickle_top(struct vb_pickle_reader *reader, enum vb_pickle_kind kind,
                                        struct vb_pickle_value **out);
VB_CHECKED enum vb_status vb_pickle_put(struct vb_pickle_reader *reader, uint64_t index);
VB_CHECKED enum vb_status vb_pickle_push_memo(struct vb_pickle_reader *reader, uint64_t index);

/* Containers: an empty one pushed, values put into one. */
VB_CHECKED enum vb_status vb_pickle_push_node(struct vb_pickle_reader *reader,
                                              enum vb_pickle_kind kind);
VB_CHECKED enum vb_status vb_pickle_push_tuple(struct vb_pickle_reader *reader,
                                               const struct vb_pickle_value *items, size_t n);
VB_CHECKED enum vb_status vb_pickle_append(struct vb_pickle_reader *reader,
                                           struct vb_pickle_node *list,
                                           const struct vb_pickle_value *items, size_t n);
/* `items`: keys and values by turns. */
VB_CHECKED enum vb_status vb_pickle_set(struct vb_pickle_reader *reader,
                                        struct vb_pickle_node *dict,
                                        const struct vb_pickle_value *items, size_t n);

#endif
