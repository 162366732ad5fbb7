/* SPDX-License-Identifier: Apache-2.0 */
/* The requests are sorted so that equal ones meet and so that those which ask cuDNN the same
 * questions (one model, batch and size on one device) are one worker's, which asks once. Workers
 * take such stretches from a counter in shared memory and write the answers there, so that a long
 * one does not hold up the rest.
 */
#include "sweep/plans.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sweep/measure.h"

enum { MAX_JOBS = 64 };

struct entry {
    const struct vb_plan_request *request;
    size_t place; /* in the caller's order */
    char id[17];
};

/* [first, first + n) of the entries: one model, batch and size on one device. */
struct stretch {
    size_t first, n;
};

struct shared {
    atomic_size_t next; /* stretch */
    struct vb_plan_answer answers[];
};

struct work {
    struct entry *entries;
    struct stretch *stretches;
    size_t n_stretches;
    struct shared *shared; /* answers in the entries' order */
};

static int by_size(uint32_t a, uint32_t b)
{
    return (a > b) - (a < b);
}

static int by_questions(const struct entry *x, const struct entry *y)
{
    const struct vb_point *a = &x->request->point, *b = &y->request->point;
    int order = strcmp(x->request->device, y->request->device);
    if (order == 0)
        order = strcmp(a->model, b->model);
    if (order == 0)
        order = by_size(a->imgsz, b->imgsz);
    return order != 0 ? order : by_size(a->batch, b->batch);
}

static int by_entry(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = by_questions(x, y);
    if (order == 0)
        order = strcmp(x->id, y->id);
    return order != 0 ? order : (x->place > y->place) - (x->place < y->place);
}

/* What one process plans with. */
struct worker {
    struct vb_device *device; /* of that name; NULL: it cannot be opened, or none was yet */
    const char *device_name;
    struct vb_arena arena; /* each point's in turn */
};

static void plan(const struct vb_plan_request *request, struct worker *worker,
                 struct vb_plan_answer *out)
{
    struct vb_record record, need;
    struct vb_error err = { 0 };
    out->status =
        vb_measure_need(&request->point, worker->device, &worker->arena, &record, &need, &err);
    if (out->status == VB_OK) {
        out->state = record.state;
        bool has_printed = record.epoch_reserved_bytes > 0;
        const struct vb_record *printed = has_printed ? &record : &need;
        out->has_printed = has_printed;
        out->printed_bytes = printed->epoch_reserved_bytes > 0 ? printed->epoch_reserved_bytes
                                                               : printed->end_reserved_bytes;
        out->peak_reserved_bytes = need.peak_reserved_bytes;
        out->usable_bytes = record.usable_bytes;
        out->capacity_bytes = record.capacity_bytes;
        out->parameters = record.parameters;
        out->profile = record.profile;
        (void)snprintf(out->workspaces, sizeof out->workspaces, "%s", record.workspaces);
        (void)snprintf(out->cudnn, sizeof out->cudnn, "%s", record.cudnn);
        (void)snprintf(out->recipe, sizeof out->recipe, "%s", record.recipe);
    }
    (void)snprintf(out->reason, sizeof out->reason, "%s", err.text);
    vb_arena_reset(&worker->arena);
}

/* One stretch; the device stays open for the next. */
static void plan_stretch(const struct work *work, const struct stretch *stretch,
                         struct worker *worker)
{
    struct vb_plan_answer *answers = work->shared->answers;
    const struct entry *first = &work->entries[stretch->first];
    struct vb_error err = { 0 };
    enum vb_status status = VB_OK;
    if (worker->device_name == NULL || strcmp(worker->device_name, first->request->device) != 0) {
        vb_device_close(worker->device);
        worker->device = NULL;
        worker->device_name = first->request->device;
    }
    if (worker->device == NULL)
        status = vb_device_open(worker->device_name, &worker->device, &err);
    for (size_t i = stretch->first; i < stretch->first + stretch->n; i++) {
        if (status != VB_OK) {
            answers[i].status = status;
            (void)snprintf(answers[i].reason, sizeof answers[i].reason, "%s", err.text);
        } else if (i > stretch->first &&
                   strcmp(work->entries[i].id, work->entries[i - 1].id) == 0) {
            answers[i] = answers[i - 1];
        } else {
            plan(work->entries[i].request, worker, &answers[i]);
        }
    }
}

static void run(const struct work *work)
{
    struct worker worker = { 0 };
    for (size_t i = atomic_fetch_add(&work->shared->next, 1); i < work->n_stretches;
         i = atomic_fetch_add(&work->shared->next, 1))
        plan_stretch(work, &work->stretches[i], &worker);
    vb_device_close(worker.device);
    vb_arena_clear(&worker.arena);
}

/* Every worker runs to the end, or none of the answers counts. */
static enum vb_status run_in_workers(const struct work *work, uint32_t jobs, struct vb_error *err)
{
    pid_t workers[MAX_JOBS];
    enum vb_status status = VB_OK;
    uint32_t n = 0;
    for (; n < jobs && status == VB_OK; n++) {
        workers[n] = fork();
        if (workers[n] == 0) {
            run(work);
            _exit(0);
        }
        if (workers[n] < 0)
            status = vb_fail(err, VB_E_SYSTEM, "no process for a worker: %s", strerror(errno));
    }
    for (uint32_t i = 0; i < n; i++) {
        int how = 0;
        if (workers[i] < 0)
            continue;
        while (waitpid(workers[i], &how, 0) < 0 && errno == EINTR)
            continue;
        if (status == VB_OK && how != 0)
            status = vb_fail(err, VB_E_SYSTEM, "a worker ended early; --jobs 1 plans without any");
    }
    return status;
}

static void cut_stretches(struct work *work, size_t n)
{
    for (size_t first = 0, next; first < n; first = next) {
        next = first + 1;
        while (next < n && by_questions(&work->entries[first], &work->entries[next]) == 0)
            next++;
        work->stretches[work->n_stretches++] = (struct stretch){ first, next - first };
    }
}

enum vb_status vb_plan_all(const struct vb_plan_request *requests, size_t n, uint32_t jobs,
                           struct vb_plan_answer *answers, struct vb_error *err)
{
    struct work work = { 0 };
    if (n == 0)
        return VB_OK;
    size_t bytes = sizeof *work.shared + n * sizeof *answers;
    enum vb_status status = VB_OK;
    void *shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    work.entries = calloc(n, sizeof *work.entries);
    work.stretches = calloc(n, sizeof *work.stretches);
    if (shared == MAP_FAILED || work.entries == NULL || work.stretches == NULL) {
        status = vb_fail(err, VB_E_SYSTEM, "no host memory left for %zu points", n);
        goto out;
    }
    work.shared = shared;
    for (size_t i = 0; i < n; i++) {
        work.entries[i] = (struct entry){ .request = &requests[i], .place = i };
        vb_record_cell_id(&requests[i].point, requests[i].device, work.entries[i].id);
    }
    qsort(work.entries, n, sizeof *work.entries, by_entry);
    cut_stretches(&work, n);
    jobs = jobs < MAX_JOBS ? jobs : MAX_JOBS;
    if (jobs > 1 && work.n_stretches > 1)
        status = run_in_workers(&work, jobs, err);
    else
        run(&work);
    for (size_t i = 0; i < n && status == VB_OK; i++)
        answers[work.entries[i].place] = work.shared->answers[i];
out:
    if (shared != MAP_FAILED)
        (void)munmap(shared, bytes);
    free(work.stretches);
    free(work.entries);
    return status;
}
