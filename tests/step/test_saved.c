/* SPDX-License-Identifier: Apache-2.0 */
/* What autograd keeps of a forward pass, tensor by tensor and in order, against what hooks saw of
 * the real models (tests/data/steps/saved_*.csv): whose it is, its shape, where it lies in which
 * storage, how large that is. Parameters and buffers are left out, and numbers of the host. */

#include "recorded.h"

#include "step/forward.h"

struct pass {
    struct vb_arena arena;
    struct vb_graph graph;
    struct vb_program program;
    struct vb_tape tape;
};

/* Where autocast is on, bfloat16 stands for float16 in the recording. */
static void run_pass(struct pass *pass, const char *model, uint32_t batch, uint32_t imgsz,
                     bool autocast, const struct vb_torch *torch)
{
    struct vb_error err = { 0 };
    struct vb_graph *graph = &pass->graph;
    struct vb_variable predictions[16];
    *pass = (struct pass){ 0 };
    cr_assert_eq(vb_catalogue_expand(model, batch, imgsz, 0, &pass->arena, graph, &err), VB_OK,
                 "%s", err.text);
    uint32_t n = graph->n_parameters + graph->n_buffers;
    uint32_t *storages = vb_arena_alloc(&pass->arena, n, sizeof *storages);
    pass->program = (struct vb_program){ .arena = &pass->arena };
    pass->tape = (struct vb_tape){ .program = &pass->program,
                                   .torch = torch,
                                   .module = "",
                                   .autocast = autocast,
                                   .autocast_dtype = VB_FLOAT16 };
    for (uint32_t i = 0; i < n; i++) {
        const struct vb_parameter *of = &graph->parameters[i];
        storages[i] =
            vb_tape_new(&pass->tape, of->name, &of->shape, of->is_int64 ? VB_INT64 : VB_FLOAT32)
                .storage;
    }
    struct vb_variable images =
        vb_tape_new(&pass->tape, "images", &graph->values[0].shape, VB_FLOAT32);
    cr_assert_eq(vb_forward(&pass->tape, graph, storages, images, predictions, &err), VB_OK);
    cr_assert(!pass->program.failed);
}

static bool is_told(const struct csv *csv, size_t row, const char *batch, const char *imgsz)
{
    const char *kind = csv_text(csv, row, "kind");
    return strcmp(csv_text(csv, row, "batch"), batch) == 0 &&
           strcmp(csv_text(csv, row, "imgsz"), imgsz) == 0 &&
           strcmp(csv_text(csv, row, "stage"), "fwd") == 0 && strcmp(kind, "param") != 0 &&
           strcmp(kind, "buffer") != 0 && strcmp(csv_text(csv, row, "dtype"), "float64") != 0;
}

/* PyTorch's product of matrices [N,H,m,n] sees them as one stack, whose step is that of the heads.
 */
static struct vb_variable as_stack(const struct vb_variable *x)
{
    struct vb_variable y = *x;
    y.shape.n_dims--;
    for (uint32_t i = 0; i < y.shape.n_dims; i++) {
        y.shape.dims[i] = x->shape.dims[i + 1] * (i == 0 ? x->shape.dims[0] : 1);
        y.strides[i] = x->strides[i + 1];
    }
    cr_expect(x->shape.dims[0] == 1 || x->strides[0] == x->shape.dims[1] * x->strides[1]);
    return y;
}

/* A stride along an axis of one element says nothing. */
static void compare_place(const struct csv *csv, size_t row, const struct vb_variable *x,
                          const char *where)
{
    char shape[128], stride[128];
    (void)strcpy(shape, csv_text(csv, row, "shape"));
    (void)strcpy(stride, csv_text(csv, row, "stride"));
    char *dims = shape, *strides = stride;
    for (uint32_t i = 0; i < x->shape.n_dims; i++) {
        const char *dim = strsep(&dims, "x"), *step = strsep(&strides, "x");
        cr_assert(dim != NULL && step != NULL, "%s: fewer axes than %u", where, x->shape.n_dims);
        cr_expect_eq(x->shape.dims[i], strtoul(dim, NULL, 10), "%s: axis %u", where, i);
        if (x->shape.dims[i] != 1)
            cr_expect_eq(x->strides[i], strtoul(step, NULL, 10), "%s: stride %u", where, i);
    }
    cr_expect_null(dims, "%s: more axes", where);
    cr_expect_eq(x->offset, csv_number(csv, row, "storage_offset"), "%s: offset", where);
}

/* The same storage in the file is the same tensor of the program, and the other way round. */
struct storages {
    uint64_t of_tensor[1 << 14], of_file[1 << 14];
};

static void compare_saved(const struct csv *csv, size_t row, const struct pass *pass,
                          const char *module, const struct vb_variable *x, struct storages *seen)
{
    static const char *const names[VB_N_DTYPES] = { "bool",     "uint8",    "int64",
                                                    "bfloat16", "bfloat16", "float32" };
    char where[192];
    bool is_product = strncmp(csv_text(csv, row, "grad_node"), "Bmm", 3) == 0;
    struct vb_variable seen_as = is_product ? as_stack(x) : *x;
    uint64_t id = csv_number(csv, row, "storage_id") + 1;
    (void)snprintf(where, sizeof where, "%s row %zu %s %s", pass->graph.model, row,
                   csv_text(csv, row, "module"), csv_text(csv, row, "grad_node"));
    cr_expect_str_eq(module, csv_text(csv, row, "module"), "%s", where);
    cr_expect_str_eq(names[x->dtype], csv_text(csv, row, "dtype"), "%s", where);
    cr_expect_eq(pass->program.tensors[x->storage].bytes, csv_number(csv, row, "storage_bytes"),
                 "%s", where);
    compare_place(csv, row, &seen_as, where);
    bool is_first = seen->of_tensor[x->storage] == 0 && seen->of_file[id] == 0;
    cr_expect_eq(is_first, csv_number(csv, row, "first_use") == 1, "%s: first use", where);
    if (is_first) {
        seen->of_tensor[x->storage] = id;
        seen->of_file[id] = x->storage + 1;
    }
    cr_expect_eq(seen->of_tensor[x->storage], id, "%s: storages differ", where);
    cr_expect_eq(seen->of_file[id], x->storage + 1, "%s: storages differ", where);
}

/* Every tensor that a node keeps has its row, and every row its tensor. */
static void compare_pass(const struct csv *csv, const struct pass *pass, const char *batch,
                         const char *imgsz)
{
    static struct storages seen;
    size_t row = 0, n = 0;
    memset(&seen, 0, sizeof seen);
    for (size_t i = 0; i < pass->tape.n_nodes; i++) {
        const struct vb_node *node = &pass->tape.nodes[i];
        for (uint32_t k = 0; k < node->n_saved; k++) {
            if (node->saved[k].parameter != VB_NONE)
                continue;
            while (row < csv->n_rows && !is_told(csv, row, batch, imgsz))
                row++;
            cr_assert_lt(row, csv->n_rows, "%s keeps more than %zu tensors", pass->graph.model, n);
            compare_saved(csv, row++, pass, node->module, &node->saved[k], &seen);
            n++;
        }
    }
    while (row < csv->n_rows && !is_told(csv, row, batch, imgsz))
        row++;
    cr_expect_eq(row, csv->n_rows, "%s keeps only %zu tensors", pass->graph.model, n);
    cr_expect_gt(n, 400);
}

static void compare_file(const char *model, const char *variant, bool autocast,
                         const struct vb_torch *torch)
{
    static const char *const batches[] = { "1", "2", "4" }, *const sizes[] = { "320", "640" };
    char name[64];
    (void)snprintf(name, sizeof name, "steps/saved_%s%s.csv", model, variant);
    struct csv csv = csv_open(name);
    for (size_t b = 0; b < 3; b++) {
        for (size_t s = 0; s < 2; s++) {
            struct pass pass;
            run_pass(&pass, model, (uint32_t)strtoul(batches[b], NULL, 10),
                     (uint32_t)strtoul(sizes[s], NULL, 10), autocast, torch);
            compare_pass(&csv, &pass, batches[b], sizes[s]);
            vb_arena_clear(&pass.arena);
        }
    }
    csv_close(&csv);
}

static void compare_files(const char *model)
{
    const struct vb_torch before = recorded(false, false), of_24 = recorded(true, true);
    compare_file(model, "", false, &before);
    compare_file(model, "_amp", true, &before);
    compare_file(model, "_amp24", true, &of_24);
}

Test(saved, of_yolov10_is_what_hooks_saw)
{
    compare_files("yolov10n");
}

Test(saved, of_yolo11_is_what_hooks_saw)
{
    compare_files("yolo11n");
}
