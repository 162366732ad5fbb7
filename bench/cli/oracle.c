/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/oracle.h"

#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "device/conv_list.h"
#include "device/plan_table.h"
#include "device/workspace_model.h"
#include "step/sized.h"
#include "sweep/grid.h"

#define WORKSPACES "sweeps/workspaces"

enum { MAX_MODELS = 64 };

enum vb_status cli_oracle_add(struct cli_oracle_convs *convs, const struct vb_point *point,
                              struct vb_error *err)
{
    static const enum vb_conv_type types[] = {
        [VB_FP32] = VB_CONV_FP32, [VB_FP16] = VB_CONV_FP16, [VB_BF16] = VB_CONV_BF16
    };
    static const struct vb_conv_rules rules = { .deterministic = true, .tf32 = true };
    static const struct vb_plan_answer unanswered = { .engine = VB_PLAN_NONE };
    struct vb_arena arena = { 0 };
    struct vb_description description;
    struct vb_graph graph;
    struct vb_conv *list = NULL;
    size_t n = 0;

    enum vb_status status = vb_point_graph(point, &arena, &description, &graph, err);
    if (status == VB_OK)
        status = vb_conv_list(&graph, types[point->precision], point->channels_last, &arena, &list,
                              &n, err);
    for (size_t i = 0; i < n && status == VB_OK; i++) {
        struct vb_plan_key key = vb_plan_key(&list[i], &rules);
        status = vb_plan_map_put(&convs->map, &key, &unanswered, err);
    }
    vb_arena_clear(&arena);
    return status;
}

/* Whether two points have the same convolutions. */
static bool is_same_graph(const struct vb_point *a, const struct vb_point *b)
{
    return strcmp(a->model, b->model) == 0 && a->batch == b->batch && a->imgsz == b->imgsz &&
           vb_point_classes(a) == vb_point_classes(b) && a->rect == b->rect &&
           a->precision == b->precision && a->channels_last == b->channels_last;
}

enum vb_status cli_oracle_add_sweeps(struct cli_oracle_convs *convs, const char *path,
                                     struct vb_error *err)
{
    static const struct vb_overrides none;
    struct vb_arena arena = { 0 };
    struct vb_sweeps sweeps = { 0 };

    enum vb_status status = vb_grid_read(path, &none, &arena, &sweeps, err);
    for (size_t i = 0; i < sweeps.n && status == VB_OK; i++) {
        const struct vb_sweep *sweep = &sweeps.items[i];
        for (size_t j = 0; j < sweep->n_points && status == VB_OK; j++) {
            if (j == 0 || !is_same_graph(&sweep->points[j - 1], &sweep->points[j]))
                status = cli_oracle_add(convs, &sweep->points[j], err);
        }
    }
    vb_arena_clear(&arena);
    return status;
}

enum vb_status cli_oracle_default_gpus(bool all, struct vb_arena *arena, struct cli_values *gpus,
                                       struct vb_error *err)
{
    const size_t room = sizeof gpus->items / sizeof *gpus->items;
    const char **names = NULL;
    size_t n = 0;
    if (!all) {
        gpus->items[gpus->n++] = "rtx3090";
        return VB_OK;
    }
    enum vb_status status = vb_gpu_spec_names(arena, &names, &n, err);
    if (status != VB_OK)
        return status;
    if (n > room)
        return vb_fail(
            err, VB_E_INPUT,
            "sweeps/gpus has %zu GPUs, at most %zu are asked about at once; name them with --gpu",
            n, room);
    for (size_t i = 0; i < n; i++)
        gpus->items[gpus->n++] = names[i];
    return VB_OK;
}

enum vb_status cli_oracle_ask(struct vb_conv_planner *planner, const struct cli_oracle_convs *convs,
                              struct vb_plan_map *answers, struct vb_error *err)
{
    for (size_t i = 0; i < convs->map.n; i++) {
        struct vb_conv conv = vb_plan_key_conv(&convs->map.entries[i].key);
        for (int deterministic = 0; deterministic < 2; deterministic++) {
            const struct vb_conv_rules rules = { deterministic != 0, true, true, false };
            const struct vb_plan_key key = vb_plan_key(&conv, &rules);
            struct vb_conv_plan plan = { .engine = VB_PLAN_NONE };
            enum vb_status status = vb_conv_planner_plan(planner, &conv, &rules, &plan, err);
            if (status != VB_OK && status != VB_E_UNSUPPORTED)
                return status;
            if (plan.source != VB_CONV_LIBRARY)
                return vb_fail(err, VB_E_UNSUPPORTED,
                               "a table is packed from cuDNN's own answers, and there is none that "
                               "supports this GPU: see 'vrambench doctor', or give --cudnn PATH");
            const struct vb_plan_answer answer = { plan.engine, plan.workspace_bytes,
                                                   plan.low_bytes, plan.high_bytes };
            status = vb_plan_map_put(answers, &key, &answer, err);
            if (status != VB_OK)
                return status;
        }
    }
    return VB_OK;
}

/* Whether the argument is the option `name` or its value, which stands in the next argument. */
static bool is_option(const char *argument, const char *name, int *at)
{
    const size_t length = strlen(name);
    if (strncmp(argument, name, length) != 0 ||
        (argument[length] != '\0' && argument[length] != '='))
        return false;
    *at += argument[length] == '\0';
    return true;
}

/* The command line that makes this GPU's table alone, on any machine. */
static void write_command(const char *gpu, const char *library, int argc, char **argv,
                          struct vb_text *out)
{
    vb_text_append(out, "vrambench %s --gpu %s", argv[0], gpu);
    for (int i = 1; i < argc; i++) {
        if (!is_option(argv[i], "--gpu", &i) && !is_option(argv[i], "--cudnn", &i))
            vb_text_append(out, " %s", argv[i]);
    }
    if (library != NULL)
        vb_text_append(out, " --cudnn PATH");
}

enum vb_status cli_oracle_pack(const char *name, const char *library,
                               const struct cli_oracle_convs *convs, int argc, char **argv,
                               struct vb_error *err)
{
    const struct vb_conv_origin origin = { .library = library };
    struct vb_gpu_spec gpu = { 0 };
    struct vb_conv_planner *planner = NULL;
    struct vb_plan_map answers = { 0 };
    struct vb_text command = { 0 };
    char relative[160];
    char path[4096];

    enum vb_status status = vb_gpu_spec_find(name, &gpu, err);
    if (status == VB_OK)
        status = vb_conv_planner_open_from(&gpu, &origin, &planner, err);
    if (status == VB_OK)
        status = cli_oracle_ask(planner, convs, &answers, err);
    if (status == VB_OK) {
        uint64_t version = vb_conv_planner_version(planner);
        (void)snprintf(relative, sizeof relative, WORKSPACES "/cudnn-%" PRIu64 "-%s.csv", version,
                       gpu.name);
        vb_file_shipped(relative, path, sizeof path);
        write_command(gpu.name, library, argc, argv, &command);
        status = vb_plan_table_write(path, &gpu, version, vb_text_data(&command), &answers, err);
    }
    if (status == VB_OK)
        (void)fprintf(stderr, "%s: %zu answers\n", relative, answers.n);
    vb_text_clear(&command);
    vb_plan_map_clear(&answers);
    vb_conv_planner_close(planner);
    vb_gpu_spec_clear(&gpu);
    return status;
}

/* Whether a table is to be fitted on: one for its GPU that a supporting cuDNN answered, and there
 * is none of a newer. */
static bool is_current(const struct vb_plan_table *tables, size_t n, size_t index)
{
    const struct vb_plan_table *table = &tables[index];
    for (size_t i = 0; i < n; i++) {
        if (tables[i].identity == table->identity && tables[i].version > table->version &&
            vb_conv_is_supported(tables[i].version, tables[i].compute_capability))
            return false;
    }
    return vb_conv_is_supported(table->version, table->compute_capability);
}

/* The answers of all tables of one compute capability, and its fit. */
static enum vb_status fit_capability(const struct vb_plan_table *tables, size_t n,
                                     uint32_t capability, struct vb_workspace_model *model,
                                     struct vb_error *err)
{
    struct vb_plan_map all = { 0 };
    enum vb_status status = VB_OK;
    for (size_t i = 0; i < n; i++) {
        const struct vb_plan_map *map = &tables[i].map;
        if (tables[i].compute_capability != capability || !is_current(tables, n, i))
            continue;
        for (size_t j = 0; j < map->n && status == VB_OK; j++)
            status = vb_plan_map_put(&all, &map->entries[j].key, &map->entries[j].answer, err);
    }
    if (status == VB_OK)
        status = vb_workspace_model_fit(&all, capability, model, err);
    if (status == VB_OK && all.n > 0) {
        struct vb_workspace_error error = vb_workspace_model_error(model, &all);
        (void)fprintf(stderr,
                      "fit for compute capability %.1f: the sum of %zu workspaces is %+.0f %% off, "
                      "%.0f %% are within the fit's range\n",
                      (double)capability / 100.0, error.n, 100.0 * error.sum_error,
                      100.0 * error.range_share);
    }
    vb_plan_map_clear(&all);
    return status;
}

/* Reads all tables that ship; the caller clears them. */
static enum vb_status read_tables(struct vb_arena *arena, struct vb_plan_table **out, size_t *n,
                                  struct vb_error *err)
{
    char pattern[4096];
    glob_t files = { 0 };
    enum vb_status status = VB_OK;
    vb_file_shipped(WORKSPACES "/cudnn-*.csv", pattern, sizeof pattern);
    *n = 0;
    if (glob(pattern, 0, NULL, &files) != 0)
        files.gl_pathc = 0;
    struct vb_plan_table *tables = vb_arena_alloc(arena, files.gl_pathc + 1, sizeof *tables);
    if (tables == NULL)
        status = vb_fail(err, VB_E_SYSTEM, "no host memory left for the fit");
    for (size_t i = 0; i < files.gl_pathc && status == VB_OK; i++) {
        status = vb_plan_table_read(files.gl_pathv[i], &tables[*n], err);
        *n += status == VB_OK;
    }
    globfree(&files);
    *out = tables;
    return status;
}

enum vb_status cli_oracle_fit(struct vb_error *err)
{
    struct vb_arena arena = { 0 };
    struct vb_workspace_model *models = vb_arena_alloc(&arena, MAX_MODELS, sizeof *models);
    struct vb_plan_table *tables = NULL;
    size_t n = 0;
    size_t n_models = 0;
    char path[4096];
    if (models == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the fit");

    enum vb_status status = read_tables(&arena, &tables, &n, err);
    for (size_t i = 0; i < n && n_models < MAX_MODELS && status == VB_OK; i++) {
        const uint32_t capability = tables[i].compute_capability;
        bool is_new = is_current(tables, n, i);
        for (size_t j = 0; j < n_models; j++)
            is_new = is_new && models[j].compute_capability != capability;
        if (is_new)
            status = fit_capability(tables, n, capability, &models[n_models++], err);
    }
    vb_file_shipped(WORKSPACES "/model.csv", path, sizeof path);
    if (status == VB_OK)
        status = vb_workspace_model_save(path, models, n_models, err);
    for (size_t i = 0; i < n; i++)
        vb_plan_table_clear(&tables[i]);
    vb_arena_clear(&arena);
    return status;
}
