/* SPDX-License-Identifier: Apache-2.0 */
#include "model/site.h"

#include <math.h>
#include <string.h>

enum {
    CHANNELS_MULTIPLE = 8,
    MAX_CHANNELS = 1 << 16,
    MAX_IN_LIST = 4096,
    ATTENTION_CHANNELS = 128
};

/* What a head's first argument may be in place of a number. */
static bool is_name(const char *text)
{
    return strcmp(text, "None") == 0 || strcmp(text, "nc") == 0;
}

/* Numbers and True or False; what else there may be (None, names, lists) keeps its default. */
static enum vb_status read_args(struct vb_site *site, const struct vb_module *module,
                                struct vb_error *err)
{
    const struct vb_yaml *args = site->layer->args;
    size_t first = module->takes_channels ? 1 : 0;
    memcpy(site->args, module->defaults, sizeof site->args);
    for (size_t i = first; i < args->n; i++) {
        const struct vb_yaml *arg = args->items[i];
        double *value = &site->args[i - first];
        bool is_none = (module->nones >> (i - first) & 1) != 0 && strcmp(arg->text, "-1") == 0;
        if (arg->kind != VB_YAML_SCALAR || !module->reads_args || is_none || is_name(arg->text))
            continue;
        if (strcmp(arg->text, "True") == 0 || strcmp(arg->text, "true") == 0)
            *value = 1;
        else if (strcmp(arg->text, "False") == 0 || strcmp(arg->text, "false") == 0)
            *value = 0;
        else {
            bool is_whole = (module->fractions >> (i - first) & 1) == 0;
            enum vb_status status = vb_description_number(site->description->file, arg,
                                                          module->name, is_whole, value, err);
            if (status != VB_OK)
                return status;
        }
    }
    return VB_OK;
}

/* Channels, parts or pixels. */
static enum vb_status read_list(struct vb_site *site, const struct vb_module *module,
                                struct vb_error *err)
{
    const char *file = site->description->file;
    const struct vb_yaml *list = site->layer->args->items[0];
    if (list->kind != VB_YAML_LIST || list->n == 0 || list->n > VB_MAX_OUTPUTS)
        return vb_fail(err, VB_E_INPUT, "%s:%u: %s takes %s, up to %d numbers", file,
                       site->layer->line, module->name, module->usage, VB_MAX_OUTPUTS);
    for (size_t i = 0; i < list->n; i++) {
        long value = 0;
        enum vb_status status =
            vb_description_integer(file, list->items[i], module->name, 0, MAX_IN_LIST, &value, err);
        if (status != VB_OK)
            return status;
        site->list[i] = (uint32_t)value;
    }
    site->n_list = (uint32_t)list->n;
    return VB_OK;
}

uint32_t vb_scaled_channels(const struct vb_description *description, uint32_t channels)
{
    double limited = channels < description->max_channels ? channels : description->max_channels;
    return (uint32_t)(ceil(limited * description->width / CHANNELS_MULTIPLE) * CHANNELS_MULTIPLE);
}

static enum vb_status read_channels(struct vb_site *site, struct vb_error *err)
{
    const struct vb_description *description = site->description;
    uint32_t classes = site->weave->graph.classes;
    long channels = 0;
    enum vb_status status = vb_description_integer(description->file, site->layer->args->items[0],
                                                   "channels", 1, MAX_CHANNELS, &channels, err);
    if (status != VB_OK)
        return status;
    bool is_exact = description->n_anchor_levels > 0
                        ? (uint32_t)channels == description->n_anchors * (classes + 5)
                        : (uint32_t)channels == classes;
    site->out = is_exact ? (uint32_t)channels : vb_scaled_channels(description, (uint32_t)channels);
    if (site->out > MAX_CHANNELS)
        return vb_fail(err, VB_E_INPUT, "%s:%u: %u channels, expected at most %d",
                       description->file, site->layer->line, site->out, MAX_CHANNELS);
    return VB_OK;
}

enum vb_status vb_site_read(struct vb_site *site, const struct vb_module *module,
                            struct vb_error *err)
{
    enum vb_status status = read_args(site, module, err);
    if (status == VB_OK && module->takes_list)
        status = read_list(site, module, err);
    return status == VB_OK && module->takes_channels ? read_channels(site, err) : status;
}

/* Each part that is fused has the last layer's channels and a size that divides its size. */
static enum vb_status check_parts(const struct vb_site *site, struct vb_error *err)
{
    const char *file = site->description->file;
    uint32_t n = site->n_inputs, line = site->layer->line;
    const uint32_t *last = vb_weave_shape(site->weave, site->inputs[n - 1])->dims;
    if (site->n_list + 1 != n || site->n_values[n - 1] != 1)
        return vb_fail(err, VB_E_INPUT, "%s:%u: CBFuse of %u layers has %u parts, expected %u",
                       file, line, n, site->n_list, n - 1);
    for (uint32_t i = 0; i + 1 < n; i++) {
        if (site->list[i] >= site->n_values[i])
            return vb_fail(err, VB_E_INPUT, "%s:%u: CBFuse takes part %u of a layer of %u", file,
                           line, site->list[i], site->n_values[i]);
        const uint32_t *part = vb_weave_shape(site->weave, site->inputs[i] + site->list[i])->dims;
        if (part[1] != last[1] || last[2] % part[2] != 0 || last[3] % part[3] != 0)
            return vb_fail(err, VB_E_INPUT,
                           "%s:%u: CBFuse of %ux%ux%u and %ux%ux%u; expected as many channels "
                           "and a size that divides the last",
                           file, line, part[1], part[2], part[3], last[1], last[2], last[3]);
    }
    return VB_OK;
}

/* A list is one that the module can work with; no other module reads parts. */
static enum vb_status check_list(const struct vb_site *site, const struct vb_module *module,
                                 struct vb_error *err)
{
    const char *file = site->description->file;
    uint32_t line = site->layer->line;
    if (module->takes_list && site->repeats != 1)
        return vb_fail(err, VB_E_INPUT, "%s:%u: %s is repeated %u times, expected 1", file, line,
                       module->name, site->repeats);
    if (module->run == vb_run_cb_fuse)
        return check_parts(site, err);
    for (uint32_t i = 0; i < site->n_inputs; i++) {
        if (site->n_values[i] != 1)
            return vb_fail(err, VB_E_INPUT, "%s:%u: %s reads a layer of %u parts; expected CBFuse",
                           file, line, module->name, site->n_values[i]);
    }
    if (module->run == vb_run_zero_pad &&
        (site->n_list != 4 || site->list[0] != 0 || site->list[2] != 0))
        return vb_fail(err, VB_E_INPUT, "%s:%u: nn.ZeroPad2d takes %s", file, line, module->usage);
    for (uint32_t i = 0; i < site->n_list && module->gives_parts; i++) {
        if (site->list[i] == 0)
            return vb_fail(err, VB_E_INPUT, "%s:%u: a part of %s has no channels", file, line,
                           module->name);
    }
    return VB_OK;
}

static enum vb_status check_sizes(const struct vb_site *site, struct vb_error *err)
{
    for (uint32_t i = 1; i < site->n_inputs; i++) {
        const uint32_t *a = vb_weave_shape(site->weave, site->inputs[0])->dims;
        const uint32_t *b = vb_weave_shape(site->weave, site->inputs[i])->dims;
        if (a[2] != b[2] || a[3] != b[3])
            return vb_fail(err, VB_E_INPUT, "%s:%u: Concat of %ux%u and %ux%u; expected one size",
                           site->description->file, site->layer->line, a[2], a[3], b[2], b[3]);
    }
    return VB_OK;
}

enum vb_status vb_site_check(const struct vb_site *site, const struct vb_module *module,
                             struct vb_error *err)
{
    const char *file = site->description->file;
    uint32_t n_levels = site->description->n_anchor_levels;
    enum vb_status status = check_list(site, module, err);
    if (status == VB_OK && module->run == vb_run_concat_module)
        status = check_sizes(site, err);
    if (status != VB_OK)
        return status;
    if (module->is_head && (site->n_inputs > 8 || (n_levels > 0 && site->n_inputs != n_levels)))
        return vb_fail(err, VB_E_INPUT, "%s:%u: %s reads %u layers and anchors have %u levels",
                       file, site->layer->line, module->name, site->n_inputs, n_levels);
    if (module->is_attention && (site->in != site->out || site->in < ATTENTION_CHANNELS))
        return vb_fail(err, VB_E_INPUT,
                       "%s:%u: %s of %u channels reads %u; expected as many, %d or more", file,
                       site->layer->line, module->name, site->out, site->in, ATTENTION_CHANNELS);
    if (module->run == vb_run_conv_module &&
        (site->args[3] < 1 || site->in % (uint32_t)site->args[3] != 0 ||
         site->out % (uint32_t)site->args[3] != 0))
        return vb_fail(err, VB_E_INPUT, "%s:%u: %.0f groups do not divide %u and %u channels", file,
                       site->layer->line, site->args[3], site->in, site->out);
    return VB_OK;
}
