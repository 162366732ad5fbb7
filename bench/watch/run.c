/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "capture/processes.h"
#include "watch/format.h"

enum { CANNOT_EXECUTE = 127, SIGNALLED = 128 };

static uint64_t now_ns(void)
{
    struct timespec now = { 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

/* What is waited for in place of being handled. */
static void list_signals(sigset_t *set)
{
    static const int waited[] = { SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGHUP };
    (void)sigemptyset(set);
    for (size_t i = 0; i < sizeof waited / sizeof *waited; i++)
        (void)sigaddset(set, waited[i]);
}

/* How signals were before: the program gets them so. */
struct signals {
    sigset_t waited, before;
    struct sigaction child;
};

/* In the child. `told` is closed where it succeeds, else it has the error. */
static void become(char *const *argv, const char *library, const char *folder,
                   const struct signals *signals, int told)
{
    (void)sigaction(SIGCHLD, &signals->child, NULL);
    (void)sigprocmask(SIG_SETMASK, &signals->before, NULL);
    if (setenv("CUDA_INJECTION64_PATH", library, 1) == 0 && setenv(VB_WATCH_FOLDER, folder, 1) == 0)
        (void)execvp(argv[0], argv);
    int why = errno;
    (void)!write(told, &why, sizeof why);
    _exit(CANNOT_EXECUTE);
}

static enum vb_status start(char *const *argv, const char *library, const char *folder,
                            const struct signals *signals, pid_t *pid, int *cannot_errno,
                            struct vb_error *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return vb_fail(err, VB_E_SYSTEM, "no pipe for the program: %s", strerror(errno));
    *pid = fork();
    if (*pid == 0)
        become(argv, library, folder, signals, ends[1]);
    int why = *pid < 0 ? errno : 0;
    (void)close(ends[1]);
    ssize_t n = *pid > 0 ? read(ends[0], &why, sizeof why) : 0;
    (void)close(ends[0]);
    if (*pid < 0)
        return vb_fail(err, VB_E_SYSTEM, "no process for the program: %s", strerror(why));
    if (n != (ssize_t)sizeof why)
        return VB_OK;
    (void)waitpid(*pid, NULL, 0);
    *cannot_errno = why;
    return vb_fail(err, VB_E_INPUT, "%s: %s", argv[0], strerror(why));
}

struct sampling {
    struct vb_watch_run *run;
    struct vb_arena *arena;
    uint64_t ns;
    uint32_t gpu;
};

/* What there is no memory for is not kept: the samples are many, and each alike. */
static void keep_sample(void *context, uint32_t pid, uint64_t bytes)
{
    const struct sampling *at = context;
    struct vb_watch_run *run = at->run;
    struct vb_watch_sample *grown =
        vb_arena_grow(at->arena, run->samples, run->n_samples, &run->room_samples, sizeof *grown);
    if (grown == NULL)
        return;
    run->samples = grown;
    grown[run->n_samples++] = (struct vb_watch_sample){ at->ns, bytes, pid, at->gpu };
}

static void sample(struct vb_processes *processes, struct vb_watch_run *run, struct vb_arena *arena)
{
    for (size_t i = 0; i < run->n_gpus; i++) {
        struct sampling at = { run, arena, now_ns(), (uint32_t)i };
        (void)vb_processes_each(processes, i, keep_sample, &at);
    }
}

/* NULL: no samples, and the run says why. */
static struct vb_processes *open_processes(struct vb_watch_run *run, struct vb_arena *arena)
{
    struct vb_processes *processes = NULL;
    run->no_samples = "no NVML: no host memory";
    if (vb_processes_open(&processes, NULL) != VB_OK)
        return NULL;
    const size_t n = vb_processes_n_gpus(processes);
    const char **bus_ids = vb_arena_alloc(arena, n + 1, sizeof *bus_ids);
    const char *why = vb_arena_copy(arena, vb_processes_why(processes));
    bool is_whole = bus_ids != NULL && why != NULL;
    for (size_t i = 0; i < n && is_whole; i++) {
        bus_ids[i] = vb_arena_copy(arena, vb_processes_bus_id(processes, i));
        is_whole = bus_ids[i] != NULL;
    }
    if (!is_whole)
        return processes;
    run->no_samples = why;
    run->bus_ids = bus_ids;
    run->n_gpus = n;
    return processes;
}

/* Until the program has ended. A signal that a process sent goes on to it; what the terminal sends
 * goes to all in the foreground, the program too. */
static void follow(struct vb_watch_run *run, struct vb_processes *processes,
                   const sigset_t *signals, struct vb_arena *arena)
{
    const struct timespec wait = { .tv_nsec = VB_WATCH_SAMPLE_MS * 1000000L };
    uint64_t next = now_ns();
    while (waitpid(run->pid, &run->ended, WNOHANG) == 0) {
        siginfo_t info;
        int caught = sigtimedwait(signals, &info, &wait);
        if (caught > 0 && caught != SIGCHLD && info.si_code <= 0)
            (void)kill(run->pid, caught);
        if (now_ns() < next)
            continue;
        sample(processes, run, arena);
        next = now_ns() + VB_WATCH_SAMPLE_MS * 1000000U / 2;
    }
    /* What the terminal sent to end the program is not to end the report. */
    while (sigtimedwait(signals, NULL, &(struct timespec){ 0 }) > 0)
        continue;
}

/* NVML is opened after the program is there, so that it inherits nothing of it. */
enum vb_status vb_watch_run(char *const *argv, const char *library, const char *folder,
                            struct vb_watch_run *out, int *cannot_errno, struct vb_arena *arena,
                            struct vb_error *err)
{
    const struct sigaction usual = { .sa_handler = SIG_DFL };
    struct vb_watch_run run = { 0 };
    struct signals signals;
    list_signals(&signals.waited);
    (void)sigprocmask(SIG_BLOCK, &signals.waited, &signals.before);
    (void)sigaction(SIGCHLD, &usual, &signals.child);
    run.start_ns = now_ns();
    enum vb_status status = start(argv, library, folder, &signals, &run.pid, cannot_errno, err);
    if (status == VB_OK) {
        struct vb_processes *processes = open_processes(&run, arena);
        follow(&run, processes, &signals.waited, arena);
        vb_processes_close(processes);
    }
    run.end_ns = now_ns();
    run.seconds = (double)(run.end_ns - run.start_ns) * 1e-9;
    (void)sigaction(SIGCHLD, &signals.child, NULL);
    (void)sigprocmask(SIG_SETMASK, &signals.before, NULL);
    if (status == VB_OK)
        *out = run;
    return status;
}

int vb_watch_exit_status(int ended)
{
    return WIFSIGNALED(ended) ? SIGNALLED + WTERMSIG(ended) : WEXITSTATUS(ended);
}
