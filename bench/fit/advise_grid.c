/* SPDX-License-Identifier: Apache-2.0 */
#include "fit/advise_grid.h"

#include <math.h>
#include <stdio.h>

const char *const vb_cost_class_names[VB_N_COST_CLASSES] = { "same", "numerics", "training",
                                                             "money" };
const char *const vb_change_keys[VB_N_CHANGES] = {
    [VB_CHANGE_ALLOCATOR] = "alloc_conf",
    [VB_CHANGE_ON_HOST] = "mosaic",
    [VB_CHANGE_BATCH] = "batch",
    [VB_CHANGE_PRECISION] = "precision",
    [VB_CHANGE_CHANNELS_LAST] = "channels_last",
    [VB_CHANGE_COPY_PASTE] = "copy_paste",
    [VB_CHANGE_MIXUP] = "mixup",
    [VB_CHANGE_OPTIMIZER] = "optimizer",
    [VB_CHANGE_FREEZE] = "freeze",
    [VB_CHANGE_MOSAIC] = "mosaic",
    [VB_CHANGE_IMGSZ] = "imgsz",
    [VB_CHANGE_MODEL] = "model",
    [VB_CHANGE_GPU] = "gpu",
    [VB_CHANGE_GPUS] = "gpus",
};

/* The backbone of YOLOv5 and YOLOv8: layers 0 to 9, as both trainers' guides freeze it. */
enum { BACKBONE_LAYERS = 10 };

/* Batch normalisation takes its statistics from one batch, not from all whose gradients are summed:
 * down to 16 images nothing is lost, below more and more is. Source: Wu and He, Group
 * Normalization, 2018, table 2 (ResNet-50 with batches of 32, 16, 8, 4, 2: error 23.6, 23.7, 24.8,
 * 27.3, 34.7 %). */
enum { ENOUGH_FOR_STATISTICS = 16 };

enum {
    PLACE_ON_HOST = 3,
    PLACE_BATCH = 4,
    PLACE_FP16 = 1,
    PLACE_CHANNELS_LAST = 2,
    PLACE_COPY_PASTE = 1,
    PLACE_MIXUP = 2,
    PLACE_BATCH_8 = 3,
    PLACE_OPTIMIZER = 4,
    PLACE_FREEZE = 5,
    PLACE_MOSAIC = 6,
    PLACE_BATCH_4 = 7,
    PLACE_BATCH_2 = 8,
    PLACE_BATCH_1 = 9,
    PLACE_IMGSZ = 10,
    PLACE_MODEL = 100,
    PLACE_MODEL_STEP = 10,
    PLACE_GPUS = 300,
    CLASS_DIGITS = 1000,
};

enum { MOST_OF_A_KIND = 8 }; /* GPUs of one machine, as machines are sold */
_Static_assert((int)PLACE_GPUS >= (int)VB_MOST_OTHER_GPUS, "several are dearer than any one");
_Static_assert((int)VB_MOST_OTHER_GPUS + PLACE_GPUS + MOST_OF_A_KIND < CLASS_DIGITS,
               "a larger GPU and several of it");

const char *const vb_cost_table[] = {
    "same: 1 and 2 the allocator's settings (expandable_segments:True,",
    "  max_split_size_mb:128), 3 mosaic and MixUp composed by the host, 4 and up a",
    "  smaller batch of 16 or more, gradients of as many images summed;",
    "numerics: 1 fp16 (AMP), 2 channels-last;",
    "training: 1 no copy-paste, 2 no MixUp, 3 a batch of 8 to 15 (batch",
    "  normalisation sees as few), 4 SGD for Adam, 5 the first 10 layers frozen,",
    "  6 no mosaic, 7 a batch of 4 to 7, 8 of 2 or 3, 9 of 1, 10 + n an image n %",
    "  smaller a side (down to 320), 100 + 10 n the model of the family n sizes",
    "  below;",
    "money: n the nth GPU of sweeps/gpus with more memory, 300 + n n of the same GPU",
    "  (2, 4 or 8, with DDP), the batch shared out: each normalises its share.",
};
const size_t vb_cost_table_size = sizeof vb_cost_table / sizeof *vb_cost_table;

static void add(struct vb_axis *axis, uint32_t value, enum vb_cost_class class, uint32_t place)
{
    if (axis->n < VB_MOST_LEVELS)
        axis->levels[axis->n++] = (struct vb_level_of_change){ value, class, place };
}

uint32_t vb_effective_batch(const struct vb_point *point, uint32_t nominal_batch)
{
    double batches = nearbyint((double)nominal_batch / point->batch);
    uint32_t accumulate = point->accumulate;
    if (accumulate == 0)
        accumulate = batches > 1 ? (uint32_t)batches : 1;
    return point->batch * accumulate;
}

void vb_point_set_batch(struct vb_point *point, uint32_t batch, uint32_t effective,
                        uint32_t nominal_batch)
{
    point->batch = batch;
    point->accumulate = 0;
    if (vb_effective_batch(point, nominal_batch) != effective)
        point->accumulate = effective / batch;
}

/* Divisors of the images a step sums, so that it stays as many. */
static void add_batches(const struct vb_advise_question *question, struct vb_axis *axis)
{
    uint32_t effective = vb_effective_batch(&question->point, question->nominal_batch);
    for (uint32_t batch = question->point.batch - 1; batch > 0; batch--) {
        if (effective % batch != 0)
            continue;
        if (batch >= ENOUGH_FOR_STATISTICS)
            add(axis, batch, VB_COST_SAME, PLACE_BATCH + (uint32_t)axis->n);
        else
            add(axis, batch, VB_COST_TRAINING,
                batch >= 8   ? PLACE_BATCH_8
                : batch >= 4 ? PLACE_BATCH_4
                : batch >= 2 ? PLACE_BATCH_2
                             : PLACE_BATCH_1);
    }
}

static void add_sizes(const struct vb_advise_question *question, struct vb_axis *axis)
{
    uint32_t from = question->point.imgsz;
    for (uint32_t size = from; size >= VB_LEAST_IMGSZ + question->stride;
         size -= question->stride) {
        uint32_t smaller = size - question->stride;
        uint32_t percent = (100 * (from - smaller) + from - 1) / from;
        add(axis, smaller, VB_COST_TRAINING, PLACE_IMGSZ + percent);
    }
}

/* DDP shares a batch out equally. */
static void add_gpus(const struct vb_advise_question *question, struct vb_axis *axis)
{
    const struct vb_point *point = &question->point;
    if (!question->has_ddp || point->gpus > 1 || point->world > 0)
        return;
    for (uint32_t n = 2; n <= MOST_OF_A_KIND && point->batch % n == 0; n *= 2)
        add(axis, n, VB_COST_MONEY, PLACE_GPUS + n);
}

static void add_levels(const struct vb_advise_question *question, struct vb_axis *axis)
{
    const struct vb_point *point = &question->point;
    const bool composes = point->mosaic == VB_MOSAIC_ON;
    switch (axis->change) {
    case VB_CHANGE_ALLOCATOR:
        if (point->alloc_conf[0] == '\0' && point->pool == VB_POOL_CACHING) {
            if (question->has_segments)
                add(axis, 0, VB_COST_SAME, 1);
            add(axis, 1, VB_COST_SAME, 2);
        }
        break;
    case VB_CHANGE_ON_HOST:
        if (composes)
            add(axis, 0, VB_COST_SAME, PLACE_ON_HOST);
        break;
    case VB_CHANGE_BATCH:
        add_batches(question, axis);
        break;
    case VB_CHANGE_PRECISION:
        if (point->precision == VB_FP32)
            add(axis, VB_FP16, VB_COST_NUMERICS, PLACE_FP16);
        break;
    case VB_CHANGE_CHANNELS_LAST:
        if (!point->channels_last)
            add(axis, 0, VB_COST_NUMERICS, PLACE_CHANNELS_LAST);
        break;
    case VB_CHANGE_COPY_PASTE:
        if (composes && point->copy_paste)
            add(axis, 0, VB_COST_TRAINING, PLACE_COPY_PASTE);
        break;
    case VB_CHANGE_MIXUP:
        if (composes && point->mixup)
            add(axis, 0, VB_COST_TRAINING, PLACE_MIXUP);
        break;
    case VB_CHANGE_OPTIMIZER:
        if (point->optimizer != VB_SGD)
            add(axis, VB_SGD, VB_COST_TRAINING, PLACE_OPTIMIZER);
        break;
    case VB_CHANGE_FREEZE:
        if (point->freeze == 0)
            add(axis, BACKBONE_LAYERS, VB_COST_TRAINING, PLACE_FREEZE);
        break;
    case VB_CHANGE_MOSAIC:
        if (composes)
            add(axis, 0, VB_COST_TRAINING, PLACE_MOSAIC);
        break;
    case VB_CHANGE_IMGSZ:
        add_sizes(question, axis);
        break;
    case VB_CHANGE_MODEL:
        for (uint32_t i = 0; i < question->n_models; i++)
            add(axis, i, VB_COST_TRAINING, PLACE_MODEL + PLACE_MODEL_STEP * (i + 1));
        break;
    case VB_CHANGE_GPU:
        for (uint32_t i = 0; i < question->n_gpus; i++)
            add(axis, i, VB_COST_MONEY, i + 1);
        break;
    case VB_CHANGE_GPUS:
        add_gpus(question, axis);
        break;
    }
}

void vb_grid_make(const struct vb_advise_question *question, struct vb_grid *out)
{
    for (int change = 0; change < VB_N_CHANGES; change++) {
        struct vb_axis *axis = &out->axes[change];
        axis->change = (enum vb_change)change;
        axis->n = 0;
        if ((question->kept >> change & 1) == 0)
            add_levels(question, axis);
    }
}

static void compose_nowhere(struct vb_point *point, enum vb_mosaic mosaic)
{
    point->mosaic = mosaic;
    point->mixup = point->copy_paste = false;
}

static void apply(const struct vb_advise_question *question, enum vb_change change, uint32_t value,
                  struct vb_candidate *out)
{
    struct vb_point *point = &out->point;
    switch (change) {
    case VB_CHANGE_ALLOCATOR:
        (void)snprintf(point->alloc_conf, sizeof point->alloc_conf, "%s",
                       value == 0 ? "expandable_segments:True" : "max_split_size_mb:128");
        break;
    case VB_CHANGE_ON_HOST: /* they are made all the same, but no longer planned */
        compose_nowhere(point, VB_MOSAIC_CPU);
        break;
    case VB_CHANGE_BATCH:
        vb_point_set_batch(point, value,
                           vb_effective_batch(&question->point, question->nominal_batch),
                           question->nominal_batch);
        break;
    case VB_CHANGE_PRECISION:
        point->precision = (enum vb_precision)value;
        break;
    case VB_CHANGE_CHANNELS_LAST:
        point->channels_last = true;
        break;
    case VB_CHANGE_COPY_PASTE:
        point->copy_paste = false;
        break;
    case VB_CHANGE_MIXUP:
        point->mixup = false;
        break;
    case VB_CHANGE_OPTIMIZER:
        point->optimizer = (enum vb_optimizer)value;
        break;
    case VB_CHANGE_FREEZE:
        point->freeze = value;
        break;
    case VB_CHANGE_MOSAIC:
        compose_nowhere(point, VB_MOSAIC_OFF);
        break;
    case VB_CHANGE_IMGSZ:
        point->imgsz = value;
        break;
    case VB_CHANGE_MODEL:
        (void)snprintf(point->model, sizeof point->model, "%s", question->models[value]);
        break;
    case VB_CHANGE_GPU:
        out->gpu = value;
        break;
    case VB_CHANGE_GPUS:
        point->gpus = value;
        point->strategy = VB_DDP;
        break;
    }
}

struct vb_candidate vb_chain_apply(const struct vb_advise_question *question,
                                   const struct vb_grid *grid, const struct vb_chain *chain)
{
    struct vb_candidate candidate = { .point = question->point, .gpu = VB_ASKED_GPU };
    for (int change = 0; change < VB_N_CHANGES; change++) {
        uint32_t level = chain->levels[change];
        if (level > 0)
            apply(question, (enum vb_change)change, grid->axes[change].levels[level - 1].value,
                  &candidate);
    }
    return candidate;
}

uint64_t vb_chain_cost(const struct vb_grid *grid, const struct vb_chain *chain)
{
    uint64_t cost = 0;
    for (int change = 0; change < VB_N_CHANGES; change++) {
        const struct vb_level_of_change *level;
        uint64_t digit = 1;
        if (chain->levels[change] == 0)
            continue;
        level = &grid->axes[change].levels[chain->levels[change] - 1];
        for (int i = 0; i < (int)level->class; i++)
            digit *= CLASS_DIGITS;
        cost += digit * level->place;
    }
    return cost;
}

enum vb_cost_class vb_chain_class(const struct vb_grid *grid, const struct vb_chain *chain)
{
    enum vb_cost_class class = VB_COST_SAME;
    for (int change = 0; change < VB_N_CHANGES; change++) {
        uint32_t level = chain->levels[change];
        if (level > 0 && grid->axes[change].levels[level - 1].class > class)
            class = grid->axes[change].levels[level - 1].class;
    }
    return class;
}
