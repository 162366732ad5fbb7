/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/compare.h"

int cmd_compare(int argc, char **argv)
{
    struct cli_compare compare = { 0 };
    struct cli_option table[CLI_N_COMPARE_OPTIONS];
    size_t n = 0;
    cli_add_compare_options(&compare, table, &n);
    const struct cli_command command = {
        .usage = "vrambench compare BASE CANDIDATE [options]",
        .summary =
            "What an upgrade changed: two results folders (or their rows.jsonl) of the same\n"
            "points on the same kind of GPU. Memory is compared exactly, time by a rank test\n"
            "over the steps, at a risk of 1 % of any false alarm. Points that are gone, or\n"
            "newly run out of memory or fail, are regressions. Exit status: 0 none, 1 a\n"
            "regression, 2 they cannot be compared, 4 noise hides the answer.",
        .examples = "  vrambench compare runs/driver-580 runs/driver-590\n"
                    "  vrambench compare old new --time 5% --junit compare.xml --markdown",
        .options = table,
        .n_options = n,
        .min_positional = 2,
        .max_positional = 2,
    };
    struct cli_values positional = { 0 };
    struct vb_error err = { 0 };
    int exit_status = 0;
    if (!cli_begin(&command, argc, argv, &positional, &exit_status))
        return exit_status;
    enum vb_status status = cli_check_compare(&compare, &err);
    if (status == VB_OK)
        status = cli_compare_runs(&compare, positional.items[0], positional.items[1], &exit_status,
                                  &err);
    return status == VB_OK ? exit_status : cli_fail(status, &err);
}
