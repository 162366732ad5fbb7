/* SPDX-License-Identifier: Apache-2.0 */
#include "step/ranks.h"

static enum vb_status check_ddp(const struct vb_point *point, struct vb_error *err)
{
    uint32_t world = vb_world_of(point), gpus = point->gpus > 1 ? point->gpus : 1;
    if (world < gpus)
        return vb_fail(err, VB_E_INPUT,
                       "world is %u, but %u GPUs are here: it counts those of all machines", world,
                       gpus);
    if (point->batch % world != 0)
        return vb_fail(err, VB_E_INPUT,
                       "batch is %u, expected a multiple of %u: each of as many processes takes an "
                       "equal share",
                       point->batch, world);
    return VB_OK;
}

static enum vb_status check_dp(const struct vb_point *point, struct vb_error *err)
{
    uint32_t gpus = point->gpus > 1 ? point->gpus : 1;
    if (point->world > 0 && point->world != gpus)
        return vb_fail(err, VB_E_INPUT,
                       "world is %u, but strategy dp is one process on the %u GPUs of one machine: "
                       "leave it out, or take strategy ddp",
                       point->world, gpus);
    if (point->zero > 0 || point->bucket_view)
        return vb_fail(err, VB_E_INPUT,
                       "%s goes with strategy ddp alone: dp has one optimizer and no buckets",
                       point->zero > 0 ? "zero 1" : "bucket_view on");
    if (vb_share_of(point, point->batch, gpus - 1) == 0)
        return vb_fail(err, VB_E_INPUT,
                       "batch is %u: cut over %u GPUs, by pieces of %u, it leaves some without "
                       "images",
                       point->batch, gpus, vb_share_of(point, point->batch, 0));
    return VB_OK;
}

enum vb_status vb_check_ranks(const struct vb_point *point, struct vb_error *err)
{
    if (vb_world_of(point) == 1 && point->gpus <= 1)
        return VB_OK;
    if (point->workload == VB_AUTOBATCH)
        return vb_fail(err, VB_E_UNSUPPORTED,
                       "workload autobatch is for one GPU: trainers leave it out on several");
    return point->strategy == VB_DDP ? check_ddp(point, err) : check_dp(point, err);
}

enum vb_status vb_check_strategy(const struct vb_point *point, enum vb_family family,
                                 struct vb_error *err)
{
    if (!vb_is_dp(point) || family == VB_YOLOV5)
        return VB_OK;
    return vb_fail(err, VB_E_UNSUPPORTED,
                   "%s trains on several GPUs by strategy ddp alone: of the trainers, yolov5 has "
                   "DataParallel",
                   vb_family_names[family]);
}
