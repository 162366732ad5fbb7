/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_FIT_ADVISE_GRID_H
#define VB_FIT_ADVISE_GRID_H

/* What may be changed of a training that does not fit, and what each change costs its user. The
 * levels of one change exclude each other; changes of several kinds make a chain. Pure: whether a
 * candidate fits is not known here.
 *
 * A cost is a class and a place in it. A change of a dearer class is dearer than any number of
 * changes of a cheaper one; within a class the smaller place comes first, and a chain's places are
 * added up. The table of them is vb_cost_table[].
 */

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "record/point.h"

enum vb_cost_class {
    VB_COST_SAME,     /* what is learnt stays the same */
    VB_COST_NUMERICS, /* the same arithmetic in other types or in another order */
    VB_COST_TRAINING, /* something else is learnt */
    VB_COST_MONEY,
};
enum { VB_N_COST_CLASSES = 4 };
extern const char *const vb_cost_class_names[VB_N_COST_CLASSES];

/* In the order in which they are applied. */
enum vb_change {
    VB_CHANGE_ALLOCATOR,
    VB_CHANGE_ON_HOST, /* mosaic, MixUp and copy-paste by the loader's processes */
    VB_CHANGE_BATCH,   /* a smaller one, as many images a step of the optimizer */
    VB_CHANGE_PRECISION,
    VB_CHANGE_CHANNELS_LAST,
    VB_CHANGE_COPY_PASTE,
    VB_CHANGE_MIXUP,
    VB_CHANGE_OPTIMIZER,
    VB_CHANGE_FREEZE,
    VB_CHANGE_MOSAIC,
    VB_CHANGE_IMGSZ,
    VB_CHANGE_MODEL,
    VB_CHANGE_GPU,
    VB_CHANGE_GPUS, /* several of them share the batch: DDP */
};
enum { VB_N_CHANGES = 14 };
/* By which --keep names what must stay. */
extern const char *const vb_change_keys[VB_N_CHANGES];

/* What the places stand for, a line each: for --help. */
extern const char *const vb_cost_table[];
extern const size_t vb_cost_table_size;

enum { VB_LEAST_IMGSZ = 320, VB_MOST_LEVELS = 512, VB_MOST_OTHER_GPUS = 256 };

/* Lists are borrowed. */
struct vb_advise_question {
    struct vb_point point;
    uint32_t nominal_batch;    /* of the trainer: images that gradients are summed over */
    uint32_t stride;           /* imgsz is a multiple of it */
    const char *const *models; /* smaller ones of the family, the nearest first */
    size_t n_models;
    size_t n_gpus;     /* that may be taken in its place, the one with the least memory first; up to
                          VB_MOST_OTHER_GPUS */
    uint32_t kept;     /* bits 1 << enum vb_change that are not to be changed */
    bool has_segments; /* PyTorch knows expandable segments */
    bool has_ddp;      /* the trainer shares a batch out to several GPUs */
};

/* One level of a change. */
struct vb_level_of_change {
    uint32_t value; /* batch, imgsz, number of GPUs; place in the list of models or GPUs; else which
                       of the change's settings */
    enum vb_cost_class class;
    uint32_t place;
};

struct vb_axis {
    enum vb_change change;
    struct vb_level_of_change levels[VB_MOST_LEVELS]; /* cheapest first, which is weakest first */
    size_t n;
};

struct vb_grid {
    struct vb_axis axes[VB_N_CHANGES];
};

/* What is planned: a point, on the GPU of that place in the list, or on the one asked about. */
#define VB_ASKED_GPU SIZE_MAX
struct vb_candidate {
    struct vb_point point;
    size_t gpu;
};

/* Of each axis which level, from 1; 0: none. */
struct vb_chain {
    uint32_t levels[VB_N_CHANGES];
};

void vb_grid_make(const struct vb_advise_question *question, struct vb_grid *out);

struct vb_candidate vb_chain_apply(const struct vb_advise_question *question,
                                   const struct vb_grid *grid, const struct vb_chain *chain);

/* Comparable: the places' sums, dearer classes in higher digits. */
uint64_t vb_chain_cost(const struct vb_grid *grid, const struct vb_chain *chain);

/* Of the dearest change in it; VB_COST_SAME for none. */
enum vb_cost_class vb_chain_class(const struct vb_grid *grid, const struct vb_chain *chain);

/* Images between two steps of the optimizer; `nominal_batch` as in the question. */
uint32_t vb_effective_batch(const struct vb_point *point, uint32_t nominal_batch);

/* Sets the batch and so many sums that `effective` images come to a step: 0, the trainer's own
 * rule, where that does it. `batch` divides `effective`. */
void vb_point_set_batch(struct vb_point *point, uint32_t batch, uint32_t effective,
                        uint32_t nominal_batch);

#endif
