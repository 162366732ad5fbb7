/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_FIT_BANDS_H
#define VB_FIT_BANDS_H

/* How far a plan may be off, from how far published runs were off: the residuals of rows from many
 * repositories, as a band around a new plan. Nothing is fitted; what a
 * band assumes is that the next run is to the repositories seen as each of them is to the others.
 * Where the question is unlike the rows in a way that can be told, the band is wider; where nothing
 * like it was ever seen, there is none. Pure functions; who reads the rows is residuals.h.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "fit/accuracy.h"
#include "record/point.h"

/* What a run is, as far as the error of its plan may depend on it. */
struct vb_traits {
    const char *architecture; /* of the GPU: "Turing" */
    const char *family;       /* as vb_band_family() names it: "yolov8" */
    enum vb_precision precision;
    enum vb_workload workload; /* VB_AUTOBATCH, or a training run */
    const char *torch;         /* the recipe of PyTorch that planned it: "torch-2.4" */
    uint32_t boxes;            /* an image */
    double planned_bytes;
    bool has_fitted_workspaces; /* some of them: not from the library or its table */
    bool is_own_model;          /* a YAML file of the user's */
    bool has_rare_settings;     /* frozen layers or rectangular batches: no published run has any */
};

/* One run: its plan and what it printed. */
struct vb_residual {
    const char *repository;
    bool is_shared; /* in a notebook's kernel, whose GPU memory others may have a part of */
    struct vb_traits traits;
    double observed_bytes;
};

struct vb_question {
    struct vb_traits traits;
    bool is_shared;
    const char *left_out; /* a repository whose rows do not count; NULL: none */
};

/* In what a question may be unlike the rows; `unlike` of a band has the bits 1 << these. */
enum vb_unlike {
    VB_UNLIKE_ARCHITECTURE,
    VB_UNLIKE_FAMILY,
    VB_UNLIKE_PRECISION,
    VB_UNLIKE_WORKLOAD,
    VB_UNLIKE_SIZE,
    VB_UNLIKE_BOXES,
    VB_UNLIKE_TORCH,
    VB_UNLIKE_WORKSPACES,
    VB_UNLIKE_MODEL,
    VB_UNLIKE_SETTINGS,
};
enum { VB_N_UNLIKE = 10 };
extern const char *const vb_unlike_names[VB_N_UNLIKE]; /* "GPU architecture", ... */

enum {
    /* Fewer repositories, and the largest of their errors is exceeded by more than one new run in
     * ten: no 90 % band could rest on them, not even a one-sided one. */
    VB_LEAST_REPOSITORIES = 9,
};

struct vb_band_step {
    double log_ratio; /* log(observed / planned), as it would be for the question's plan */
    double weight;    /* the weights of one repository add up to 1 */
    const char *repository;
};

/* Filled by vb_band_find(). */
struct vb_band {
    struct vb_band_step *steps; /* ascending; the arena's */
    size_t n_rows;              /* steps */
    size_t n_repositories;
    uint32_t unlike;
    bool is_larger;               /* the plan, than that of any run: then it is unlike in size */
    double widening;              /* all distances from `middle` are multiplied by it; 1 or more */
    double middle;                /* the median */
    double low_scale, high_scale; /* of the tails beyond the outermost steps */
};

/* The band for such a question. Residuals are ratios, log(observed / planned); but what a run in a
 * shared process took above its plan is taken for bytes, as another model's leavings are: they do
 * not grow with the plan. VB_E_UNSUPPORTED: the rows cannot carry it, for its model's family
 * is in none of them or they come from too few repositories; the text says which. VB_E_SYSTEM: no
 * host memory. */
VB_CHECKED enum vb_status vb_band_find(const struct vb_residual *rows, size_t n,
                                       const struct vb_question *question, struct vb_arena *arena,
                                       struct vb_band *out, struct vb_error *err);

/* The rest of a band whose steps (`n_rows` of weight 1, in any order, of no repository) and
 * widening someone else knows. */
void vb_band_finish(struct vb_band *band);

/* `planned_bytes` here and below: the question's, or what is near it.
 * Where a run so planned ends up with probability `share`, as much left out below as above. */
struct vb_interval vb_band_interval(const struct vb_band *band, double planned_bytes, double share);

/* The probability that such a run needs no more than `usable_bytes`: between 1e-6 and 1 - 1e-6. */
double vb_band_fits(const struct vb_band *band, double planned_bytes, double usable_bytes);

/* Whether that probability lies beyond every run seen, in a tail that is assumed. */
bool vb_band_is_tail(const struct vb_band *band, double planned_bytes, double usable_bytes);

/* The family of a model's name: "yolov8" of yolov8n, "yolov5u" of yolov5su, "yolo11-seg" of
 * yolo11n-seg, "resnet" of resnet50. Without folder and ending. */
void vb_band_family(const char *model, char *text, size_t room);

/* Whether workspaces, as a record names where they came from, are not all from the library or its
 * table. */
bool vb_band_is_fitted(const char *workspaces);

/* PyTorch's part of a record's recipe: "torch-2.4" of "ultralytics-8.3.112 torch-2.4". */
const char *vb_band_torch(const char *recipe);

#endif
