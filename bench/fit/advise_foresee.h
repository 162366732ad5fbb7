/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_FIT_ADVISE_FORESEE_H
#define VB_FIT_ADVISE_FORESEE_H

/* What a search for advice will probably ask: so that who plans may begin with it elsewhere. */

#include "fit/advise.h"

/* What a vb_advise_plan is asked. */
struct vb_foreseen {
    struct vb_candidate candidate;
    bool wants_need;
};

/* Fills `out` with up to `most` questions in their order: the one that vb_advise() asks when its
 * `n` questions before had these answers, and those that follow where what it guesses is true.
 * Gives their number. */
size_t vb_advise_foresee(const struct vb_advise_question *question, const struct vb_grid *grid,
                         const struct vb_advise_answer *answers, size_t n, struct vb_foreseen *out,
                         size_t most);

#endif
