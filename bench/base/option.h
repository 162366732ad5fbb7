/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_BASE_OPTION_H
#define VB_BASE_OPTION_H

/* An option: a member of a struct that a text may set. A table of them feeds the INI parser, the
 * command line, --help, the reference page and the error texts, so that none of these can differ.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct vb_option {
    const char *name;
    const char *values; /* what it takes, in words or as a list: "fp32, fp16, bf16" */
    const char *help;   /* one line */
    enum vb_option_kind {
        VB_OPTION_TEXT,
        VB_OPTION_NUMBER,
        VB_OPTION_DECIMAL,
        VB_OPTION_SWITCH,
        VB_OPTION_NAME
    } kind;
    size_t offset;            /* in the struct */
    size_t room;              /* of a text */
    uint32_t low, high;       /* of a number or a decimal, whose member is a double */
    const char *const *names; /* of a name, whose member is an enum */
    size_t n_names;
};

/* For a table: the rest of an entry for a member of a struct. */
#define VB_TEXT_OPTION(type, member)                                                               \
    VB_OPTION_TEXT, offsetof(type, member), sizeof(((type *)0)->member), 0, 0, NULL, 0
#define VB_NUMBER_OPTION(type, member, low, high)                                                  \
    VB_OPTION_NUMBER, offsetof(type, member), 0, low, high, NULL, 0
#define VB_DECIMAL_OPTION(type, member, low, high)                                                 \
    VB_OPTION_DECIMAL, offsetof(type, member), 0, low, high, NULL, 0
#define VB_SWITCH_OPTION(type, member) VB_OPTION_SWITCH, offsetof(type, member), 0, 0, 0, NULL, 0
#define VB_NAME_OPTION(type, member, names)                                                        \
    VB_OPTION_NAME, offsetof(type, member), 0, 0, 0, names, sizeof names / sizeof *names

/* NULL: there is none of that name. */
const struct vb_option *vb_option_find(const struct vb_option *options, size_t n, const char *name);
/* The nearest name, NULL where none is near. */
const char *vb_option_nearest(const struct vb_option *options, size_t n, const char *name);

/* Sets the struct's member from its text. VB_E_INPUT: no such value (with a suggestion), or out of
 * range; the text begins with the option's name. */
VB_CHECKED enum vb_status vb_option_set(const struct vb_option *option, const char *text,
                                        void *object, struct vb_error *err);

/* The member as text, as vb_option_set() reads it; cut to `room`. */
void vb_option_get(const struct vb_option *option, const void *object, char *text, size_t room);

#endif
