/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_SWEEP_JOURNAL_EACH_H
#define VB_SWEEP_JOURNAL_EACH_H

/* A journal record by record, for one that is larger than memory: it is read in blocks, whose lines
 * are parsed on several threads and told in their order on the caller's. */

#include <stddef.h>
#include <stdint.h>

#include "record/record.h"

struct vb_journal_sum {
    uint64_t hash; /* of all bytes: base/hash.h */
    size_t n_records, n_corrupt;
    char note[512]; /* of the first corrupt line, "" where there is none */
};

/* Told each record; what its curve points to goes after the call. Other than VB_OK ends it. */
typedef enum vb_status vb_each_record(void *context, const struct vb_record *record,
                                      struct vb_error *err);

/* Reads FOLDER/rows.jsonl, or the file itself if it is one. Corrupt lines are passed over and
 * counted. VB_E_INPUT: there is none, it cannot be read, or a line is longer than 64 MiB.
 * VB_E_SYSTEM: no host memory. Else what `each` returned. */
VB_CHECKED enum vb_status vb_journal_each(const char *folder, vb_each_record *each, void *context,
                                          struct vb_journal_sum *out, struct vb_error *err);

#endif
