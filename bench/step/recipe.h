/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_RECIPE_H
#define VB_STEP_RECIPE_H

/* A recipe: the code that trains, as far as memory goes. What each version of YOLOv5, ultralytics
 * and PyTorch changed stands in sweeps/recipes/FAMILY-VERSION.ini, and only that: a version is the
 * sum of the files up to it. */

#include "base/arena.h"
#include "base/error.h"
#include "model/graph.h"
#include "record/autobatch.h"
#include "record/point.h"
#include "step/torch.h"

/* Who trains: whose loop, and so which names hold what. */
enum vb_family { VB_YOLOV5, VB_ULTRALYTICS, VB_CLASSIFIER };
enum { VB_N_FAMILIES = 3 };
extern const char *const vb_family_names[VB_N_FAMILIES];

/* What the AMP check runs before training: nothing, the model that is trained, a copy of it, or the
 * family's smallest model. */
enum vb_check { VB_CHECK_NONE, VB_CHECK_OWN, VB_CHECK_COPY, VB_CHECK_NANO };

/* When the model's graph is drawn for TensorBoard, which traces one image in fp32 with gradients:
 * never, before the first batch, after it. */
enum vb_drawing { VB_DRAWS_NEVER, VB_DRAWS_BEFORE, VB_DRAWS_AFTER };

enum { VB_MAX_PLOTTED = 8 };
/* When AutoBatch empties the allocator's cache: after each size; before the first too; and before
 * each pass and what stands for the boxes. */
enum vb_emptying { VB_EMPTIES_AFTER, VB_EMPTIES_AROUND, VB_EMPTIES_WITHIN };

/* What AutoBatch reads of a size: the pass; the pass and then the boxes; both, added up. */
enum vb_reading { VB_READS_PASS, VB_READS_BOXES, VB_READS_BOTH };

/* AutoBatch's profile: what it does on the device for each size. */
struct vb_profiler {
    uint32_t repeats; /* forward and backward passes */
    uint32_t largest; /* size, where the device has 16 GiB or more; else 16 */
    enum vb_emptying empties;
    enum vb_reading reads;
    bool copies_for_thop; /* operations are counted on a copy of the model */
    struct vb_autobatch_rules rules;
};

enum vb_unit { VB_GB, VB_GIB }; /* 1e9 B, 2^30 B */
extern const char *const vb_unit_names[2];

/* Validation casts the averaged weights and the images to half: always, or in mixed precision. */
enum vb_half { VB_HALF_ALWAYS, VB_HALF_WITH_AMP };

/* The loss of validation: none, on predictions in the model's own type, or cast to fp32 first. */
enum vb_validation_loss { VB_LOSS_NONE, VB_LOSS_OWN, VB_LOSS_FLOAT };

struct vb_trainer {
    enum vb_family family;
    bool deterministic;           /* cuDNN is asked for deterministic engines ... */
    uint32_t deterministic_since; /* ... where PyTorch is this version or later, as 112 for 1.12 */
    bool benchmark;               /* cuDNN times its engines */
    bool clips;                   /* gradients are clipped before a step */
    uint32_t nominal_batch;       /* gradients are summed up to about so many images */
    uint32_t warmup_iterations;   /* at least so many batches go to the full number of sums */
    bool halves_weights;          /* weights are made fp16 and fp32 again before training */
    bool holds_predictions;       /* until the next batch's replace them */
    bool keeps_bytes;             /* the batch as uint8 stays until the next one */
    enum vb_check check;
    uint32_t check_batch, check_height, check_width; /* of the images that it runs on */
    bool check_stays; /* its model is in a reference cycle, which nobody collects in time */
    /* The first batches are plotted by threads, which hold their images until they have ended;
     * taken to be when one batch more than these is done. */
    uint32_t plotted_batches;
    enum vb_drawing draws;
    bool draws_in_eval; /* in evaluation mode */
    /* After an epoch's validation, and before it, the allocator's cache is emptied where reserved
     * memory is above this share of the device's; 100: never. */
    uint32_t empties_above_percent, empties_before_percent;
    uint32_t validation_factor; /* images of a validation batch in batches of training */
    enum vb_half validation_half;
    enum vb_validation_loss validation_loss;
    uint32_t multiscale_percent; /* sizes are drawn from this share below imgsz to as much above */
    enum vb_unit unit;           /* of the printed GPU_mem */
    bool frozen_norms_in_eval;   /* batch normalisation of frozen layers is in evaluation mode */
    bool loads_on_device; /* the checkpoint is read to the device, and is there until training */
    struct vb_profiler autobatch;
};

struct vb_recipe {
    char name[96]; /* the files that it is made of last: "ultralytics-8.3.109 torch-2.4" */
    struct vb_trainer trainer;
    struct vb_torch torch;
};

/* Who trains such a model: heads with anchors are YOLOv5's own. */
enum vb_family vb_family_of(const struct vb_graph *graph);

/* The recipe that the point's `trainer` ("ultralytics-8.3.176", "yolov5-v6.2-203-g63711f1",
 * "yolov5-2022-11-4", or just the family) and `torch` ("2.6.0+cu124") name; what the point says of
 * `deterministic` and `benchmark` goes before. Empty: the newest, of the family given.
 * VB_E_INPUT: no such family, older than the oldest file, not a version, of another family than
 * `family`; or a fault in a file, with its line. */
VB_CHECKED enum vb_status vb_recipe_find(const struct vb_point *point, enum vb_family family,
                                         struct vb_recipe *out, struct vb_error *err);

#endif
