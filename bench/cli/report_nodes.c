/* SPDX-License-Identifier: Apache-2.0 */
/* The script of a page cannot plan, so plans for many batches of each image size of the results are
 * put into it: between them it takes what lies on the line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/programs.h"
#include "cli/report_asks.h"
#include "device/gpu_spec.h"

enum {
    MOST_SIZES = 16,
    LEAST_BATCHES = 6,
    MANY_BATCHES = 16,
    MOST_BATCHES = 128,
    MOST_ROWS = 512,
    N_COMPARED = 3
};
#define BEYOND 1.5 /* of the GPU's memory, where planning ends */

static const uint32_t dense[] = { 1,   2,   3,   4,   5,   6,   8,   10,  12,  14,  16,  20,
                                  24,  28,  32,  40,  48,  56,  64,  80,  96,  112, 128, 160,
                                  192, 224, 256, 320, 384, 448, 512, 640, 768, 896, 1024 };
static const uint32_t sparse[] = { 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024 };

struct planning {
    const struct vb_page *page;
    const struct vb_page_kind *kind;
    uint32_t place; /* the kind's */
    struct vb_arena *arena;
    struct vb_device *device; /* the virtual one that plans */
    struct cli_programs programs;
    bool is_planned;
    const struct vb_page_row *rows; /* the kind's: by size, then batch */
    size_t n_rows;
    uint32_t sizes[MOST_SIZES];
    size_t n_sizes, room;
    struct vb_page_ask *out;
};

/* The kind's rows, which stand together, and their image sizes: of very many the first. */
static void find_rows(struct planning *of)
{
    const struct vb_page *page = of->page;
    size_t first = 0;
    while (first < page->n_rows && page->rows[first].kind != of->place)
        first++;
    of->rows = page->rows + first;
    while (first + of->n_rows < page->n_rows && of->rows[of->n_rows].kind == of->place) {
        const uint32_t imgsz = of->rows[of->n_rows++].imgsz;
        if ((of->n_sizes == 0 || of->sizes[of->n_sizes - 1] != imgsz) && of->n_sizes < MOST_SIZES)
            of->sizes[of->n_sizes++] = imgsz;
    }
}

/* Those of one size; `*n` counts them. */
static const struct vb_page_row *rows_of_size(const struct planning *of, uint32_t imgsz, size_t *n)
{
    size_t first = 0;
    while (first < of->n_rows && of->rows[first].imgsz != imgsz)
        first++;
    for (*n = 0; first + *n < of->n_rows && of->rows[first + *n].imgsz == imgsz;)
        ++*n;
    return of->rows + first;
}

static enum vb_status add(struct planning *of, struct vb_page_node node, struct vb_error *err)
{
    struct vb_page_node *nodes =
        vb_arena_grow(of->arena, of->out->nodes, of->out->n_nodes, &of->room, sizeof *nodes);
    if (nodes == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for plans");
    of->out->nodes = nodes;
    nodes[of->out->n_nodes++] = node;
    return VB_OK;
}

/* The plan of one point as 'vrambench estimate' makes it, with its workspaces apart where a
 * calibration asks for them. VB_E_INPUT or VB_E_UNSUPPORTED: there is none. */
static enum vb_status plan(struct planning *of, uint32_t imgsz, uint32_t batch,
                           struct vb_page_node *out, struct vb_error *err)
{
    struct vb_record record, need, apart = { 0 };
    struct vb_point point = of->kind->point;
    point.batch = batch;
    point.imgsz = imgsz;
    enum vb_status status =
        cli_measure_need(&of->programs, &point, of->device, &record, &need, err);
    *out = (struct vb_page_node){ imgsz, batch, (double)need.peak_reserved_bytes, 0,
                                  record.state == VB_STATE_OOM };
    point.workspace = VB_SCRATCH_OUTSIDE;
    if (status == VB_OK && !of->is_planned)
        status = cli_measure_need(&of->programs, &point, of->device, &record, &apart, err);
    out->apart_bytes = (double)apart.peak_reserved_bytes;
    if (status == VB_OK) {
        of->out->context_bytes = (double)record.context_bytes;
        of->out->usable_bytes = (double)record.usable_bytes;
    }
    return status;
}

/* The next batch after `batch` to be planned: of the list, or of the size's rows; `*row` is that
 * row, NULL where it has none. */
static uint32_t next_batch(const struct vb_page_row *rows, size_t n_rows, uint32_t batch,
                           bool is_dense, const struct vb_page_row **row)
{
    const uint32_t *list = is_dense ? dense : sparse;
    const size_t n = is_dense ? sizeof dense / sizeof *dense : sizeof sparse / sizeof *sparse;
    uint32_t next = UINT32_MAX;
    for (size_t i = n; i > 0 && list[i - 1] > batch; i--)
        next = list[i - 1];
    *row = NULL;
    for (size_t i = 0; i < n_rows && *row == NULL; i++) {
        if (rows[i].batch > batch && rows[i].batch <= next)
            *row = &rows[i];
    }
    return *row != NULL ? (*row)->batch : next;
}

/* Plans of a size, from batch 1 on until they are far beyond the memory: those of the rows, but for
 * what the journal has of them, and `n` more. */
static enum vb_status plan_size(struct planning *of, uint32_t imgsz, size_t n, struct vb_error *err)
{
    const bool is_dense = n >= MANY_BATCHES;
    enum vb_status status = VB_OK;
    size_t n_rows = 0;
    const struct vb_page_row *rows = rows_of_size(of, imgsz, &n_rows), *row = NULL;
    uint32_t batch = 0;
    for (size_t i = 0, n_more = 0; i < MOST_BATCHES && n_more < n; i++) {
        struct vb_page_node node;
        batch = next_batch(rows, n_rows, batch, is_dense, &row);
        n_more += row == NULL;
        if (of->is_planned && row != NULL && row->reserved_bytes > 0)
            continue;
        if (batch != UINT32_MAX)
            status = plan(of, imgsz, batch, &node, err);
        if (batch == UINT32_MAX || status == VB_E_INPUT || status == VB_E_UNSUPPORTED)
            return VB_OK;
        if (status == VB_OK)
            status = add(of, node, err);
        if (status != VB_OK || node.planned_bytes > BEYOND * of->out->usable_bytes)
            return status;
    }
    return VB_OK;
}

/* Whether plans made here are the journal's: the first, the middle and the last that has a peak. */
static bool is_reproduced(struct planning *of)
{
    size_t own[MOST_ROWS], n = 0;
    bool is_same = true;
    for (size_t i = 0; i < of->n_rows && n < MOST_ROWS; i++) {
        if (of->rows[i].reserved_bytes > 0 && of->rows[i].batch > 0)
            own[n++] = i;
    }
    for (size_t k = 0; k < N_COMPARED && n > 0 && is_same; k++) {
        const struct vb_page_row *row = &of->rows[own[k * (n - 1) / (N_COMPARED - 1)]];
        struct vb_page_node node;
        is_same = plan(of, row->imgsz, row->batch, &node, NULL) == VB_OK &&
                  node.planned_bytes == (double)row->reserved_bytes;
    }
    return n > 0 && is_same;
}

/* The journal's own plans, evenly some of very many. */
static enum vb_status take_rows(struct planning *of, struct vb_error *err)
{
    enum vb_status status = VB_OK;
    of->out->usable_bytes = (double)of->page->stacks[of->kind->stack].usable_bytes;
    for (size_t i = 0; i < of->n_rows && status == VB_OK; i++) {
        const struct vb_page_row *row = &of->rows[i];
        const bool is_passed_over = of->n_rows > MOST_ROWS && i > 0 &&
                                    i * MOST_ROWS / of->n_rows == (i - 1) * MOST_ROWS / of->n_rows;
        const struct vb_page_node node = { row->imgsz, row->batch, (double)row->reserved_bytes, 0,
                                           false };
        if (row->reserved_bytes > 0 && row->batch > 0 && !is_passed_over)
            status = add(of, node, err);
    }
    return status;
}

/* The virtual device of the stack's GPU. */
static enum vb_status open_device(struct planning *of, uint32_t *compute_capability,
                                  struct vb_error *err)
{
    static const char prefix[] = "virtual:";
    const struct vb_page_stack *stack = &of->page->stacks[of->kind->stack];
    struct vb_gpu_spec spec = { 0 };
    char name[128];
    enum vb_status status = VB_OK;
    if (of->is_planned) {
        (void)snprintf(name, sizeof name, "%s", stack->device);
        if (strncmp(stack->device, prefix, strlen(prefix)) != 0)
            return vb_fail(err, VB_E_INPUT, "%s plans nothing", stack->device);
    } else {
        status = vb_gpu_spec_find_product(stack->gpu, stack->capacity_bytes, &spec, err);
        (void)snprintf(name, sizeof name, "%s%s", prefix, spec.name);
        vb_gpu_spec_clear(&spec);
    }
    if (status == VB_OK)
        status = vb_device_open(name, &of->device, err);
    if (status == VB_OK)
        *compute_capability = vb_device_info(of->device)->compute_capability;
    return status;
}

static int by_size(const void *a, const void *b)
{
    const struct vb_page_node *x = a, *y = b;
    if (x->imgsz != y->imgsz)
        return x->imgsz < y->imgsz ? -1 : 1;
    return (x->batch > y->batch) - (x->batch < y->batch);
}

enum vb_status cli_report_nodes(const struct vb_page *page, uint32_t kind, size_t n_plans,
                                struct vb_arena *arena, struct vb_page_ask *out,
                                uint32_t *compute_capability, struct vb_error *err)
{
    struct planning of = {
        .page = page, .kind = &page->kinds[kind], .place = kind, .arena = arena, .out = out
    };
    of.is_planned = page->stacks[of.kind->stack].provenance == VB_PLANNED;
    *compute_capability = 0;
    find_rows(&of);
    enum vb_status status = open_device(&of, compute_capability, err);
    bool can_plan = status == VB_OK && (!of.is_planned || is_reproduced(&of));
    if (of.is_planned && (status == VB_OK || status == VB_E_INPUT))
        status = take_rows(&of, err);
    size_t each = of.n_sizes > 0 ? n_plans / of.n_sizes : 0;
    each = each > LEAST_BATCHES ? each : LEAST_BATCHES;
    for (size_t i = 0; i < of.n_sizes && can_plan && status == VB_OK; i++)
        status = plan_size(&of, of.sizes[i], each, err);
    if (status == VB_OK && out->n_nodes > 0)
        qsort(out->nodes, out->n_nodes, sizeof *out->nodes, by_size);
    vb_device_close(of.device);
    cli_programs_clear(&of.programs);
    return status;
}
