/* SPDX-License-Identifier: Apache-2.0 */
#include "sweep/apart.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

enum { POLL_MS = 100, MAX_ARGUMENTS = 96, MAX_OWN_VARIABLES = 2, CANNOT_EXECUTE = 127 };

struct process {
    const struct vb_run_options *options;
    pid_t pid;
    int out;             /* its standard output */
    struct vb_text text; /* of that, so far */
    bool was_stopped, is_late;
    int ended; /* as waitpid() tells */
};

/* The command line; NULL where the host has no memory left. */
static char **list_arguments(const struct vb_run_options *options, const struct vb_point *point,
                             struct vb_arena *arena)
{
    const struct vb_point usual = vb_point_default();
    char **list = vb_arena_alloc(arena, MAX_ARGUMENTS, sizeof *list);
    size_t n = 0;
    if (list == NULL)
        return NULL;
    list[n++] = vb_arena_copy(arena, options->program);
    list[n++] = vb_arena_copy(arena, "point");
    list[n++] = vb_arena_format(arena, "--device=%s", options->device);
    if (options->memory_bytes > 0)
        list[n++] = vb_arena_format(arena, "--memory=%" PRIu64 "B", options->memory_bytes);
    for (size_t i = 0; i < vb_key_count && n + 1 < MAX_ARGUMENTS; i++) {
        char value[256], common[256];
        vb_option_get(&vb_keys[i], point, value, sizeof value);
        vb_option_get(&vb_keys[i], &usual, common, sizeof common);
        if (strcmp(value, common) != 0)
            list[n++] = vb_arena_format(arena, "--%s=%s", vb_keys[i].name, value);
    }
    for (size_t i = 0; i < n; i++) {
        if (list[i] == NULL)
            return NULL;
    }
    return list;
}

static bool is_set(const char *variable, const char *name)
{
    const size_t length = strlen(name);
    return strncmp(variable, name, length) == 0 && variable[length] == '=';
}

/* This process's environment with what OpenMP reads as a process begins. Threads that wait are to
 * sleep: where others use the processors too, those that spin keep them from who has work, and a
 * step takes several times as long. Who has set the policy keeps it. */
static char **list_environment(const struct vb_run_options *options, struct vb_arena *arena)
{
    static const char threads[] = "OMP_NUM_THREADS", policy[] = "OMP_WAIT_POLICY";
    size_t n = 0, n_kept = 0;
    bool has_policy = false;
    while (environ[n] != NULL)
        n++;
    char **list = vb_arena_alloc(arena, n + MAX_OWN_VARIABLES + 1, sizeof *list);
    if (list == NULL)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        has_policy = has_policy || is_set(environ[i], policy);
        if (options->threads == 0 || !is_set(environ[i], threads))
            list[n_kept++] = environ[i];
    }
    if (options->threads > 0)
        list[n_kept++] = vb_arena_format(arena, "%s=%" PRIu32, threads, options->threads);
    if (!has_policy)
        list[n_kept] = vb_arena_format(arena, "%s=passive", policy);
    return list;
}

/* What asks a sweep to end reaches its point's process too (Ctrl-C, a batch system that takes a job
 * back), and may do so first: the sweep then saw a crash. Only the sweep decides, with SIGKILL; the
 * process it becomes inherits what is ignored. */
static void leave_ends_to_the_sweep(void)
{
    static const int asked[] = { SIGINT, SIGTERM, SIGHUP };
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++)
        (void)signal(asked[i], SIG_IGN);
}

static enum vb_status start(struct process *process, char **arguments, char **environment,
                            struct vb_error *err)
{
    int ends[2];
    const pid_t parent = getpid();
    if (pipe2(ends, O_CLOEXEC) != 0)
        return vb_fail(err, VB_E_SYSTEM, "no pipe for a point: %s", strerror(errno));
    process->pid = fork();
    if (process->pid == 0) {
        /* It does not outlive this process, however that ends. */
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        leave_ends_to_the_sweep();
        if (getppid() == parent && dup2(ends[1], STDOUT_FILENO) >= 0)
            (void)execve(arguments[0], arguments, environment);
        _exit(CANNOT_EXECUTE);
    }
    (void)close(ends[1]);
    process->out = ends[0];
    if (process->pid > 0)
        return VB_OK;
    (void)close(ends[0]);
    return vb_fail(err, VB_E_SYSTEM, "no process for a point: %s", strerror(errno));
}

static double now_seconds(void)
{
    struct timespec now = { 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Reads until the process closes its output, is late, or everything is to stop; then it is gone. */
static void follow(struct process *process)
{
    const struct vb_run_options *options = process->options;
    const double start_seconds = now_seconds();
    char part[4096];
    for (;;) {
        struct pollfd wait = { process->out, POLLIN, 0 };
        process->was_stopped = options->stop != NULL && *options->stop != 0;
        process->is_late = options->timeout_seconds > 0 &&
                           now_seconds() - start_seconds > options->timeout_seconds;
        if (process->was_stopped || process->is_late) {
            (void)kill(process->pid, SIGKILL);
            break;
        }
        if (poll(&wait, 1, POLL_MS) <= 0)
            continue;
        ssize_t n = read(process->out, part, sizeof part);
        if (n == 0 || (n < 0 && errno != EINTR))
            break;
        if (n > 0)
            vb_text_append(&process->text, "%.*s", (int)n, part);
    }
    (void)close(process->out);
    while (waitpid(process->pid, &process->ended, 0) < 0 && errno == EINTR)
        continue;
}

/* The last line that can be a record: libraries may print others. */
static const char *last_record(char *text)
{
    const char *found = NULL;
    for (char *line = strsep(&text, "\n"); line != NULL; line = strsep(&text, "\n")) {
        if (line[0] == '{')
            found = line;
    }
    return found;
}

static void tell_end(const struct process *process, struct vb_record *record)
{
    const struct vb_run_options *options = process->options;
    char *reason = record->reason;
    const size_t room = sizeof record->reason;
    record->state = process->is_late ? VB_STATE_TIMEOUT : VB_STATE_ERROR;
    if (process->is_late)
        (void)snprintf(reason, room, "not done after %" PRIu32 " s; [sweep] timeout says how long",
                       options->timeout_seconds);
    else if (WIFSIGNALED(process->ended))
        (void)snprintf(reason, room, "its process was ended by signal %d (%s)%s",
                       WTERMSIG(process->ended), strsignal(WTERMSIG(process->ended)),
                       WTERMSIG(process->ended) == SIGKILL
                           ? ": by hand, or the kernel had no memory left"
                           : "");
    else
        (void)snprintf(reason, room, "its process ended with status %d and no record",
                       WEXITSTATUS(process->ended));
}

static void tell_record(struct process *process, const struct vb_point *point,
                        struct vb_arena *arena, struct vb_record *record)
{
    const struct vb_run_options *options = process->options;
    struct vb_error inner = { 0 };
    char *text = process->text.data;
    const char *line = text != NULL && !process->is_late ? last_record(text) : NULL;
    if (line != NULL && !WIFSIGNALED(process->ended) &&
        vb_record_parse(line, arena, record, &inner) == VB_OK)
        return;
    *record = (struct vb_record){ .point = *point, .provenance = VB_MEASURED };
    (void)snprintf(record->device, sizeof record->device, "%s", options->device);
    tell_end(process, record);
    vb_run_tell_repro(options, record);
}

enum vb_status vb_run_apart(const struct vb_run_options *options, const struct vb_point *point,
                            struct vb_arena *arena, struct vb_record *record, bool *was_stopped,
                            struct vb_error *err)
{
    struct process process = { .options = options };
    char **arguments = list_arguments(options, point, arena);
    char **environment = list_environment(options, arena);
    if (arguments == NULL || environment == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for a point's process");
    enum vb_status status = start(&process, arguments, environment, err);
    if (status != VB_OK)
        return status;
    follow(&process);
    *was_stopped = process.was_stopped;
    if (!*was_stopped)
        tell_record(&process, point, arena, record);
    vb_text_clear(&process.text);
    return VB_OK;
}
