/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/inject_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "watch/format.h"

enum { HIGH_DESCRIPTOR = 900, MOST_PROGRAMS = 1000 };

static struct {
    char path[PATH_MAX];
    int descriptor; /* -1: none */
    dev_t device;
    ino_t inode;
    off_t bytes; /* whole chunks */
} file = { .descriptor = -1 };

/* As high as the limit lets it, at most HIGH_DESCRIPTOR. */
static int move_up(int low)
{
    struct rlimit limit = { .rlim_cur = 256 };
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    int least = limit.rlim_cur > HIGH_DESCRIPTOR + 64 ? HIGH_DESCRIPTOR : (int)limit.rlim_cur / 2;
    int high = fcntl(low, F_DUPFD_CLOEXEC, least);
    if (high < 0)
        return low;
    (void)close(low);
    return high;
}

static bool take(int descriptor)
{
    struct stat about;
    if (descriptor < 0)
        return false;
    file.descriptor = move_up(descriptor);
    if (fstat(file.descriptor, &about) != 0)
        return false;
    file.device = about.st_dev;
    file.inode = about.st_ino;
    return true;
}

/* A process that executes another program keeps its id and its start: each program has a file. */
bool vb_inject_file_open(const char *folder, int pid, uint64_t start_ticks)
{
    for (int nth = 0; nth < MOST_PROGRAMS; nth++) {
        int length = snprintf(file.path, sizeof file.path, "%s/%d-%" PRIu64 "-%d" VB_WATCH_ENDING,
                              folder, pid, start_ticks, nth);
        if (length < 0 || length >= (int)sizeof file.path)
            return false;
        int descriptor =
            open(file.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
        if (descriptor >= 0 || errno != EEXIST)
            return take(descriptor);
    }
    return false;
}

/* Ours still, or ours again. */
static bool is_ready(void)
{
    struct stat about;
    if (file.descriptor >= 0 && fstat(file.descriptor, &about) == 0 &&
        about.st_dev == file.device && about.st_ino == file.inode)
        return true;
    file.descriptor = -1; /* whoever has the number now keeps it */
    return file.path[0] != '\0' && take(open(file.path, O_WRONLY | O_CLOEXEC));
}

/* Whole or not at all. */
static bool add(struct iovec *parts, size_t bytes)
{
    ssize_t written;
    do {
        written = pwritev(file.descriptor, parts, 3, file.bytes);
    } while (written < 0 && errno == EINTR);
    if (written == (ssize_t)bytes) {
        file.bytes += written;
        return true;
    }
    if (written > 0)
        (void)!ftruncate(file.descriptor, file.bytes);
    return false;
}

/* A limit on the size of files would end the program with a signal, for our chunk. */
bool vb_inject_file_write(uint32_t kind, const void *first, size_t first_bytes, const void *second,
                          size_t second_bytes)
{
    struct vb_watch_head head = { VB_WATCH_MAGIC, kind, first_bytes + second_bytes };
    struct iovec parts[3] = { { &head, sizeof head } };
    sigset_t limit, before;
    if (!is_ready())
        return false;
    parts[1] = (struct iovec){ (void *)(uintptr_t)first, first_bytes };
    parts[2] = (struct iovec){ (void *)(uintptr_t)second, second_bytes };
    (void)sigemptyset(&limit);
    (void)sigaddset(&limit, SIGXFSZ);
    (void)pthread_sigmask(SIG_BLOCK, &limit, &before);
    bool is_written = add(parts, sizeof head + first_bytes + second_bytes);
    if (!is_written && sigismember(&before, SIGXFSZ) == 0)
        (void)sigtimedwait(&limit, NULL, &(struct timespec){ 0 });
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return is_written;
}

void vb_inject_file_dropped(uint64_t n)
{
    const off_t place = sizeof(struct vb_watch_head) + offsetof(struct vb_watch_start, n_dropped);
    if (is_ready() && file.bytes > place)
        (void)!pwrite(file.descriptor, &n, sizeof n, place);
}
