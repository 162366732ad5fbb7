/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_BASE_PICKLE_H
#define VB_BASE_PICKLE_H

/* Reads the plain data of a Python pickle of protocol 2 to 5: None, bool, int, float, str, bytes,
 * tuple, list, dict. Whatever would make Python call or look up anything is refused at its opcode.
 *
 * Files of hundreds of MB are mostly what nobody asks for (stack frames), so the reader is told the
 * words of interest. A str that is none of them is known to be a str and no more; a dict keeps what
 * stands under such words; a list forgets the elements of which nothing is kept, and counts them.
 * The file is read as a stream. Source: the opcodes as Python's pickletools lists them, PEP 3154.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/error.h"

enum vb_pickle_kind {
    VB_PICKLE_ABSENT,
    VB_PICKLE_NONE,
    VB_PICKLE_BOOL,
    VB_PICKLE_NATURAL,  /* an int from 0 to 2^64 - 1 */
    VB_PICKLE_NEGATIVE, /* an int from -2^63 to -1 */
    VB_PICKLE_BIG,      /* an int beyond 64 bits */
    VB_PICKLE_FLOAT,
    VB_PICKLE_STR,   /* none of the words */
    VB_PICKLE_WORD,  /* one of them */
    VB_PICKLE_BYTES, /* bytes or bytearray */
    VB_PICKLE_TUPLE,
    VB_PICKLE_LIST,
    VB_PICKLE_DICT,
};

struct vb_pickle_value {
    uint64_t at : 48; /* byte of the file where it begins */
    uint64_t kind : 8;
    uint64_t key : 8; /* of what a dict keeps: the word it is under */
    union {
        uint64_t number; /* bool: 0 or 1; NEGATIVE: modulo 2^64 */
        double real;
        uint64_t word; /* its index */
        struct vb_pickle_node *node;
    };
};

/* A list's, tuple's or dict's. A tuple keeps all of its elements. */
struct vb_pickle_node {
    struct vb_pickle_value *items;
    uint32_t n, room;
    uint64_t n_forgotten; /* a list's elements of which nothing is kept */
};

enum { VB_PICKLE_MAX_WORDS = 255, VB_PICKLE_MAX_WORD = 63 };

/* Beyond each the file is refused, and the text says which. */
struct vb_pickle_limits {
    uint64_t kept_bytes; /* of host memory, for all that is kept and for the reader itself */
    uint64_t depth;      /* of marks: lists in dicts in lists */
};
extern const struct vb_pickle_limits vb_pickle_usual_limits;

/* Reads the one pickle that `file` holds from where it stands to its end. `name` names it in
 * errors. At most 255 words of at most 63 letters, borrowed for the call. What is kept lives in
 * `arena`. VB_E_INPUT: no such pickle, one with code, damaged, or beyond a limit; the text names
 * the file, the byte and what was expected there. */
VB_CHECKED enum vb_status vb_pickle_read(const char *name, FILE *file, const char *const *words,
                                         size_t n_words, const struct vb_pickle_limits *limits,
                                         struct vb_arena *arena, struct vb_pickle_value *out,
                                         struct vb_error *err);

/* What a dict keeps under the word; NULL: nothing, or `dict` is none. */
const struct vb_pickle_value *vb_pickle_get(const struct vb_pickle_value *dict, size_t word);

/* "a dict", "a negative int": for texts of errors. */
const char *vb_pickle_kind_name(enum vb_pickle_kind kind);

#endif
