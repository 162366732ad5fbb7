/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_ADVISE_PLAN_H
#define VB_CLI_ADVISE_PLAN_H

/* Candidates of advice, planned: on the GPU asked about or on another of sweeps/gpus. */

#include "base/ahead.h"
#include "cli/question.h"
#include "fit/advise_foresee.h"
#include "step/recipe.h"

enum { CLI_MOST_GPUS = VB_MOST_OTHER_GPUS, CLI_MOST_SEEN = 256, CLI_MOST_EXPECTED = 7 };

struct cli_advisor {
    struct cli_question *question; /* borrowed, as is the text */
    const char *calibration;
    struct vb_recipe recipe;
    struct cli_answer now; /* about the point as it is */
    struct vb_advise_question grid_question;
    struct cli_gpu_choice {
        const char *name;
        uint64_t capacity_bytes;
        uint32_t compute_capability;
        struct vb_device *device; /* NULL until it is asked */
    } gpus[CLI_MOST_GPUS];        /* with more memory than the one asked about, least first */
    struct cli_seen {
        double need_bytes, allocated_bytes; /* 0: not known */
        struct vb_record record;
    } * seen; /* on the GPU asked about; the question's arena's */
    size_t n_seen;
    struct vb_ahead *ahead; /* NULL: all is planned here */
};

/* Plans the question's point and lists what may be changed of it, but for `keep`, names of what
 * must stay with commas between; NULL: nothing must. Close it whether this failed or not, before
 * the question. VB_E_INPUT: no such thing to keep, a fault in a file. */
VB_CHECKED enum vb_status cli_advisor_open(struct cli_question *question, const char *calibration,
                                           const char *keep, struct cli_advisor *out,
                                           struct vb_error *err);
void cli_advisor_close(struct cli_advisor *advisor);

/* Plans a candidate; `wants_need` as a vb_advise_plan has it. Statuses as vb_measure_need()'s. */
VB_CHECKED enum vb_status cli_advisor_plan(struct cli_advisor *advisor,
                                           const struct vb_candidate *candidate, bool wants_need,
                                           struct vb_advise_answer *out, struct vb_error *err);

/* Whether the answer is known without a plan. */
bool cli_advisor_knows(const struct cli_advisor *advisor, const struct vb_candidate *candidate,
                       bool wants_need);

/* Candidates that will probably be planned next, in that order: another process begins with them.
 */
void cli_advisor_expect(struct cli_advisor *advisor, const struct vb_foreseen *foreseen, size_t n);

/* The candidate's GPU by the name that --gpu takes. */
const char *cli_advisor_gpu(const struct cli_advisor *advisor, size_t gpu);

#endif
