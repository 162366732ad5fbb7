/* SPDX-License-Identifier: Apache-2.0 */
#include "fit/calibration_find.h"

#include <math.h>
#include <string.h>

#include "fit/student.h"

enum { EMPIRICAL = 20, N_STEPS = 199 };
#define LEAST_RATIO 0.05 /* of what is fitted: where Student's t has a tail below 0 */

const char *const vb_nearness_names[3] = { "same GPU and cuDNN", "same GPU, another cuDNN",
                                           "another GPU of the same architecture" };

const char *const vb_calibrated_unlike_names[VB_N_CALIBRATED_UNLIKE] = {
    [VB_CALIBRATED_OTHER_GPU] = "GPU",
    [VB_CALIBRATED_OTHER_CUDNN] = "cuDNN",
    [VB_CALIBRATED_OTHER_MODEL] = "model",
    [VB_CALIBRATED_OTHER_PRECISION] = "precision",
    [VB_CALIBRATED_OTHER_MOSAIC] = "mosaic",
    [VB_CALIBRATED_OTHER_OPTIMIZER] = "optimizer",
    [VB_CALIBRATED_OTHER_WORKLOAD] = "workload",
    [VB_CALIBRATED_OUTSIDE] = "outside the measured range",
};

static uint32_t bit(bool is_other, enum vb_calibration_unlike what)
{
    return is_other ? 1u << what : 0;
}

/* False where it is not near at all. */
static bool compare(const struct vb_calibration *with, const struct vb_calibration_question *asked,
                    enum vb_nearness *nearness, uint32_t *unlike)
{
    char family[64];
    vb_band_family(with->model, family, sizeof family);
    bool is_same_gpu = strcmp(with->gpu, asked->gpu) == 0;
    bool is_same_cudnn = strcmp(with->cudnn, asked->cudnn) == 0;
    if (with->chosen != VB_CALIBRATE_APART && with->chosen != VB_CALIBRATE_PLAN)
        return false;
    if (strcmp(family, asked->family) != 0)
        return false;
    if (!is_same_gpu && strcmp(asked->architecture(with->compute_capability),
                               asked->architecture(asked->compute_capability)) != 0)
        return false;
    *nearness = !is_same_gpu ? VB_SAME_ARCHITECTURE : is_same_cudnn ? VB_SAME_STACK : VB_SAME_GPU;
    *unlike = bit(!is_same_gpu, VB_CALIBRATED_OTHER_GPU) |
              bit(!is_same_cudnn, VB_CALIBRATED_OTHER_CUDNN) |
              bit(strcmp(with->model, asked->model) != 0, VB_CALIBRATED_OTHER_MODEL) |
              bit(with->precision != asked->precision, VB_CALIBRATED_OTHER_PRECISION) |
              bit(with->mosaic != asked->mosaic, VB_CALIBRATED_OTHER_MOSAIC) |
              bit(with->optimizer != asked->optimizer, VB_CALIBRATED_OTHER_OPTIMIZER) |
              bit(with->workload != asked->workload, VB_CALIBRATED_OTHER_WORKLOAD);
    return true;
}

static bool is_nearer(const struct vb_nearest *a, const struct vb_nearest *b)
{
    if (b->calibration == NULL)
        return true;
    if (a->nearness != b->nearness)
        return a->nearness < b->nearness;
    int n = __builtin_popcount(a->unlike), m = __builtin_popcount(b->unlike);
    if (n != m)
        return n < m;
    if (a->calibration->n_points != b->calibration->n_points)
        return a->calibration->n_points > b->calibration->n_points;
    return strcmp(a->file->date, b->file->date) > 0;
}

struct vb_nearest vb_calibration_nearest(const struct vb_calibrations *files, size_t n_files,
                                         const struct vb_calibration_question *question)
{
    struct vb_nearest nearest = { 0 };
    for (size_t i = 0; i < n_files; i++) {
        for (size_t k = 0; k < files[i].n; k++) {
            struct vb_nearest found = { .file = &files[i], .calibration = &files[i].items[k] };
            if (compare(found.calibration, question, &found.nearness, &found.unlike) &&
                is_nearer(&found, &nearest))
                nearest = found;
        }
    }
    return nearest;
}

static size_t count(const struct vb_calibration *calibration)
{
    size_t n = 0;
    for (size_t i = 0; i < calibration->n_points; i++)
        n += calibration->points[i].weight > 0 && calibration->points[i].left_out_bytes > 0;
    return n;
}

/* The steps of the band, each of weight 1. */
static void fill_steps(const struct vb_calibration *calibration, struct vb_band *band)
{
    const struct vb_calibration_fit *fit = &calibration->fits[calibration->chosen];
    bool is_empirical = band->n_rows >= EMPIRICAL;
    size_t n = 0;
    for (size_t i = 0; i < calibration->n_points && is_empirical; i++) {
        const struct vb_calibration_point *point = &calibration->points[i];
        if (point->weight > 0 && point->left_out_bytes > 0)
            band->steps[n++].log_ratio = log(point->measured_bytes / point->left_out_bytes);
    }
    for (size_t i = 0; i < N_STEPS && !is_empirical; i++) {
        double t = vb_student_quantile(((double)i + 0.5) / N_STEPS, fit->freedom);
        band->steps[n++].log_ratio = log(fmax(1 + t * fit->spread, LEAST_RATIO));
    }
    for (size_t i = 0; i < n; i++)
        band->steps[i].weight = 1;
    band->n_rows = n;
}

enum vb_status vb_calibration_answer(const struct vb_nearest *nearest,
                                     const struct vb_calibration_point *point,
                                     struct vb_arena *arena, struct vb_calibrated *out,
                                     struct vb_error *err)
{
    const struct vb_calibration *calibration = nearest->calibration;
    const struct vb_calibration_fit *fit = &calibration->fits[calibration->chosen];
    double deviation = 0;
    *out = (struct vb_calibrated){ .outside = vb_calibration_outside(calibration, point) };
    out->bytes = vb_calibration_value(calibration, point, &deviation);
    if (!(out->bytes > 0) || !isfinite(deviation))
        return vb_fail(err, VB_E_UNSUPPORTED,
                       "the calibration says nothing of a point so far outside what was measured");
    out->unlike = nearest->unlike | bit(out->outside > 0, VB_CALIBRATED_OUTSIDE);
    out->band.n_rows = count(calibration);
    size_t room = out->band.n_rows > N_STEPS ? out->band.n_rows : N_STEPS;
    out->band.steps = vb_arena_alloc(arena, room, sizeof *out->band.steps);
    if (out->band.steps == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for a band");
    fill_steps(calibration, &out->band);
    vb_band_finish(&out->band);
    double sure = deviation / fit->spread;
    out->band.widening = sqrt((1.0 + __builtin_popcount(out->unlike)) * (1 + sure * sure));
    return VB_OK;
}
