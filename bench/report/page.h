/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_REPORT_PAGE_H
#define VB_REPORT_PAGE_H

/* A results folder as one page for a browser: HTML with its style, script, charts and data in it,
 * which asks nobody for anything. Filled record by record: a row is some 70 B, so that a journal of
 * a million fits; of very many the page shows some and says so. */

#include "base/arena.h"
#include "base/text.h"
#include "fit/calibration_find.h"
#include "report/page_chart.h"

enum {
    VB_MOST_PAGE_ROWS = 5000, /* in the page's table */
    VB_MOST_PAGE_KINDS = 1024,
    VB_MOST_PAGE_STACKS = 64,
};

/* What figures come from: whose machine, with which versions. */
struct vb_page_stack {
    char device[64], gpu[64], driver[32], cuda[16], cudnn[32], onednn[32], tool[96];
    enum vb_provenance provenance;
    uint64_t capacity_bytes, usable_bytes; /* 0: not known */
    size_t n_records;
};

/* What rows have in common that differ in nothing but batch and image size. */
struct vb_page_kind {
    struct vb_point point; /* batch and imgsz are 0 */
    uint32_t stack;
    char recipe[96], workspaces[16]; /* of its first record */
    uint64_t context_bytes;
};

struct vb_page_row {
    uint32_t kind, imgsz, batch;
    uint32_t number; /* as they came */
    enum vb_state state;
    bool time_is_modelled;
    uint64_t allocated_bytes, reserved_bytes, device_bytes; /* 0: not known */
    double images_per_second;                               /* 0: not known */
    const char *reason; /* of the first that failed; NULL: none is kept */
};

/* What was planned for a batch and image size, in the pool's bytes. */
struct vb_page_node {
    uint32_t imgsz, batch;
    double planned_bytes;
    double apart_bytes; /* with no workspace in it; 0: not known */
    bool has_run_out;   /* on the GPU; then these are as planned with no limit */
};

/* What the page can tell of a kind's other batches and sizes. */
struct vb_page_ask {
    uint32_t kind;
    const struct vb_calibration *calibration; /* NULL: plans and published runs */
    const struct vb_calibrations *file;
    const char *reason; /* why there is no band; NULL: there is */
    struct vb_band band;
    double least_bytes, most_bytes; /* planned bytes beyond which a question is unlike the rows */
    double context_bytes, usable_bytes;
    struct vb_page_node *nodes; /* by imgsz, then batch */
    size_t n_nodes;
};

struct vb_page {
    const char *name; /* of the folder */
    const char *tool; /* "vrambench 0.1.0 COMMIT": what writes the page */
    char date[24];    /* when the journal was last written */
    char hash[17];    /* of its bytes */
    size_t n_records, n_corrupt;
    struct vb_page_stack *stacks;
    size_t n_stacks, stacks_room;
    struct vb_page_kind *kinds;
    size_t n_kinds, kinds_room, last_kind;
    uint64_t differing; /* bits of vb_point_members in which kinds differ */
    struct vb_page_row *rows;
    size_t n_rows, rows_room, n_reasons;
    struct vb_page_ask *asks;
    size_t n_asks;
    struct vb_page_charts charts;
    struct vb_arena arena;
};

/* Takes the record up. VB_E_INPUT: too many kinds or stacks. VB_E_SYSTEM: no host memory. */
VB_CHECKED enum vb_status vb_page_add(struct vb_page *page, const struct vb_record *record,
                                      struct vb_error *err);

/* Whether the record's figures come from there. */
bool vb_page_is_of(const struct vb_page_stack *stack, const struct vb_record *record);

/* When all records are taken up: sorts the rows by kind, image size, batch; of two of one point the
 * later stays. */
void vb_page_sort(struct vb_page *page);

/* Appends the whole page. VB_E_SYSTEM: no host memory. */
VB_CHECKED enum vb_status vb_page_append(const struct vb_page *page, struct vb_text *out,
                                         struct vb_error *err);

void vb_page_clear(struct vb_page *page);

#endif
