/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_RANKS_PRINT_H
#define VB_CLI_RANKS_PRINT_H

/* What an answer about several GPUs says of each. */

#include "record/record.h"

/* A line for each GPU of this machine, those that follow each other with the same peaks as one, and
 * what NCCL holds; nothing where there is one GPU. */
void cli_print_ranks(const struct vb_record *record);

/* The training command for that batch. */
void cli_print_ranks_use(const struct vb_point *point, uint32_t batch);

#endif
