/* SPDX-License-Identifier: Apache-2.0 */
/* Work by two processes: nothing is done twice, in vain or out of turn, and nothing is lost with
 * the other process. No test waits for a time: a task says when it is begun, and one that is held
 * goes on when it is let. */

#include "base/ahead.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

enum { TASKS = 40, ROUNDS = 1000, MOST_RUNS = 4 * TASKS };

/* What a task does in the process that is at it. */
enum deed { PLAIN, HELD, LETS_GO, DEADLY };

struct task {
    uint32_t number;
    enum deed deed;
};

struct result {
    uint64_t square;
    pid_t process;
};

/* What both processes write to and read from. */
struct stage {
    pid_t own;
    int begun[2], gate[2], ended[2]; /* pipes */
    struct {
        atomic_uint n;
        atomic_uint numbers[MOST_RUNS];
    } * runs; /* tasks in the order in which they were begun, whoever did */
};

static bool is_same(const void *task, const void *other)
{
    return ((const struct task *)task)->number == ((const struct task *)other)->number;
}

static void work(void *context, const void *what, void *result)
{
    const struct task *task = what;
    struct stage *stage = context;
    char byte = 'b';
    const unsigned n = atomic_fetch_add(&stage->runs->n, 1);
    if (n < MOST_RUNS)
        atomic_store(&stage->runs->numbers[n], task->number);
    if (getpid() != stage->own)
        (void)!write(stage->begun[1], &byte, 1);
    if (task->deed == DEADLY && getpid() != stage->own)
        (void)raise(SIGKILL);
    if (task->deed == LETS_GO)
        (void)!write(stage->gate[1], &byte, 1);
    if (task->deed == HELD) {
        (void)alarm(30); /* lest it outlive a test that failed */
        (void)!read(stage->gate[0], &byte, 1);
    }
    *(struct result *)result = (struct result){ (uint64_t)task->number * task->number, getpid() };
}

static void end(void *context)
{
    const struct stage *stage = context;
    (void)!write(stage->ended[1], "e", 1);
}

static struct vb_ahead *start(struct stage *stage)
{
    const struct vb_ahead_work ahead = { .task_bytes = sizeof(struct task),
                                         .result_bytes = sizeof(struct result),
                                         .is_same = is_same,
                                         .work = work,
                                         .end = end,
                                         .context = stage };
    stage->own = getpid();
    cr_assert(pipe(stage->begun) == 0 && pipe(stage->gate) == 0 && pipe(stage->ended) == 0);
    stage->runs =
        mmap(NULL, sizeof *stage->runs, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert(stage->runs != MAP_FAILED);
    struct vb_ahead *self = vb_ahead_open(&ahead);
    cr_assert_not_null(self);
    return self;
}

/* The other process has begun `n` more tasks. */
static void wait_for(const struct stage *stage, int n)
{
    char byte;
    while (n-- > 0)
        cr_assert_eq(read(stage->begun[0], &byte, 1), 1);
}

static void let_go(const struct stage *stage)
{
    cr_assert_eq(write(stage->gate[1], "g", 1), 1);
}

/* Closes it all. False: the other process was killed. */
static bool finish(struct vb_ahead *ahead, struct stage *stage)
{
    int *const pipes[] = { stage->begun, stage->gate, stage->ended };
    char byte;
    vb_ahead_close(ahead);
    (void)close(stage->ended[1]);
    stage->ended[1] = -1;
    const bool has_ended = read(stage->ended[0], &byte, 1) == 1;
    for (size_t i = 0; i < 3; i++) {
        (void)close(pipes[i][0]);
        if (pipes[i][1] >= 0)
            (void)close(pipes[i][1]);
    }
    return has_ended;
}

/* How often the task was begun. */
static int runs_of(const struct stage *stage, uint32_t number)
{
    const unsigned n = atomic_load(&stage->runs->n);
    int runs = 0;
    cr_assert_leq(n, MOST_RUNS);
    for (unsigned i = 0; i < n; i++)
        runs += atomic_load(&stage->runs->numbers[i]) == number;
    return runs;
}

/* Both come to the same task all the time. */
Test(ahead, each_task_is_done_once)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct stage stage;
        struct vb_ahead *ahead = start(&stage);
        struct task tasks[TASKS] = { { 0 } };
        for (uint32_t i = 0; i < TASKS; i++)
            tasks[i].number = i;
        for (uint32_t i = 0; i < TASKS; i++) {
            struct result here;
            vb_ahead_expect(ahead, &tasks[i], TASKS - i);
            const struct result *result = vb_ahead_take(ahead, &tasks[i]);
            if (result == NULL)
                work(&stage, &tasks[i], &here);
            cr_assert_eq(result != NULL ? result->square : here.square, (uint64_t)i * i);
        }
        cr_assert(finish(ahead, &stage));
        for (uint32_t i = 0; i < TASKS; i++)
            cr_assert_eq(runs_of(&stage, i), 1, "round %d, task %u", round, i);
        (void)munmap(stage.runs, sizeof *stage.runs);
    }
}

Test(ahead, tasks_are_begun_in_the_order_of_the_last_word)
{
    const struct task held = { 1, HELD };
    const struct task first[] = { { 2, PLAIN }, { 3, PLAIN }, { 4, PLAIN } };
    const struct task last[] = { { 4, PLAIN }, { 2, PLAIN }, { 5, PLAIN } };
    const uint32_t order[] = { 1, 4, 2, 5 };
    struct stage stage;
    struct vb_ahead *ahead = start(&stage);
    vb_ahead_expect(ahead, &held, 1);
    wait_for(&stage, 1);
    vb_ahead_expect(ahead, first, 3);
    vb_ahead_expect(ahead, last, 3);
    let_go(&stage);
    wait_for(&stage, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct result *result = vb_ahead_take(ahead, &last[i]);
        cr_assert_not_null(result);
        cr_expect(result->square == last[i].number * last[i].number && result->process != getpid());
    }
    cr_expect(finish(ahead, &stage));
    cr_assert_eq(atomic_load(&stage.runs->n), 4, "3 was withdrawn");
    for (size_t i = 0; i < 4; i++)
        cr_expect_eq(atomic_load(&stage.runs->numbers[i]), order[i]);
}

/* The other process is held until this one has done the next task. */
Test(ahead, this_process_works_while_it_waits)
{
    const struct task held = { 1, HELD };
    const struct task tasks[] = { held, { 2, LETS_GO } };
    struct stage stage;
    struct vb_ahead *ahead = start(&stage);
    vb_ahead_expect(ahead, &held, 1);
    wait_for(&stage, 1);
    vb_ahead_expect(ahead, tasks, 2);
    const struct result *result = vb_ahead_take(ahead, &held);
    cr_assert_not_null(result);
    cr_expect(result->square == 1 && result->process != getpid());
    result = vb_ahead_take(ahead, &tasks[1]);
    cr_assert_not_null(result);
    cr_expect(result->square == 4 && result->process == getpid());
    cr_expect(finish(ahead, &stage));
    cr_expect_eq(atomic_load(&stage.runs->n), 2);
}

Test(ahead, what_nobody_is_at_is_left_to_the_caller)
{
    const struct task held = { 1, HELD }, next = { 2, PLAIN };
    const struct task other = { 3, PLAIN };
    struct stage stage;
    struct vb_ahead *ahead = start(&stage);
    cr_expect_null(vb_ahead_take(ahead, &other));
    vb_ahead_expect(ahead, &held, 1);
    wait_for(&stage, 1);
    vb_ahead_expect(ahead, &next, 1);
    cr_expect_null(vb_ahead_take(ahead, &next));
    vb_ahead_expect(ahead, &other, 1);
    let_go(&stage);
    wait_for(&stage, 1);
    cr_expect(finish(ahead, &stage));
    cr_expect_eq(runs_of(&stage, 2), 0, "it was taken back");
}

Test(ahead, a_process_that_is_killed_takes_nothing_with_it)
{
    const struct task good = { 1, PLAIN }, deadly = { 2, DEADLY };
    const struct task after = { 3, PLAIN };
    const struct task tasks[] = { good, deadly };
    struct stage stage;
    struct vb_ahead *ahead = start(&stage);
    vb_ahead_expect(ahead, tasks, 2);
    wait_for(&stage, 2);
    const struct result *result = vb_ahead_take(ahead, &good);
    cr_assert_not_null(result);
    cr_expect(result->square == 1 && result->process != getpid());
    cr_expect_null(vb_ahead_take(ahead, &deadly));
    vb_ahead_expect(ahead, &after, 1);
    cr_expect_null(vb_ahead_take(ahead, &after));
    cr_expect_not(finish(ahead, &stage));
}

Test(ahead, without_a_process_all_is_left_to_the_caller)
{
    const struct task task = { 1, PLAIN };
    vb_ahead_expect(NULL, &task, 1);
    cr_expect_null(vb_ahead_take(NULL, &task));
    vb_ahead_close(NULL);
}
