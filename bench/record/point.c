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
    };
}
