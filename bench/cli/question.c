/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/question.h"

#include "base/bytes.h"

void cli_add_question_options(struct cli_question_options *options, struct cli_option *table,
                              size_t *n)
{
    const struct cli_option own[CLI_N_QUESTION_OPTIONS] = {
        { "budget", "SIZE", "may be used, in place of the GPU's: 22.5GiB", &options->budget, NULL },
        { "risk", "1%", "of running out, that a batch which fits may have; 5%", &options->risk,
          NULL },
        { "shared", NULL, "in a notebook's kernel, where other models may still be on the GPU",
          &options->shared, NULL },
        { "calibration", "FILE|FOLDER", "of 'vrambench fit', in place of those in results/",
          &options->calibration, NULL },
    };
    cli_add_point_options(&options->point, table, n);
    for (size_t i = 0; i < CLI_N_QUESTION_OPTIONS; i++)
        table[(*n)++] = own[i];
}

enum vb_status cli_question_open(const struct cli_question_options *options,
                                 struct cli_question *out, struct vb_error *err)
{
    *out = (struct cli_question){ .asked = { .is_shared = options->shared != NULL } };
    struct cli_asked *asked = &out->asked;
    asked->arena = &out->arena;
    asked->programs = &out->programs;
    cli_device_name(&options->point, out->device_name, sizeof out->device_name);
    enum vb_status status = cli_read_point(&options->point, &out->point, err);
    if (status == VB_OK && !cli_is_given(&options->point, "workload"))
        out->point.workload = VB_WHOLE_RUN;
    if (status == VB_OK && options->budget != NULL)
        status = vb_bytes_parse(options->budget, &asked->budget_bytes, err);
    if (status == VB_OK)
        status = cli_read_risk(options->risk, &asked->risk, err);
    if (status == VB_OK)
        status = cli_ask(&out->point, asked, err);
    if (status == VB_OK)
        status = vb_device_open(out->device_name, &asked->device, err);
    if (status == VB_OK && vb_device_info(asked->device)->measures)
        status =
            vb_fail(err, VB_E_INPUT,
                    "--device %s: an estimate is a plan, for virtual:GPU; what runs is measured "
                    "by 'vrambench point' and 'vrambench sweep'",
                    out->device_name);
    /* Calibrations are of one GPU. */
    if (status == VB_OK && out->point.workload != VB_AUTOBATCH && vb_world_of(&out->point) == 1)
        status = cli_ask_calibration(&out->point, options->calibration, asked, err);
    return status;
}

void cli_question_close(struct cli_question *question)
{
    vb_device_close(question->asked.device);
    cli_programs_clear(&question->programs);
    vb_arena_clear(&question->arena);
}
