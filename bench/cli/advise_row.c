/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/advise_row.h"

#include <stdio.h>
#include <string.h>

#include "sweep/keys.h"

const char *const cli_row_kind_names[4] = { "fits", "not enough", "nearest", "step" };

void cli_changes_text(const struct cli_advisor *advisor, const struct vb_candidate *from,
                      const struct vb_candidate *to, char *text, size_t room)
{
    text[0] = '\0';
    for (size_t i = 0; i < vb_key_count; i++) {
        char before[256], after[256];
        size_t length = strlen(text);
        vb_option_get(&vb_keys[i], &from->point, before, sizeof before);
        vb_option_get(&vb_keys[i], &to->point, after, sizeof after);
        if (strcmp(before, after) != 0)
            (void)snprintf(text + length, room - length, "%s%s=%s", length > 0 ? " " : "",
                           vb_keys[i].name, after);
    }
    size_t length = strlen(text);
    if (from->gpu != to->gpu)
        (void)snprintf(text + length, room - length, "%sgpu=%s", length > 0 ? " " : "",
                       cli_advisor_gpu(advisor, to->gpu));
}

void cli_advice_row(const struct cli_advisor *advisor, const struct vb_candidate *candidate,
                    const struct vb_advise_answer *answer, struct cli_advice_row *out)
{
    const struct vb_candidate now = { advisor->question->point, VB_ASKED_GPU };
    const struct vb_trainer *trainer = &advisor->recipe.trainer;
    *out = (struct cli_advice_row){
        .gpu = cli_advisor_gpu(advisor, candidate->gpu),
        .point = candidate->point,
        .answer = *answer,
        .effective_batch = vb_effective_batch(&candidate->point, trainer->nominal_batch),
    };
    cli_changes_text(advisor, &now, candidate, out->changes, sizeof out->changes);
    cli_training_arguments(trainer, &now.point, &candidate->point, out->arguments,
                           sizeof out->arguments, out->note, sizeof out->note);
}
