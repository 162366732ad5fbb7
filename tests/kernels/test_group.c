/* SPDX-License-Identifier: Apache-2.0 */
/* launch/group.h: joined launches against the same ones, run one by one. */
#include "cpu/operands.h"

#include "host_grid.h"
#include "launch/group.h"

enum { TENSORS = 60, MOST_STRIPS = 5 };

static const struct group_case {
    char label[24];
    enum vb_operator op;
    double a, b;
    uint32_t n;       /* operands */
    uint32_t scalars; /* those that all calls have in common; a bit for each */
    double scalar;
} cases[] = {
    { "sgd", VB_OP_SGD, 0.01, 0.9, 5, 1, 0 },
    { "sgd that is left out", VB_OP_SGD, 0.01, 0.9, 5, 1, 1 },
    { "moments", VB_OP_ADAM_MOMENTS, 0.9, 0.999, 4, 1, 0 },
    { "adam", VB_OP_ADAM_STEP, 0.01, 0.9, 5, 1, 0 },
    { "decay", VB_OP_DECAY, 0.75, 0, 2, 1, 0 },
    { "clip", VB_OP_CLIP, 3, 0, 2, 1, 12 },
    { "unscale", VB_OP_UNSCALE, 0, 0, 3, 5, 0.25 },
    { "average", VB_OP_EMA, 0.9999, 2000, 3, 0, 0 },
};

/* The operands of one call after another. */
struct calls {
    struct operand scalars[MOST_STRIPS], tensors[TENSORS][MOST_STRIPS];
};

static const uint32_t sizes[] = { 1, 16, 8193, 7, 4096, 300 };

static struct calls *make_calls(const struct group_case *of)
{
    struct calls *calls = calloc(1, sizeof *calls);
    test_seed = 1;
    for (uint32_t k = 0; k < of->n; k++) {
        calls->scalars[k] = new_operand(VB_FLOAT32, SCALAR, IN_ORDER);
        set(&calls->scalars[k], 0, of->scalar);
        for (uint32_t i = 0; i < TENSORS; i++) {
            calls->tensors[i][k] = new_operand(VB_FLOAT32, SHAPE(sizes[i % 6]), IN_ORDER);
            set_random(&calls->tensors[i][k], 0.1, 1);
        }
    }
    return calls;
}

static void drop_calls(struct calls *calls)
{
    for (uint32_t k = 0; k < MOST_STRIPS; k++) {
        drop_operand(&calls->scalars[k]);
        for (uint32_t i = 0; i < TENSORS; i++)
            drop_operand(&calls->tensors[i][k]);
    }
    free(calls);
}

static struct vb_launch launch_of(enum vb_operator op, double a, double b,
                                  struct operand *const *operands, uint32_t n)
{
    struct vb_operand views[MOST_STRIPS];
    void *tensors[MOST_STRIPS];
    struct vb_error err = { "" };
    static struct vb_launches launches;
    for (uint32_t k = 0; k < n; k++) {
        views[k] = operands[k]->view;
        tensors[k] = operands[k]->memory;
    }
    const struct vb_call call = { .op = op, .a = a, .b = b, .operands = views, .n_operands = n };
    const struct vb_cpu_work work = { .call = &call, .tensors = tensors, .update = 3 };
    cr_assert_eq(vb_launch_call(&work, &launches, &err), VB_OK, "%s", err.text);
    cr_assert_eq(launches.n, 1);
    return launches.list[0];
}

static struct vb_launch launch_call(const struct group_case *of, struct calls *calls, uint32_t i)
{
    struct operand *operands[MOST_STRIPS];
    for (uint32_t k = 0; k < of->n; k++)
        operands[k] = (of->scalars >> k & 1) == 1 ? &calls->scalars[k] : &calls->tensors[i][k];
    return launch_of(of->op, of->a, of->b, operands, of->n);
}

static void run_launch(const struct vb_launch *launch)
{
    cr_assert(vb_host_launch(vb_kernel_names[launch->kernel], launch->grid_x, launch->grid_y,
                             VB_BLOCK, &launch->arguments));
}

static void compare_operands(const struct operand *x, const struct operand *y, const char *label)
{
    cr_assert_arr_eq(x->memory, y->memory, x->bytes, "%s", label);
}

Test(group, is_the_same_as_one_by_one)
{
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const struct group_case *of = &cases[c];
        struct calls *alone = make_calls(of), *joined = make_calls(of);
        struct vb_launch group = launch_call(of, joined, 0);
        for (uint32_t i = 0; i < TENSORS; i++) {
            struct vb_launch next = launch_call(of, alone, i);
            run_launch(&next);
            next = launch_call(of, joined, i);
            if (i == 0)
                continue;
            /* A full one is run, and another begins. */
            bool has_room = i != VB_UPDATE_TENSORS;
            cr_assert_eq(vb_launch_join(&group, &next), has_room, "%s: %u", of->label, i);
            if (has_room)
                continue;
            run_launch(&group);
            group = next;
        }
        run_launch(&group);
        for (uint32_t k = 0; k < of->n; k++) {
            compare_operands(&alone->scalars[k], &joined->scalars[k], of->label);
            for (uint32_t i = 0; i < TENSORS; i++)
                compare_operands(&alone->tensors[i][k], &joined->tensors[i][k], of->label);
        }
        drop_calls(alone);
        drop_calls(joined);
    }
}

/* Whether a call joins one of the same operator, of the operands x, y and z. */
static bool joins(enum vb_operator op, double a, double other_a, struct operand *const *operands,
                  struct operand *const *others, uint32_t n)
{
    struct vb_launch group = launch_of(op, a, 10, operands, n);
    const struct vb_launch next = launch_of(op, other_a, 10, others, n);
    const uint32_t blocks = group.grid_x;
    const bool joins = vb_launch_join(&group, &next);
    cr_assert_eq(group.grid_x, joins ? blocks + next.grid_x : blocks);
    return joins;
}

/* A part of x, from element `first` on. */
static struct operand part_of(const struct operand *x, uint32_t first, uint32_t n)
{
    struct operand part = *x;
    part.view.offset = first;
    part.view.shape = SHAPE(n);
    return part;
}

#define OPERANDS(...) ((struct operand *const[]){ __VA_ARGS__ })

Test(group, tensors_that_overlap_stay_apart)
{
    struct operand x = new_operand(VB_FLOAT32, SHAPE(64), IN_ORDER);
    struct operand y = new_operand(VB_FLOAT32, SHAPE(64), IN_ORDER);
    struct operand z = new_operand(VB_FLOAT32, SHAPE(64), IN_ORDER);
    struct operand found = new_operand(VB_FLOAT32, SCALAR, IN_ORDER);
    struct operand x0 = part_of(&x, 0, 32), x1 = part_of(&x, 32, 32), x2 = part_of(&x, 31, 32);
    struct operand y0 = part_of(&y, 0, 32), y1 = part_of(&y, 32, 32);
    struct operand z0 = part_of(&z, 0, 32), z1 = part_of(&z, 32, 32);
    struct operand inside = part_of(&x, 40, 1);
    /* The parameter is read, the product and the average are written. */
    const enum vb_operator ema = VB_OP_EMA;
    cr_assert(joins(ema, 1, 1, OPERANDS(&x0, &y0, &z0), OPERANDS(&x1, &y1, &z1), 3));
    cr_assert(joins(ema, 1, 1, OPERANDS(&x0, &y0, &z0), OPERANDS(&x2, &y1, &z1), 3));
    cr_assert_not(joins(ema, 1, 1, OPERANDS(&x0, &y0, &z0), OPERANDS(&x1, &y0, &z1), 3));
    cr_assert_not(joins(ema, 1, 1, OPERANDS(&y0, &x0, &z0), OPERANDS(&y1, &x2, &z1), 3));
    cr_assert_not(joins(ema, 1, 1, OPERANDS(&x0, &y0, &z0), OPERANDS(&y0, &x1, &z1), 3));
    cr_assert_not(joins(ema, 1, 1, OPERANDS(&x0, &y0, &z0), OPERANDS(&y1, &x0, &z1), 3));
    /* What was found is not what either writes. */
    const enum vb_operator decay = VB_OP_DECAY;
    cr_assert(joins(decay, 1, 1, OPERANDS(&found, &x0), OPERANDS(&found, &x1), 2));
    cr_assert_not(joins(decay, 1, 1, OPERANDS(&inside, &x0), OPERANDS(&inside, &x1), 2));
    cr_assert_not(joins(decay, 1, 1, OPERANDS(&inside, &x1), OPERANDS(&inside, &x0), 2));
    /* One that writes what was found may be another's that reads it. */
    const enum vb_operator unscale = VB_OP_UNSCALE;
    cr_assert_not(
        joins(unscale, 1, 1, OPERANDS(&y0, &x0, &inside), OPERANDS(&inside, &z0, &inside), 3));
    struct operand *all[] = { &x, &y, &z, &found };
    for (size_t i = 0; i < 4; i++)
        drop_operand(all[i]);
}

Test(group, what_is_not_the_same_update_stays_apart)
{
    struct operand x = new_operand(VB_FLOAT32, SHAPE(8), IN_ORDER);
    struct operand y = new_operand(VB_FLOAT32, SHAPE(8), IN_ORDER);
    struct operand half = new_operand(VB_FLOAT16, SHAPE(8), IN_ORDER);
    struct operand gaps = new_operand(VB_FLOAT32, SHAPE(8), WITH_GAPS);
    struct operand found = new_operand(VB_FLOAT32, SCALAR, IN_ORDER);
    struct operand other = new_operand(VB_FLOAT32, SCALAR, IN_ORDER);
    const enum vb_operator op = VB_OP_DECAY;
    cr_assert(joins(op, 0.5, 0.5, OPERANDS(&found, &x), OPERANDS(&found, &y), 2));
    cr_assert_not(joins(op, 0.5, 0.25, OPERANDS(&found, &x), OPERANDS(&found, &y), 2));
    cr_assert_not(joins(op, 0.5, 0.5, OPERANDS(&found, &x), OPERANDS(&other, &y), 2));
    cr_assert_not(joins(op, 0.5, 0.5, OPERANDS(&found, &x), OPERANDS(&found, &half), 2));
    cr_assert_not(joins(op, 0.5, 0.5, OPERANDS(&found, &x), OPERANDS(&found, &gaps), 2));
    cr_assert_not(joins(op, 0.5, 0.5, OPERANDS(&found, &gaps), OPERANDS(&found, &x), 2));
    struct vb_launch decay = launch_of(VB_OP_DECAY, 1, 0, OPERANDS(&found, &x), 2);
    struct vb_launch clip = launch_of(VB_OP_CLIP, 1, 0, OPERANDS(&found, &y), 2);
    cr_assert_not(vb_launch_join(&decay, &clip));
    struct operand *all[] = { &x, &y, &half, &gaps, &found, &other };
    for (size_t i = 0; i < 6; i++)
        drop_operand(all[i]);
}
