/* SPDX-License-Identifier: Apache-2.0 */
/* The search always asks the same where it is answered the same. So it is run again, answered what
 * it was answered, and after that with guesses, until enough questions are heard. A wrong guess
 * costs the work on a question that is not asked. */

#include "fit/advise_foresee.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What a change leaves of a training's memory, about the middle of what is planned so of YOLOv5 s
 * and x6 and YOLOv8 x, 16 images of 640 in fp32; of the models, of the families n6 to x6 and n to
 * x.
 */
#define FP16_SHARE 0.55
#define FROZEN_SHARE 0.55
#define SETTINGS_SHARE 0.77
#define SMALLER_SHARE 0.65 /* the next smaller model */
#define FITTING_SHARE 0.5  /* of the GPU's memory: what needs more is seldom sure enough to fit */

struct replay {
    const struct vb_advise_question *question;
    const struct vb_advise_answer *answers;
    size_t n, next; /* of the answers */
    /* The last point whose need was told, by which others are guessed. */
    struct vb_point basis;
    double basis_bytes;
    struct vb_foreseen *heard;
    size_t n_heard, most;
};

/* In no unit: two points' memory is about as these are. */
static double weight_of(const struct vb_advise_question *question, const struct vb_point *point)
{
    double weight = (double)point->batch * point->imgsz * point->imgsz;
    for (size_t i = 0; i < question->n_models; i++) {
        if (strcmp(question->models[i], point->model) == 0)
            weight *= pow(SMALLER_SHARE, (double)(i + 1));
    }
    if (point->precision != VB_FP32)
        weight *= FP16_SHARE;
    if (point->freeze > 0)
        weight *= FROZEN_SHARE;
    if (point->alloc_conf[0] != '\0')
        weight *= SETTINGS_SHARE;
    return point->gpus > 1 ? weight / point->gpus : weight;
}

/* From the basis on memory grows as the weight does. Other GPUs have more memory than the one asked
 * about: how much more is not known here. */
static bool guess(const struct replay *self, const struct vb_point *point)
{
    const struct vb_advise_answer *now = &self->answers[0];
    const double asked = weight_of(self->question, &self->question->point);
    const double more = weight_of(self->question, point) - weight_of(self->question, &self->basis);
    return self->n > 0 &&
           self->basis_bytes + now->need_bytes * more / asked <= FITTING_SHARE * now->usable_bytes;
}

static enum vb_status answer(void *context, const struct vb_candidate *candidate, bool wants_need,
                             struct vb_advise_answer *out, struct vb_error *err)
{
    struct replay *self = context;
    if (self->next < self->n) {
        *out = self->answers[self->next++];
        if (out->need_bytes > 0 && candidate->gpu == VB_ASKED_GPU) {
            self->basis = candidate->point;
            self->basis_bytes = out->need_bytes;
        }
        return VB_OK;
    }
    if (self->n_heard == self->most)
        return vb_fail(err, VB_E_UNSUPPORTED, "enough was heard");
    self->heard[self->n_heard++] = (struct vb_foreseen){ *candidate, wants_need };
    *out = (struct vb_advise_answer){ .fits = guess(self, &candidate->point) };
    out->need_bytes = out->fits || wants_need ? 1 : 0; /* it is known, then */
    return VB_OK;
}

size_t vb_advise_foresee(const struct vb_advise_question *question, const struct vb_grid *grid,
                         const struct vb_advise_answer *answers, size_t n, struct vb_foreseen *out,
                         size_t most)
{
    struct replay replay = { .question = question,
                             .answers = answers,
                             .n = n,
                             .basis = question->point,
                             .heard = out,
                             .most = most };
    struct vb_advice *advice = malloc(sizeof *advice);
    struct vb_error err;
    if (advice == NULL)
        return 0;
    /* Where it fails, it was told enough. */
    (void)!vb_advise(question, grid, answer, &replay, advice, &err);
    free(advice);
    return replay.n_heard;
}
