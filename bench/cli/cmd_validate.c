/* SPDX-License-Identifier: Apache-2.0 */
/* Predictions beside what people's own runs printed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/arguments.h"
#include "cli/bands.h"
#include "cli/commands.h"
#include "cli/prediction.h"
#include "device/host.h"
#include "fit/published_profile.h"

enum { MAX_FILE_BYTES = 64 << 20, MAX_COUNT = 1000000000 };

struct options {
    const char *json, *format, *chart, *jobs, *most_instances, *residuals, *risk, *shared;
    struct cli_values where;
};

/* A whole number of an option, or `usual` where it is not given. */
static enum vb_status read_number(const char *option, const char *text, uint32_t least,
                                  uint32_t usual, uint32_t *out, struct vb_error *err)
{
    char *end = NULL;
    *out = usual;
    if (text == NULL)
        return VB_OK;
    unsigned long value = strtoul(text, &end, 10);
    if (strspn(text, "0123456789") == 0 || *end != '\0' || value < least || value > MAX_COUNT)
        return vb_fail(err, VB_E_INPUT, "--%s is '%s', expected a number of at least %u", option,
                       text, least);
    *out = (uint32_t)value;
    return VB_OK;
}

static enum vb_status print_formats(const struct vb_validation *validation, const char *formats,
                                    struct vb_error *err)
{
    char list[64];
    (void)snprintf(list, sizeof list, "%s", formats);
    char *rest = list;
    for (char *name = strsep(&rest, ","); name != NULL; name = strsep(&rest, ",")) {
        struct vb_text text = { 0 };
        int format = 0;
        while (format < 3 && strcmp(vb_validation_format_names[format], name) != 0)
            format++;
        if (format == 3)
            return vb_fail(err, VB_E_INPUT, "--format is '%s', expected md, csv or json", name);
        enum vb_status status =
            vb_validation_append(validation, (enum vb_validation_format)format, &text, err);
        if (status == VB_OK)
            (void)fputs(vb_text_data(&text), stdout);
        vb_text_clear(&text);
        if (status != VB_OK)
            return status;
    }
    return VB_OK;
}

static enum vb_status draw(const struct vb_validation *validation, const char *path,
                           struct vb_error *err)
{
    char note[512] = "";
    bool drawn = false;
    enum vb_status status = vb_validation_draw(validation, path, &drawn, note, sizeof note, err);
    if (status == VB_OK) {
        (void)fflush(stdout);
        (void)fprintf(stderr, drawn ? "chart:  %s\n" : "note:   %s\n", drawn ? path : note);
    }
    return status;
}

/* What autobatch_tables.csv tells of the rows of autobatch.csv, if it lies beside it. `*text` is
 * the caller's to free once the rows are done with. */
static enum vb_status read_tables(const char *path, struct vb_arena *arena,
                                  struct vb_published_file *file, char **text, struct vb_error *err)
{
    static const char name[] = "autobatch_tables.csv";
    const char *slash = strrchr(path, '/');
    size_t bytes = 0;
    if (file->form != VB_PUBLISHED_AUTOBATCH)
        return VB_OK;
    const char *beside =
        vb_arena_format(arena, "%.*s%s", slash != NULL ? (int)(slash - path + 1) : 0, path, name);
    enum vb_status status = VB_OK;
    if (beside != NULL && access(beside, R_OK) == 0) {
        status = vb_file_read(beside, MAX_FILE_BYTES, text, &bytes, err);
        if (status == VB_OK)
            status = vb_published_read_tables(beside, *text, bytes, arena, file, err);
    }
    for (size_t i = 0; i < file->n && status == VB_OK; i++) {
        if (beside == NULL ||
            (file->rows[i].reason == NULL && !vb_published_assume_profile(&file->rows[i], arena)))
            status = vb_fail(err, VB_E_SYSTEM, "no host memory left for %s", path);
    }
    return status;
}

/* The bands are the shipped residuals', or those just made. */
static enum vb_status bound(struct vb_validation *validation, const struct options *options,
                            double risk, struct vb_arena *arena, struct vb_error *err)
{
    struct vb_residuals residuals;
    enum vb_status status = options->residuals != NULL
                                ? cli_take_residuals(validation, arena, &residuals, err)
                                : cli_read_residuals(arena, &residuals, err);
    if (status == VB_OK && options->residuals != NULL)
        status = cli_write_residuals(options->residuals, validation, &residuals, arena, err);
    if (status == VB_OK)
        status = cli_apply_bands(validation, &residuals, options->shared != NULL, risk, arena, err);
    return status;
}

static enum vb_status validate(const char *path, const struct options *options,
                               struct vb_error *err)
{
    struct cli_judge_options judge = { .where = &options->where,
                                       .has_most_instances = options->most_instances != NULL };
    struct vb_arena arena = { 0 };
    struct vb_published_file file;
    struct vb_validation validation;
    char *text = NULL, *tables = NULL;
    size_t bytes = 0;
    double risk = 0;
    const char *formats = options->format != NULL ? options->format : "md";
    enum vb_status status =
        read_number("jobs", options->jobs, 1, vb_host_threads(), &judge.jobs, err);
    if (status == VB_OK)
        status =
            read_number("max-instances", options->most_instances, 0, 0, &judge.most_instances, err);
    if (status == VB_OK)
        status = cli_read_risk(options->risk, &risk, err);
    if (status == VB_OK)
        status = vb_file_read(path, MAX_FILE_BYTES, &text, &bytes, err);
    if (status == VB_OK)
        status = vb_published_parse(path, text, bytes, &arena, &file, err);
    if (status == VB_OK)
        status = read_tables(path, &arena, &file, &tables, err);
    if (status == VB_OK)
        status = cli_judge(path, &file, &judge, &arena, &validation, err);
    if (status == VB_OK)
        status = bound(&validation, options, risk, &arena, err);
    if (status == VB_OK)
        status = print_formats(&validation, options->json != NULL ? "json" : formats, err);
    if (status == VB_OK && options->chart != NULL)
        status = draw(&validation, options->chart, err);
    vb_arena_clear(&arena);
    free(tables);
    free(text);
    return status;
}

int cmd_validate(int argc, char **argv)
{
    struct options options = { 0 };
    const struct cli_option table[] = {
        { "where", "KEY=VALUE", "only such rows: trust, gpu, model, family, repository, workload",
          NULL, &options.where },
        { "max-instances", "N", "leave out rows known to have more boxes in their last batch",
          &options.most_instances, NULL },
        { "json", NULL, "one JSON object; errors in percent, unknown values absent", &options.json,
          NULL },
        { "format", "LIST", "of md, csv, json; md", &options.format, NULL },
        { "chart", "FILE.svg", "draw planned against observed", &options.chart, NULL },
        { "risk", "1%", "that a run called fitting does not; 5%", &options.risk, NULL },
        { "shared", NULL, "rows without a trust ran in a kernel that others use", &options.shared,
          NULL },
        { "residuals", "FILE.csv", "write what bands are made of, and judge by that",
          &options.residuals, NULL },
        { "jobs", "N", "rows at a time; as many as there are cores", &options.jobs, NULL },
    };
    const struct cli_command command = {
        .usage = "vrambench validate FILE.csv [options]",
        .summary =
            "Plans each run of the file and prints both, with the errors and why rows were\n"
            "skipped. The file is one of sweeps/published/, or your own with the header\n"
            "model,batch,imgsz,gpu,gpu_mem and, where known, torch, family (yolov5 or\n"
            "ultralytics), code_version, amp, optimizer, num_classes, instances_last_batch,\n"
            "params, unit (GiB, GB), gpu_total_MiB, source, trust. Other columns are passed over.",
        .examples = "  vrambench validate sweeps/published/train_logs_best.csv\n"
                    "  vrambench validate mine.csv --where gpu=t4 --max-instances 200 --json\n"
                    "  vrambench validate mine.csv --chart mine.svg",
        .options = table,
        .n_options = sizeof table / sizeof *table,
        .min_positional = 1,
        .max_positional = 1,
    };
    struct cli_values positional = { 0 };
    struct vb_error err = { 0 };
    int exit_status = 0;
    if (!cli_begin(&command, argc, argv, &positional, &exit_status))
        return exit_status;
    enum vb_status status = validate(positional.items[0], &options, &err);
    return status == VB_OK ? 0 : cli_fail(status, &err);
}
