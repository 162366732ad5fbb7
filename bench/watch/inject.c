/* SPDX-License-Identifier: Apache-2.0 */
/* libvrambench_watch.so: what the driver loads into a watched program at cuInit(), as
 * CUDA_INJECTION64_PATH asks it to, and whose InitializeInjection() it then calls.
 *
 * A thread has CUPTI hand over what is recorded every FLUSH_MS, so that a process that is killed
 * loses no more than that. CUPTI's own flush period is of no use for that: it hands over only
 * buffers that are full (the description of cuptiActivityFlushPeriod()). It then asks the driver
 * what CUDA graphs hold, of which CUPTI makes no record (watch/inject_graphs.h).
 *
 * The library stays in the process to its end. A child of a process that has opened CUDA cannot
 * use it: here it does nothing, and what it executes is a process of its own.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "watch/format.h"
#include "watch/inject_cupti.h"
#include "watch/inject_events.h"
#include "watch/inject_file.h"
#include "watch/inject_graphs.h"
#include "watch/proc.h"

enum { FLUSH_MS = 250, ASK_EVERY = 4, END_SECONDS = 2, STACK_BYTES = 512 << 10 };

static atomic_bool is_begun;
static atomic_int owner; /* the process that this is of; 0 in its children */
static pthread_mutex_t flushing = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool is_over; /* CUPTI and the driver are only called by who ends it */
static uint64_t begun_ns;

__attribute__((visibility("default"))) int InitializeInjection(void);

static uint64_t now_ns(void)
{
    struct timespec now = { 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static size_t read_file(const char *path, char *text, size_t room)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = file >= 0 ? read(file, text, room) : 0;
    if (file >= 0)
        (void)close(file);
    return n > 0 ? (size_t)n : 0;
}

static void write_text(uint32_t kind, const char *text)
{
    vb_inject_events_lock();
    (void)vb_inject_file_write(kind, text, strlen(text), NULL, 0);
    vb_inject_events_unlock();
}

/* All that is recorded goes to the file; then it is said that it has. */
static void flush(bool is_end)
{
    const uint64_t reached = now_ns();
    bool is_any = false;
    vb_inject_cupti_flush(is_end);
    vb_inject_events_describe(&is_any);
    vb_inject_events_lock();
    if (is_any || is_end)
        (void)vb_inject_file_write(VB_WATCH_REACHED, &reached, sizeof reached, NULL, 0);
    if (is_end)
        (void)vb_inject_file_write(VB_WATCH_END, &reached, sizeof reached, NULL, 0);
    vb_inject_events_unlock();
}

/* Someone who records registers callbacks in the place of ours, so nothing comes here any more. */
static bool stands_back(void)
{
    char text[160];
    if (!vb_inject_cupti_is_taken())
        return false;
    (void)snprintf(
        text, sizeof text,
        "another client of CUPTI subscribed by %.1f s: what came after may be missing, as "
        "may what came in the second before",
        (double)(now_ns() - begun_ns) * 1e-9);
    write_text(VB_WATCH_OFF, text);
    return true;
}

static void *keep_flushing(void *unused)
{
    uint64_t n_completed = 0;
    unsigned n_quiet = 0;
    for (bool goes_on = true; goes_on;) {
        (void)nanosleep(&(struct timespec){ .tv_nsec = FLUSH_MS * 1000000L }, NULL);
        (void)pthread_mutex_lock(&flushing);
        goes_on = !atomic_load(&is_over);
        if (goes_on) {
            n_quiet = vb_inject_cupti_n_completed() == n_completed ? n_quiet + 1 : 0;
            goes_on = n_quiet < ASK_EVERY || !stands_back();
            n_quiet = n_quiet >= ASK_EVERY ? 0 : n_quiet;
        }
        if (goes_on) {
            flush(false);
            vb_inject_graphs_look();
        } else {
            atomic_store(&is_over, true);
        }
        n_completed = vb_inject_cupti_n_completed();
        (void)pthread_mutex_unlock(&flushing);
    }
    return unused;
}

/* Not one of the program's signals is for this thread. */
static bool start_thread(void)
{
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t all, before;
    if (pthread_attr_init(&attributes) != 0)
        return false;
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    bool is_started = pthread_create(&thread, &attributes, keep_flushing, NULL) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return is_started;
}

/* Nothing is waited for longer than END_SECONDS: the program may be ending from inside of CUPTI, or
 * of a handler that interrupted it. Our thread calls CUPTI and the driver no more, which may be
 * gone after this.
 */
static void end(void)
{
    struct timespec until = { 0 };
    int kept = errno;
    if (atomic_load(&owner) != getpid())
        return;
    const bool was_over = atomic_exchange(&is_over, true);
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += END_SECONDS;
    bool is_ours = pthread_mutex_timedlock(&flushing, &until) == 0;
    if (is_ours && vb_inject_events_try_lock(END_SECONDS)) {
        const uint64_t now = now_ns();
        if (was_over)
            (void)vb_inject_file_write(VB_WATCH_END, &now, sizeof now, NULL, 0);
        vb_inject_events_unlock();
        if (!was_over) {
            vb_inject_graphs_look();
            flush(true);
        }
    }
    vb_inject_cupti_leave();
    if (is_ours)
        (void)pthread_mutex_unlock(&flushing);
    errno = kept;
}

/* Only what may be done in a child of a process with threads. */
static void leave_child(void)
{
    atomic_store(&owner, 0);
    vb_inject_cupti_leave();
}

static void begin(const char *folder)
{
    static char command[4096];
    char why[512] = "";
    struct vb_inject_clock clock = { 0 };
    struct vb_watch_start start = {
        .version = VB_WATCH_VERSION,
        .pid = getpid(),
        .parent = getppid(),
        .start_ticks = vb_proc_start_ticks(getpid()),
    };
    if (!vb_inject_file_open(folder, start.pid, start.start_ticks))
        return;
    atomic_store(&owner, start.pid);
    bool is_on = vb_inject_cupti_start(&start.cupti_version, &clock, why, sizeof why);
    begun_ns = now_ns();
    start.monotonic_ns = is_on ? clock.monotonic_ns : begun_ns;
    start.record_ns = clock.record_ns;
    size_t n = read_file("/proc/self/cmdline", command, sizeof command);
    vb_inject_events_lock();
    (void)vb_inject_file_write(VB_WATCH_START, &start, sizeof start, command, n);
    vb_inject_events_unlock();
    if (!is_on)
        write_text(VB_WATCH_OFF, why);
    atomic_store(&is_over, !is_on);
    (void)pthread_atfork(NULL, NULL, leave_child);
    (void)atexit(end);
    if (is_on && !start_thread())
        write_text(VB_WATCH_OFF, "there is no thread: what is recorded is written at the end only");
}

/* Whatever becomes of the recording, the driver is told to go on. */
int InitializeInjection(void)
{
    int kept = errno;
    const char *folder = getenv(VB_WATCH_FOLDER);
    if (folder != NULL && folder[0] != '\0' && !atomic_exchange(&is_begun, true))
        begin(folder);
    errno = kept;
    return 1;
}
