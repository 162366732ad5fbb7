/* SPDX-License-Identifier: Apache-2.0 */
/* A program that uses CUDA in the way its argument names, for run.sh to watch. Exit status 70: what
 * it holds CUDA and the watching to did not hold, stderr says what.   program HOW [ARGUMENT] */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "libraries.h"

enum { THREADS = 8, ROUNDS = 30 };

static const char *self; /* the path of this program */

/* 100 MiB, 60 of them at once: 48 and 12. */
static void use_simply(void)
{
    open_cuda();
    const CUdeviceptr first = take(40);
    give(first);
    const CUdeviceptr a = take(48), b = take(12);
    rest(400);
    give(b);
    give(a);
    close_cuda();
}

/* --------------------------------------------------------------------------- ways to end */

static void hold_and_rest(unsigned int ms)
{
    open_cuda();
    (void)take(20);
    (void)take(10);
    rest(ms);
}

static void end_by(const char *how)
{
    hold_and_rest(700);
    if (strcmp(how, "kill") == 0)
        (void)raise(SIGKILL);
    if (strcmp(how, "abort") == 0)
        abort();
    if (strcmp(how, "segv") == 0)
        (void)(signal(SIGSEGV, SIG_DFL), raise(SIGSEGV));
    if (strcmp(how, "_exit") == 0)
        _exit(5);
    if (strcmp(how, "exit") == 0)
        exit(7);
    CHECK(strcmp(how, "never") == 0);
}

/* exit() while other threads are inside of the driver. */
static void *allocate_for_ever(void *unused)
{
    CHECK(cuda.set_current(context) == CUDA_SUCCESS);
    for (;;) {
        CUdeviceptr address = 0;
        if (cuda.alloc(&address, MIB) == CUDA_SUCCESS)
            (void)cuda.give(address);
        (void)usleep(50);
    }
    return unused;
}

static void exit_while_allocating(void)
{
    pthread_t thread;
    open_cuda();
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&thread, NULL, allocate_for_ever, NULL) == 0);
    rest(400);
    exit(9);
}

/* ------------------------------------------------------------------------------- threads */

static void *allocate_in_rounds(void *unused)
{
    CHECK(cuda.set_current(context) == CUDA_SUCCESS);
    for (int i = 0; i < ROUNDS; i++) {
        CUdeviceptr a = take(1), b = take(2);
        give(a);
        give(b);
    }
    return unused;
}

/* What all threads hold to the end is the peak: 4 MiB each, and what runs beside. */
static void use_threads(void)
{
    pthread_t threads[THREADS];
    open_cuda();
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, allocate_in_rounds, NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    const CUdeviceptr all = take(64);
    give(all);
    close_cuda();
}

/* ----------------------------------------------------------------------------- processes */

static void wait_for(pid_t child, int status)
{
    int ended = 0;
    CHECK(waitpid(child, &ended, 0) == child);
    CHECK(WIFEXITED(ended) && WEXITSTATUS(ended) == status);
}

/* Of all files of the watching; 0: it is not watched. */
static off_t watched_bytes(void)
{
    const char *folder = getenv("VRAMBENCH_WATCH_FOLDER");
    DIR *files = folder != NULL ? opendir(folder) : NULL;
    struct stat about;
    off_t sum = 0;
    for (const struct dirent *file; files != NULL && (file = readdir(files)) != NULL;)
        sum += fstatat(dirfd(files), file->d_name, &about, 0) == 0 && S_ISREG(about.st_mode)
                   ? about.st_size
                   : 0;
    if (files != NULL)
        (void)closedir(files);
    return sum;
}

/* A child cannot use what its parent opened, and leaves its file alone. */
static void fork_after(void)
{
    open_cuda();
    const CUdeviceptr a = take(16);
    rest(1000); /* until it is written, and nothing more is */
    const off_t before = watched_bytes();
    const pid_t child = fork();
    if (child == 0) {
        CUdeviceptr address = 0;
        CHECK(cuda.alloc(&address, MIB) == CUDA_ERROR_NOT_INITIALIZED);
        exit(3); /* its exit handlers run too */
    }
    wait_for(child, 3);
    CHECK(watched_bytes() == before);
    const CUdeviceptr b = take(8);
    give(b);
    give(a);
    close_cuda();
}

/* Workers that begin before CUDA is opened, all on one GPU at once. */
static void fork_before(void)
{
    pid_t children[3];
    for (int i = 0; i < 3; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            open_cuda();
            const CUdeviceptr a = take(10);
            rest(600);
            give(a);
            close_cuda();
            exit(0);
        }
    }
    for (int i = 0; i < 3; i++)
        wait_for(children[i], 0);
}

static void spawn(const char *how)
{
    const pid_t child = fork();
    if (child == 0) {
        (void)execl(self, self, how, (char *)NULL);
        _exit(BROKEN);
    }
    wait_for(child, 0);
}

/* A process with CUDA has another program do something, then becomes another one itself. */
static void execute(void)
{
    open_cuda();
    const CUdeviceptr a = take(6);
    spawn("simple");
    give(a);
    (void)take(18);
    rest(400);
    (void)execl(self, self, "simple", (char *)NULL);
    _exit(BROKEN);
}

/* ------------------------------------------------------------------------ other CUPTI users */

static unsigned int n_memory_records;

static void requested(uint8_t **buffer, size_t *n_bytes, size_t *most)
{
    *n_bytes = 4096;
    *buffer = malloc(*n_bytes);
    *most = 0;
}

static void completed(CUcontext of, uint32_t stream, uint8_t *buffer, size_t n_bytes, size_t valid)
{
    CUpti_Activity *record = NULL;
    (void)of;
    (void)stream;
    (void)n_bytes;
    while (cupti.get_next_record(buffer, valid, &record) == CUPTI_SUCCESS)
        n_memory_records += record->kind == CUPTI_ACTIVITY_KIND_MEMORY2;
    free(buffer);
}

static void called(void *data, CUpti_CallbackDomain domain, CUpti_CallbackId id, const void *info)
{
    (void)data;
    (void)domain;
    (void)id;
    (void)info;
}

static void record_memory(CUpti_SubscriberHandle *handle)
{
    if (handle != NULL)
        CHECK(cupti.subscribe(handle, called, NULL) == CUPTI_SUCCESS);
    CHECK(cupti.register_callbacks(requested, completed) == CUPTI_SUCCESS);
    CHECK(cupti.enable(CUPTI_ACTIVITY_KIND_MEMORY2) == CUPTI_SUCCESS);
}

/* It gets each of its records. */
static void record_itself(const char *when)
{
    CUpti_SubscriberHandle handle = NULL;
    const bool is_before = strcmp(when, "later") != 0, has_handle = strcmp(when, "bare") != 0;
    load_cupti();
    if (is_before)
        record_memory(has_handle ? &handle : NULL);
    open_cuda();
    const CUdeviceptr before = take(4);
    rest(700);
    if (!is_before)
        record_memory(&handle);
    const unsigned int n = n_memory_records;
    const CUdeviceptr a = take(2);
    give(a);
    rest(is_before ? 100 : 2500); /* as long as it may take to notice */
    const CUdeviceptr b = take(3);
    give(b);
    CHECK(cupti.flush_all(0) == CUPTI_SUCCESS);
    CHECK(n_memory_records - n >= 4);
    if (has_handle)
        CHECK(cupti.unsubscribe(handle) == CUPTI_SUCCESS);
    give(before);
    close_cuda();
}

/* ------------------------------------------------------------------- what is to stay as it was */

static volatile sig_atomic_t n_alarms;
static pthread_t main_thread;
static volatile sig_atomic_t is_elsewhere;

static void on_alarm(int number)
{
    (void)number;
    n_alarms++;
    is_elsewhere = is_elsewhere || pthread_equal(pthread_self(), main_thread) == 0;
}

/* Descriptors, signals, errno, locale, arguments, what comes in and goes out. */
static void stay_as_it_was(void)
{
    char line[64] = "";
    const int next = open("/dev/null", O_RDONLY);
    CHECK(next >= 0 && close(next) == 0);
    main_thread = pthread_self();
    CHECK(signal(SIGALRM, on_alarm) != SIG_ERR);
    open_cuda();
    errno = EDOM; /* which the driver's stand-in leaves alone where it can do what is asked */
    for (int i = 0; i < 200; i++)
        give(take(1));
    CHECK(errno == EDOM);
    const int now = open("/dev/null", O_RDONLY);
    CHECK(now == next && close(now) == 0);
    CHECK(strcmp(setlocale(LC_ALL, NULL), "C") == 0);
    const CUdeviceptr a = take(5);
    for (int i = 0; i < 5; i++) {
        CHECK(kill(getpid(), SIGALRM) == 0);
        rest(100);
    }
    CHECK(n_alarms == 5 && !is_elsewhere);
    CHECK(fgets(line, sizeof line, stdin) != NULL);
    (void)printf("out: %s", line);
    give(a);
    close_cuda();
}

/* All that it did not open it closes, and takes the numbers for its own. */
static void close_all(void)
{
    char path[] = "/tmp/watched-XXXXXX";
    open_cuda();
    const CUdeviceptr a = take(7);
    for (int i = 3; i < 1024; i++)
        (void)close(i);
    const int own = mkstemp(path);
    CHECK(own >= 0 && unlink(path) == 0);
    for (int i = 3; i < 1024; i++)
        CHECK(i == own || dup2(own, i) == i);
    rest(400);
    const CUdeviceptr b = take(9);
    rest(600);
    CHECK(lseek(own, 0, SEEK_END) == 0);
    give(a);
    give(b);
    close_cuda();
}

/* A limit that the file of the watching is beyond already, but for its beginning. */
static void limit_files(void)
{
    const struct rlimit none = { 100, 100 };
    open_cuda();
    CHECK(setrlimit(RLIMIT_FSIZE, &none) == 0);
    for (int i = 0; i < 200; i++)
        give(take(1));
    rest(600);
    close_cuda();
}

static void sleep_until_told(void)
{
    hold_and_rest(0);
    (void)printf("ready\n");
    (void)fflush(stdout);
    rest(20000);
}

static void use_pool(void)
{
    CUdeviceptr a = 0, b = 0;
    open_cuda();
    CHECK(cuda.alloc_async(&a, 20 * MIB, NULL) == CUDA_SUCCESS);
    CHECK(cuda.alloc_async(&b, 20 * MIB, NULL) == CUDA_SUCCESS);
    const CUdeviceptr c = take(8);
    CHECK(cuda.free_async(a, NULL) == CUDA_SUCCESS && cuda.free_async(b, NULL) == CUDA_SUCCESS);
    give(c);
    close_cuda();
}

/* Memory of which there is no record. */
static void use_unrecorded(void)
{
    const CUmemAllocationProp what = { .type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                       .location = { .type = CU_MEM_LOCATION_TYPE_DEVICE } };
    CUmemGenericAllocationHandle memory;
    open_cuda();
    const CUdeviceptr a = take(10);
    rest(600);
    CHECK(cuda.create(&memory, 100 * MIB, &what, 0) == CUDA_SUCCESS);
    rest(300);
    CHECK(cuda.let_go(memory) == CUDA_SUCCESS);
    give(a);
    close_cuda();
}

/* 12 MiB outside of a graph; 40 and 30 MiB one after the other inside, for which the driver's
 * stand-in holds 64. The capture lasts long enough to be looked at, what is held until so many ms
 * have passed; "end": until the program ends, at once. */
static void use_graph(const char *ms)
{
    CUstream stream = NULL;
    CUgraph graph = NULL;
    CUgraphExec executable = NULL;
    open_cuda();
    const CUdeviceptr a = take(12);
    CHECK(cuda.create_stream(&stream, CU_STREAM_NON_BLOCKING) == CUDA_SUCCESS);
    CHECK(cuda.begin_capture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL) == CUDA_SUCCESS);
    for (size_t mib = 40; mib >= 30; mib -= 10) {
        CUdeviceptr inside = 0;
        CHECK(cuda.alloc_async(&inside, mib * MIB, stream) == CUDA_SUCCESS);
        CHECK(cuda.set(inside, 1, MIB, stream) == CUDA_SUCCESS);
        CHECK(cuda.free_async(inside, stream) == CUDA_SUCCESS);
    }
    rest(700);
    CHECK(cuda.end_capture(stream, &graph) == CUDA_SUCCESS);
    CHECK(cuda.instantiate(&executable, graph, 0) == CUDA_SUCCESS);
    for (int i = 0; i < 3; i++)
        CHECK(cuda.launch(executable, stream) == CUDA_SUCCESS);
    CHECK(cuda.wait(stream) == CUDA_SUCCESS);
    if (strcmp(ms, "end") == 0)
        exit(0);
    rest((unsigned int)strtoul(ms, NULL, 10));
    CHECK(cuda.destroy_executable(executable) == CUDA_SUCCESS);
    CHECK(cuda.destroy_graph(graph) == CUDA_SUCCESS);
    CHECK(cuda.trim_graphs(0) == CUDA_SUCCESS);
    rest(700);
    CHECK(cuda.destroy_stream(stream) == CUDA_SUCCESS);
    give(a);
    close_cuda();
}

/* A process that outlives the program. */
static void leave_running(void)
{
    int ends[2];
    char byte = 0;
    CHECK(pipe(ends) == 0);
    if (fork() == 0) {
        hold_and_rest(0);
        CHECK(write(ends[1], "x", 1) == 1);
        rest(3000);
        exit(0);
    }
    CHECK(read(ends[0], &byte, 1) == 1);
    rest(600);
}

static double seconds_on(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Allocations, of a size that the driver's stand-in does not fill, each with its release: ten parts
 * of `text` of them, and for each part the nanoseconds of one, by the clock and of all the
 * process's threads on the processors. For bench_watch.sh. */
static void time_allocations(const char *text)
{
    const long n = strtol(text, NULL, 10);
    open_cuda();
    for (int part = 0; part < 10; part++) {
        const double wall = seconds_on(CLOCK_MONOTONIC), cpu = seconds_on(CLOCK_PROCESS_CPUTIME_ID);
        for (long i = 0; i < n; i++)
            give(take(258));
        (void)printf("%.1f %.1f\n", (seconds_on(CLOCK_MONOTONIC) - wall) * 1e9 / (double)n,
                     (seconds_on(CLOCK_PROCESS_CPUTIME_ID) - cpu) * 1e9 / (double)n);
    }
    close_cuda();
}

int main(int argc, char **argv)
{
    static const struct {
        const char *how;
        void (*run)(void);
        void (*run_with)(const char *argument);
    } ways[] = {
        { "simple", use_simply, NULL },
        { "end", NULL, end_by },
        { "exit-while-allocating", exit_while_allocating, NULL },
        { "threads", use_threads, NULL },
        { "fork-after", fork_after, NULL },
        { "fork-before", fork_before, NULL },
        { "execute", execute, NULL },
        { "record", NULL, record_itself },
        { "stay", stay_as_it_was, NULL },
        { "close-all", close_all, NULL },
        { "limit", limit_files, NULL },
        { "sleep", sleep_until_told, NULL },
        { "pool", use_pool, NULL },
        { "leave", leave_running, NULL },
        { "unrecorded", use_unrecorded, NULL },
        { "graph", NULL, use_graph },
        { "time", NULL, time_allocations },
    };
    self = argv[0];
    for (size_t i = 0; i < sizeof ways / sizeof *ways && argc > 1; i++) {
        if (strcmp(argv[1], ways[i].how) != 0)
            continue;
        if (ways[i].run != NULL)
            ways[i].run();
        else
            ways[i].run_with(argc > 2 ? argv[2] : "");
        return 0;
    }
    return BROKEN;
}
