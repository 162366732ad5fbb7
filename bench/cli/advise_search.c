/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/advise_search.h"

enum { MOST_ANSWERS = 1024 };

struct asking {
    struct cli_advisor *advisor;
    struct vb_grid grid;
    struct vb_advise_answer answers[MOST_ANSWERS]; /* so far, in the order of the questions */
    size_t n;                                      /* those beyond are not kept */
};

/* Before a plan: the other process begins with what comes after it. */
static void look_ahead(const struct asking *self)
{
    struct cli_advisor *advisor = self->advisor;
    struct vb_foreseen foreseen[1 + CLI_MOST_EXPECTED];
    size_t n = 0;
    if (advisor->ahead != NULL && self->n < MOST_ANSWERS)
        n = vb_advise_foresee(&advisor->grid_question, &self->grid, self->answers, self->n,
                              foreseen, 1 + CLI_MOST_EXPECTED);
    if (n > 1)
        cli_advisor_expect(advisor, &foreseen[1], n - 1);
}

/* What cannot be does not fit. */
static enum vb_status ask(void *context, const struct vb_candidate *candidate, bool wants_need,
                          struct vb_advise_answer *out, struct vb_error *err)
{
    struct asking *self = context;
    if (!cli_advisor_knows(self->advisor, candidate, wants_need))
        look_ahead(self);
    enum vb_status status = cli_advisor_plan(self->advisor, candidate, wants_need, out, err);
    if (status == VB_E_INPUT || status == VB_E_UNSUPPORTED)
        status = VB_OK;
    if (self->n < MOST_ANSWERS)
        self->answers[self->n++] = *out;
    return status;
}

enum vb_status cli_advisor_search(struct cli_advisor *advisor, struct vb_arena *arena,
                                  struct vb_advice *out, struct vb_error *err)
{
    struct asking *self = vb_arena_alloc(arena, 1, sizeof *self);
    if (self == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left to look for advice");
    self->advisor = advisor;
    vb_grid_make(&advisor->grid_question, &self->grid);
    return vb_advise(&advisor->grid_question, &self->grid, ask, self, out, err);
}
