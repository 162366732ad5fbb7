/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ranks_print.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

static bool are_alike(const struct vb_rank_peaks *a, const struct vb_rank_peaks *b)
{
    return a->allocated_bytes == b->allocated_bytes && a->reserved_bytes == b->reserved_bytes;
}

void cli_print_ranks(const struct vb_record *record)
{
    uint32_t to = 0;
    if (record->n_ranks == 0)
        return;
    printf("GPUs here (%s):    allocated    reserved\n", vb_strategy_names[record->point.strategy]);
    for (uint32_t from = 0; from < record->n_ranks; from = to) {
        const struct vb_rank_peaks *peaks = &record->ranks[from];
        char name[32];
        for (to = from + 1; to < record->n_ranks && are_alike(peaks, &record->ranks[to]);)
            to++;
        if (to == from + 1)
            (void)snprintf(name, sizeof name, "%" PRIu32, from);
        else
            (void)snprintf(name, sizeof name, "%" PRIu32 " to %" PRIu32, from, to - 1);
        bool is_heaviest = record->heaviest_rank >= from && record->heaviest_rank < to;
        printf("  %-14s  %10s  %10s%s\n", name, vb_bytes_format(peaks->allocated_bytes).text,
               vb_bytes_format(peaks->reserved_bytes).text, is_heaviest ? "  the heaviest" : "");
    }
    printf("NCCL's buffers, modelled: %s to %s on each, the most of it not counted as usable\n",
           vb_bytes_format(record->nccl_low_bytes).text,
           vb_bytes_format(record->nccl_high_bytes).text);
}

void cli_list_gpus(const struct vb_point *point, char *text, size_t room)
{
    size_t length = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < point->gpus && length + 4 < room; i++)
        length += (size_t)snprintf(text + length, room - length, "%s%" PRIu32, i > 0 ? "," : "", i);
}

void cli_launcher(const struct vb_point *point, char *text, size_t room)
{
    uint32_t here = point->gpus > 1 ? point->gpus : 1, machines = vb_world_of(point) / here;
    text[0] = '\0';
    if (vb_is_ddp(point) && machines > 1)
        (void)snprintf(text, room,
                       "-m torch.distributed.run --nnodes %" PRIu32 " --nproc_per_node %" PRIu32
                       " ",
                       machines, here);
    else if (vb_is_ddp(point))
        (void)snprintf(text, room, "-m torch.distributed.run --nproc_per_node %" PRIu32 " ", here);
}

void cli_print_ranks_use(const struct vb_point *point, uint32_t batch)
{
    char gpus[64], launcher[96];
    cli_list_gpus(point, gpus, sizeof gpus);
    if (strncmp(point->model, "yolov5", 6) != 0) {
        printf("use:   yolo train model=%s batch=%" PRIu32 " imgsz=%" PRIu32 " amp=%s device=%s\n",
               point->model, batch, point->imgsz, point->precision == VB_FP32 ? "False" : "True",
               gpus);
        return;
    }
    cli_launcher(point, launcher, sizeof launcher);
    printf("use:   python %strain.py --weights %s.pt --batch-size %" PRIu32 " --img %" PRIu32
           " --device %s\n",
           launcher, point->model, batch, point->imgsz, gpus);
}
