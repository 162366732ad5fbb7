/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/group.h"

#include <stdint.h>
#include <string.h>

/* Memory that a launch reads, or writes. */
struct stretch {
    uintptr_t begin, end;
    bool is_written;
};

static struct stretch stretch_of(const struct vb_update *update, uint32_t tensor, uint32_t strip)
{
    const struct vb_update_tensor *of = &update->tensors[tensor];
    const uintptr_t begin = (uintptr_t)of->strips[strip];
    const bool repeats = (update->repeats >> strip & 1U) == 1;
    const uint64_t bytes = (repeats ? 1 : of->n) * vb_dtype_bytes[update->dtypes[strip]];
    return (struct stretch){ begin, begin + bytes, (update->rule.writes >> strip & 1U) == 1 };
}

/* One that nobody has lies nowhere. */
static struct stretch found_of(const struct vb_update_rule *rule)
{
    const uintptr_t begin = (uintptr_t)rule->found;
    return (struct stretch){ begin, begin + (begin != 0 ? vb_dtype_bytes[rule->found_dtype] : 0),
                             rule->kind == VB_UPDATE_UNSCALE };
}

static bool conflicts(const struct stretch *a, const struct stretch *b)
{
    return (a->is_written || b->is_written) && a->begin < b->end && b->begin < a->end;
}

static bool conflicts_with(const struct vb_update *update, const struct stretch *with)
{
    for (uint32_t i = 0; i < update->n_tensors; i++) {
        for (uint32_t k = 0; k < update->rule.n; k++) {
            const struct stretch own = stretch_of(update, i, k);
            if (conflicts(&own, with))
                return true;
        }
    }
    return false;
}

static bool is_same_rule(const struct vb_update *a, const struct vb_update *b)
{
    const struct vb_update_rule *x = &a->rule, *y = &b->rule;
    return x->kind == y->kind && memcmp(&x->a, &y->a, sizeof x->a) == 0 &&
           memcmp(&x->b, &y->b, sizeof x->b) == 0 && x->found == y->found &&
           x->found_dtype == y->found_dtype && a->repeats == b->repeats &&
           memcmp(a->dtypes, b->dtypes, x->n * sizeof *a->dtypes) == 0;
}

bool vb_launch_join(struct vb_launch *group, const struct vb_launch *next)
{
    struct vb_update *all = &group->arguments.update;
    const struct vb_update *more = &next->arguments.update;
    if (group->kernel != VB_KERNEL_update || next->kernel != VB_KERNEL_update ||
        !is_same_rule(all, more) || more->n_tensors > VB_UPDATE_TENSORS - all->n_tensors)
        return false;
    const struct stretch found = found_of(&all->rule);
    if (conflicts_with(all, &found) || conflicts_with(more, &found))
        return false;
    for (uint32_t i = 0; i < more->n_tensors; i++) {
        for (uint32_t k = 0; k < more->rule.n; k++) {
            const struct stretch own = stretch_of(more, i, k);
            if (conflicts_with(all, &own))
                return false;
        }
    }
    for (uint32_t i = 0; i < more->n_tensors; i++) {
        struct vb_update_tensor *added = &all->tensors[all->n_tensors++];
        *added = more->tensors[i];
        added->first_block += group->grid_x;
    }
    group->grid_x += next->grid_x;
    return true;
}
