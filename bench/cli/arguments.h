/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_ARGUMENTS_H
#define VB_CLI_ARGUMENTS_H

/* A command's arguments, read by one table that also prints its help. `--name value` and
 * `--name=value` are the same, `-o` is `--out`; `--` ends the options. Texts are borrowed from
 * argv. */

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct cli_values {
    const char *items[256];
    size_t n;
};

struct cli_option {
    const char *name;          /* without the dashes */
    const char *placeholder;   /* "N", "FILE"; NULL for a flag */
    const char *help;          /* one line */
    const char **value;        /* where the text goes; a flag's becomes "on" */
    struct cli_values *values; /* in its place for an option that may be given more than once */
};

struct cli_command {
    const char *usage;    /* "vrambench replay TRACE.csv [options]" */
    const char *summary;  /* what it does, one or more lines */
    const char *examples; /* NULL or lines */
    const struct cli_option *options;
    size_t n_options;
    size_t min_positional, max_positional;
};

/* Reads the arguments after the command's name (argv[0]). `*help` tells that --help was among them;
 * nothing else is checked then. VB_E_INPUT: unknown option (with a suggestion), value missing, too
 * many or too few positional arguments. */
VB_CHECKED enum vb_status cli_parse(const struct cli_command *command, int argc, char **argv,
                                    struct cli_values *positional, bool *help,
                                    struct vb_error *err);

/* Prints the command's help to stdout, 80 columns. */
void cli_print_help(const struct cli_command *command);

/* Prints "vrambench: error: <text>" to stderr and returns the exit status that design.md gives to
 * `status`: input 2, device and system 3, does not fit 1. */
int cli_fail(enum vb_status status, const struct vb_error *err);

/* cli_parse() with the help printed and faults told: true where the command is to go on; else
 * `*exit_status` is what to return. */
bool cli_begin(const struct cli_command *command, int argc, char **argv,
               struct cli_values *positional, int *exit_status);

#endif
