/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_SWEEP_KEYS_H
#define VB_SWEEP_KEYS_H

/* The one table of what a point can be told: it feeds the INI parser, the command line, --help, the
 * reference page and the error texts. */

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "record/point.h"

struct vb_key {
    const char *name;
    const char *values; /* what it takes, in words or as a list: "fp32, fp16, bf16" */
    const char *help;   /* one line */
    enum vb_key_kind { VB_KEY_TEXT, VB_KEY_NUMBER, VB_KEY_SWITCH, VB_KEY_NAME } kind;
    size_t offset;            /* in struct vb_point */
    size_t room;              /* of a text */
    uint32_t low, high;       /* of a number */
    const char *const *names; /* of a name */
    size_t n_names;
};

extern const struct vb_key vb_keys[];
extern const size_t vb_key_count;

/* NULL: there is none of that name. */
const struct vb_key *vb_key_find(const char *name);
/* The nearest name, NULL where none is near. */
const char *vb_key_nearest(const char *name);

/* Sets the point's value from its text. VB_E_INPUT: no such value (with a suggestion), or out of
 * range; the text begins with the key's name. */
VB_CHECKED enum vb_status vb_key_set(const struct vb_key *key, const char *text,
                                     struct vb_point *point, struct vb_error *err);

/* The value as text, as vb_key_set() reads it; cut to `room`. */
void vb_key_get(const struct vb_key *key, const struct vb_point *point, char *text, size_t room);

/* Appends the reference of all keys as a Markdown table. */
void vb_keys_reference(struct vb_text *out);

#endif
