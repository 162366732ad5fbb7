/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks and results are in memory that both processes see. A task is whose who first changes its
 * state. Through a pair of sockets this process says that there are tasks and the other that one is
 * done: where either ends, however it does, the other reads the end. */

#include "base/ahead.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"

enum { MAX_TASKS = 256, ALIGNMENT = 16 };

/* From FIRST on it is to be begun: in the order of their numbers. */
enum { WITHDRAWN, BEGUN, DONE, FIRST };

/* What both processes see. */
struct shared {
    atomic_size_t n;
    atomic_uint states[MAX_TASKS];
    _Alignas(ALIGNMENT) unsigned char places[]; /* each: a task and, further on, its result */
};

struct vb_ahead {
    struct vb_ahead_work work;
    pid_t process;
    int socket;
    size_t shared_bytes, place_bytes, result_offset;
    struct shared *shared;
};

static unsigned char *task_at(const struct vb_ahead *ahead, size_t place)
{
    return ahead->shared->places + place * ahead->place_bytes;
}

static unsigned char *result_at(const struct vb_ahead *ahead, size_t place)
{
    return task_at(ahead, place) + ahead->result_offset;
}

/* False: the other process is gone. Where there is no room for the byte enough others wait. */
static bool say_so(int socket)
{
    const char byte = 0;
    ssize_t sent;
    do
        sent = send(socket, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent == 1 || errno == EAGAIN;
}

static bool hear(int socket)
{
    char byte;
    ssize_t received;
    do
        received = recv(socket, &byte, 1, 0);
    while (received < 0 && errno == EINTR);
    return received == 1;
}

/* The first that is to be begun, which it then is; MAX_TASKS: none. */
static size_t begin_first(struct vb_ahead *ahead)
{
    for (;;) {
        const size_t n = atomic_load(&ahead->shared->n);
        size_t first = MAX_TASKS;
        unsigned least = UINT_MAX;
        for (size_t i = 0; i < n; i++) {
            const unsigned state = atomic_load(&ahead->shared->states[i]);
            if (state >= FIRST && state < least) {
                least = state;
                first = i;
            }
        }
        if (first == MAX_TASKS ||
            atomic_compare_exchange_strong(&ahead->shared->states[first], &least, BEGUN))
            return first;
    }
}

/* False: there is nothing to be at. */
static bool work_on_first(struct vb_ahead *ahead)
{
    const size_t place = begin_first(ahead);
    if (place == MAX_TASKS)
        return false;
    ahead->work.work(ahead->work.context, task_at(ahead, place), result_at(ahead, place));
    atomic_store(&ahead->shared->states[place], DONE);
    return true;
}

static void serve(struct vb_ahead *ahead)
{
    bool goes_on = true;
    while (goes_on && hear(ahead->socket)) {
        while (goes_on && work_on_first(ahead))
            goes_on = say_so(ahead->socket);
    }
    ahead->work.end(ahead->work.context);
}

static bool begin(struct vb_ahead *ahead)
{
    int sockets[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
        return false;
    ahead->process = fork();
    const bool is_other = ahead->process == 0;
    ahead->socket = sockets[is_other ? 1 : 0];
    (void)close(sockets[is_other ? 0 : 1]);
    if (is_other) {
        serve(ahead);
        _exit(0);
    }
    if (ahead->process < 0)
        (void)close(ahead->socket);
    return ahead->process > 0;
}

struct vb_ahead *vb_ahead_open(const struct vb_ahead_work *work)
{
    struct vb_ahead *ahead = calloc(1, sizeof *ahead);
    if (ahead == NULL)
        return NULL;
    ahead->work = *work;
    ahead->result_offset = vb_round_up(work->task_bytes, ALIGNMENT);
    ahead->place_bytes = ahead->result_offset + vb_round_up(work->result_bytes, ALIGNMENT);
    ahead->shared_bytes = sizeof *ahead->shared + MAX_TASKS * ahead->place_bytes;
    ahead->shared =
        mmap(NULL, ahead->shared_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (ahead->shared != MAP_FAILED && begin(ahead))
        return ahead;
    if (ahead->shared != MAP_FAILED)
        (void)munmap(ahead->shared, ahead->shared_bytes);
    free(ahead);
    return NULL;
}

/* The task's place; MAX_TASKS: it has none. */
static size_t find(struct vb_ahead *ahead, const void *task)
{
    size_t place = 0;
    while (place < ahead->shared->n && !ahead->work.is_same(task_at(ahead, place), task))
        place++;
    return place < ahead->shared->n ? place : MAX_TASKS;
}

/* True: nobody was at it. */
static bool withdraw(struct vb_ahead *ahead, size_t place)
{
    unsigned state = atomic_load(&ahead->shared->states[place]);
    return state >= FIRST &&
           atomic_compare_exchange_strong(&ahead->shared->states[place], &state, WITHDRAWN);
}

static size_t place_for(struct vb_ahead *ahead, const void *task)
{
    size_t place = find(ahead, task);
    if (place < MAX_TASKS || ahead->shared->n == MAX_TASKS)
        return place;
    place = ahead->shared->n;
    memcpy(task_at(ahead, place), task, ahead->work.task_bytes);
    atomic_store(&ahead->shared->n, place + 1);
    return place;
}

void vb_ahead_expect(struct vb_ahead *ahead, const void *tasks, size_t n)
{
    unsigned number = FIRST;
    if (ahead == NULL)
        return;
    for (size_t i = 0; i < ahead->shared->n; i++)
        (void)withdraw(ahead, i);
    for (size_t i = 0; i < n; i++) {
        const unsigned char *task = (const unsigned char *)tasks + i * ahead->work.task_bytes;
        const size_t place = place_for(ahead, task);
        unsigned state = WITHDRAWN;
        if (place < MAX_TASKS &&
            atomic_compare_exchange_strong(&ahead->shared->states[place], &state, number))
            number++;
    }
    if (number > FIRST)
        (void)say_so(ahead->socket);
}

/* While the other process is at what is wanted, this one is at what will be next. */
const void *vb_ahead_take(struct vb_ahead *ahead, const void *task)
{
    const size_t place = ahead != NULL ? find(ahead, task) : MAX_TASKS;
    bool is_there = true;
    if (place == MAX_TASKS || withdraw(ahead, place))
        return NULL;
    while (is_there && atomic_load(&ahead->shared->states[place]) == BEGUN) {
        if (!work_on_first(ahead))
            is_there = hear(ahead->socket);
    }
    return atomic_load(&ahead->shared->states[place]) == DONE ? result_at(ahead, place) : NULL;
}

void vb_ahead_close(struct vb_ahead *ahead)
{
    if (ahead == NULL)
        return;
    vb_ahead_expect(ahead, NULL, 0);
    (void)shutdown(ahead->socket, SHUT_WR);
    while (waitpid(ahead->process, NULL, 0) < 0 && errno == EINTR)
        continue;
    (void)close(ahead->socket);
    (void)munmap(ahead->shared, ahead->shared_bytes);
    free(ahead);
}
