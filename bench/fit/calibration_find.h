/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_FIT_CALIBRATION_FIND_H
#define VB_FIT_CALIBRATION_FIND_H

/* The calibration nearest to a question, and the band that follows from its own residuals. */

#include "fit/bands.h"
#include "fit/calibration_file.h"

/* How near a calibration is; beyond the last there is none. */
enum vb_nearness { VB_SAME_STACK, VB_SAME_GPU, VB_SAME_ARCHITECTURE };
extern const char *const vb_nearness_names[3]; /* "same GPU and cuDNN", ... */

/* In what a question may be unlike a calibration; bits 1 << these. */
enum vb_calibration_unlike {
    VB_CALIBRATED_OTHER_GPU,
    VB_CALIBRATED_OTHER_CUDNN,
    VB_CALIBRATED_OTHER_MODEL,
    VB_CALIBRATED_OTHER_PRECISION,
    VB_CALIBRATED_OTHER_MOSAIC,
    VB_CALIBRATED_OTHER_OPTIMIZER,
    VB_CALIBRATED_OTHER_WORKLOAD,
    VB_CALIBRATED_OUTSIDE, /* the measured range */
};
enum { VB_N_CALIBRATED_UNLIKE = 8 };
extern const char *const vb_calibrated_unlike_names[VB_N_CALIBRATED_UNLIKE];

struct vb_calibration_question {
    const char *gpu, *cudnn; /* the product's name; the version that plans */
    uint32_t compute_capability;
    const char *model;
    const char *family; /* as vb_band_family() names it */
    enum vb_precision precision;
    enum vb_mosaic mosaic;
    enum vb_optimizer optimizer;
    enum vb_workload workload;
    const char *(*architecture)(uint32_t compute_capability);
};

struct vb_nearest {
    const struct vb_calibrations *file;
    const struct vb_calibration *calibration; /* NULL: none is near */
    enum vb_nearness nearness;
    uint32_t unlike; /* but for the range */
};

/* Of the nearest the one that is unlike in the least, then of the most points, the newest, the
 * first. Only such whose form is structural and whose model is of the same family. */
struct vb_nearest vb_calibration_nearest(const struct vb_calibrations *files, size_t n_files,
                                         const struct vb_calibration_question *question);

struct vb_calibrated {
    double bytes;   /* of the device, context and all */
    double outside; /* as vb_calibration_outside() has it */
    uint32_t unlike;
    struct vb_band band;
};

/* The answer for a point that is planned. The band is of the errors of points left out, from 20
 * points on by rank, of fewer by Student's t; it is as much wider as the fit is less sure of this
 * point than of those, and as published runs' bands are for each thing in which the question is
 * unlike. VB_E_UNSUPPORTED: so far outside that the form says nothing. VB_E_SYSTEM: no host memory.
 */
VB_CHECKED enum vb_status vb_calibration_answer(const struct vb_nearest *nearest,
                                                const struct vb_calibration_point *point,
                                                struct vb_arena *arena, struct vb_calibrated *out,
                                                struct vb_error *err);

#endif
