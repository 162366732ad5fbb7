/* SPDX-License-Identifier: Apache-2.0 */
/* What cuDNN answers about a model's convolutions: printed, packed into the tables that ship for
 * machines that have no cuDNN, or compared with what another version answers. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/oracle_diff.h"
#include "device/plan_rows.h"
#include "sweep/keys.h"
#include "sweep/range.h"

struct oracle_options {
    const char *lists[4];
    const char *format, *json, *pack, *diff, *nondeterministic, *cudnn, *sweep, *threshold;
    struct cli_values gpus;
};

static void print_md_header(const char *gpu, uint64_t version)
{
    if (version > 0)
        printf("%s, cuDNN %" PRIu64 ".%" PRIu64 ".%" PRIu64 "\n\n", gpu, version / 10000,
               version / 100 % 100, version % 100);
    else
        printf("%s, no cuDNN and no table: fitted workspaces\n\n", gpu);
    printf("| direction       | type | x                |    k | kernel | engine |     MiB | first "
           "ten, MiB |\n"
           "| :-------------- | :--- | :--------------- | ---: | :----- | -----: | ------: | "
           "-------------: |\n");
}

static void print_md_row(const struct vb_conv *conv, const struct vb_conv_plan *plan)
{
    char x[48];
    char kernel[32];
    char engine[24] = "";
    char range[32];
    (void)snprintf(x, sizeof x, "%ux%ux%ux%u", conv->n, conv->c, conv->h, conv->w);
    (void)snprintf(kernel, sizeof kernel, "%ux%u/%u", conv->kernel_h, conv->kernel_w, conv->stride);
    (void)snprintf(range, sizeof range, "%.2f-%.2f", vb_to_mib(plan->low_bytes),
                   vb_to_mib(plan->high_bytes));
    if (plan->engine >= 0)
        (void)snprintf(engine, sizeof engine, "%" PRId64, plan->engine);
    printf("| %-15s | %-4s | %-16s | %4u | %-6s | %6s | %7.2f | %14s |\n",
           vb_conv_direction_names[conv->direction], vb_conv_type_names[conv->type], x, conv->k,
           kernel, engine, vb_to_mib(plan->workspace_bytes), range);
}

static json_t *json_row(const struct vb_conv *conv, const struct vb_conv_plan *plan)
{
    json_t *row = json_pack(
        "{s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "direction",
        vb_conv_direction_names[conv->direction], "type", vb_conv_type_names[conv->type], "layout",
        conv->channels_last ? "nhwc" : "nchw", "n", (json_int_t)conv->n, "c", (json_int_t)conv->c,
        "h", (json_int_t)conv->h, "w", (json_int_t)conv->w, "k", (json_int_t)conv->k, "kernel_h",
        (json_int_t)conv->kernel_h, "kernel_w", (json_int_t)conv->kernel_w, "stride",
        (json_int_t)conv->stride, "pad", (json_int_t)conv->pad, "dilation",
        (json_int_t)conv->dilation, "groups", (json_int_t)conv->groups);
    if (plan->engine >= 0)
        (void)json_object_set_new(row, "engine", json_integer(plan->engine));
    (void)json_object_set_new(row, "workspace_bytes",
                              json_integer((json_int_t)plan->workspace_bytes));
    (void)json_object_set_new(row, "low_bytes", json_integer((json_int_t)plan->low_bytes));
    (void)json_object_set_new(row, "high_bytes", json_integer((json_int_t)plan->high_bytes));
    (void)json_object_set_new(row, "source", json_string(vb_conv_source_names[plan->source]));
    return row;
}

/* What one GPU's table is made of while it is asked for. */
struct page {
    enum cli_oracle_format format;
    struct vb_text text; /* csv */
    json_t *rows;        /* json */
};

static void add_row(struct page *page, const char *gpu, const struct vb_conv *conv,
                    const struct vb_conv_rules *rules, const struct vb_conv_plan *plan)
{
    const struct vb_plan_key key = vb_plan_key(conv, rules);
    const struct vb_plan_answer answer = { plan->engine, plan->workspace_bytes, plan->low_bytes,
                                           plan->high_bytes };
    if (page->format == CLI_ORACLE_CSV)
        vb_plan_row_write(&page->text, gpu, &key, &answer, plan->source);
    else if (page->format == CLI_ORACLE_JSON)
        (void)json_array_append_new(page->rows, json_row(conv, plan));
    else
        print_md_row(conv, plan);
}

static void begin_page(struct page *page, const struct vb_gpu_spec *gpu, uint64_t version)
{
    if (page->format == CLI_ORACLE_MD)
        print_md_header(gpu->name, version);
    if (page->format == CLI_ORACLE_JSON)
        page->rows = json_array();
    if (page->format != CLI_ORACLE_CSV)
        return;
    vb_plan_table_write_header(&page->text, gpu, version);
    vb_text_append(&page->text, VB_PLAN_ROWS_COLUMNS "\n");
}

static void end_page(struct page *page, const struct vb_gpu_spec *gpu, uint64_t version,
                     const struct vb_conv_rules *rules)
{
    if (page->format == CLI_ORACLE_CSV)
        (void)fputs(vb_text_data(&page->text), stdout);
    if (page->format == CLI_ORACLE_JSON) {
        json_t *root = json_object();
        (void)json_object_set_new(root, "gpu", json_string(gpu->name));
        (void)json_object_set_new(root, "provenance", json_string("planned"));
        if (version > 0)
            (void)json_object_set_new(root, "cudnn", json_integer((json_int_t)version));
        (void)json_object_set_new(root, "deterministic", json_boolean(rules->deterministic));
        (void)json_object_set(root, "operations", page->rows);
        (void)json_dumpf(root, stdout, JSON_INDENT(1));
        putchar('\n');
        json_decref(root);
    }
}

static enum vb_status print_gpu(const char *name, const struct cli_oracle_convs *convs,
                                const struct oracle_options *options, enum cli_oracle_format format,
                                struct vb_error *err)
{
    /* With `benchmark` an answer has the range of the ten that would be timed. */
    const struct vb_conv_rules rules = { options->nondeterministic == NULL, true, true, false };
    const struct vb_conv_origin origin = { .library = options->cudnn };
    struct page page = { .format = format };
    struct vb_gpu_spec gpu = { 0 };
    struct vb_conv_planner *planner = NULL;
    enum vb_status status = vb_gpu_spec_find(name, &gpu, err);
    if (status == VB_OK)
        status = vb_conv_planner_open_from(&gpu, &origin, &planner, err);
    if (status == VB_OK)
        begin_page(&page, &gpu, vb_conv_planner_version(planner));
    for (size_t i = 0; i < convs->map.n && status == VB_OK; i++) {
        struct vb_conv conv = vb_plan_key_conv(&convs->map.entries[i].key);
        struct vb_conv_plan plan;
        status = vb_conv_planner_plan(planner, &conv, &rules, &plan, err);
        if (status == VB_OK)
            add_row(&page, gpu.name, &conv, &rules, &plan);
    }
    if (status == VB_OK)
        end_page(&page, &gpu, vb_conv_planner_version(planner), &rules);
    json_decref(page.rows);
    vb_text_clear(&page.text);
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

static enum vb_status read_format(const struct oracle_options *options, enum cli_oracle_format *out,
                                  struct vb_error *err)
{
    static const char *const names[] = { "md", "csv", "json" };
    const char *text = options->json != NULL ? "json" : options->format;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum cli_oracle_format)i;
            return VB_OK;
        }
    }
    return vb_fail(err, VB_E_INPUT, "--format is '%s', expected md, csv or json", text);
}

static enum vb_status read_threshold(const char *text, double *out, struct vb_error *err)
{
    char *end = NULL;
    const double percent = strtod(text, &end);
    if (end == text || (strcmp(end, "") != 0 && strcmp(end, "%") != 0) || !(percent >= 0))
        return vb_fail(err, VB_E_INPUT, "--threshold is '%s', expected a percentage as 1%%", text);
    *out = percent / 100;
    return VB_OK;
}

static enum vb_status check_options(const struct oracle_options *options,
                                    const struct cli_values *files, struct vb_error *err)
{
    if (options->diff != NULL && files->n != 2)
        return vb_fail(err, VB_E_INPUT,
                       "--diff takes two tables or libraries: vrambench oracle --diff A B");
    if (options->diff != NULL && options->cudnn != NULL)
        return vb_fail(err, VB_E_INPUT,
                       "--diff takes the libraries in place of tables, not --cudnn");
    if (options->diff != NULL && (options->pack != NULL || options->gpus.n > 1))
        return vb_fail(err, VB_E_INPUT, "--diff is about one GPU and writes no tables");
    if (options->diff == NULL && options->sweep != NULL)
        return vb_fail(err, VB_E_INPUT, "--sweep goes with --diff; else give FILE.ini alone");
    if (options->diff == NULL && options->lists[0] == NULL && files->n == 0)
        return vb_fail(err, VB_E_INPUT, "nothing to ask about: give --model yolov5s or FILE.ini");
    return VB_OK;
}

static enum vb_status diff(const struct oracle_options *options, const struct cli_values *files,
                           const struct cli_oracle_convs *convs, enum cli_oracle_format format,
                           int *exit_status, struct vb_error *err)
{
    struct cli_oracle_diff request = {
        .was = files->items[0],
        .is = files->items[1],
        .gpu = options->gpus.n > 0 ? options->gpus.items[0] : NULL,
        .convs = convs,
        .sweep = options->sweep,
        .format = format,
    };
    enum vb_status status = read_threshold(options->threshold, &request.threshold, err);
    return status == VB_OK ? cli_oracle_diff(&request, exit_status, err) : status;
}

static enum vb_status print_or_pack(struct oracle_options *options,
                                    const struct cli_oracle_convs *convs,
                                    enum cli_oracle_format format, int argc, char **argv,
                                    struct vb_error *err)
{
    struct vb_arena arena = { 0 };
    enum vb_status status = VB_OK;
    if (options->gpus.n == 0)
        status = cli_oracle_default_gpus(options->pack != NULL, &arena, &options->gpus, err);
    for (size_t i = 0; i < options->gpus.n && status == VB_OK; i++) {
        if (options->pack != NULL)
            status =
                cli_oracle_pack(options->gpus.items[i], options->cudnn, convs, argc, argv, err);
        else
            status = print_gpu(options->gpus.items[i], convs, options, format, err);
    }
    if (status == VB_OK && options->pack != NULL)
        status = cli_oracle_fit(err);
    vb_arena_clear(&arena);
    return status;
}

static enum vb_status run(struct oracle_options *options, const struct cli_values *files, int argc,
                          char **argv, int *exit_status, struct vb_error *err)
{
    struct cli_oracle_convs convs = { 0 };
    struct vb_arena arena = { 0 };
    enum cli_oracle_format format = CLI_ORACLE_MD;
    enum vb_status status = check_options(options, files, err);
    if (status == VB_OK)
        status = read_format(options, &format, err);
    if (status == VB_OK && options->lists[0] != NULL)
        status = collect_lists(options->lists, &arena, &convs, err);
    if (status == VB_OK && options->sweep != NULL)
        status = cli_oracle_add_sweeps(&convs, options->sweep, err);
    for (size_t i = 0; i < files->n && options->diff == NULL && status == VB_OK; i++)
        status = cli_oracle_add_sweeps(&convs, files->items[i], err);
    if (status == VB_OK && options->diff != NULL)
        status = diff(options, files, &convs, format, exit_status, err);
    else if (status == VB_OK)
        status = print_or_pack(options, &convs, format, argc, argv, err);
    vb_plan_map_clear(&convs.map);
    vb_arena_clear(&arena);
    return status;
}

int cmd_oracle(int argc, char **argv)
{
    struct oracle_options o = { .lists = { NULL, "16", "640", "fp32,fp16" },
                                .format = "md",
                                .threshold = "1%" };
    const struct cli_option options[] = {
        { "model", "LIST", "models to take the convolutions from", &o.lists[0], NULL },
        { "batch", "LIST", "batch sizes, as 1,2,4 or 1-64*2; 16", &o.lists[1], NULL },
        { "imgsz", "LIST", "image sizes, as 320:1280:160; 640", &o.lists[2], NULL },
        { "precision", "LIST", "fp32, fp16, bf16; fp32,fp16", &o.lists[3], NULL },
        { "gpu", "NAME", "a GPU; may be given again (rtx3090; with --pack: all)", NULL, &o.gpus },
        { "nondeterministic", NULL, "allow engines whose sums vary", &o.nondeterministic, NULL },
        { "cudnn", "PATH", "ask this libcudnn.so.9: the file, its folder or a Python environment",
          &o.cudnn, NULL },
        { "format", "NAME", "md, csv or json", &o.format, NULL },
        { "json", NULL, "the same as --format json", &o.json, NULL },
        { "pack", NULL, "write sweeps/workspaces/ instead: a table a GPU, and the fit over all",
          &o.pack, NULL },
        { "diff", NULL, "compare two: each a table (csv or packed) or a library as --cudnn's",
          &o.diff, NULL },
        { "sweep", "FILE.ini", "with --diff: plan its points under both", &o.sweep, NULL },
        { "threshold", "PERCENT", "a point's growth that fails the comparison; 1%", &o.threshold,
          NULL },
    };
    const struct cli_command command = {
        .usage = "vrambench oracle [FILE.ini...] [options]",
        .summary =
            "Prints which engine cuDNN takes for each convolution and what workspace it needs, "
            "on a\nGPU that need not be there. --diff compares two versions: its exit status is 1 "
            "where a\npoint of the sweep grows by more than the threshold or fits no more, without "
            "a sweep\nwhere any answer differs.",
        .examples = "  vrambench oracle --gpu t4 --model yolov5s --batch 16 --imgsz 640\n"
                    "  vrambench oracle --pack sweeps/v5s.ini\n"
                    "  vrambench oracle --diff old.csv sweeps/workspaces/cudnn-91900-t4.csv\n"
                    "  vrambench oracle --diff --gpu t4 --sweep sweeps/v5s.ini .venv-old .venv-new",
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
