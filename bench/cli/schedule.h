/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_SCHEDULE_H
#define VB_CLI_SCHEDULE_H

/* Training in phases: of each the largest batch that fits, and whether one process can have them
 * all. */

#include "cli/question.h"
#include "step/recipe.h"

enum { CLI_MOST_PHASES = 32 };

struct cli_phase {
    struct vb_point point; /* with the batch that is taken */
    uint32_t epochs;
    uint32_t largest_batch; /* that fits, up to 4096; 0: none */
    uint32_t largest_size;  /* that is drawn: imgsz, unless sizes are */
    uint32_t accumulate;    /* batches whose gradients are summed for one step */
    struct cli_answer answer;
    double seconds; /* of all its epochs, modelled; 0: not known */
};

/* What came of all phases in one process. */
struct cli_shared {
    bool ran_out;
    size_t ran_out_at; /* the phase */
    double peak_reserved_bytes;
};

struct cli_schedule {
    struct cli_question *question; /* borrowed */
    struct vb_recipe recipe;
    struct cli_phase phases[CLI_MOST_PHASES];
    size_t n_phases;
    uint32_t effective_batch, images;
    double separate_bytes;           /* the largest peak of a phase in a process of its own */
    struct cli_shared kept, emptied; /* the cache kept between phases, emptied */
};

struct cli_schedule_request {
    const char *phases;       /* "320:100,640:20": imgsz:epochs */
    const char *effective;    /* images between two steps; NULL: as the trainer does */
    const char *images;       /* of an epoch; NULL: COCO's */
    const char *close_mosaic; /* epochs at the end without mosaic; NULL: none */
};

/* Plans it; all is the question's arena's. A phase that fits with no batch has 0. VB_E_INPUT: not
 * such phases, a size that the model cannot have, a number out of its range. */
VB_CHECKED enum vb_status cli_schedule_plan(struct cli_question *question,
                                            const struct cli_schedule_request *request,
                                            struct cli_schedule *out, struct vb_error *err);

/* Whether every phase fits. */
bool cli_schedule_fits(const struct cli_schedule *schedule);

#endif
