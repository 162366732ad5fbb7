/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_BASE_AHEAD_H
#define VB_BASE_AHEAD_H

/* Another process that works ahead: on tasks that will probably be wanted, while this one is at
 * others. A result is the same whoever worked on it; only who waits for what depends on that.
 */

#include <stdbool.h>
#include <stddef.h>

/* Plain bytes are what tasks and results are, without pointers: each process has its own memory. */
struct vb_ahead_work {
    size_t task_bytes, result_bytes;
    bool (*is_same)(const void *task, const void *other);        /* one result is good for both */
    void (*work)(void *context, const void *task, void *result); /* in either process */
    void (*end)(void *context);                                  /* in the other one, at its end */
    void *context; /* there as it was when the process began */
};

struct vb_ahead;

/* Begins the process: best before there is much memory, which the two would have to share. NULL:
 * there is no memory or no process for it. */
struct vb_ahead *vb_ahead_open(const struct vb_ahead_work *work);

/* `n` tasks, one after the other in memory, that will probably be wanted in that order. Those
 * expected before that nobody is at are withdrawn. `ahead` may be NULL, and a task forgotten. */
void vb_ahead_expect(struct vb_ahead *ahead, const void *tasks, size_t n);

/* The result of a task that was expected, waited for where it is being worked on; valid until
 * vb_ahead_close(). NULL: it is left to the caller, for nobody was at it or the process is gone. */
const void *vb_ahead_take(struct vb_ahead *ahead, const void *task);

/* Waits for the process, which ends what it is at. `ahead` may be NULL. */
void vb_ahead_close(struct vb_ahead *ahead);

#endif
