/* SPDX-License-Identifier: Apache-2.0 */
/* The program comes first: stdin, stdout and its exit status are its own, and what goes wrong with
 * the watching once it runs is told and changes none of that. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/question.h"
#include "cli/watch_report.h"
#include "config.h"

/* As env(1) and a shell have them. */
enum { NOT_EXECUTABLE = 126, NOT_FOUND = 127 };

struct options {
    struct cli_question_options question;
    const char *against, *out;
};

/* The keys of a point say nothing without a model. */
static enum vb_status check_plan(const struct options *options, struct vb_error *err)
{
    const struct cli_question_options *question = &options->question;
    const bool has_model = options->against != NULL || question->point.yaml != NULL;
    bool has_key = question->calibration != NULL || question->point.gpu != NULL ||
                   question->point.device != NULL;
    for (size_t i = 0; i < CLI_MAX_POINT_OPTIONS; i++)
        has_key = has_key || question->point.values[i] != NULL;
    if (has_key && !has_model)
        return vb_fail(err, VB_E_INPUT,
                       "what is to be predicted lacks its model: give --against yolov5s or --yaml "
                       "FILE beside it");
    return VB_OK;
}

static enum vb_status plan(const struct options *options, struct cli_watch_plan *out,
                           struct vb_error *err)
{
    struct vb_arena arena = { 0 };
    struct cli_answer answer = { 0 };
    struct cli_question question;
    enum vb_status status = cli_question_open(&options->question, &question, err);
    const struct vb_point *point = &question.point;
    if (status == VB_OK && point->workload == VB_AUTOBATCH)
        status = vb_fail(err, VB_E_INPUT, "--workload autobatch: 'vrambench estimate' answers it");
    if (status == VB_OK)
        status = cli_answer_plan(&question.asked, point, &arena, &answer, err);
    if (status == VB_OK) {
        *out = (struct cli_watch_plan){
            .is_asked = true,
            .has_interval = answer.reason == NULL,
            .need_bytes = answer.estimate.need_bytes,
            .context_bytes = (double)answer.record.context_bytes,
            .low_bytes = answer.estimate.interval90.low,
            .high_bytes = answer.estimate.interval90.high,
        };
        (void)snprintf(out->point, sizeof out->point, "%.80s, batch %u, %u px, %s", point->model,
                       point->batch, point->imgsz, vb_precision_names[point->precision]);
        (void)snprintf(out->gpu, sizeof out->gpu, "%.120s", answer.record.gpu);
    }
    cli_question_close(&question);
    vb_arena_clear(&arena);
    return status;
}

/* Beside this program. */
static enum vb_status find_library(char *path, size_t room, struct vb_error *err)
{
    char own[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", own, sizeof own - 1);
    own[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(own, '/');
    if (!VB_WITH_CUPTI)
        return vb_fail(err, VB_E_UNSUPPORTED,
                       "this was built without CUPTI's headers and cannot watch; configure it "
                       "where the CUDA Toolkit is");
    if (slash != NULL)
        *slash = '\0';
    (void)snprintf(path, room, "%.3000s/" VB_WATCH_LIBRARY, own);
    if (access(path, R_OK) != 0)
        return vb_fail(err, VB_E_UNSUPPORTED, "%.400s: %s; it belongs beside vrambench", path,
                       strerror(errno));
    return VB_OK;
}

static enum vb_status check_environment(struct vb_error *err)
{
    const char *injected = getenv("CUDA_INJECTION64_PATH");
    if (injected != NULL && injected[0] != '\0')
        return vb_fail(err, VB_E_INPUT,
                       "CUDA_INJECTION64_PATH is set to %.300s: another tool is in the place that "
                       "watch needs; unset it",
                       injected);
    return VB_OK;
}

static enum vb_status make_folder(char *path, size_t room, struct vb_error *err)
{
    const char *above = getenv("TMPDIR");
    (void)snprintf(path, room, "%.3000s/vrambench-watch-XXXXXX",
                   above != NULL && above[0] == '/' ? above : "/tmp");
    if (mkdtemp(path) == NULL)
        return vb_fail(err, VB_E_SYSTEM, "%.400s: %s", path, strerror(errno));
    return VB_OK;
}

/* A process that still runs may make a file meanwhile: then the folder stays. */
static void remove_folder(const char *folder)
{
    DIR *files = opendir(folder);
    const struct dirent *file = files != NULL ? readdir(files) : NULL;
    for (; file != NULL; file = readdir(files))
        (void)unlinkat(dirfd(files), file->d_name, 0);
    if (files != NULL)
        (void)closedir(files);
    (void)rmdir(folder);
}

static enum vb_status report_run(const struct options *options, char *const *argv,
                                 const char *folder, const struct vb_watch_run *run,
                                 const struct cli_watch_plan *planned, struct vb_arena *arena,
                                 struct vb_error *err)
{
    struct vb_watch_traces traces;
    struct vb_watched watched;
    enum vb_status status = vb_watch_traces_read(folder, &traces, arena, err);
    if (status == VB_OK)
        status = vb_watch_account(&traces, run, &watched, arena, err);
    if (status != VB_OK)
        return status;
    const struct cli_watch_report report = { argv, run, &watched, planned };
    cli_watch_print(&report);
    return options->out != NULL ? cli_watch_write(&report, options->out, err) : VB_OK;
}

/* `*exit_status` is set where the program ran, or could not be executed. */
static enum vb_status watch(const struct options *options, char *const *argv, int *exit_status,
                            struct vb_error *err)
{
    char library[PATH_MAX], folder[PATH_MAX];
    struct cli_watch_plan planned = { .is_asked = false };
    struct vb_watch_run run;
    struct vb_arena arena = { 0 };
    int cannot_errno = 0;
    enum vb_status status = check_environment(err);
    if (status == VB_OK)
        status = check_plan(options, err);
    if (status == VB_OK && (options->against != NULL || options->question.point.yaml != NULL))
        status = plan(options, &planned, err);
    if (status == VB_OK)
        status = find_library(library, sizeof library, err);
    if (status == VB_OK && options->out != NULL)
        status = vb_file_make_folder(options->out, err);
    if (status == VB_OK)
        status = make_folder(folder, sizeof folder, err);
    if (status != VB_OK)
        return status;
    status = vb_watch_run(argv, library, folder, &run, &cannot_errno, &arena, err);
    if (cannot_errno != 0)
        *exit_status = cannot_errno == ENOENT ? NOT_FOUND : NOT_EXECUTABLE;
    if (status == VB_OK) {
        *exit_status = vb_watch_exit_status(run.ended);
        status = report_run(options, argv, folder, &run, &planned, &arena, err);
    }
    remove_folder(folder);
    vb_arena_clear(&arena);
    return status;
}

/* Where the program's arguments begin: after the first "--". */
static int find_program(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--") == 0)
            return i;
    }
    return argc;
}

/* The options of a point but for --model, which is --against here. */
static size_t list_options(struct options *options, struct cli_option *table)
{
    size_t n = 0, n_kept = 0;
    const struct cli_option own[] = {
        { "out", "DIR", "report.json, timeline.csv and a chart go there", &options->out, NULL },
        { "against", "MODEL",
          "tell what 'estimate' says of this model beside it, for the point that these name",
          &options->against, NULL },
        { "calibration", "FILE|FOLDER", "for that, as 'estimate' takes it",
          &options->question.calibration, NULL },
    };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        table[n_kept++] = own[i];
    n = n_kept;
    cli_add_point_options(&options->question.point, table, &n);
    for (size_t i = n_kept; i < n; i++) {
        if (strcmp(table[i].name, "model") != 0)
            table[n_kept++] = table[i];
    }
    return n_kept;
}

int cmd_watch(int argc, char **argv)
{
    struct options options = { .against = NULL };
    struct cli_option table[CLI_MAX_POINT_OPTIONS + 8];
    struct cli_values positional = { 0 };
    struct vb_error err = { 0 };
    const int split = find_program(argc, argv);
    int exit_status = -1;
    const struct cli_command command = {
        .usage = "vrambench watch [options] -- PROGRAM [arguments]",
        .summary =
            "Runs any CUDA program and tells its true peak of device memory, when that was and\n"
            "which allocations made it, for each of its processes: what CUPTI records, and\n"
            "the context, which is the rest of what NVML says. The report goes to stderr, all\n"
            "else is the program's, its exit status too (128 and the number of a signal).",
        .examples = "  vrambench watch -- python train.py --batch 16\n"
                    "  vrambench watch --out seen --against yolov5s --batch 16 --imgsz 640 \\\n"
                    "      --precision fp16 --gpu rtx3090 -- python train.py",
        .options = table,
        .n_options = list_options(&options, table),
    };
    if (!cli_begin(&command, split, argv, &positional, &exit_status))
        return exit_status;
    cli_set_model(&options.question.point, options.against);
    enum vb_status status =
        split + 1 < argc ? watch(&options, argv + split + 1, &exit_status, &err)
                         : vb_fail(&err, VB_E_INPUT, "no program to run; usage: %s", command.usage);
    if (status == VB_OK)
        return exit_status;
    int failed = cli_fail(status, &err);
    return exit_status >= 0 ? exit_status : failed;
}
