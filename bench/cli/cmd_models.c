/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/arguments.h"
#include "cli/commands.h"
#include "model/catalogue.h"

enum { SHOWN_SIZE = 640 };

static enum vb_status list_models(bool csv, struct vb_error *err)
{
    if (csv)
        printf("model,params,layers,gflops_640,conv_macs_640\n");
    else
        printf("| model        |  parameters | layers | GFLOPs at 640 |\n"
               "| :----------- | ----------: | -----: | ------------: |\n");
    for (size_t i = 0; i < vb_catalogue_size; i++) {
        struct vb_arena arena = { 0 };
        struct vb_graph graph;
        enum vb_status status =
            vb_catalogue_expand(vb_catalogue_names[i], 1, SHOWN_SIZE, 0, &arena, &graph, err);
        if (status == VB_OK && csv)
            printf("%s,%" PRIu64 ",%u,%.6f,%" PRIu64 "\n", graph.model, graph.parameter_elements,
                   graph.n_layers, graph.gflops_640, graph.conv_macs);
        else if (status == VB_OK)
            printf("| %-12s | %11" PRIu64 " | %6u | %13.1f |\n", graph.model,
                   graph.parameter_elements, graph.n_layers, graph.gflops_640);
        vb_arena_clear(&arena);
        if (status != VB_OK)
            return status;
    }
    return VB_OK;
}

static void print_op(const struct vb_graph *graph, uint32_t index)
{
    const struct vb_op *op = &graph->ops[index];
    const struct vb_shape *out = &graph->values[op->outputs[0]].shape;
    char shape[64] = "";
    size_t length = 0;
    for (uint32_t i = 0; i < out->n_dims; i++)
        length += (size_t)snprintf(shape + length, sizeof shape - length, "%s%u", i == 0 ? "" : "x",
                                   out->dims[i]);
    printf("%4u  %-28s %-12s %-20s %10" PRIu64 "\n", index, op->module, vb_op_kind_names[op->kind],
           shape,
           op->kind == VB_BATCHNORM              ? 2 * op->weight_elements
           : op->kind == VB_CONV && op->has_bias ? op->weight_elements + out->dims[1]
                                                 : op->weight_elements);
}

static enum vb_status print_model(const char *model, uint32_t batch, uint32_t imgsz,
                                  struct vb_error *err)
{
    struct vb_arena arena = { 0 };
    struct vb_graph graph;
    enum vb_status status = vb_catalogue_expand(model, batch, imgsz, 0, &arena, &graph, err);
    if (status == VB_OK) {
        printf("%4s  %-28s %-12s %-20s %10s\n", "", "module", "operator", "output", "parameters");
        for (uint32_t i = 0; i < graph.n_ops; i++)
            print_op(&graph, i);
        printf("%" PRIu64 " parameters, %u layers, %.1f GFLOPs at %d\n", graph.parameter_elements,
               graph.n_layers, graph.gflops_640, SHOWN_SIZE);
    }
    vb_arena_clear(&arena);
    return status;
}

static enum vb_status read_count(const char *name, const char *text, uint32_t *out,
                                 struct vb_error *err)
{
    char *end = NULL;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || value < 1 || value > 65536)
        return vb_fail(err, VB_E_INPUT, "--%s is '%s', expected 1 to 65536", name, text);
    *out = (uint32_t)value;
    return VB_OK;
}

int cmd_models(int argc, char **argv)
{
    const char *format = "md", *imgsz_text = "640", *batch_text = "1";
    const struct cli_option options[] = {
        { "format", "NAME", "md or csv", &format, NULL },
        { "imgsz", "N", "pixels a side of the printed graph; 640", &imgsz_text, NULL },
        { "batch", "N", "images in its batch; 1", &batch_text, NULL },
    };
    const struct cli_command command = {
        .usage = "vrambench models [MODEL] [options]",
        .summary = "Lists the built-in models, or prints a model's graph layer by layer.",
        .options = options,
        .n_options = sizeof options / sizeof *options,
        .max_positional = 1,
    };
    struct cli_values positional = { 0 };
    struct vb_error err = { 0 };
    uint32_t batch = 1, imgsz = SHOWN_SIZE;
    int exit_status = 0;
    if (!cli_begin(&command, argc, argv, &positional, &exit_status))
        return exit_status;
    enum vb_status status = read_count("batch", batch_text, &batch, &err);
    if (status == VB_OK)
        status = read_count("imgsz", imgsz_text, &imgsz, &err);
    if (status == VB_OK && strcmp(format, "md") != 0 && strcmp(format, "csv") != 0)
        status = vb_fail(&err, VB_E_INPUT, "--format is '%s', expected md or csv", format);
    if (status == VB_OK)
        status = positional.n == 0 ? list_models(strcmp(format, "csv") == 0, &err)
                                   : print_model(positional.items[0], batch, imgsz, &err);
    return status == VB_OK ? 0 : cli_fail(status, &err);
}
