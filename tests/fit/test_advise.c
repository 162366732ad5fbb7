/* SPDX-License-Identifier: Apache-2.0 */
/* The search over a made-up memory that a formula gives, so that every chain of changes can be
 * tried: thousands of trainings, each against all there is. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fit/advise_foresee.h"

enum { QUESTIONS = 300, N_GPUS = 3, MOST_PLANS = 80 };

static const char *const models[] = { "medium", "small", "nano" };

/* Megabytes: what stays and what grows with the batch's pixels, by the model. Several GPUs share
 * the batch, and each holds buckets of gradients. */
struct made_up {
    double usable[N_GPUS + 1]; /* of the GPUs, the one asked about last */
    double fixed, per_image;   /* of an image of 640 */
    double composed;           /* by the device, an image */
    double buckets;            /* of what stays */
};

static double share_of(const char *model)
{
    return strcmp(model, "medium") == 0  ? 0.5
           : strcmp(model, "small") == 0 ? 0.25
           : strcmp(model, "nano") == 0  ? 0.1
                                         : 1;
}

static double need_of(const struct made_up *made, const struct vb_point *point)
{
    double share = share_of(point->model), area = point->imgsz / 640.0;
    double states = point->optimizer == VB_SGD ? 4 : 5;
    double image = made->per_image * share * area * area;
    double composed = point->mosaic == VB_MOSAIC_ON ? made->composed * area * area : 0;
    if (point->mixup)
        composed *= 1.5;
    if (point->copy_paste)
        composed *= 1.1;
    if (point->precision == VB_FP16)
        image *= 0.6;
    if (point->channels_last)
        image *= 0.98;
    if (point->freeze > 0)
        states -= 1;
    if (point->gpus > 1)
        states += made->buckets;
    double images = (double)point->batch / (point->gpus > 1 ? point->gpus : 1);
    double slack = point->alloc_conf[0] == '\0' ? 1.08 : point->alloc_conf[0] == 'e' ? 1.01 : 1.05;
    return slack * (states * made->fixed * share + images * (image + composed));
}

static enum vb_status plan(void *context, const struct vb_candidate *candidate, bool wants_need,
                           struct vb_advise_answer *out, struct vb_error *err)
{
    const struct made_up *made = context;
    double usable = made->usable[candidate->gpu == VB_ASKED_GPU ? N_GPUS : candidate->gpu];
    uint32_t gpus = candidate->point.gpus > 1 ? candidate->point.gpus : 1;
    double need = need_of(made, &candidate->point);
    (void)err;
    *out = (struct vb_advise_answer){ .fits = need <= usable && candidate->point.batch % gpus == 0,
                                      .usable_bytes = usable };
    if (out->fits || wants_need)
        out->need_bytes = need;
    return VB_OK;
}

static bool fits(const struct vb_advise_question *question, const struct vb_grid *grid,
                 const struct vb_chain *chain, struct made_up *made)
{
    struct vb_advise_answer answer;
    const struct vb_candidate candidate = vb_chain_apply(question, grid, chain);
    cr_assert_eq(plan(made, &candidate, false, &answer, NULL), VB_OK);
    return answer.fits;
}

static uint64_t next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static struct vb_advise_question draw(uint64_t *state, struct made_up *made)
{
    static const uint32_t batches[] = { 4, 12, 16, 32, 48, 64 };
    struct vb_advise_question question = { .point = vb_point_default(),
                                           .nominal_batch = 64,
                                           .stride = 32,
                                           .models = models,
                                           .n_models = next(state) % 4,
                                           .n_gpus = next(state) % (N_GPUS + 1),
                                           .has_segments = next(state) % 2 == 0,
                                           .has_ddp = next(state) % 4 > 0 };
    struct vb_point *point = &question.point;
    (void)snprintf(point->model, sizeof point->model, "large");
    point->batch = batches[next(state) % 6];
    point->imgsz = 320 + 32 * (uint32_t)(next(state) % 12);
    point->precision = next(state) % 2 == 0 ? VB_FP32 : VB_FP16;
    point->optimizer = next(state) % 2 == 0 ? VB_ADAM : VB_SGD;
    point->mosaic = (enum vb_mosaic)(next(state) % 3);
    point->mixup = point->mosaic == VB_MOSAIC_ON && next(state) % 2 == 0;
    question.kept = (uint32_t)next(state) & (uint32_t)next(state) & ((1u << VB_N_CHANGES) - 1);
    *made = (struct made_up){ .fixed = 50 + (double)(next(state) % 400),
                              .per_image = 20 + (double)(next(state) % 500),
                              .composed = (double)(next(state) % 60),
                              .buckets = (double)(next(state) % 30) / 10 };
    made->usable[N_GPUS] = need_of(made, point) * (0.02 + (double)(next(state) % 97) / 100);
    for (size_t i = 0; i < N_GPUS; i++)
        made->usable[i] =
            made->usable[i > 0 ? i - 1 : N_GPUS] * (1.1 + (double)(next(state) % 4) / 4);
    return question;
}

/* Whether any chain at all fits. */
static bool anything_fits(const struct vb_advise_question *question, const struct vb_grid *grid,
                          struct vb_chain *chain, int change, struct made_up *made)
{
    if (change == VB_N_CHANGES)
        return fits(question, grid, chain, made);
    /* Memory falls along the axes: the strongest level alone matters, but for the allocator's, the
     * number of GPUs, which may add to it, and the batch, which has to be a multiple of that. */
    const bool all =
        change == VB_CHANGE_ALLOCATOR || change == VB_CHANGE_BATCH || change == VB_CHANGE_GPUS;
    uint32_t n = (uint32_t)grid->axes[change].n, from = all ? 0 : n;
    for (uint32_t level = from; level <= n; level++) {
        chain->levels[change] = level;
        if (anything_fits(question, grid, chain, change + 1, made))
            return true;
    }
    return false;
}

static void check_first(const struct vb_advise_question *question, const struct vb_grid *grid,
                        const struct vb_suggestion *first, struct made_up *made)
{
    cr_expect(fits(question, grid, &first->chain, made), "what is said first does not fit");
    for (int change = 0; change < VB_N_CHANGES; change++) {
        struct vb_chain less = first->chain;
        less.levels[change] = 0;
        if (first->chain.levels[change] > 0)
            cr_expect_not(fits(question, grid, &less, made), "change %d is not needed", change);
        for (uint32_t level = 1; level <= grid->axes[change].n; level++) {
            struct vb_chain alone = { { 0 } };
            alone.levels[change] = level;
            if (vb_chain_cost(grid, &alone) < first->cost)
                cr_expect_not(fits(question, grid, &alone, made), "change %d, level %u, is cheaper",
                              change, level);
        }
    }
}

static void check(const struct vb_advise_question *question, struct made_up *made)
{
    static struct vb_grid grid;
    static struct vb_advice advice;
    struct vb_chain chain = { { 0 } };
    struct vb_error err = { 0 };
    vb_grid_make(question, &grid);
    cr_assert_eq(vb_advise(question, &grid, plan, made, &advice, &err), VB_OK, "%s", err.text);
    cr_assert_not(advice.now.fits);
    cr_expect_leq(advice.n_plans, MOST_PLANS, "%zu plans", advice.n_plans);
    for (size_t i = 1; i < advice.n; i++)
        cr_expect_leq(advice.items[i - 1].cost, advice.items[i].cost, "not by cost");
    for (size_t i = 1; i < advice.n_helps; i++)
        cr_expect_leq(advice.helps[i - 1].cost, advice.helps[i].cost, "helps not by cost");
    for (size_t i = 0; i < advice.n; i++)
        cr_expect(advice.items[i].answer.fits && advice.items[i].answer.need_bytes > 0);
    for (int change = 0; change < VB_N_CHANGES; change++)
        cr_expect((question->kept >> change & 1) == 0 || grid.axes[change].n == 0);
    cr_expect_eq(advice.n > 0, anything_fits(question, &grid, &chain, 0, made),
                 "%zu suggestions, against all chains", advice.n);
    if (advice.n > 0) {
        check_first(question, &grid, &advice.items[0], made);
        cr_expect_eq(advice.n_steps, advice.items[0].n_changes);
        cr_expect(advice.steps[advice.n_steps - 1].answer.fits, "the walk does not end well");
    }
}

Test(advise, first_fits_no_change_is_idle_and_no_cheaper_one_was_passed_over)
{
    uint64_t state = 7;
    size_t n = 0;
    while (n < QUESTIONS) {
        struct made_up made;
        const struct vb_advise_question question = draw(&state, &made);
        if (need_of(&made, &question.point) <= made.usable[N_GPUS])
            continue;
        check(&question, &made);
        n++;
    }
}

static uint64_t cost_alone(const struct vb_grid *grid, int change, uint32_t level)
{
    struct vb_chain chain = { { 0 } };
    chain.levels[change] = level;
    return vb_chain_cost(grid, &chain);
}

/* Levels of an axis that stand in chains. */
static uint32_t levels_of(const struct vb_grid *grid, int change)
{
    const bool is_composed =
        change == VB_CHANGE_MOSAIC || change == VB_CHANGE_MIXUP || change == VB_CHANGE_COPY_PASTE;
    if (is_composed && grid->axes[VB_CHANGE_ON_HOST].n > 0)
        return 0;
    return change == VB_CHANGE_ALLOCATOR && grid->axes[change].n > 0
               ? 1
               : (uint32_t)grid->axes[change].n;
}

static struct vb_chain all_up_to(const struct vb_grid *grid, uint64_t cost)
{
    struct vb_chain chain = { { 0 } };
    for (int change = 0; change < VB_N_CHANGES; change++) {
        for (uint32_t level = 1; level <= levels_of(grid, change); level++) {
            if (cost_alone(grid, change, level) <= cost)
                chain.levels[change] = level;
        }
    }
    return chain;
}

/* As weak as may be with the others as they are, the dearest change first. */
static void weaken(const struct vb_advise_question *question, const struct vb_grid *grid,
                   struct vb_chain *chain, struct made_up *made)
{
    bool is_settled[VB_N_CHANGES] = { false };
    for (;;) {
        int dearest = -1;
        uint64_t most = 0;
        for (int i = 0; i < VB_N_CHANGES; i++) {
            uint64_t cost = chain->levels[i] > 0 ? cost_alone(grid, i, chain->levels[i]) : 0;
            if (!is_settled[i] && cost > most) {
                most = cost;
                dearest = i;
            }
        }
        if (dearest < 0)
            return;
        for (uint32_t own = chain->levels[dearest], level = 0; level <= own; level++) {
            chain->levels[dearest] = level;
            if (fits(question, grid, chain, made))
                break;
        }
        is_settled[dearest] = true;
    }
}

/* The chain by its rule, with no bound on what it may cost, one step after the other. What it
 * costs; UINT64_MAX: nothing fits. */
static uint64_t plain_chain(const struct vb_advise_question *question, const struct vb_grid *grid,
                            struct made_up *made)
{
    uint64_t least = UINT64_MAX;
    struct vb_chain chain;
    for (int change = 0; change < VB_N_CHANGES; change++) {
        for (uint32_t level = 1; level <= levels_of(grid, change); level++) {
            uint64_t cost = cost_alone(grid, change, level);
            chain = all_up_to(grid, cost);
            if (cost < least && fits(question, grid, &chain, made))
                least = cost;
        }
    }
    if (least == UINT64_MAX)
        return least;
    chain = all_up_to(grid, least);
    weaken(question, grid, &chain, made);
    return vb_chain_cost(grid, &chain);
}

static uint64_t cheapest_alone(const struct vb_advise_question *question,
                               const struct vb_grid *grid, struct made_up *made)
{
    uint64_t least = UINT64_MAX;
    for (int change = 0; change < VB_N_CHANGES; change++) {
        for (uint32_t level = 1; level <= grid->axes[change].n; level++) {
            struct vb_chain chain = { { 0 } };
            uint64_t cost = cost_alone(grid, change, level);
            chain.levels[change] = level;
            if (cost < least && fits(question, grid, &chain, made))
                least = cost;
        }
    }
    return least;
}

/* That a chain has to be cheaper than a single change ends the search for it early: no chain may
 * be lost by that. Without several GPUs, which do not stand in chains as other changes do. */
Test(advise, no_chain_is_given_up_that_is_cheaper_than_one_change)
{
    static struct vb_grid grid;
    static struct vb_advice advice;
    uint64_t state = 23;
    size_t n_chains = 0;
    for (int i = 0; i < QUESTIONS; i++) {
        struct made_up made;
        struct vb_advise_question question = draw(&state, &made);
        struct vb_error err = { 0 };
        question.kept |= 1u << VB_CHANGE_GPUS;
        if (need_of(&made, &question.point) <= made.usable[N_GPUS])
            continue;
        vb_grid_make(&question, &grid);
        uint64_t chain = plain_chain(&question, &grid, &made);
        uint64_t alone = cheapest_alone(&question, &grid, &made);
        cr_assert_eq(vb_advise(&question, &grid, plan, &made, &advice, &err), VB_OK);
        if (chain == UINT64_MAX && alone == UINT64_MAX)
            continue;
        cr_assert_gt(advice.n, 0);
        cr_expect_leq(advice.items[0].cost, chain < alone ? chain : alone);
        n_chains += chain < alone && alone < UINT64_MAX;
    }
    cr_expect_gt(n_chains, QUESTIONS / 20, "%zu", n_chains);
}

Test(advise, what_fits_is_left_alone)
{
    struct made_up made = { .usable = { 1e9, 1e9, 1e9, 1e9 }, .fixed = 1, .per_image = 1 };
    struct vb_advise_question question = { .point = vb_point_default(),
                                           .nominal_batch = 64,
                                           .stride = 32 };
    static struct vb_grid grid;
    static struct vb_advice advice;
    struct vb_error err = { 0 };
    question.point.batch = 16;
    question.point.imgsz = 640;
    vb_grid_make(&question, &grid);
    cr_assert_eq(vb_advise(&question, &grid, plan, &made, &advice, &err), VB_OK);
    cr_expect(advice.now.fits && advice.n == 0 && advice.n_plans == 1);
}

struct batch_case {
    char label[48];
    uint32_t batch, accumulate, to, effective, sums; /* sums: what the point says; 0: the trainer */
};

struct gpus_case {
    char label[48];
    bool has_ddp;
    uint32_t batch, gpus, world;
    size_t levels; /* of 2, 4 and 8 GPUs */
};

Test(advise, several_gpus_share_a_batch_that_is_a_multiple)
{
    static const struct gpus_case cases[] = {
        { "64", true, 64, 0, 0, 3 },
        { "12 is no multiple of 8", true, 12, 0, 0, 2 },
        { "6 is one of 2", true, 6, 0, 0, 1 },
        { "7 is odd", true, 7, 0, 0, 0 },
        { "the trainer has no DDP", false, 64, 0, 0, 0 },
        { "one GPU, said so", true, 64, 1, 0, 3 },
        { "two already", true, 64, 2, 0, 0 },
        { "a world already", true, 64, 0, 2, 0 },
    };
    static struct vb_grid grid;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct gpus_case *c = &cases[i];
        struct vb_advise_question question = { .point = vb_point_default(),
                                               .nominal_batch = 64,
                                               .stride = 32,
                                               .n_gpus = VB_MOST_OTHER_GPUS,
                                               .has_ddp = c->has_ddp };
        question.point.imgsz = 640;
        question.point.batch = c->batch;
        question.point.gpus = c->gpus;
        question.point.world = c->world;
        vb_grid_make(&question, &grid);
        cr_assert_eq(grid.axes[VB_CHANGE_GPUS].n, c->levels, "%s", c->label);
        for (uint32_t level = 1; level <= c->levels; level++) {
            struct vb_chain chain = { { 0 } }, largest = { { 0 } };
            largest.levels[VB_CHANGE_GPU] = VB_MOST_OTHER_GPUS;
            chain.levels[VB_CHANGE_GPUS] = level;
            const struct vb_candidate candidate = vb_chain_apply(&question, &grid, &chain);
            cr_expect_eq(candidate.point.gpus, 1u << level, "%s", c->label);
            cr_expect_eq(candidate.point.batch, c->batch, "%s", c->label);
            cr_expect_eq(vb_effective_batch(&candidate.point, 64),
                         vb_effective_batch(&question.point, 64), "%s", c->label);
            cr_expect_gt(vb_chain_cost(&grid, &chain), vb_chain_cost(&grid, &largest), "%s",
                         c->label);
        }
    }
}

Test(advise, effective_batch_stays)
{
    static const struct batch_case cases[] = {
        { "the trainer's own rule does it", 32, 0, 16, 64, 0 },
        { "and down to one", 32, 0, 1, 64, 0 },
        { "48 is summed once", 48, 0, 24, 48, 2 },
        { "128 is more than the nominal batch", 128, 0, 32, 128, 4 },
        { "sums that were given", 8, 3, 4, 24, 6 },
        { "72, for 64 / 24 is rounded up", 24, 0, 12, 72, 6 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct batch_case *c = &cases[i];
        struct vb_point point = vb_point_default();
        point.batch = c->batch;
        point.accumulate = c->accumulate;
        cr_expect_eq(vb_effective_batch(&point, 64), c->effective, "%s", c->label);
        vb_point_set_batch(&point, c->to, c->effective, 64);
        cr_expect_eq(vb_effective_batch(&point, 64), c->effective, "%s", c->label);
        cr_expect_eq(point.accumulate, c->sums, "%s: %u", c->label, point.accumulate);
    }
}

/* A search whose questions are foreseen, one before it is asked and the next one. */
struct watched {
    struct made_up made;
    const struct vb_advise_question *question;
    const struct vb_grid *grid;
    struct vb_advise_answer answers[MOST_PLANS];
    size_t n;
    struct vb_foreseen next; /* as foreseen with the last question */
    bool has_next;
    size_t n_foreseen, n_right; /* of those */
};

static bool is_asked(const struct vb_foreseen *foreseen, const struct vb_candidate *candidate,
                     bool wants_need)
{
    return foreseen->wants_need == wants_need && foreseen->candidate.gpu == candidate->gpu &&
           memcmp(&foreseen->candidate.point, &candidate->point, sizeof candidate->point) == 0;
}

static enum vb_status watch(void *context, const struct vb_candidate *candidate, bool wants_need,
                            struct vb_advise_answer *out, struct vb_error *err)
{
    struct watched *self = context;
    struct vb_foreseen heard[2];
    size_t n = vb_advise_foresee(self->question, self->grid, self->answers, self->n, heard, 2);
    cr_assert_geq(n, 1);
    cr_expect(is_asked(&heard[0], candidate, wants_need), "question %zu was not foreseen", self->n);
    self->n_foreseen += self->has_next;
    self->n_right += self->has_next && is_asked(&self->next, candidate, wants_need);
    self->has_next = n == 2 && self->n > 0; /* before the first answer nothing can be guessed */
    if (self->has_next)
        self->next = heard[1];
    enum vb_status status = plan(&self->made, candidate, wants_need, out, err);
    cr_assert_lt(self->n, MOST_PLANS);
    self->answers[self->n++] = *out;
    return status;
}

/* What follows the answers so far is certain, what follows that is guessed: mostly well. */
Test(advise, foresees_its_questions)
{
    static struct vb_grid grid;
    static struct vb_advice advice;
    uint64_t state = 11;
    size_t n_foreseen = 0, n_right = 0;
    for (int i = 0; i < QUESTIONS; i++) {
        struct watched watched = { .grid = &grid };
        const struct vb_advise_question question = draw(&state, &watched.made);
        struct vb_error err = { 0 };
        watched.question = &question;
        vb_grid_make(&question, &grid);
        cr_assert_eq(vb_advise(&question, &grid, watch, &watched, &advice, &err), VB_OK);
        n_foreseen += watched.n_foreseen;
        n_right += watched.n_right;
    }
    cr_expect_geq(n_right, n_foreseen * 2 / 3, "%zu of %zu", n_right, n_foreseen);
}
