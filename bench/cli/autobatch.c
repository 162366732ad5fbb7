/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/autobatch.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/bytes.h"
#include "fit/autobatch.h"
#include "sweep/measure.h"

enum { MAX_BATCH = 65536 };

struct advice {
    struct vb_record record; /* of the profile */
    struct vb_autobatch_table table;
    struct vb_autobatch choice;
    struct cli_answer run; /* at the chosen batch */
    bool has_run;          /* a run can have such a batch */
};

static void print_table(const struct advice *advice)
{
    const struct vb_autobatch_table *table = &advice->table;
    printf("AutoBatch of %s on %s\n", advice->record.recipe, advice->record.gpu);
    printf("%.2f GiB total, %.2f reserved, %.2f allocated, which it takes for %.2f free\n\n",
           table->total_gib, table->reserved_gib, table->allocated_gib, advice->choice.free_gib);
    printf("| batch | GPU_mem (GB) |\n| ----: | -----------: |\n");
    for (size_t i = 0; i < table->n_sizes; i++) {
        if (i < table->n)
            printf("| %5u | %12.3f |\n", 1u << i, table->reserved_gb[i]);
        else
            printf("| %5u | %12s |\n", 1u << i, "ran out");
    }
}

static void print_choice(const struct advice *advice)
{
    const struct vb_autobatch_rules *rules = &advice->record.autobatch;
    const struct vb_autobatch *choice = &advice->choice;
    if (rules->fit == VB_FIT_LOGARITHMS)
        printf("\nfit:    %.4g GB x batch ^ %.4g", vb_autobatch_at(choice, rules, 1),
               choice->slope);
    else
        printf("\nfit:    %.4g GB + %.4g GB x batch", choice->intercept, choice->slope);
    printf(", meets %" PRIu32 " %% of what is free at %.1f\n", rules->percent, choice->fitted);
    printf("choice: batch %ld", choice->batch);
    if (choice->reason == VB_CHOSEN_BELOW_FAILURE)
        printf(", below the first that ran out");
    if (choice->reason == VB_CHOSEN_AS_USUAL)
        printf(", its usual one: the fit's cannot be");
    printf("; it expects %.1f %% of the device\n", choice->predicted * 100);
}

static void print_run(const struct advice *advice)
{
    const struct vb_estimate *estimate = &advice->run.estimate;
    if (!advice->has_run) {
        printf("run:    none: no batch of a run\n");
        return;
    }
    printf("run:    %s  at that batch it needs %s of %s usable\n",
           vb_verdict_names[estimate->verdict],
           vb_bytes_format((uint64_t)estimate->need_bytes).text,
           vb_bytes_format((uint64_t)estimate->usable_bytes).text);
}

/* The profile's record, and the advice behind it. */
static enum vb_status print_json(const struct advice *advice, struct vb_error *err)
{
    const struct vb_autobatch *choice = &advice->choice;
    const struct vb_estimate *run = &advice->run.estimate;
    enum vb_status status = cli_print_open_record(&advice->record, err);
    if (status != VB_OK)
        return status;
    printf(",\"autobatch\":{\"free_gib\":%.6f,\"percent\":%" PRIu32
           ",\"fit\":\"%s\",\"slope\":%.9g,\"intercept\":%.9g,\"fitted\":%.6g,\"batch\":%ld,"
           "\"reason\":\"%s\",\"predicted\":%.6f}",
           choice->free_gib, advice->record.autobatch.percent,
           vb_autobatch_fit_names[advice->record.autobatch.fit], choice->slope, choice->intercept,
           choice->fitted, choice->batch, vb_autobatch_reason_names[choice->reason],
           choice->predicted);
    if (advice->has_run)
        printf(",\"run\":{\"state\":\"%s\",\"verdict\":\"%s\",\"probability\":%.4f,"
               "\"need_bytes\":%.0f,\"usable_bytes\":%.0f}",
               vb_state_names[advice->run.record.state], vb_verdict_names[run->verdict],
               run->probability, run->need_bytes, run->usable_bytes);
    printf("}\n");
    return VB_OK;
}

static enum vb_status advise(const struct cli_asked *asked, const struct vb_point *point,
                             struct vb_arena *arena, struct advice *out, struct vb_error *err)
{
    struct vb_point run = *point;
    enum vb_status status = vb_measure(point, asked->device, false, arena, &out->record, err);
    if (status != VB_OK)
        return status;
    out->table = vb_autobatch_table_of(&out->record.profile, out->record.capacity_bytes);
    status = vb_autobatch_choose(&out->table, &out->record.autobatch, &out->choice, err);
    out->has_run = status == VB_OK && out->choice.batch >= 1 && out->choice.batch <= MAX_BATCH;
    if (!out->has_run)
        return status;
    run.workload = VB_WHOLE_RUN;
    run.batch = (uint32_t)out->choice.batch;
    return cli_answer_plan(asked, &run, arena, &out->run, err);
}

enum vb_status cli_estimate_autobatch(const struct cli_asked *asked, const struct vb_point *point,
                                      bool json, int *exit_status, struct vb_error *err)
{
    struct vb_arena arena = { 0 };
    struct advice advice = { 0 };
    enum vb_status status = advise(asked, point, &arena, &advice, err);
    if (status == VB_OK && json) {
        status = print_json(&advice, err);
    } else if (status == VB_OK) {
        print_table(&advice);
        print_choice(&advice);
        print_run(&advice);
    }
    if (status == VB_OK && advice.has_run)
        *exit_status = cli_answer_status(&advice.run);
    vb_arena_clear(&arena);
    return status;
}
