/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_SWEEP_GRID_H
#define VB_SWEEP_GRID_H

/* Sweeps out of an INI file: what [sweep], [axes] and [step] say, checked, and the product of the
 * axes as points, the last axis fastest. Unnamed sections are the defaults of named ones. */

#include "base/ini.h"
#include "record/point.h"
#include "sweep/keys.h"

enum { VB_MAX_POINTS = 1000000, VB_MAX_OVERRIDES = 64, VB_USUAL_TIMEOUT_SECONDS = 600 };

struct vb_sweep {
    char name[64]; /* of the section, else of the file without its folder and ending */
    char title[128];
    char device[64];          /* "auto" unless said */
    char virtual_gpu[256];    /* planned for this where the machine has none; "" if not said */
    bool backstop;            /* larger points are skipped once a smaller one ran out */
    uint64_t memory_bytes;    /* the device has no more than that; 0: what it has */
    uint32_t timeout_seconds; /* a measured point that runs longer is ended */
    struct vb_point *points;
    size_t n_points;
};

/* What the command line says on top of the file. */
struct vb_overrides {
    const char *set[VB_MAX_OVERRIDES]; /* "section.key=value", or "key=value" for [step] */
    size_t n_set;
    const char *filter[VB_MAX_OVERRIDES]; /* "key=value": only such points; values as in an axis */
    size_t n_filter;
    const char *section;      /* only this named sweep; NULL: all */
    uint32_t shard, n_shards; /* every n-th point from the shard-th (from 1) on; 0: all */
};

struct vb_sweeps {
    struct vb_sweep *items;
    size_t n;
};

/* VB_E_INPUT: an unknown section or key (with a suggestion), a bad value or range, an axis without
 * values, more than VB_MAX_POINTS points; with file and line. */
VB_CHECKED enum vb_status vb_grid_read(const char *path, const struct vb_overrides *overrides,
                                       struct vb_arena *arena, struct vb_sweeps *out,
                                       struct vb_error *err);
VB_CHECKED enum vb_status vb_grid_expand(const char *path, const struct vb_ini *ini,
                                         const struct vb_overrides *overrides,
                                         struct vb_arena *arena, struct vb_sweeps *out,
                                         struct vb_error *err);

#endif
