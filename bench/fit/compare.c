/* SPDX-License-Identifier: Apache-2.0 */
#include "fit/compare.h"

#include <math.h>
#include <stdio.h>

#include "fit/compare_time.h"

const char *const vb_change_names[VB_N_CHANGES] = {
    "not compared", "same", "better", "inconclusive", "regression",
};

/* `base_least`, `candidate_least`: that side's figure is a lower bound, and may be larger. */
static void compare_memory(uint64_t base, bool base_least, uint64_t candidate, bool candidate_least,
                           double threshold, struct vb_memory_change *out)
{
    *out = (struct vb_memory_change){ .base_bytes = base, .candidate_bytes = candidate };
    if (base == 0 || candidate == 0)
        return;
    out->ratio = (double)candidate / (double)base;
    const bool is_larger = out->ratio > 1 + threshold;
    if (is_larger)
        out->change = base_least ? VB_CHANGE_UNCLEAR : VB_CHANGE_WORSE;
    else if (candidate_least)
        out->change = VB_CHANGE_UNCLEAR;
    else
        out->change = out->ratio < 1 / (1 + threshold) ? VB_CHANGE_BETTER : VB_CHANGE_SAME;
}

static const char *tell_state(const struct vb_record *record)
{
    return record->state == VB_STATE_BACKSTOP ? "out of memory (a smaller one ran out)"
           : vb_ran_out(record)               ? "out of memory"
                                              : vb_state_names[record->state];
}

/* Of a pair that did not run in both. What failed in the base says nothing of the candidate. */
static void compare_states(const struct vb_pair *pair, struct vb_compared *out)
{
    const struct vb_record *b = pair->base, *c = pair->candidate;
    const char *why = "";
    if (b == NULL) {
        why = "not in the base";
    } else if (c == NULL) {
        why = "not in the candidate";
        out->state = vb_has_peaks(b) || vb_ran_out(b) ? VB_CHANGE_WORSE : VB_CHANGE_NONE;
    } else if (vb_has_peaks(b)) {
        (void)snprintf(out->why, sizeof out->why, "%s: %s", tell_state(c), c->reason);
        out->state = VB_CHANGE_WORSE;
        return;
    } else if (vb_has_peaks(c)) {
        out->state = VB_CHANGE_BETTER;
        why = vb_ran_out(b) ? "fits now" : "runs now";
    } else if (vb_ran_out(b) && vb_ran_out(c)) {
        out->state = VB_CHANGE_SAME;
        why = "out of memory in both";
    } else if (vb_ran_out(b)) {
        (void)snprintf(out->why, sizeof out->why, "%s, where the base ran out of memory: %s",
                       tell_state(c), c->reason);
        return;
    } else {
        why = "failed in the base";
    }
    (void)snprintf(out->why, sizeof out->why, "%s", why);
}

static enum vb_status compare_pair(const struct vb_pair *pair,
                                   const struct vb_thresholds *thresholds, struct vb_compared *out,
                                   struct vb_error *err)
{
    const struct vb_record *b = pair->base, *c = pair->candidate;
    *out = (struct vb_compared){ .pair = *pair };
    if (b == NULL || c == NULL || !vb_has_peaks(b) || !vb_has_peaks(c)) {
        compare_states(pair, out);
        return VB_OK;
    }
    out->state = VB_CHANGE_SAME;
    compare_memory(b->peak_reserved_bytes, false, c->peak_reserved_bytes, false, thresholds->memory,
                   &out->reserved);
    compare_memory(b->peak_device_bytes, b->state == VB_STATE_LOWER_BOUND, c->peak_device_bytes,
                   c->state == VB_STATE_LOWER_BOUND, thresholds->memory, &out->device);
    return vb_compare_time(pair, &out->time, err);
}

static void raise_to(enum vb_change change, enum vb_change *most)
{
    *most = change > *most ? change : *most;
}

static void summarize(struct vb_comparison *out)
{
    double memory_logs = 0, time_logs = 0;
    size_t n_memory = 0;
    for (size_t i = 0; i < out->n; i++) {
        struct vb_compared *item = &out->items[i];
        item->change = item->state;
        raise_to(item->reserved.change, &item->change);
        raise_to(item->device.change, &item->change);
        raise_to(item->time.change, &item->change);
        out->n_of[item->change]++;
        out->n_common += item->pair.base != NULL && item->pair.candidate != NULL;
        if (item->time.change == VB_CHANGE_UNCLEAR && item->time.steps_needed == 0)
            out->n_unsettled++;
        if (item->time.steps_needed > out->steps_needed)
            out->steps_needed = item->time.steps_needed;
        if (item->reserved.change != VB_CHANGE_NONE) {
            memory_logs += log(item->reserved.ratio);
            n_memory++;
        }
        time_logs += item->time.n_base > 0 ? log(item->time.ratio) : 0;
    }
    out->reserved_ratio = n_memory > 0 ? exp(memory_logs / (double)n_memory) : 0;
    out->time_ratio = out->n_timed > 0 ? exp(time_logs / (double)out->n_timed) : 0;
    out->outcome = out->n_of[VB_CHANGE_WORSE] > 0     ? VB_CHANGE_WORSE
                   : out->n_of[VB_CHANGE_UNCLEAR] > 0 ? VB_CHANGE_UNCLEAR
                                                      : VB_CHANGE_SAME;
}

enum vb_status vb_compare(const struct vb_side *base, const struct vb_side *candidate,
                          const struct vb_thresholds *thresholds, struct vb_arena *arena,
                          struct vb_comparison *out, struct vb_error *err)
{
    *out = (struct vb_comparison){ .thresholds = *thresholds };
    enum vb_status status = vb_pairs_make(base, candidate, arena, &out->pairs, err);
    if (status != VB_OK)
        return status;
    out->n = out->pairs.n;
    out->items = vb_arena_alloc(arena, out->n, sizeof *out->items);
    if (out->items == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left to compare %zu points", out->n);
    for (size_t i = 0; i < out->n && status == VB_OK; i++) {
        status = compare_pair(&out->pairs.items[i], thresholds, &out->items[i], err);
        out->n_timed += out->items[i].time.n_base > 0;
    }
    if (status == VB_OK)
        status = vb_judge_times(out->items, out->n, out->n_timed, thresholds->time, err);
    if (status == VB_OK)
        summarize(out);
    return status;
}
