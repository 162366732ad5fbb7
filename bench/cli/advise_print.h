/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_ADVISE_PRINT_H
#define VB_CLI_ADVISE_PRINT_H

/* Advice on stdout. */

#include "cli/advise_row.h"
#include "report/table.h"

struct cli_advice_rows {
    struct cli_advice_row *items;
    size_t n, room;
    struct vb_arena *arena; /* the items'; borrowed */
};

struct cli_printed_advice {
    const struct cli_advisor *advisor;
    const struct vb_advise_answer *now;
    const struct cli_advice_rows *rows;
    size_t n_plans;
    bool is_walk; /* the user's own; nothing was looked for */
};

/* In Markdown for people, 80 columns; the other formats have every row, sizes in bytes.
 * VB_E_SYSTEM: no host memory. */
VB_CHECKED enum vb_status cli_print_advice(const struct cli_printed_advice *advice,
                                           enum vb_table_format format, struct vb_error *err);

/* For cli_print_advice(); it is advise_data.c. */
VB_CHECKED enum vb_status cli_print_advice_data(const struct cli_printed_advice *advice,
                                                enum vb_table_format format, struct vb_error *err);

/* "md", "csv", "json", "jsonl"; NULL is md. VB_E_INPUT: another. */
VB_CHECKED enum vb_status cli_read_table_format(const char *text, enum vb_table_format *out,
                                                struct vb_error *err);

/* Prints a command in lines of 80 columns, the first after `head`, broken at blanks. */
void cli_print_command(const char *head, const char *command);

/* Likewise a text of words. */
void cli_print_wrapped(const char *head, const char *text);

/* "0.97", "< 0.001" or "> 0.999"; "" for 0. */
const char *cli_probability_text(double probability, char *text, size_t room);

#endif
