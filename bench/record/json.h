/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_RECORD_JSON_H
#define VB_RECORD_JSON_H

/* For record.c: one table of a record's plain members, so that writing and reading cannot differ.
 */

#include <jansson.h>
#include <stddef.h>

#include "record/record.h"

enum vb_member_kind {
    VB_MEMBER_TEXT,  /* absent while empty */
    VB_MEMBER_BYTES, /* uint64_t, absent while 0; counts too */
    VB_MEMBER_U32,
    VB_MEMBER_BOOL,
    VB_MEMBER_NAME,     /* an enum by its name */
    VB_MEMBER_POSITIVE, /* double, absent while 0 */
};

struct vb_member {
    const char *key;
    enum vb_member_kind kind;
    size_t offset, room;
    const char *const *names;
    size_t n_names;
};

extern const struct vb_member vb_point_members[];
extern const size_t vb_point_member_count;
extern const struct vb_member vb_record_members[];
extern const size_t vb_record_member_count;

/* What a run's parts came to: "parts", "peak_part" and, where memory ran out, "oom_part"; nothing
 * for a record of anything but a run. */
void vb_record_write_parts(const struct vb_record *record, json_t *object);
void vb_record_read_parts(const json_t *object, struct vb_record *out);

#endif
