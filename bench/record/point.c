/* SPDX-License-Identifier: Apache-2.0 */
#include "record/point.h"

#include "record/autobatch.h"

const char *const vb_precision_names[3] = { "fp32", "fp16", "bf16" };
const char *const vb_mosaic_names[3] = { "off", "cpu", "on" };
const char *const vb_optimizer_names[3] = { "sgd", "adam", "adamw" };
const char *const vb_workload_names[3] = { "train", "autobatch", "run" };
const char *const vb_choice_names[3] = { "recipe", "on", "off" };
const char *const vb_autobatch_fit_names[VB_N_AUTOBATCH_FITS] = { "line", "logarithms",
                                                                  "whole-gib" };
const char *const vb_pool_kind_names[2] = { "caching", "native" };
const char *const vb_scratch_names[2] = { "pool", "outside" };
const char *const vb_strategy_names[2] = { "ddp", "dp" };

/* As the newest recipe trains: mosaics made on the host, TF32 allowed, NCHW, EMA kept. Eight boxes
 * an image is COCO's mean (7.3) rounded up. */
struct vb_point vb_point_default(void)
{
    return (struct vb_point){
        .mosaic = VB_MOSAIC_CPU,
        .targets = 8,
        .ema = true,
        .tf32 = true,
        .warmup = 3,
        .steps = 10,
        .gpus = 1,
    };
}

uint32_t vb_world_of(const struct vb_point *point)
{
    uint32_t gpus = point->gpus > 1 ? point->gpus : 1;
    return point->world > 0 ? point->world : gpus;
}

bool vb_is_ddp(const struct vb_point *point)
{
    return vb_world_of(point) > 1 && point->strategy == VB_DDP;
}

bool vb_is_dp(const struct vb_point *point)
{
    return vb_world_of(point) > 1 && point->strategy == VB_DP;
}

bool vb_is_replica(const struct vb_point *point)
{
    return vb_is_dp(point) && point->rank > 0;
}

uint32_t vb_share_of(const struct vb_point *point, uint32_t batch, uint32_t rank)
{
    uint32_t world = vb_world_of(point);
    if (!vb_is_dp(point))
        return batch / world;
    uint32_t piece = (batch + world - 1) / world;
    uint64_t before = (uint64_t)piece * rank;
    uint32_t left = before < batch ? batch - (uint32_t)before : 0;
    return left < piece ? left : piece;
}

uint32_t vb_loaded_of(const struct vb_point *point)
{
    if (vb_is_dp(point) && point->rank == 0)
        return point->batch;
    return vb_share_of(point, point->batch, point->rank);
}
