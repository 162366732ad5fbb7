/* SPDX-License-Identifier: Apache-2.0 */
/* Every call of a run fails once, without the run begun anew for each: at a call the process forks,
 * the child has it fail and goes on to its own end, the parent goes on with the call done right.
 *
 * Only the thread that forks lives on in the child: a walk is for runs without others. What a child
 * does is judged by judge.c. */
#include <assert.h>
#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "emulated.h"

#define OPTIONS "VRAMBENCH_EMULATED_WALK_OPTIONS"

enum { MOST_JOBS = 16, MOST_WAYS = 1 << 16, MOST_FRAMES = 48, MOST_FAULTS = 3 };
enum { LOST = 719 }; /* CUDA_ERROR_LAUNCH_FAILED, which sticks */

/* How a call fails, by the beginning of its name; the first that fits. */
static const struct fault {
    const char *function;
    int statuses[MOST_FAULTS]; /* a child each; 0: none; negative: and all its later calls */
} faults[] = {
    { "cuInit", { CUDA_ERROR_NO_DEVICE } },
    { "cuDevicePrimaryCtxRetain", { CUDA_ERROR_OUT_OF_MEMORY, CUDA_ERROR_UNKNOWN } },
    { "cuModuleLoadFatBinary", { CUDA_ERROR_OUT_OF_MEMORY, CUDA_ERROR_NO_BINARY_FOR_GPU } },
    { "cuMemAlloc_v2",
      { CUDA_ERROR_OUT_OF_MEMORY, -CUDA_ERROR_OUT_OF_MEMORY, CUDA_ERROR_ILLEGAL_ADDRESS } },
    { "cuLaunchKernel", { CUDA_ERROR_INVALID_VALUE, LOST } },
    { "cuptiSubscribe", { 39 /* MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED */, 999 } },
    { "cuptiActivityEnable", { 35 /* INSUFFICIENT_PRIVILEGES */, 999 } },
    { "cupti", { 999 } },
    { "cudnnGet", { 0 } }, /* these return no status */
    { "cudnnBackendExecute", { 5000 /* EXECUTION_FAILED */, 5003 /* of the driver */ } },
    { "cudnn", { 4000 /* INTERNAL_ERROR */ } },
    { "nvmlInit_v2", { 9 /* DRIVER_NOT_LOADED */ } },
    { "nvml", { 999 } },
    { "cu", { CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_ILLEGAL_ADDRESS } },
};

static struct {
    pid_t process;
    uint64_t n, nth, start;
    const char *function;
    int status;
} running[MOST_JOBS];
static size_t n_running;
static uint64_t n_children;
static bool is_child;
static const char *lasting; /* the function that fails from now on */
static int lasting_status;
static struct {
    uint64_t hash, n;
} ways[MOST_WAYS];

static uint64_t option(const char *name, uint64_t usual)
{
    uint64_t number = usual;
    (void)emulated_option(OPTIONS, name, &number);
    return number;
}

/* How often this function was called by this way so far, from 1: loops are one way. */
static uint64_t count_way(const char *function)
{
    void *frames[MOST_FRAMES];
    const int n = backtrace(frames, MOST_FRAMES);
    uint64_t hash = (uint64_t)(uintptr_t)function | 1;
    for (int i = 0; i < n; i++)
        hash = (hash ^ (uint64_t)(uintptr_t)frames[i]) * UINT64_C(0x100000001b3);
    size_t at = hash % MOST_WAYS;
    for (size_t tries = 0; ways[at].hash != hash && ways[at].hash != 0; at = (at + 1) % MOST_WAYS) {
        if (++tries == MOST_WAYS)
            abort();
    }
    ways[at].hash = hash;
    return ++ways[at].n;
}

static bool is_due(const char *function, uint64_t nth)
{
    static uint64_t n_passed;
    const char *only = getenv("VRAMBENCH_EMULATED_WALK_FUNCTION");
    const uint64_t every = option("every", 1), first = option("first", 1);
    if (only != NULL && strncmp(only, function, strlen(only)) != 0)
        return false;
    const bool is_new = count_way(function) <= first;
    return n_passed++ >= option("from", 0) && (is_new || nth % every == 0);
}

static void end_one(const char *folder)
{
    char path[4096];
    int how = 0;
    const pid_t process = waitpid(-1, &how, 0);
    size_t i = 0;
    while (i < n_running && running[i].process != process)
        i++;
    if (process < 0)
        n_running = 0;
    if (i >= n_running)
        return;
    (void)snprintf(path, sizeof path, "%s/calls", folder);
    FILE *file = fopen(path, "a");
    if (file == NULL)
        abort();
    (void)fprintf(file, "%llu %s %llu %d %d %d %.3f\n", (unsigned long long)running[i].n,
                  running[i].function, (unsigned long long)running[i].nth, running[i].status,
                  WIFEXITED(how) ? WEXITSTATUS(how) : -1, WIFSIGNALED(how) ? WTERMSIG(how) : 0,
                  (double)(emulated_now() - running[i].start) * 1e-9);
    (void)fclose(file);
    running[i] = running[--n_running];
}

static void send_to(int file, const char *path)
{
    const int made = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (made < 0 || dup2(made, file) < 0)
        abort();
    (void)close(made);
}

/* What the child says goes to files of its own; a hang ends by a signal. */
static void become_child(const char *folder, const char *function)
{
    char path[4096];
    is_child = true;
    n_running = 0;
    const int length =
        snprintf(path, sizeof path, "%s/%llu-%s", folder, (unsigned long long)n_children, function);
    assert(length + 5 < (int)sizeof path);
    (void)snprintf(path + length, sizeof path - (size_t)length, ".out");
    send_to(STDOUT_FILENO, path);
    (void)snprintf(path + length, sizeof path - (size_t)length, ".err");
    send_to(STDERR_FILENO, path);
    (void)snprintf(path + length, sizeof path - (size_t)length, ".log");
    (void)setenv("VRAMBENCH_EMULATED_LOG", path, 1);
    (void)unsetenv("VRAMBENCH_EMULATED_COUNTS");
    (void)alarm((unsigned int)option("seconds", 300));
}

/* In the child true. */
static bool fork_with(const char *folder, const char *function, uint64_t nth, int status)
{
    uint64_t jobs = option("jobs", 1);
    jobs = jobs < 1 ? 1 : jobs > MOST_JOBS ? MOST_JOBS : jobs;
    while (n_running >= jobs)
        end_one(folder);
    n_children++;
    const uint64_t start = emulated_now();
    const pid_t process = fork();
    if (process < 0)
        abort();
    if (process == 0) {
        become_child(folder, function);
        return true;
    }
    running[n_running].process = process;
    running[n_running].n = n_children;
    running[n_running].nth = nth;
    running[n_running].start = start;
    running[n_running].function = function;
    running[n_running++].status = status;
    return false;
}

bool emulated_walks(void)
{
    return getenv("VRAMBENCH_EMULATED_WALK") != NULL;
}

bool emulated_is_idle(void)
{
    return is_child && option("idle", 0) != 0;
}

int emulated_walk(const char *function, uint64_t nth)
{
    const char *folder = getenv("VRAMBENCH_EMULATED_WALK");
    size_t i = 0;
    if (is_child)
        return lasting != NULL && strcmp(function, lasting) == 0 ? lasting_status : 0;
    if (folder == NULL || !is_due(function, nth))
        return 0;
    while (strncmp(function, faults[i].function, strlen(faults[i].function)) != 0)
        i++; /* the last fits all that are left */
    for (size_t k = 0; k < MOST_FAULTS && faults[i].statuses[k] != 0; k++) {
        const int status = faults[i].statuses[k];
        if (!fork_with(folder, function, nth, status))
            continue;
        if (status == 5003)
            emulated_driver()->sticky = LOST;
        if (status < 0) {
            lasting = function;
            lasting_status = -status;
        }
        return abs(status);
    }
    return 0;
}

/* What is printed before a call is printed by its child too, whole. */
__attribute__((constructor)) static void begin(void)
{
    static char buffer[4 << 20];
    if (emulated_walks())
        (void)setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
}

/* Waits for the children that are left. */
__attribute__((destructor)) static void finish(void)
{
    while (!is_child && n_running > 0)
        end_one(getenv("VRAMBENCH_EMULATED_WALK"));
}
