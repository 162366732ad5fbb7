/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_ADVISE_ROW_H
#define VB_CLI_ADVISE_ROW_H

/* One line of advice as it is printed: what changes, what to type, what comes of it. */

#include "cli/advise_plan.h"

/* What a row is: a change or chain that fits; one that helps but is not enough alone; all changes
 * at once where nothing fits; a step of a walk. */
enum cli_row_kind { CLI_ROW_FITS, CLI_ROW_HELPS, CLI_ROW_NEAREST, CLI_ROW_STEP };
extern const char *const cli_row_kind_names[4];

struct cli_advice_row {
    enum cli_row_kind kind;
    uint32_t rank;       /* from 1, in its kind */
    const char *class;   /* of its cost; NULL: not priced */
    char changes[512];   /* "batch=2 accumulate=32", of what differs from the point asked about */
    char arguments[768]; /* to type */
    char note[256];      /* what cannot be typed; "": nothing */
    const char *gpu;
    struct vb_point point;
    struct vb_advise_answer answer;
    uint32_t effective_batch;
};

/* The row of a candidate, but for its kind, rank and class. */
void cli_advice_row(const struct cli_advisor *advisor, const struct vb_candidate *candidate,
                    const struct vb_advise_answer *answer, struct cli_advice_row *out);

/* Appends "key=value" of what differs, with blanks between; of point keys and gpu. */
void cli_changes_text(const struct cli_advisor *advisor, const struct vb_candidate *from,
                      const struct vb_candidate *to, char *text, size_t room);

/* The command that trains so, as the model's family has it, and what no argument of it says.
 * `from`: the point as it was. */
void cli_training_arguments(const struct vb_trainer *trainer, const struct vb_point *from,
                            const struct vb_point *to, char *arguments, size_t arguments_room,
                            char *note, size_t note_room);

#endif
