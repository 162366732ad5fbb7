/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_SWEEP_MERGE_H
#define VB_SWEEP_MERGE_H

/* Several journals made one: the shards of a sweep that many machines ran. Lines that are the same
 * to the byte are folded. Of a point that two journals tell differently both lines stay, and the
 * one that is not a failure, or else the later, is the one that readers find. Memory is some 50 B a
 * line, whatever its length. */

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct vb_merge {
    const char *const *folders; /* read in this order */
    size_t n_folders;
    const char *out; /* a folder that is none of those */
    bool force;      /* its journal may be replaced by another one */
    /* Told of each point that two journals tell differently, and of each corrupt line; may be NULL.
     */
    void (*tell)(void *context, const char *text);
    void *context;

    size_t n_rows, n_folded, n_conflicts, n_corrupt; /* what came of it */
};

/* The journal of `out` is replaced at once or not at all; one that is the same already is left as
 * it is. VB_E_INPUT: a journal cannot be read; they are of two GPUs or stacks under one device's
 * name; `out` holds another journal, and force was not given. VB_E_SYSTEM: it cannot be written. */
VB_CHECKED enum vb_status vb_merge_journals(struct vb_merge *merge, struct vb_error *err);

#endif
