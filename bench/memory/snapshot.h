/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_MEMORY_SNAPSHOT_H
#define VB_MEMORY_SNAPSHOT_H

/* For the files that read snapshots: the words that are looked for in the pickle, and values of the
 * kind that is expected. */

#include "base/pickle.h"

enum vb_word {
    VB_WORD_SEGMENTS,
    VB_WORD_TRACES,
    VB_WORD_SETTINGS,
    VB_WORD_DEVICE,
    VB_WORD_ADDRESS,
    VB_WORD_TOTAL_SIZE,
    VB_WORD_STREAM,
    VB_WORD_SEGMENT_TYPE,
    VB_WORD_POOL_ID,
    VB_WORD_IS_EXPANDABLE,
    VB_WORD_BLOCKS,
    VB_WORD_SIZE,
    VB_WORD_REQUESTED,
    VB_WORD_STATE,
    VB_WORD_ACTION,
    VB_WORD_ADDR,
    VB_WORD_DEVICE_FREE,
    VB_WORD_MAX_SPLIT,
    VB_WORD_GARBAGE,
    VB_WORD_EXPANDABLE,
    VB_WORD_ROUNDUP,
    VB_WORD_SMALL,
    VB_WORD_LARGE,
    VB_WORD_ALLOCATED, /* states of a block: this, or one of the two below */
    VB_WORD_WAITING,
    VB_WORD_PENDING,
    VB_WORD_INACTIVE,
    VB_WORD_ACTIONS,                         /* from here on, as trace.h names them */
    VB_WORD_INTERVALS = VB_WORD_ACTIONS + 9, /* from here on, 1 to 32768 in MiB */
    VB_N_WORDS = VB_WORD_INTERVALS + 16,
};
extern const char *const vb_words[VB_N_WORDS];

struct vb_snapshot {
    const char *name; /* of the file */
    struct vb_pickle_value root;
    struct vb_arena *arena;
    struct vb_error *err;
};

/* What stands under the word, of the kind. VB_E_INPUT: nothing or something else; the text names
 * the file, the byte and the key. */
VB_CHECKED enum vb_status vb_snapshot_get(struct vb_snapshot *snapshot,
                                          const struct vb_pickle_value *dict, enum vb_word word,
                                          enum vb_pickle_kind kind,
                                          const struct vb_pickle_value **out);
/* A whole number from 0 on. */
VB_CHECKED enum vb_status vb_snapshot_number(struct vb_snapshot *snapshot,
                                             const struct vb_pickle_value *dict, enum vb_word word,
                                             uint64_t *out);

/* The list's elements have to be dicts with something of ours in them. */
VB_CHECKED enum vb_status vb_snapshot_check_list(struct vb_snapshot *snapshot,
                                                 const struct vb_pickle_value *list,
                                                 enum vb_pickle_kind kind, const char *what);

/* Segments of one GPU, with their blocks. */
struct vb_trace_end;
VB_CHECKED enum vb_status vb_snapshot_read_end(struct vb_snapshot *snapshot, uint64_t device,
                                               struct vb_trace_end *out, size_t *n_private);

/* The allocator's settings; zeroed where the snapshot has none. */
struct vb_pool_options;
VB_CHECKED enum vb_status vb_snapshot_read_options(struct vb_snapshot *snapshot,
                                                   struct vb_pool_options *out);

#endif
