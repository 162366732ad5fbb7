/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_DEVICE_PLAN_STORE_H
#define VB_DEVICE_PLAN_STORE_H

/* Answers about convolutions by what was asked: in memory, and as lines of a file. The cache on
 * disk and the tables that ship have the same form, a line an answer:
 *
 *     DIRECTION TYPE LAYOUT n c h w k kh kw stride pad dilation groups RULES engine bytes low high
 */

#include <stdbool.h>
#include <stddef.h>

#include "device/conv_plan.h"

struct vb_plan_entry {
    struct vb_conv conv;
    struct vb_conv_rules rules;
    struct vb_conv_plan plan;
};

/* Zeroed is valid and empty. */
struct vb_plan_store {
    struct vb_plan_entry *entries;
    size_t n, room;
    uint32_t *slots; /* open addressing; 0: empty, else the entry's number + 1 */
    size_t n_slots;
    size_t n_saved; /* entries that are in the file already */
};

/* NULL: not there. */
const struct vb_plan_entry *vb_plan_store_find(const struct vb_plan_store *store,
                                               const struct vb_conv *conv,
                                               const struct vb_conv_rules *rules);
VB_CHECKED enum vb_status vb_plan_store_add(struct vb_plan_store *store,
                                            const struct vb_plan_entry *entry,
                                            struct vb_error *err);

/* Adds the file's answers, marked as from `source`. A file that is not there, and lines that cannot
 * be read, are no answers. Lines that begin with # are passed over. */
VB_CHECKED enum vb_status vb_plan_store_load(struct vb_plan_store *store, const char *path,
                                             enum vb_conv_source source, struct vb_error *err);

/* Appends what is new to the file, under a lock, in one write: safe for two processes at once. A
 * folder that cannot be written only costs time. */
void vb_plan_store_save(struct vb_plan_store *store, const char *path);

/* Writes one answer as such a line, newline and all. */
void vb_plan_entry_print(const struct vb_plan_entry *entry, char *line, size_t room);

void vb_plan_store_clear(struct vb_plan_store *store);

#endif
