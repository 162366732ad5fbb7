/* SPDX-License-Identifier: Apache-2.0 */
/* Work by two processes: each result is of its task, whoever worked on it, and nothing is lost with
 * the other process. */

#include "base/ahead.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

enum { TASKS = 40, ROUNDS = 200 };

struct task {
    uint32_t number, microseconds;
    bool is_deadly; /* to the other process */
};

struct result {
    uint64_t square;
    pid_t process;
};

static pid_t own;

static bool is_same(const void *task, const void *other)
{
    return ((const struct task *)task)->number == ((const struct task *)other)->number;
}

static void work(void *context, const void *what, void *result)
{
    const struct task *task = what;
    (void)context;
    if (task->is_deadly && getpid() != own)
        (void)raise(SIGKILL);
    if (task->microseconds > 0)
        (void)usleep(task->microseconds);
    *(struct result *)result = (struct result){ (uint64_t)task->number * task->number, getpid() };
}

/* Tells the pipe that it ended. */
static void end(void *context)
{
    const int *pipe = context;
    (void)!write(pipe[1], "e", 1);
}

static struct vb_ahead *start(int *pipe)
{
    const struct vb_ahead_work ahead = { .task_bytes = sizeof(struct task),
                                         .result_bytes = sizeof(struct result),
                                         .is_same = is_same,
                                         .work = work,
                                         .end = end,
                                         .context = pipe };
    own = getpid();
    return vb_ahead_open(&ahead);
}

static bool has_ended(int *pipe)
{
    char byte;
    (void)close(pipe[1]);
    const bool has = read(pipe[0], &byte, 1) == 1;
    (void)close(pipe[0]);
    return has;
}

Test(ahead, each_task_has_its_result)
{
    struct task tasks[TASKS];
    int ends[2], n_by_other = 0;
    cr_assert_eq(pipe(ends), 0);
    struct vb_ahead *ahead = start(ends);
    cr_assert_not_null(ahead);
    for (uint32_t i = 0; i < TASKS; i++)
        tasks[i] = (struct task){ i, 1000, false };
    for (uint32_t i = 0; i < TASKS; i++) {
        struct result here, *result = &here;
        vb_ahead_expect(ahead, &tasks[i + 1], i + 4 < TASKS ? 3 : TASKS - 1 - i);
        const struct result *taken = vb_ahead_take(ahead, &tasks[i]);
        if (taken == NULL)
            work(ends, &tasks[i], &here);
        else
            *result = *taken;
        cr_expect_eq(result->square, (uint64_t)i * i);
        n_by_other += result->process != own;
    }
    vb_ahead_close(ahead);
    cr_expect(has_ended(ends));
    cr_expect_geq(n_by_other, TASKS / 4, "the other process did %d of %d", n_by_other, TASKS);
}

/* What is wanted at once is mostly being worked on: both come to the same task all the time. */
Test(ahead, neither_takes_what_the_other_is_at)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct vb_ahead *ahead = start(ends);
        cr_assert_not_null(ahead);
        struct task tasks[TASKS];
        for (uint32_t i = 0; i < TASKS; i++)
            tasks[i] = (struct task){ i, 0, false };
        for (uint32_t i = 0; i < TASKS; i++) {
            vb_ahead_expect(ahead, &tasks[i], TASKS - i);
            const struct result *taken = vb_ahead_take(ahead, &tasks[i]);
            cr_assert(taken == NULL || taken->square == (uint64_t)i * i);
        }
        vb_ahead_close(ahead);
    }
}

Test(ahead, what_was_not_expected_is_left_to_the_caller)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    struct vb_ahead *ahead = start(ends);
    const struct task slow = { 1, 100000, false }, next = { 2, 0, false }, other = { 3, 0, false };
    const struct task expected[] = { slow, next };
    cr_expect_null(vb_ahead_take(ahead, &other));
    vb_ahead_expect(ahead, expected, 2);
    vb_ahead_expect(ahead, &slow, 1); /* without the next */
    cr_expect_null(vb_ahead_take(ahead, &next));
    vb_ahead_close(ahead);
    cr_expect(has_ended(ends));
}

Test(ahead, a_process_that_is_killed_takes_nothing_with_it)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    struct vb_ahead *ahead = start(ends);
    const struct task good = { 1, 0, false }, deadly = { 2, 0, true }, after = { 3, 0, false };
    vb_ahead_expect(ahead, &good, 1);
    (void)usleep(100000);
    vb_ahead_expect(ahead, &deadly, 1);
    (void)usleep(100000);
    const struct result *result = vb_ahead_take(ahead, &good);
    cr_assert_not_null(result);
    cr_expect(result->square == 1 && result->process != own);
    cr_expect_null(vb_ahead_take(ahead, &deadly));
    vb_ahead_expect(ahead, &after, 1);
    cr_expect_null(vb_ahead_take(ahead, &after));
    vb_ahead_close(ahead);
    cr_expect_not(has_ended(ends));
}

Test(ahead, without_a_process_all_is_left_to_the_caller)
{
    const struct task task = { 1, 0, false };
    vb_ahead_expect(NULL, &task, 1);
    cr_expect_null(vb_ahead_take(NULL, &task));
    vb_ahead_close(NULL);
}
