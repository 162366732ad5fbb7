/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_MODEL_YAML_H
#define VB_MODEL_YAML_H

/* A YAML text as a tree of scalars, lists and maps, each with its line: as much of YAML as model
 * descriptions use. Anchors and aliases are refused. */

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

enum vb_yaml_kind { VB_YAML_SCALAR, VB_YAML_LIST, VB_YAML_MAP };

struct vb_yaml {
    enum vb_yaml_kind kind;
    uint32_t line;    /* from 1 */
    const char *text; /* a scalar's; "" for others */
    size_t n;         /* items of a list; a map's are key, value, key, value */
    struct vb_yaml **items;
};

/* Parses `bytes` of text; `file` names it in errors. The tree lives in the arena.
 * VB_E_INPUT: no YAML, or more of it than a model has; the text begins with file and line. */
VB_CHECKED enum vb_status vb_yaml_parse(const char *file, const char *data, size_t bytes,
                                        struct vb_arena *arena, struct vb_yaml **out,
                                        struct vb_error *err);

/* The value of `key`, NULL where the map has none. */
const struct vb_yaml *vb_yaml_find(const struct vb_yaml *map, const char *key);

#endif
