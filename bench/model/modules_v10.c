/* SPDX-License-Identifier: Apache-2.0 */
/* YOLOv10's modules of depthwise convolutions. */

#include <stdio.h>

#include "model/modules.h"

/* A pointwise convolution changes the channels, a depthwise one without SiLU the size; args:
 * kernel, stride */
uint32_t vb_run_scdown(const struct vb_site *site)
{
    struct vb_weave *weave = site->weave;
    struct vb_block cv1 = vb_declare_conv(weave, "cv1", site->in, site->out, 1, 1, 1);
    struct vb_block cv2 =
        vb_declare_linear_conv(weave, "cv2", site->out, site->out, (uint32_t)site->args[0],
                               (uint32_t)site->args[1], site->out);
    weave->n_modules++;
    return vb_run_conv(weave, &cv2, vb_run_conv(weave, &cv1, site->inputs[0]));
}

/* Depthwise 7 x 7 and 3 x 3 side by side, added, with a SiLU of its own. */
struct rep_vgg {
    struct vb_block large, small;
    char path[160];
};

static struct rep_vgg declare_rep_vgg(struct vb_weave *weave, const char *part, uint32_t channels)
{
    struct rep_vgg rep;
    size_t length = vb_weave_enter(weave, part);
    (void)snprintf(rep.path, sizeof rep.path, "%s", weave->path);
    rep.large = vb_declare_linear_conv(weave, "conv", channels, channels, 7, 1, channels);
    rep.small = vb_declare_linear_conv(weave, "conv1", channels, channels, 3, 1, channels);
    vb_weave_leave(weave, length);
    weave->n_modules += 2;
    weave->n_leaves++;
    return rep;
}

static uint32_t run_rep_vgg(struct vb_weave *weave, const struct rep_vgg *rep, uint32_t x)
{
    uint32_t large = vb_run_conv(weave, &rep->large, x);
    uint32_t small = vb_run_conv(weave, &rep->small, x);
    uint32_t y = vb_run_add_at(weave, rep->path, large, small);
    struct vb_place outer = vb_weave_move(weave, rep->path);
    (void)vb_weave_enter(weave, "act");
    y = vb_run_activation(weave, VB_SILU, y);
    vb_weave_return(weave, &outer);
    return y;
}

/* Five convolutions, every second one pointwise, the others depthwise; and x added. */
struct cib {
    struct vb_block first, widen, middle, narrow, last;
    struct rep_vgg large; /* in place of the middle one */
    bool is_large, adds;
    char path[160];
};

static struct cib declare_cib(struct vb_weave *weave, uint32_t channels, bool shortcut,
                              bool is_large)
{
    uint32_t wide = 2 * channels;
    struct cib cib = { .adds = shortcut, .is_large = is_large };
    (void)snprintf(cib.path, sizeof cib.path, "%s", weave->path);
    size_t length = vb_weave_enter(weave, "cv1");
    cib.first = vb_declare_conv(weave, "0", channels, channels, 3, 1, channels);
    cib.widen = vb_declare_conv(weave, "1", channels, wide, 1, 1, 1);
    if (is_large)
        cib.large = declare_rep_vgg(weave, "2", wide);
    else
        cib.middle = vb_declare_conv(weave, "2", wide, wide, 3, 1, wide);
    cib.narrow = vb_declare_conv(weave, "3", wide, channels, 1, 1, 1);
    cib.last = vb_declare_conv(weave, "4", channels, channels, 3, 1, channels);
    vb_weave_leave(weave, length);
    weave->n_modules += 2; /* it, and the Sequential inside */
    return cib;
}

static uint32_t run_cib(struct vb_weave *weave, const void *block, uint32_t x)
{
    const struct cib *cib = block;
    uint32_t y = vb_run_conv(weave, &cib->widen, vb_run_conv(weave, &cib->first, x));
    y = cib->is_large ? run_rep_vgg(weave, &cib->large, y) : vb_run_conv(weave, &cib->middle, y);
    y = vb_run_conv(weave, &cib->last, vb_run_conv(weave, &cib->narrow, y));
    if (cib->adds)
        y = vb_run_add_at(weave, cib->path, x, y);
    vb_weave_hold(weave, x);
    return y;
}

static struct vb_inner declare_inner_cib(const struct vb_site *site, uint32_t channels)
{
    struct cib *cib = vb_inner_block(site->weave, sizeof *cib);
    if (cib != NULL)
        *cib = declare_cib(site->weave, channels, site->args[0] != 0, site->args[1] != 0);
    return (struct vb_inner){ run_cib, cib };
}

/* args: shortcut, whether the kernels are large */
uint32_t vb_run_c2f_cib(const struct vb_site *site)
{
    return vb_run_c2f_of(site, site->out / 2, declare_inner_cib);
}
