/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_FIT_ADVISE_H
#define VB_FIT_ADVISE_H

/* What to change so that a training fits, cheapest first: of each change alone the cheapest level
 * that fits, and a chain of changes where that is cheaper than any one of them, or where none is
 * enough. Who plans a candidate and says whether it fits is the caller's; plans are what takes the
 * time, so few are asked for.
 */

#include "base/arena.h"
#include "fit/advise_grid.h"

struct vb_advise_answer {
    bool fits;
    double need_bytes; /* 0: not known, for it was not asked for and the candidate does not fit */
    double usable_bytes;
    double probability;       /* that it fits; as need_bytes; 0 too where nothing tells */
    double images_per_second; /* 0: not known */
};

/* Plans a candidate. `wants_need`: all of the answer is wanted; else, of what does not fit, that
 * alone. A candidate that cannot be is one that does not fit. Other failures end the search. */
typedef enum vb_status vb_advise_plan(void *context, const struct vb_candidate *candidate,
                                      bool wants_need, struct vb_advise_answer *out,
                                      struct vb_error *err);

struct vb_suggestion {
    struct vb_chain chain;
    uint32_t n_changes;
    uint64_t cost;
    enum vb_cost_class class;
    struct vb_candidate candidate;
    struct vb_advise_answer answer;
};

struct vb_advice {
    struct vb_advise_answer now;
    struct vb_suggestion items[VB_N_CHANGES + 1]; /* that fit, cheapest first */
    size_t n;
    /* Not enough alone, at their strongest, cheapest first: of precision, batch, imgsz, model and
     * GPUs. */
    struct vb_suggestion helps[VB_N_CHANGES];
    size_t n_helps;
    /* From failing to fitting: the first item's changes one after the other, cheapest first, each
     * step with one more. */
    struct vb_suggestion steps[VB_N_CHANGES];
    size_t n_steps;
    struct vb_suggestion nearest; /* where nothing fits: all changes at once */
    size_t n_plans;
};

/* Fills `out` with the advice, nothing but `now` where the point fits as it is. Memory grows with
 * batch and imgsz, but for what convolutions' plans make of it: of imgsz three levels are tried
 * beyond the boundary that halving found. VB_E_SYSTEM: no host memory; else as `plan`. */
VB_CHECKED enum vb_status vb_advise(const struct vb_advise_question *question,
                                    const struct vb_grid *grid, vb_advise_plan *plan, void *context,
                                    struct vb_advice *out, struct vb_error *err);

#endif
