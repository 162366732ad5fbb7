/* SPDX-License-Identifier: Apache-2.0 */
/* Alone: along each axis levels grow dearer as they grow stronger, so its cheapest one that fits is
 * found by halving (batch, imgsz, model, number of GPUs) or one after the other, and the cheapest
 * of those is the cheapest single change of all. Halving asks for the strongest level only where
 * no weaker one fits; or at first, where nothing may fit.
 *
 * A chain: everything that costs at most so much at once, "so much" found by halving; then, from
 * the dearest change down, each is made as weak as it may be with the others as they are. So no
 * change of a chain can be left out. It has to cost less than the cheapest single change, so what
 * is dealt with bounds the rest. That no other chain is cheaper is not claimed: there are millions
 * of them.
 */

#include "fit/advise.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "fit/advise_rules.h"

#define FAR_TOO_MUCH 4 /* times the memory: then an axis' strongest level is tried first */

enum {
    MAX_KNOWN = 512,
    BEYOND = 3, /* levels of imgsz looked at beyond the boundary */
    MAX_COSTS = VB_N_CHANGES * VB_MOST_LEVELS,
};

struct search {
    const struct vb_advise_question *question;
    const struct vb_grid *grid;
    vb_advise_plan *plan;
    void *context;
    struct known {
        struct vb_chain chain;
        struct vb_advise_answer answer;
    } known[MAX_KNOWN]; /* planned so far */
    size_t n_known, n_plans;
    bool is_far_too_much;
    uint64_t costs[MAX_COSTS]; /* of every level alone, ascending */
    size_t n_costs;
};

static struct known *find_known(struct search *self, const struct vb_chain *chain)
{
    for (size_t i = 0; i < self->n_known; i++) {
        if (memcmp(&self->known[i].chain, chain, sizeof *chain) == 0)
            return &self->known[i];
    }
    return NULL;
}

/* Whether something as strong is known not to fit. */
static bool is_ruled_out(const struct search *self, const struct vb_chain *chain)
{
    for (size_t i = 0; i < self->n_known; i++) {
        if (!self->known[i].answer.fits && vb_chain_is_as_strong(&self->known[i].chain, chain))
            return true;
    }
    return false;
}

static enum vb_status ask(struct search *self, const struct vb_chain *chain, bool wants_need,
                          struct vb_advise_answer *out, struct vb_error *err)
{
    struct known *known = find_known(self, chain);
    if (known != NULL && (known->answer.need_bytes > 0 || !wants_need)) {
        *out = known->answer;
        return VB_OK;
    }
    if (!wants_need && is_ruled_out(self, chain)) {
        *out = (struct vb_advise_answer){ 0 };
        return VB_OK;
    }
    const struct vb_candidate candidate = vb_chain_apply(self->question, self->grid, chain);
    enum vb_status status = self->plan(self->context, &candidate, wants_need, out, err);
    if (status != VB_OK)
        return status;
    self->n_plans++;
    if (known == NULL && self->n_known < MAX_KNOWN) {
        known = &self->known[self->n_known++];
        known->chain = *chain;
    }
    if (known != NULL)
        known->answer = *out;
    return VB_OK;
}

/* A change that is worth telling is shown at its strongest, fit or not: all of its answer is
 * wanted, and it is got with one plan. */
static bool is_shown(const struct search *self, const struct vb_chain *chain)
{
    for (int i = 0; i < VB_N_CHANGES; i++) {
        if (chain->levels[i] > 0)
            return vb_chain_count(chain) == 1 &&
                   chain->levels[i] == vb_axis_strongest(&self->grid->axes[i]) &&
                   vb_is_worth_telling((enum vb_change)i);
    }
    return false;
}

/* Whether the chain fits with that level of the axis in place of its own. */
static enum vb_status fits_at(struct search *self, const struct vb_chain *chain,
                              enum vb_change change, uint32_t level, bool *fits,
                              struct vb_error *err)
{
    struct vb_chain changed = *chain;
    struct vb_advise_answer answer;
    changed.levels[change] = level;
    enum vb_status status = ask(self, &changed, is_shown(self, &changed), &answer, err);
    *fits = status == VB_OK && answer.fits;
    return status;
}

static enum vb_status first_of(struct search *self, const struct vb_chain *chain,
                               enum vb_change change, uint32_t most, uint32_t *level,
                               struct vb_error *err)
{
    enum vb_status status = VB_OK;
    bool fits = false;
    for (uint32_t i = 1; i <= most && status == VB_OK && !fits; i++) {
        status = fits_at(self, chain, change, i, &fits, err);
        *level = fits ? i : 0;
    }
    return status;
}

static enum vb_status halve(struct search *self, const struct vb_chain *chain,
                            enum vb_change change, uint32_t most, uint32_t *level,
                            struct vb_error *err)
{
    uint32_t low = 0, high = most + 1;
    bool fits = false;
    enum vb_status status = VB_OK;
    for (bool is_first = self->is_far_too_much; status == VB_OK && high - low > 1;
         is_first = false) {
        uint32_t middle = is_first ? most : low + (high - low) / 2;
        status = fits_at(self, chain, change, middle, &fits, err);
        if (fits)
            high = middle;
        else
            low = middle;
    }
    if (status != VB_OK || high > most)
        return status;
    *level = high;
    for (uint32_t i = 2; i <= BEYOND + 1 && i < high && status == VB_OK; i++) {
        if (change != VB_CHANGE_IMGSZ)
            break;
        status = fits_at(self, chain, change, high - i, &fits, err);
        *level = fits ? high - i : *level;
    }
    return status;
}

/* The axis' cheapest level, up to `most`, with which the chain fits; 0: none. */
static enum vb_status cheapest(struct search *self, const struct vb_chain *chain,
                               enum vb_change change, uint32_t most, uint32_t *level,
                               struct vb_error *err)
{
    *level = 0;
    if (change == VB_CHANGE_BATCH || change == VB_CHANGE_IMGSZ || change == VB_CHANGE_MODEL ||
        change == VB_CHANGE_GPUS)
        return halve(self, chain, change, most, level, err);
    return first_of(self, chain, change, most, level, err);
}

static enum vb_status describe(struct search *self, const struct vb_chain *chain,
                               struct vb_suggestion *out, struct vb_error *err)
{
    *out = (struct vb_suggestion){
        .chain = *chain,
        .n_changes = vb_chain_count(chain),
        .cost = vb_chain_cost(self->grid, chain),
        .class = vb_chain_class(self->grid, chain),
        .candidate = vb_chain_apply(self->question, self->grid, chain),
    };
    return ask(self, chain, true, &out->answer, err);
}

static enum vb_status try_alone(struct search *self, const struct vb_axis *axis,
                                struct vb_advice *out, struct vb_error *err)
{
    struct vb_chain chain = { { 0 } };
    uint32_t level = 0;
    if (axis->n == 0)
        return VB_OK;
    enum vb_status status = cheapest(self, &chain, axis->change, (uint32_t)axis->n, &level, err);
    if (status != VB_OK || (level == 0 && !vb_is_worth_telling(axis->change)))
        return status;
    chain.levels[axis->change] = level > 0 ? level : vb_axis_strongest(axis);
    if (level > 0)
        return describe(self, &chain, &out->items[out->n++], err);
    status = describe(self, &chain, &out->helps[out->n_helps], err);
    out->n_helps += out->helps[out->n_helps].answer.need_bytes > 0; /* else it cannot be */
    return status;
}

/* Other GPUs first, for those have the very program that was just planned; several then, which take
 * longest. */
static enum vb_status try_each_alone(struct search *self, struct vb_advice *out,
                                     struct vb_error *err)
{
    const struct vb_axis *axes = self->grid->axes;
    enum vb_status status = try_alone(self, &axes[VB_CHANGE_GPU], out, err);
    if (status == VB_OK)
        status = try_alone(self, &axes[VB_CHANGE_GPUS], out, err);
    for (int i = 0; i < VB_N_CHANGES && status == VB_OK; i++) {
        if (i != VB_CHANGE_GPU && i != VB_CHANGE_GPUS)
            status = try_alone(self, &axes[i], out, err);
    }
    return status;
}

static int by_cost(const void *a, const void *b)
{
    const uint64_t x = ((const struct vb_suggestion *)a)->cost;
    const uint64_t y = ((const struct vb_suggestion *)b)->cost;
    return (x > y) - (x < y);
}

static int ascending(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void list_costs(struct search *self)
{
    for (int change = 0; change < VB_N_CHANGES; change++) {
        bool counts = vb_is_for_chains(self->grid, (enum vb_change)change);
        for (uint32_t i = 1; counts && i <= self->grid->axes[change].n; i++)
            self->costs[self->n_costs++] = vb_cost_alone(self->grid, (enum vb_change)change, i);
    }
    qsort(self->costs, self->n_costs, sizeof *self->costs, ascending);
}

/* Everything that costs, alone, at most so much. */
static struct vb_chain all_up_to(const struct search *self, uint64_t cost)
{
    struct vb_chain chain = { { 0 } };
    for (int change = 0; change < VB_N_CHANGES; change++) {
        const struct vb_axis *axis = &self->grid->axes[change];
        uint32_t level = vb_is_for_chains(self->grid, axis->change) ? vb_axis_strongest(axis) : 0;
        while (level > 0 && vb_cost_alone(self->grid, axis->change, level) > cost)
            level--;
        chain.levels[change] = level;
    }
    return chain;
}

/* The dearest change of the chain that is not among `settled`, bits 1 << enum vb_change. */
static bool next_dearest(const struct search *self, const struct vb_chain *chain, uint32_t settled,
                         enum vb_change *change)
{
    uint64_t dearest = 0;
    for (int i = 0; i < VB_N_CHANGES; i++) {
        if (chain->levels[i] == 0 || (settled >> i & 1) != 0)
            continue;
        uint64_t cost = vb_cost_alone(self->grid, (enum vb_change)i, chain->levels[i]);
        if (cost > dearest) {
            dearest = cost;
            *change = (enum vb_change)i;
        }
    }
    return dearest > 0;
}

/* What the settled changes leave of what the chain may cost bounds each of the others: made so weak
 * that it alone costs less. `*can_be`: it still fits. */
static enum vb_status keep_below(struct search *self, struct vb_chain *chain, uint32_t settled,
                                 uint64_t below, bool *can_be, struct vb_error *err)
{
    const struct vb_chain before = *chain;
    struct vb_chain spent = *chain;
    for (int i = 0; i < VB_N_CHANGES; i++) {
        if ((settled >> i & 1) == 0)
            spent.levels[i] = 0;
    }
    const uint64_t cost = vb_chain_cost(self->grid, &spent);
    assert(cost < below); /* each was bounded before it was settled */
    *can_be = true;
    for (int i = 0; i < VB_N_CHANGES; i++) {
        uint32_t *level = &chain->levels[i];
        while (*level > 0 && (settled >> i & 1) == 0 &&
               cost + vb_cost_alone(self->grid, (enum vb_change)i, *level) >= below)
            (*level)--;
    }
    if (memcmp(&before, chain, sizeof before) == 0)
        return VB_OK;
    struct vb_advise_answer answer = { 0 };
    enum vb_status status = ask(self, chain, false, &answer, err);
    *can_be = status == VB_OK && answer.fits;
    return status;
}

/* `*found`: it then costs less than `below`. */
static enum vb_status weaken(struct search *self, struct vb_chain *chain, uint64_t below,
                             bool *found, struct vb_error *err)
{
    enum vb_status status = VB_OK;
    enum vb_change change;
    uint32_t settled = 0;
    *found = true;
    while (status == VB_OK && *found && next_dearest(self, chain, settled, &change)) {
        uint32_t level = 0, own = chain->levels[change];
        bool fits = false;
        status = fits_at(self, chain, change, 0, &fits, err);
        if (status == VB_OK && !fits)
            status = cheapest(self, chain, change, own, &level, err);
        if (status == VB_OK)
            chain->levels[change] = fits ? 0 : level > 0 ? level : own;
        settled |= 1u << change;
        if (status == VB_OK)
            status = keep_below(self, chain, settled, below, found, err);
    }
    *found = status == VB_OK && *found;
    return status;
}

/* Of the costs those below `*high` at once, whether they fit. Several GPUs hold buckets of
 * gradients besides, so that with them may not fit what does without: then `*high` is where they
 * begin. */
static enum vb_status fits_with_all(struct search *self, size_t *high, struct vb_chain *out,
                                    bool *fits, struct vb_error *err)
{
    struct vb_advise_answer answer = { 0 };
    struct vb_chain without;
    size_t n = *high;
    *out = without = all_up_to(self, self->costs[n - 1]);
    enum vb_status status = ask(self, out, false, &answer, err);
    while (status == VB_OK && !answer.fits && without.levels[VB_CHANGE_GPUS] > 0 && --n > 0) {
        without = all_up_to(self, self->costs[n - 1]);
        status = ask(self, &without, false, &answer, err);
    }
    *fits = status == VB_OK && answer.fits;
    if (*fits) {
        *out = without;
        *high = n;
    }
    return status;
}

/* The chain, where there is one that costs less than `below`; `*found` says so. */
static enum vb_status find_chain(struct search *self, uint64_t below, struct vb_chain *out,
                                 bool *found, struct vb_error *err)
{
    size_t low = 0, high = 0;
    struct vb_advise_answer answer = { 0 };
    bool fits = false;
    *found = false;
    while (high < self->n_costs && self->costs[high] < below)
        high++;
    if (high == 0)
        return VB_OK;
    enum vb_status status = fits_with_all(self, &high, out, &fits, err);
    if (status != VB_OK || !fits)
        return status;
    while (status == VB_OK && high - low > 1) {
        size_t middle = low + (high - low) / 2;
        struct vb_chain chain = all_up_to(self, self->costs[middle - 1]);
        status = ask(self, &chain, false, &answer, err);
        if (answer.fits) {
            high = middle;
            *out = chain;
        } else {
            low = middle;
        }
    }
    return status == VB_OK ? weaken(self, out, below, found, err) : status;
}

static enum vb_status add_chain(struct search *self, struct vb_advice *out, struct vb_error *err)
{
    struct vb_chain chain = { { 0 } };
    bool found = false;
    uint64_t below = out->n > 0 ? out->items[0].cost : UINT64_MAX;
    enum vb_status status = find_chain(self, below, &chain, &found, err);
    if (status != VB_OK)
        return status;
    if (found) {
        memmove(&out->items[1], &out->items[0], out->n * sizeof *out->items);
        out->n++;
        return describe(self, &chain, &out->items[0], err);
    }
    if (out->n == 0)
        return describe(self, &chain, &out->nearest, err);
    return VB_OK;
}

static enum vb_status add_steps(struct search *self, struct vb_advice *out, struct vb_error *err)
{
    const struct vb_chain *chain = &out->items[0].chain;
    struct vb_chain so_far = { { 0 } };
    enum vb_status status = VB_OK;
    int next = vb_cheapest_left(self->grid, chain, &so_far);
    while (next >= 0 && status == VB_OK) {
        so_far.levels[next] = chain->levels[next];
        status = describe(self, &so_far, &out->steps[out->n_steps++], err);
        next = vb_cheapest_left(self->grid, chain, &so_far);
    }
    return status;
}

static enum vb_status advise(struct search *self, struct vb_advice *out, struct vb_error *err)
{
    const struct vb_chain nothing = { { 0 } };
    enum vb_status status = ask(self, &nothing, true, &out->now, err);
    if (status != VB_OK || out->now.fits)
        return status;
    self->is_far_too_much = out->now.need_bytes > FAR_TOO_MUCH * out->now.usable_bytes;
    list_costs(self);
    status = try_each_alone(self, out, err);
    if (status != VB_OK)
        return status;
    qsort(out->items, out->n, sizeof *out->items, by_cost);
    qsort(out->helps, out->n_helps, sizeof *out->helps, by_cost);
    status = add_chain(self, out, err);
    return status == VB_OK && out->n > 0 ? add_steps(self, out, err) : status;
}

enum vb_status vb_advise(const struct vb_advise_question *question, const struct vb_grid *grid,
                         vb_advise_plan *plan, void *context, struct vb_advice *out,
                         struct vb_error *err)
{
    struct search *self = calloc(1, sizeof *self);
    if (self == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left to look for advice");
    *self = (struct search){ .question = question, .grid = grid, .plan = plan, .context = context };
    memset(out, 0, sizeof *out);
    enum vb_status status = advise(self, out, err);
    out->n_plans = self->n_plans;
    free(self);
    return status;
}
