/* SPDX-License-Identifier: Apache-2.0 */
/* What cuDNN answers about a model's convolutions: printed, or packed into the tables that ship for
 * machines that have no cuDNN. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/oracle.h"
#include "sweep/keys.h"
#include "sweep/range.h"

static const char *const direction_names[] = { "forward", "backward-data", "backward-filter" };
static const char *const source_names[] = { "library", "table", "fitted" };

enum { FORMAT_MD, FORMAT_CSV };

/* The header's and a row's form, for people and for programs. */
static void print_header(const char *gpu, uint64_t version, int format)
{
    if (format == FORMAT_CSV) {
        printf("gpu,direction,n,c,h,w,k,kernel_h,kernel_w,stride,groups,type,layout,engine,"
               "workspace_bytes,low_bytes,high_bytes,source\n");
        return;
    }
    if (version > 0)
        printf("%s, cuDNN %" PRIu64 ".%" PRIu64 ".%" PRIu64 "\n\n", gpu, version / 10000,
               version / 100 % 100, version % 100);
    else
        printf("%s, no cuDNN and no table: fitted workspaces\n\n", gpu);
    printf("| direction       | type | x                |    k | kernel | engine |     MiB |\n"
           "| :-------------- | :--- | :--------------- | ---: | :----- | -----: | ------: |\n");
}

static void print_row(const char *gpu, const struct vb_conv *conv, const struct vb_conv_plan *plan,
                      int format)
{
    const char *type = vb_precision_names[conv->type];
    if (format == FORMAT_CSV) {
        printf("%s,%s,%u,%u,%u,%u,%u,%u,%u,%u,%u,%s,%s,%" PRId64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64
               ",%s\n",
               gpu, direction_names[conv->direction], conv->n, conv->c, conv->h, conv->w, conv->k,
               conv->kernel_h, conv->kernel_w, conv->stride, conv->groups, type,
               conv->channels_last ? "nhwc" : "nchw", plan->engine, plan->workspace_bytes,
               plan->low_bytes, plan->high_bytes, source_names[plan->source]);
        return;
    }
    char x[48];
    char kernel[32];
    char engine[24] = "";
    (void)snprintf(x, sizeof x, "%ux%ux%ux%u", conv->n, conv->c, conv->h, conv->w);
    (void)snprintf(kernel, sizeof kernel, "%ux%u/%u", conv->kernel_h, conv->kernel_w, conv->stride);
    if (plan->engine >= 0)
        (void)snprintf(engine, sizeof engine, "%" PRId64, plan->engine);
    printf("| %-15s | %-4s | %-16s | %4u | %-6s | %6s | %7.2f |\n",
           direction_names[conv->direction], type, x, conv->k, kernel, engine,
           (double)plan->workspace_bytes / 1048576.0);
}

static enum vb_status print_gpu(const char *name, const struct cli_oracle_convs *convs,
                                const struct vb_conv_rules *rules, int format, struct vb_error *err)
{
    struct vb_gpu_spec gpu = { 0 };
    struct vb_conv_planner *planner = NULL;
    enum vb_status status = vb_gpu_spec_find(name, &gpu, err);
    if (status == VB_OK)
        status = vb_conv_planner_open(&gpu, &planner, err);
    if (status == VB_OK)
        print_header(gpu.name, vb_conv_planner_version(planner), format);
    for (size_t i = 0; i < convs->map.n && status == VB_OK; i++) {
        struct vb_conv conv = vb_plan_key_conv(&convs->map.entries[i].key);
        struct vb_conv_plan plan;
        status = vb_conv_planner_plan(planner, &conv, rules, &plan, err);
        if (status == VB_OK)
            print_row(gpu.name, &conv, &plan, format);
    }
    vb_conv_planner_close(planner);
    vb_gpu_spec_clear(&gpu);
    return status;
}

/* The convolutions of --model, --batch, --imgsz, --precision. */
static enum vb_status collect_lists(const char *const lists[4], struct vb_arena *arena,
                                    struct cli_oracle_convs *convs, struct vb_error *err)
{
    static const char *const names[] = { "model", "batch", "imgsz", "precision" };
    struct vb_values values[4];
    struct vb_point point = vb_point_default();
    for (size_t i = 0; i < 4; i++) {
        enum vb_status status = vb_range_parse(lists[i], i == 1 || i == 2, arena, &values[i], err);
        if (status != VB_OK)
            return status;
    }
    const size_t n = values[0].n * values[1].n * values[2].n * values[3].n;
    for (size_t i = 0; i < n; i++) {
        size_t rest = i;
        for (size_t axis = 4; axis-- > 0; rest /= values[axis].n) {
            enum vb_status status = vb_option_set(
                vb_key_find(names[axis]), values[axis].items[rest % values[axis].n], &point, err);
            if (status != VB_OK)
                return status;
        }
        enum vb_status status = cli_oracle_add(convs, &point, err);
        if (status != VB_OK)
            return status;
    }
    return VB_OK;
}

struct oracle_options {
    const char *lists[4];
    const char *format, *pack, *diff, *nondeterministic, *benchmark;
    struct cli_values gpus;
};

static enum vb_status check_options(const struct oracle_options *options,
                                    const struct cli_values *files, int *format,
                                    struct vb_error *err)
{
    if (strcmp(options->format, "md") != 0 && strcmp(options->format, "csv") != 0)
        return vb_fail(err, VB_E_INPUT, "--format is '%s', expected md or csv", options->format);
    *format = strcmp(options->format, "csv") == 0 ? FORMAT_CSV : FORMAT_MD;
    if (options->diff != NULL && files->n != 2)
        return vb_fail(err, VB_E_INPUT,
                       "--diff takes two tables: vrambench oracle --diff A.csv B.csv");
    if (options->diff == NULL && options->lists[0] == NULL && files->n == 0)
        return vb_fail(err, VB_E_INPUT, "nothing to ask about: give --model yolov5s or FILE.ini");
    return VB_OK;
}

static enum vb_status run(struct oracle_options *options, const struct cli_values *files, int argc,
                          char **argv, int *exit_status, struct vb_error *err)
{
    struct cli_oracle_convs convs = { 0 };
    struct vb_arena arena = { 0 };
    int format = FORMAT_MD;
    enum vb_status status = check_options(options, files, &format, err);
    if (status == VB_OK && options->diff != NULL)
        return cli_oracle_diff(files->items[0], files->items[1], exit_status, err);

    if (status == VB_OK && options->lists[0] != NULL)
        status = collect_lists(options->lists, &arena, &convs, err);
    for (size_t i = 0; i < files->n && status == VB_OK; i++)
        status = cli_oracle_add_sweeps(&convs, files->items[i], err);

    const struct vb_conv_rules rules = { .deterministic = options->nondeterministic == NULL,
                                         .tf32 = true,
                                         .benchmark = options->benchmark != NULL };
    if (options->gpus.n == 0 && status == VB_OK)
        status = cli_oracle_default_gpus(options->pack != NULL, &arena, &options->gpus, err);
    for (size_t i = 0; i < options->gpus.n && status == VB_OK; i++) {
        if (options->pack != NULL)
            status = cli_oracle_pack(options->gpus.items[i], &convs, argc, argv, err);
        else
            status = print_gpu(options->gpus.items[i], &convs, &rules, format, err);
    }
    if (status == VB_OK && options->pack != NULL)
        status = cli_oracle_fit(err);
    vb_plan_map_clear(&convs.map);
    vb_arena_clear(&arena);
    return status;
}

int cmd_oracle(int argc, char **argv)
{
    struct oracle_options o = { .lists = { NULL, "16", "640", "fp32,fp16" }, .format = "md" };
    const struct cli_option options[] = {
        { "model", "LIST", "models to take the convolutions from", &o.lists[0], NULL },
        { "batch", "LIST", "batch sizes, as 1,2,4 or 1-64*2; 16", &o.lists[1], NULL },
        { "imgsz", "LIST", "image sizes, as 320:1280:160; 640", &o.lists[2], NULL },
        { "precision", "LIST", "fp32, fp16, bf16; fp32,fp16", &o.lists[3], NULL },
        { "gpu", "NAME", "a GPU; may be given again (rtx3090; with --pack: all)", NULL, &o.gpus },
        { "nondeterministic", NULL, "allow engines whose sums vary", &o.nondeterministic, NULL },
        { "benchmark", NULL, "with the range of the ten that would be timed", &o.benchmark, NULL },
        { "format", "NAME", "md or csv", &o.format, NULL },
        { "pack", NULL, "write sweeps/workspaces/ instead: a table a GPU, and the fit over all",
          &o.pack, NULL },
        { "diff", NULL, "compare two packed tables; exit status 1 where they differ", &o.diff,
          NULL },
    };
    const struct cli_command command = {
        .usage = "vrambench oracle [FILE.ini...] [options]",
        .summary =
            "Prints which engine cuDNN takes for each convolution and what workspace it needs, "
            "on a\nGPU that need not be there.",
        .examples = "  vrambench oracle --gpu t4 --model yolov5s --batch 16 --imgsz 640\n"
                    "  vrambench oracle --pack sweeps/v5s.ini\n"
                    "  vrambench oracle --diff old.csv sweeps/workspaces/cudnn-91900-t4.csv",
        .options = options,
        .n_options = sizeof options / sizeof *options,
        .max_positional = 16,
    };
    struct cli_values files = { 0 };
    struct vb_error err = { 0 };
    int exit_status = 0;
    if (!cli_begin(&command, argc, argv, &files, &exit_status))
        return exit_status;
    enum vb_status status = run(&o, &files, argc, argv, &exit_status, &err);
    return status == VB_OK ? exit_status : cli_fail(status, &err);
}
