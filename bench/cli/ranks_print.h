/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_RANKS_PRINT_H
#define VB_CLI_RANKS_PRINT_H

/* What an answer about several GPUs says of each. */

#include "record/record.h"

/* A line for each GPU of this machine, those that follow each other with the same peaks as one, and
 * what NCCL holds; nothing where there is one GPU. */
void cli_print_ranks(const struct vb_record *record);

/* "0,1", for the argument that names the GPUs. */
void cli_list_gpus(const struct vb_point *point, char *text, size_t room);

/* "-m torch.distributed.run --nproc_per_node 2 ", which YOLOv5's script is started by; "" where it
 * is started by itself. */
void cli_launcher(const struct vb_point *point, char *text, size_t room);

/* The training command for that batch. */
void cli_print_ranks_use(const struct vb_point *point, uint32_t batch);

#endif
