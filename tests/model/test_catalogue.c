/* SPDX-License-Identifier: Apache-2.0 */
/* Every built-in model against what the real repositories print and run (tests/data/models). */

#include <criterion/criterion.h>

#include "csv.h"
#include "model/catalogue.h"

static struct vb_graph expand(const char *model, struct vb_arena *arena)
{
    struct vb_error err = { 0 };
    struct vb_graph graph = { 0 };
    cr_assert_eq(vb_catalogue_expand(model, 1, 640, 0, arena, &graph, &err), VB_OK, "%s", err.text);
    return graph;
}

static void expect(const struct csv *csv, size_t row, const char *column, uint64_t found)
{
    cr_expect_eq(found, csv_number(csv, row, column), "%s %s: %lu, real %s",
                 csv_text(csv, row, "model"), column, (unsigned long)found,
                 csv_text(csv, row, column));
}

static void count_roles(const struct csv *csv, size_t row, const struct vb_graph *graph)
{
    uint64_t n[4] = { 0 }, sum[4] = { 0 }, n_int64 = 0;
    for (uint32_t i = 0; i < graph->n_parameters + graph->n_buffers; i++) {
        const struct vb_parameter *parameter = &graph->parameters[i];
        n_int64 += parameter->is_int64;
        if (parameter->is_int64 || parameter->is_frozen)
            continue;
        n[parameter->role]++;
        sum[parameter->role] += parameter->elements;
    }
    expect(csv, row, "n_decay_weights", n[VB_ROLE_WEIGHT]);
    expect(csv, row, "decay_weights_numel", sum[VB_ROLE_WEIGHT]);
    expect(csv, row, "n_norm_weights", n[VB_ROLE_NORM]);
    expect(csv, row, "norm_weights_numel", sum[VB_ROLE_NORM]);
    expect(csv, row, "n_biases", n[VB_ROLE_BIAS]);
    expect(csv, row, "biases_numel", sum[VB_ROLE_BIAS]);
    expect(csv, row, "buffers_float_numel", sum[VB_ROLE_BUFFER]);
    expect(csv, row, "buffers_int64_numel", n_int64);
}

static void compare_model(const struct csv *csv, size_t row)
{
    struct vb_arena arena = { 0 };
    struct vb_graph graph = expand(csv_text(csv, row, "model"), &arena);
    uint64_t n_conv = 0, n_norm = 0;
    for (uint32_t i = 0; i < graph.n_ops; i++) {
        n_conv += graph.ops[i].kind == VB_CONV;
        n_norm += graph.ops[i].kind == VB_BATCHNORM;
    }
    bool has_frozen = graph.head == VB_HEAD_V8 && graph.bins > 1;
    expect(csv, row, "params_total", graph.parameter_elements);
    expect(csv, row, "params_trainable", graph.trainable_elements);
    expect(csv, row, "n_param_tensors", graph.n_parameters);
    /* YOLOv10's own fork prints all modules, and its figure has the frozen convolution of each
     * head. */
    bool is_fork = strcmp(csv_text(csv, row, "src"), "y10") == 0;
    expect(csv, row, is_fork ? "n_leaf_modules" : "n_layers", graph.n_layers);
    expect(csv, row, "n_conv2d", n_conv + has_frozen);
    expect(csv, row, "n_batchnorm2d", n_norm);
    expect(csv, row, "conv_macs_train_fwd_640", graph.conv_macs);
    expect(csv, row, "matmul_macs_train_fwd_640", graph.matmul_macs);
    char strides[64] = "";
    for (uint32_t i = 0; i < graph.n_levels; i++)
        (void)sprintf(strides + strlen(strides), "%s%u", i == 0 ? "" : "/", graph.levels[i].stride);
    cr_expect_str_eq(strides, csv_text(csv, row, "strides"));
    count_roles(csv, row, &graph);

    char gflops[32];
    double more = is_fork ? 2.0 *
                                (csv_number(csv, row, "conv_macs_eval_fwd_640") -
                                 csv_number(csv, row, "conv_macs_train_fwd_640")) /
                                2e9
                          : 0;
    (void)snprintf(gflops, sizeof gflops, "%.6f", graph.gflops_640 + more);
    cr_expect_str_eq(gflops, csv_text(csv, row, "gflops_640_own_thop_ultralytics"), "%s: %s",
                     graph.model, gflops);
    vb_arena_clear(&arena);
}

Test(catalogue, counts_what_the_repositories_count)
{
    struct csv csv = csv_open("models/params.csv");
    cr_assert_eq(csv.n_rows, 46);
    for (size_t i = 0; i < csv.n_rows; i++)
        compare_model(&csv, i);
    csv_close(&csv);
}

static void print_shapes(const struct vb_graph *graph, const uint32_t *values, uint32_t n,
                         char *text)
{
    text[0] = '\0';
    for (uint32_t i = 0; i < n; i++) {
        const struct vb_shape *shape = &graph->values[values[i]].shape;
        for (uint32_t k = 0; k < shape->n_dims; k++)
            (void)sprintf(text + strlen(text), "%s%u", k == 0 ? (i == 0 ? "" : ";") : "x",
                          shape->dims[k]);
    }
}

/* What the file says beyond the graph's own inputs: weights, statistics. Cuts after `n` shapes. */
static void first_shapes(const char *from, uint32_t n, char *text)
{
    (void)strcpy(text, from);
    for (char *at = text; *at != '\0'; at++) {
        if (*at == ';' && --n == 0) {
            *at = '\0';
            return;
        }
    }
}

/* The same storage in the file is the same storage in the graph, and the other way round. */
struct storages {
    long of_value[4096]; /* by the graph's storage */
    long of_file[8192];  /* by the file's */
};

static void compare_storages(const struct vb_graph *graph, const uint32_t *values, uint32_t n,
                             const char *ids, struct storages *seen, const char *where)
{
    char text[512];
    (void)strcpy(text, ids);
    char *rest = text;
    for (uint32_t i = 0; i < n; i++) {
        long id = strtol(strsep(&rest, ";"), NULL, 10) + 1;
        long storage = graph->values[values[i]].storage + 1;
        if (seen->of_value[storage] == 0 && seen->of_file[id] == 0) {
            seen->of_value[storage] = id;
            seen->of_file[id] = storage;
        }
        cr_expect_eq(seen->of_value[storage], id, "%s: storages differ", where);
        cr_expect_eq(seen->of_file[id], storage, "%s: storages differ", where);
    }
}

/* So does what autograd does beside the operators, and what is no more than the row before or after
 * seen again: a softmax's result detached to be saved, a matmul's arguments expanded to their own
 * shape, the inner of two calls of detach. */
static bool is_step_programs(const struct csv *csv, size_t row)
{
    const char *op = csv_text(csv, row, "op");
    const char *before = row > 0 ? csv_text(csv, row - 1, "op") : "";
    bool before_silu =
        row + 1 < csv->n_rows && strncmp(csv_text(csv, row + 1, "op"), "SiLU", 4) == 0;
    if (strcmp(op, "Detach") == 0)
        return strcmp(before, "Softmax") == 0 ||
               (strcmp(before, "Detach") == 0 &&
                strcmp(csv_text(csv, row, "in_storage_ids"),
                       csv_text(csv, row - 1, "in_storage_ids")) == 0);
    return strcmp(op, "Add_") == 0 || strcmp(op, "Expand") == 0 ||
           (strcmp(op, "Clone") == 0 && before_silu);
}

static void compare_op(const struct csv *csv, size_t row, const struct vb_graph *graph,
                       const struct vb_op *op, struct storages *seen)
{
    char where[128], found[512], real[512], window[3][32];
    const char *name = csv_text(csv, row, "op");
    (void)snprintf(where, sizeof where, "%s row %zu %s", graph->model, row,
                   csv_text(csv, row, "module"));
    cr_expect_eq(strncmp(name, vb_op_kind_names[op->kind], strlen(vb_op_kind_names[op->kind])), 0,
                 "%s: %s, real %s", where, vb_op_kind_names[op->kind], name);
    cr_expect_str_eq(op->module, csv_text(csv, row, "module"), "%s", where);
    print_shapes(graph, op->inputs, op->n_inputs, found);
    first_shapes(csv_text(csv, row, "in_shapes"), op->n_inputs, real);
    cr_expect_str_eq(found, real, "%s", where);
    print_shapes(graph, op->outputs, op->n_outputs, found);
    first_shapes(csv_text(csv, row, "out_shapes"), op->n_outputs, real);
    cr_expect_str_eq(found, real, "%s", where);
    compare_storages(graph, op->inputs, op->n_inputs, csv_text(csv, row, "in_storage_ids"), seen,
                     where);
    compare_storages(graph, op->outputs, op->n_outputs, csv_text(csv, row, "out_storage_ids"), seen,
                     where);
    uint64_t parameters = op->weight_elements * (op->kind == VB_BATCHNORM ? 2 : 1);
    if (op->kind == VB_CONV && op->has_bias)
        parameters += graph->values[op->outputs[0]].shape.dims[1];
    cr_expect_eq(parameters, csv_number(csv, row, "params"), "%s", where);
    if (op->kind != VB_CONV && op->kind != VB_MAXPOOL)
        return;
    (void)snprintf(window[0], sizeof window[0], "%ux%u", op->window.kernel_h, op->window.kernel_w);
    (void)snprintf(window[1], sizeof window[1], "%ux%u", op->window.stride, op->window.stride);
    (void)snprintf(window[2], sizeof window[2], "%ux%u", op->window.pad, op->window.pad);
    cr_expect_str_eq(window[0], csv_text(csv, row, "kernel"), "%s", where);
    cr_expect_str_eq(window[1], csv_text(csv, row, "stride"), "%s", where);
    cr_expect_str_eq(window[2], csv_text(csv, row, "pad"), "%s", where);
    if (op->kind == VB_CONV) {
        cr_expect_eq(op->groups, csv_number(csv, row, "groups"), "%s", where);
        cr_expect_eq(op->has_bias, csv_number(csv, row, "has_bias"), "%s", where);
    }
}

static void compare_layers(const char *model)
{
    char name[64];
    (void)snprintf(name, sizeof name, "models/layers_%s.csv", model);
    struct csv csv = csv_open(name);
    struct vb_arena arena = { 0 };
    struct vb_graph graph = expand(model, &arena);
    static struct storages seen;
    memset(&seen, 0, sizeof seen);

    uint32_t op = 0;
    for (size_t i = 0; i < csv.n_rows; i++) {
        if (is_step_programs(&csv, i))
            continue;
        cr_assert_lt(op, graph.n_ops, "%s: the graph ends before row %zu", model, i);
        compare_op(&csv, i, &graph, &graph.ops[op++], &seen);
    }
    cr_expect_eq(op, graph.n_ops, "%s: %u operators, real %u", model, graph.n_ops, op);
    vb_arena_clear(&arena);
    csv_close(&csv);
}

Test(graph, is_the_real_forward_pass_row_by_row)
{
    static const char *const models[] = { "yolov5n",  "yolov5s", "yolov5m", "yolov5l",
                                          "yolov8n",  "yolov8s", "yolov8m", "yolov10n",
                                          "yolov10s", "yolo11n", "yolo11s" };
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        compare_layers(models[i]);
}

/* torchvision's ResNet-50 has 25,557,032 parameters (its documentation) in 161 tensors: 53
 * convolutions, 53 normalisations of two each, a linear layer's two. */
Test(graph, of_a_classifier_has_what_torchvision_counts)
{
    struct vb_arena arena = { 0 };
    struct vb_graph graph = expand(VB_TEST_DATA "/models/resnet50.yaml", &arena);
    cr_expect_eq(graph.head, VB_HEAD_CLASSIFY);
    cr_expect_eq(graph.parameter_elements, 25557032);
    cr_expect_eq(graph.n_parameters, 161);
    cr_expect_eq(graph.n_buffers, 3 * 53);
    cr_expect_eq(graph.n_levels, 1);
    const struct vb_value *scores = &graph.values[graph.levels[0].output];
    cr_expect(scores->is_output);
    cr_expect_eq(vb_shape_elements(&scores->shape), 1000);
    vb_arena_clear(&arena);
}

Test(catalogue, classes_follow_from_the_parameters_or_are_none)
{
    static const uint32_t classes[] = { 1, 7, 80, 91 };
    static const char *const models[] = { "yolov5s", "yolov8n" };
    for (size_t m = 0; m < 2; m++) {
        for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
            struct vb_arena arena = { 0 };
            struct vb_graph graph;
            struct vb_error err = { 0 };
            uint32_t found = 0;
            cr_assert_eq(vb_catalogue_expand(models[m], 1, 256, classes[i], &arena, &graph, &err),
                         VB_OK);
            cr_assert_eq(vb_catalogue_classes(models[m], graph.parameter_elements, &found, &err),
                         VB_OK);
            cr_expect_eq(found, classes[i], "%s: %u", models[m], found);
            cr_assert_eq(
                vb_catalogue_classes(models[m], graph.parameter_elements + 1, &found, &err), VB_OK);
            cr_expect_eq(found, 0);
            vb_arena_clear(&arena);
        }
    }
}
