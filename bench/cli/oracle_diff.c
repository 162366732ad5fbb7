/* SPDX-License-Identifier: Apache-2.0 */
/* A library is asked in a process of its own, which leaves a table behind: two versions of cuDNN in
 * one process would mix their parts, and one that lacks a library it needs ends its process. All
 * else is then about two tables. */
#include "cli/oracle_diff.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device/plan_table.h"

static const char usual_gpu[] = "rtx3090";

struct answer {
    enum vb_status status;
    struct vb_error err;
};

static bool is_library(const char *path)
{
    struct stat info;
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    return strstr(name, ".so") != NULL || (stat(path, &info) == 0 && S_ISDIR(info.st_mode));
}

/* The child's whole work: the library's answers, as a table at `path`. */
static enum vb_status write_answers(const struct cli_oracle_diff *request, const char *library,
                                    const char *path, struct vb_error *err)
{
    const struct vb_conv_origin origin = { .library = library };
    struct vb_gpu_spec gpu = { 0 };
    struct vb_conv_planner *planner = NULL;
    struct vb_plan_map answers = { 0 };
    enum vb_status status =
        vb_gpu_spec_find(request->gpu != NULL ? request->gpu : usual_gpu, &gpu, err);
    if (status == VB_OK)
        status = vb_conv_planner_open_from(&gpu, &origin, &planner, err);
    if (status == VB_OK)
        status = cli_oracle_ask(planner, request->convs, &answers, err);
    if (status == VB_OK)
        status = vb_plan_table_write(path, &gpu, vb_conv_planner_version(planner), "oracle --diff",
                                     &answers, err);
    vb_conv_planner_close(planner);
    vb_plan_map_clear(&answers);
    vb_gpu_spec_clear(&gpu);
    return status;
}

/* Runs write_answers() in a process of its own. */
static enum vb_status ask_apart(const struct cli_oracle_diff *request, const char *library,
                                const char *path, struct vb_error *err)
{
    int ends[2];
    struct answer answer = { .status = VB_E_DEVICE };
    if (pipe(ends) != 0)
        return vb_fail(err, VB_E_SYSTEM, "no pipe for %s: %s", library, strerror(errno));
    const pid_t child = fork();
    if (child < 0)
        return vb_fail(err, VB_E_SYSTEM, "no process for %s: %s", library, strerror(errno));
    if (child == 0) {
        (void)close(ends[0]);
        answer.status = write_answers(request, library, path, &answer.err);
        _exit(write(ends[1], &answer, sizeof answer) == (ssize_t)sizeof answer ? 0 : 1);
    }
    (void)close(ends[1]);
    const ssize_t n = read(ends[0], &answer, sizeof answer);
    (void)close(ends[0]);
    (void)waitpid(child, NULL, 0);
    if (n != (ssize_t)sizeof answer)
        return vb_fail(err, VB_E_DEVICE, "%.300s: cuDNN ended the process that asked it", library);
    return answer.status == VB_OK ? VB_OK : vb_fail(err, answer.status, "%s", answer.err.text);
}

static enum vb_status ask_library(const struct cli_oracle_diff *request, const char *library,
                                  struct vb_plan_table *out, struct vb_error *err)
{
    char path[] = "/tmp/vrambench-answers-XXXXXX";
    if (request->convs->map.n == 0)
        return vb_fail(err, VB_E_INPUT,
                       "%.300s is a library: say what to ask it, with --model or --sweep", library);
    const int file = mkstemp(path);
    if (file < 0)
        return vb_fail(err, VB_E_SYSTEM, "%s: %s", path, strerror(errno));
    (void)close(file);
    enum vb_status status = ask_apart(request, library, path, err);
    if (status == VB_OK)
        status = vb_plan_table_read(path, out, err);
    (void)unlink(path);
    if (status == VB_OK)
        (void)snprintf(out->path, sizeof out->path, "%s", library);
    return status;
}

static enum vb_status take_table(const struct cli_oracle_diff *request, const char *path,
                                 struct vb_plan_table *out, struct vb_error *err)
{
    return is_library(path) ? ask_library(request, path, out, err)
                            : vb_plan_table_read(path, out, err);
}

enum vb_status cli_oracle_diff(const struct cli_oracle_diff *request, int *exit_status,
                               struct vb_error *err)
{
    struct vb_plan_table was = { 0 };
    struct vb_plan_table is = { 0 };
    struct vb_plan_diff diff = { 0 };
    struct cli_oracle_points points = { 0 };
    struct vb_arena arena = { 0 };
    enum vb_status status = take_table(request, request->was, &was, err);
    if (status == VB_OK)
        status = take_table(request, request->is, &is, err);
    if (status == VB_OK)
        status = vb_plan_diff(&was, &is, &arena, &diff, err);
    if (status == VB_OK && request->sweep != NULL)
        status = cli_oracle_plan_points(request, &was, &is, &arena, &points, err);
    if (status == VB_OK)
        status = cli_oracle_print_diff(request, &was, &is, &diff,
                                       request->sweep != NULL ? &points : NULL, err);
    if (status == VB_OK)
        *exit_status = request->sweep != NULL ? points.n_failing > 0 : diff.n > 0;
    vb_plan_table_clear(&was);
    vb_plan_table_clear(&is);
    vb_arena_clear(&arena);
    return status;
}
