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
    VB_MEMBER_COUNT, /* uint32_t, absent while 0 */
    VB_MEMBER_BOOL,
    VB_MEMBER_FLAG,     /* bool, absent while false */
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

/* A member of a struct, under its own name. */
#define VB_MEMBER(type, member, kind)                                                              \
    {                                                                                              \
#member, kind, offsetof(struct type, member), sizeof(((struct type *)0)->member), NULL, 0  \
    }

void vb_members_write(json_t *object, const struct vb_member *members, size_t n, const void *base);
/* VB_E_INPUT: a value of another type or out of its range. */
VB_CHECKED enum vb_status vb_members_read(const json_t *object, const struct vb_member *members,
                                          size_t n, void *base, struct vb_error *err);

extern const struct vb_member vb_point_members[];
extern const size_t vb_point_member_count;
extern const struct vb_member vb_record_members[];
extern const size_t vb_record_member_count;

/* What a run's parts came to: "parts", "peak_part" and, where memory ran out, "oom_part"; nothing
 * for a record of anything but a run. */
void vb_record_write_parts(const struct vb_record *record, json_t *object);
void vb_record_read_parts(const json_t *object, struct vb_record *out);

/* "step_samples_ns"; nothing where the steps are not known. The samples go to the arena.
 * VB_E_INPUT: no list of times above 0, or too many. */
void vb_record_write_samples(const struct vb_record *record, json_t *object);
VB_CHECKED enum vb_status vb_record_read_samples(const json_t *object, struct vb_arena *arena,
                                                 struct vb_record *out, struct vb_error *err);

/* "on_gpu"; nothing where there was none. */
void vb_on_gpu_write(const struct vb_on_gpu *on_gpu, json_t *object);
VB_CHECKED enum vb_status vb_on_gpu_read(const json_t *object, struct vb_on_gpu *out,
                                         struct vb_error *err);

#endif
