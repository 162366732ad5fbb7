/* SPDX-License-Identifier: Apache-2.0 */
#include "model/expand.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/modules.h"

enum {
    PROBE_SIZE = 256,
    SHOWN_SIZE = 640,
    CHANNELS_MULTIPLE = 8,
    DISTANCES = 64,
    MAX_CHANNELS = 1 << 16
};

/* What the layers have given so far. */
struct layers {
    uint32_t values[VB_MAX_LAYERS];
    bool is_kept[VB_MAX_LAYERS]; /* a later layer reads it, and not as the one before */
};

/* Python's round: halves go to the even neighbour. */
static uint32_t scaled_repeats(uint32_t repeats, double depth)
{
    if (repeats <= 1)
        return repeats;
    double n = nearbyint((double)repeats * depth);
    return n < 1 ? 1 : (uint32_t)n;
}

static uint32_t scaled_channels(const struct vb_description *description, uint32_t channels)
{
    double limited = channels < description->max_channels ? channels : description->max_channels;
    return (uint32_t)(ceil(limited * description->width / CHANNELS_MULTIPLE) * CHANNELS_MULTIPLE);
}

static enum vb_status unknown_module(const struct vb_description *description,
                                     const struct vb_layer *layer, struct vb_error *err)
{
    const char *near = vb_text_nearest(layer->module, vb_module_names, vb_module_count);
    if (near != NULL)
        return vb_fail(err, VB_E_INPUT, "%s:%u: unknown module '%s'; did you mean %s?",
                       description->file, layer->line, layer->module, near);
    return vb_fail(
        err, VB_E_INPUT,
        "%s:%u: unknown module '%s'; there is Conv, DWConv, Bottleneck, C3, C2f, SPP, SPPF, "
        "Focus, Concat, nn.Upsample, nn.MaxPool2d, ConvReLU, ResNetStage, Detect and "
        "Classifier",
        description->file, layer->line, layer->module);
}

/* Whole numbers and True or False; what else there may be (None, names, lists) keeps its default.
 */
static enum vb_status read_args(const struct vb_description *description,
                                const struct vb_layer *layer, const struct vb_module *module,
                                struct vb_site *site, struct vb_error *err)
{
    size_t first = module->takes_channels ? 1 : 0;
    memcpy(site->args, module->defaults, sizeof site->args);
    for (size_t i = first; i < layer->args->n; i++) {
        const struct vb_yaml *arg = layer->args->items[i];
        long *value = &site->args[i - first];
        if (arg->kind != VB_YAML_SCALAR || !module->reads_args || strcmp(arg->text, "None") == 0)
            continue;
        if (strcmp(arg->text, "True") == 0 || strcmp(arg->text, "true") == 0)
            *value = 1;
        else if (strcmp(arg->text, "False") == 0 || strcmp(arg->text, "false") == 0)
            *value = 0;
        else {
            enum vb_status status =
                vb_description_integer(description->file, arg, module->name, 0, 4096, value, err);
            if (status != VB_OK)
                return status;
        }
    }
    return VB_OK;
}

static enum vb_status read_channels(const struct vb_description *description, uint32_t classes,
                                    const struct vb_layer *layer, struct vb_site *site,
                                    struct vb_error *err)
{
    long channels = 0;
    enum vb_status status = vb_description_integer(description->file, layer->args->items[0],
                                                   "channels", 1, MAX_CHANNELS, &channels, err);
    if (status != VB_OK)
        return status;
    bool is_exact = description->n_anchor_levels > 0
                        ? (uint32_t)channels == description->n_anchors * (classes + 5)
                        : (uint32_t)channels == classes;
    site->out = is_exact ? (uint32_t)channels : scaled_channels(description, (uint32_t)channels);
    if (site->out > MAX_CHANNELS)
        return vb_fail(err, VB_E_INPUT, "%s:%u: %u channels, expected at most %d",
                       description->file, layer->line, site->out, MAX_CHANNELS);
    return VB_OK;
}

static enum vb_status check_fit(const struct vb_description *description,
                                const struct vb_layer *layer, const struct vb_module *module,
                                const struct vb_site *site, struct vb_error *err)
{
    const struct vb_weave *weave = site->weave;
    uint32_t n_levels = description->n_anchor_levels;
    bool is_detect = strcmp(module->name, "Detect") == 0;
    if (is_detect && (site->n_inputs > 8 || (n_levels > 0 && site->n_inputs != n_levels)))
        return vb_fail(err, VB_E_INPUT, "%s:%u: Detect reads %u layers and anchors have %u levels",
                       description->file, layer->line, site->n_inputs, n_levels);
    for (uint32_t i = 1; i < site->n_inputs && !is_detect; i++) {
        const uint32_t *a = vb_weave_shape(weave, site->inputs[0])->dims;
        const uint32_t *b = vb_weave_shape(weave, site->inputs[i])->dims;
        if (a[2] != b[2] || a[3] != b[3])
            return vb_fail(err, VB_E_INPUT, "%s:%u: Concat of %ux%u and %ux%u; expected one size",
                           description->file, layer->line, a[2], a[3], b[2], b[3]);
    }
    if (module->takes_channels && strcmp(module->name, "Conv") == 0 &&
        (site->args[3] < 1 || site->in % (uint32_t)site->args[3] != 0 ||
         site->out % (uint32_t)site->args[3] != 0))
        return vb_fail(err, VB_E_INPUT, "%s:%u: %ld groups do not divide %u and %u channels",
                       description->file, layer->line, site->args[3], site->in, site->out);
    return VB_OK;
}

static enum vb_status prepare(const struct vb_description *description, struct vb_weave *weave,
                              const struct layers *layers, uint32_t index,
                              const struct vb_module *module, struct vb_site *site,
                              struct vb_error *err)
{
    const struct vb_layer *layer = &description->layers[index];
    *site = (struct vb_site){ .weave = weave, .description = description, .layer = layer };
    if (layer->args->n < module->min_args || layer->args->n > module->max_args)
        return vb_fail(err, VB_E_INPUT, "%s:%u: %s takes %s", description->file, layer->line,
                       module->name, module->usage);
    if (layer->n_from > 1 && !module->joins)
        return vb_fail(err, VB_E_INPUT, "%s:%u: %s reads one layer, not %u", description->file,
                       layer->line, module->name, layer->n_from);
    for (uint32_t i = 0; i < layer->n_from; i++) {
        int32_t from = layer->from[i];
        site->inputs[i] =
            from == -1 ? (index == 0 ? 0 : layers->values[index - 1]) : layers->values[from];
    }
    site->n_inputs = layer->n_from;
    site->in = vb_weave_shape(weave, site->inputs[0])->dims[1];
    site->repeats = scaled_repeats(layer->repeats, description->depth);
    enum vb_status status = read_args(description, layer, module, site, err);
    if (status == VB_OK && module->takes_channels)
        status = read_channels(description, weave->graph.classes, layer, site, err);
    return status == VB_OK ? check_fit(description, layer, module, site, err) : status;
}

/* Who holds what at the level of the model: a layer's input until the layer is done; what a later
 * layer reads, to the end. */
static void hold_inputs(struct vb_weave *weave, const struct vb_site *site, bool is_kept,
                        uint32_t y)
{
    for (uint32_t i = 0; i < site->n_inputs; i++) {
        if (site->inputs[i] != 0)
            vb_weave_hold(weave, site->inputs[i]);
    }
    if (is_kept)
        vb_weave_hold_to_end(weave, y);
}

static enum vb_status expand_layer(const struct vb_description *description, struct vb_weave *weave,
                                   struct layers *layers, uint32_t index, struct vb_error *err)
{
    const struct vb_layer *layer = &description->layers[index];
    const struct vb_module *module = vb_module_find(layer->module);
    struct vb_site site;
    if (module == NULL)
        return unknown_module(description, layer, err);
    enum vb_status status = prepare(description, weave, layers, index, module, &site, err);
    if (status != VB_OK)
        return status;

    size_t length = vb_weave_enter_number(weave, index);
    uint32_t rounds = module->takes_repeats ? 1 : site.repeats;
    uint32_t y = 0;
    for (uint32_t i = 0; i < rounds && !weave->failed; i++) {
        size_t inner = strlen(weave->path);
        if (rounds > 1)
            inner = vb_weave_enter_number(weave, i);
        y = module->run(&site);
        vb_weave_leave(weave, inner);
        site.inputs[0] = y;
        site.in = site.out;
    }
    vb_weave_leave(weave, length);
    if (weave->failed)
        return vb_fail(err, VB_E_INPUT,
                       "%s:%u: layer %u (%s) does not fit: sizes too large or too "
                       "small for it",
                       description->file, layer->line, index, layer->module);
    layers->values[index] = y;
    struct vb_site again;
    status = prepare(description, weave, layers, index, module, &again, err);
    if (status == VB_OK)
        hold_inputs(weave, &again, layers->is_kept[index], y);
    return status;
}

static enum vb_status weave_graph(const struct vb_description *description,
                                  const struct vb_extent *extent, uint32_t classes,
                                  struct vb_arena *arena, struct vb_weave *weave,
                                  struct vb_error *err)
{
    struct layers *layers = vb_arena_alloc(arena, 1, sizeof *layers);
    if (layers == NULL)
        return vb_fail(err, VB_E_SYSTEM, "%s: no host memory left to expand it", description->file);
    *weave = (struct vb_weave){ .arena = arena, .file = description->file, .path = "model" };
    weave->graph =
        (struct vb_graph){ .model = description->model,
                           .batch = extent->batch,
                           .imgsz = extent->height > extent->width ? extent->height : extent->width,
                           .classes = classes };
    struct vb_shape image = { 4, { extent->batch, 3, extent->height, extent->width } };
    (void)vb_weave_value(weave, &image);
    for (uint32_t i = 0; i < description->n_layers; i++) {
        for (uint32_t k = 0; k < description->layers[i].n_from; k++) {
            if (description->layers[i].from[k] >= 0)
                layers->is_kept[description->layers[i].from[k]] = true;
        }
    }
    for (uint32_t i = 0; i < description->n_layers; i++) {
        enum vb_status status = expand_layer(description, weave, layers, i, err);
        if (status != VB_OK)
            return status;
    }
    if (weave->graph.n_levels == 0)
        return vb_fail(err, VB_E_INPUT,
                       "%s: no Detect or Classifier layer; expected one at the end",
                       description->file);
    weave->n_modules += 2; /* the model and its Sequential */
    if (weave->has_silu) {
        weave->n_modules++;
        weave->n_leaves++;
    }
    return VB_OK;
}

/* "model.7.conv.weight" is layer 7's. */
static uint32_t layer_of(const struct vb_parameter *parameter)
{
    return (uint32_t)strtoul(parameter->name + strlen("model."), NULL, 10);
}

/* Parameters and buffers in one list, and their sums; those of the first `frozen_layers` get no
 * gradient. */
static enum vb_status gather_parameters(struct vb_weave *weave, uint32_t frozen_layers,
                                        struct vb_error *err)
{
    struct vb_graph *graph = &weave->graph;
    struct vb_parameter *all =
        vb_arena_alloc(weave->arena, graph->n_parameters + graph->n_buffers + 1, sizeof *all);
    if (all == NULL)
        return vb_fail(err, VB_E_SYSTEM, "%s: no host memory left to expand it", weave->file);
    memcpy(all, graph->parameters, graph->n_parameters * sizeof *all);
    memcpy(all + graph->n_parameters, weave->buffers, graph->n_buffers * sizeof *all);
    graph->parameters = all;
    for (uint32_t i = 0; i < graph->n_parameters; i++) {
        if (layer_of(&all[i]) < frozen_layers)
            all[i].is_frozen = true;
        graph->parameter_elements += all[i].elements;
        if (!all[i].is_frozen)
            graph->trainable_elements += all[i].elements;
    }
    return VB_OK;
}

/* What the profiler behind the printed figure counts: a multiply-add is two operations, a
 * normalised element four multiply-adds; v8's frozen convolution, 64 a cell, counts too; biases and
 * activations do not. Checked against the repositories' own. */
static double operations(const struct vb_graph *graph)
{
    double sum = 0;
    for (uint32_t i = 0; i < graph->n_ops; i++) {
        const struct vb_op *op = &graph->ops[i];
        double elements = (double)vb_shape_elements(&graph->values[op->outputs[0]].shape);
        if (op->kind == VB_CONV)
            sum += 2.0 * (double)op->macs;
        else if (op->kind == VB_BATCHNORM)
            sum += 8.0 * elements;
    }
    for (uint32_t i = 0; i < graph->n_levels && graph->head == VB_HEAD_V8; i++)
        sum += 2.0 * DISTANCES * graph->levels[i].grid_h * graph->levels[i].grid_w;
    return sum;
}

static enum vb_status check_size(const struct vb_description *description, uint32_t imgsz,
                                 uint32_t stride, struct vb_error *err)
{
    if (imgsz % stride == 0 && imgsz > 0)
        return VB_OK;
    uint32_t low = imgsz / stride * stride;
    if (low == 0)
        return vb_fail(err, VB_E_INPUT,
                       "imgsz is %u, no multiple of the stride %u of %s; the next is %u", imgsz,
                       stride, description->file, stride);
    return vb_fail(err, VB_E_INPUT,
                   "imgsz is %u, no multiple of the stride %u of %s; the nearest are "
                   "%u and %u",
                   imgsz, stride, description->file, low, low + stride);
}

enum vb_status vb_expand_for(const struct vb_description *description,
                             const struct vb_extent *extent, uint32_t classes,
                             struct vb_arena *arena, struct vb_graph *out, struct vb_error *err)
{
    static const struct vb_extent probe = { 1, PROBE_SIZE, PROBE_SIZE };
    struct vb_weave weave;
    uint32_t n_classes = classes > 0 ? classes : description->classes;
    enum vb_status status = weave_graph(description, &probe, n_classes, arena, &weave, err);
    if (status != VB_OK)
        return status;
    uint32_t stride = 0;
    for (uint32_t i = 0; i < weave.graph.n_levels; i++) {
        if (weave.graph.levels[i].stride > stride)
            stride = weave.graph.levels[i].stride;
    }
    if (stride == 0)
        return vb_fail(err, VB_E_INPUT, "%s: the levels of Detect are finer than the image",
                       description->file);
    double ratio = (double)SHOWN_SIZE / PROBE_SIZE;
    double gflops = operations(&weave.graph) * ratio * ratio / 1e9;
    status = check_size(description, extent->height, stride, err);
    if (status == VB_OK)
        status = check_size(description, extent->width, stride, err);
    if (status == VB_OK)
        status = weave_graph(description, extent, n_classes, arena, &weave, err);
    if (status == VB_OK)
        status = gather_parameters(&weave, description->frozen_layers, err);
    if (status != VB_OK)
        return status;

    weave.graph.gflops_640 = gflops;
    weave.graph.n_layers = weave.graph.head == VB_HEAD_V5 ? weave.n_modules : weave.n_leaves;
    *out = weave.graph;
    return VB_OK;
}

enum vb_status vb_expand(const struct vb_description *description, uint32_t batch, uint32_t imgsz,
                         uint32_t classes, struct vb_arena *arena, struct vb_graph *out,
                         struct vb_error *err)
{
    const struct vb_extent extent = { batch, imgsz, imgsz };
    return vb_expand_for(description, &extent, classes, arena, out, err);
}
