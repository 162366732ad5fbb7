/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_BASE_INI_H
#define VB_BASE_INI_H

/* An INI text as a list of entries with their places. `include = FILE` puts another file's entries
 * in its place, read from the including file's folder. What keys mean is not decided here. */

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

struct vb_ini_entry {
    const char *section; /* "sweep", "axes", "step" */
    const char *name;    /* of a named section, "[axes small]": "small"; "" for the unnamed one */
    const char *key, *value;
    const char *file;
    uint32_t line;
};

struct vb_ini {
    struct vb_ini_entry *entries;
    size_t n, room;
};

/* VB_E_INPUT: cannot be read, a line that is no key = value, a key given twice in one section, a
 * continuation line, a line or name too long, files that include each other; with file and line. */
VB_CHECKED enum vb_status vb_ini_read(const char *path, struct vb_arena *arena, struct vb_ini *out,
                                      struct vb_error *err);

/* The same for a text in memory, where `include` is refused. */
VB_CHECKED enum vb_status vb_ini_parse(const char *file, const char *text, struct vb_arena *arena,
                                       struct vb_ini *out, struct vb_error *err);

#endif
