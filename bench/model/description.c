/* SPDX-License-Identifier: Apache-2.0 */
#include "model/description.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_CLASSES = 100000,
    MAX_REPEATS = 1000,
    MAX_CHANNELS = 1 << 16,
    MAX_ARGUMENT = 4096,
    MAX_KEYPOINTS = 1000,
    USUAL_BINS = 16
};

enum vb_status vb_description_integer(const char *file, const struct vb_yaml *node,
                                      const char *what, long low, long high, long *out,
                                      struct vb_error *err)
{
    char *end = NULL;
    errno = 0;
    long value = strtol(node->text, &end, 10);
    if (node->kind != VB_YAML_SCALAR || end == node->text || *end != '\0' || errno != 0)
        return vb_fail(err, VB_E_INPUT, "%s:%u: %s is '%s', expected a whole number", file,
                       node->line, what, node->text);
    if (value < low || value > high)
        return vb_fail(err, VB_E_INPUT, "%s:%u: %s is %ld, expected %ld to %ld", file, node->line,
                       what, value, low, high);
    *out = value;
    return VB_OK;
}

static enum vb_status read_real(const char *file, const struct vb_yaml *node, const char *what,
                                double *out, struct vb_error *err)
{
    char *end = NULL;
    double value = strtod(node->text, &end);
    if (node->kind != VB_YAML_SCALAR || end == node->text || *end != '\0' || !isfinite(value) ||
        value <= 0 || value > 1e6)
        return vb_fail(err, VB_E_INPUT, "%s:%u: %s is '%s', expected a number above 0", file,
                       node->line, what, node->text);
    *out = value;
    return VB_OK;
}

enum vb_status vb_description_number(const char *file, const struct vb_yaml *node,
                                     const char *module, bool is_whole, double *out,
                                     struct vb_error *err)
{
    if (is_whole) {
        long whole = 0;
        enum vb_status status =
            vb_description_integer(file, node, module, 0, MAX_ARGUMENT, &whole, err);
        if (status == VB_OK)
            *out = (double)whole;
        return status;
    }
    enum vb_status status = read_real(file, node, module, out, err);
    if (status == VB_OK && *out > MAX_ARGUMENT)
        return vb_fail(err, VB_E_INPUT, "%s:%u: %s is %s, expected at most %d", file, node->line,
                       module, node->text, MAX_ARGUMENT);
    return status;
}

/* "[depth, width, max_channels]" of the scale that the file's name ends with. */
static enum vb_status read_scales(const struct vb_yaml *scales, struct vb_description *out,
                                  struct vb_error *err)
{
    if (scales->kind != VB_YAML_MAP || scales->n == 0)
        return vb_fail(err, VB_E_INPUT, "%s:%u: scales: expected a map, as 's: [0.33, 0.50, 1024]'",
                       out->file, scales->line);
    const char *dot = strrchr(out->file, '.');
    char letter[2] = { dot != NULL && dot > out->file ? dot[-1] : '\0', '\0' };
    const struct vb_yaml *scale = vb_yaml_find(scales, letter);
    out->scale = scale != NULL ? letter[0] : scales->items[0]->text[0];
    if (scale == NULL)
        scale = scales->items[1];
    long limit = 0;
    if (scale->kind != VB_YAML_LIST || scale->n != 3)
        return vb_fail(err, VB_E_INPUT, "%s:%u: a scale is [depth, width, max_channels]", out->file,
                       scale->line);
    enum vb_status status = read_real(out->file, scale->items[0], "depth", &out->depth, err);
    if (status == VB_OK)
        status = read_real(out->file, scale->items[1], "width", &out->width, err);
    if (status == VB_OK)
        status = vb_description_integer(out->file, scale->items[2], "max_channels", 1, MAX_CHANNELS,
                                        &limit, err);
    if (status == VB_OK)
        out->max_channels = (uint32_t)limit;
    return status;
}

static enum vb_status read_multiples(const struct vb_yaml *root, struct vb_description *out,
                                     struct vb_error *err)
{
    const struct vb_yaml *scales = vb_yaml_find(root, "scales");
    const struct vb_yaml *depth = vb_yaml_find(root, "depth_multiple");
    const struct vb_yaml *width = vb_yaml_find(root, "width_multiple");
    const struct vb_yaml *limit = vb_yaml_find(root, "max_channels");
    enum vb_status status = VB_OK;
    long channels = 0;

    if (scales != NULL)
        status = read_scales(scales, out, err);
    if (status == VB_OK && depth != NULL)
        status = read_real(out->file, depth, "depth_multiple", &out->depth, err);
    if (status == VB_OK && width != NULL)
        status = read_real(out->file, width, "width_multiple", &out->width, err);
    if (status == VB_OK && limit != NULL) {
        status = vb_description_integer(out->file, limit, "max_channels", 1, MAX_CHANNELS,
                                        &channels, err);
        if (status == VB_OK)
            out->max_channels = (uint32_t)channels;
    }
    return status;
}

/* A list of levels, each a flat list of widths and heights; or a number of anchors, sizes unknown.
 */
static enum vb_status read_anchors(const struct vb_yaml *anchors, struct vb_description *out,
                                   struct vb_error *err)
{
    if (anchors == NULL)
        return VB_OK;
    if (anchors->kind != VB_YAML_LIST || anchors->n == 0 || anchors->n > 8)
        return vb_fail(err, VB_E_INPUT,
                       "%s:%u: anchors: expected a list of levels, each with the "
                       "anchors' widths and heights",
                       out->file, anchors->line);
    out->n_anchor_levels = (uint32_t)anchors->n;
    for (size_t i = 0; i < anchors->n; i++) {
        const struct vb_yaml *level = anchors->items[i];
        if (level->kind != VB_YAML_LIST || level->n == 0 || level->n % 2 != 0 || level->n > 16 ||
            level->n != anchors->items[0]->n)
            return vb_fail(err, VB_E_INPUT,
                           "%s:%u: a level's anchors are up to 8 pairs of width and "
                           "height, as many on each level",
                           out->file, level->line);
        for (size_t k = 0; k < level->n; k++) {
            double value = 0;
            enum vb_status status = read_real(out->file, level->items[k], "an anchor", &value, err);
            if (status != VB_OK)
                return status;
            out->anchors[i][k] = (float)value;
        }
        out->n_anchors = (uint32_t)level->n / 2;
    }
    return VB_OK;
}

/* `end2end` and `reg_max`, as YOLO26 has them. */
static enum vb_status read_head(const struct vb_yaml *root, struct vb_description *out,
                                struct vb_error *err)
{
    const struct vb_yaml *end_to_end = vb_yaml_find(root, "end2end");
    const struct vb_yaml *bins = vb_yaml_find(root, "reg_max");
    long value = out->bins;
    if (end_to_end != NULL) {
        bool is_true =
            strcmp(end_to_end->text, "True") == 0 || strcmp(end_to_end->text, "true") == 0;
        if (!is_true && strcmp(end_to_end->text, "False") != 0 &&
            strcmp(end_to_end->text, "false") != 0)
            return vb_fail(err, VB_E_INPUT, "%s:%u: end2end is '%s', expected True or False",
                           out->file, end_to_end->line, end_to_end->text);
        out->is_end_to_end = is_true;
    }
    if (bins == NULL)
        return VB_OK;
    enum vb_status status =
        vb_description_integer(out->file, bins, "reg_max", 1, USUAL_BINS, &value, err);
    if (status == VB_OK && value != 1 && value != USUAL_BINS)
        return vb_fail(err, VB_E_INPUT, "%s:%u: reg_max is %ld, expected 1 or %d", out->file,
                       bins->line, value, USUAL_BINS);
    out->bins = (uint32_t)value;
    return status;
}

static enum vb_status read_from(const struct vb_yaml *node, uint32_t index,
                                struct vb_description *out, struct vb_layer *layer,
                                struct vb_error *err)
{
    layer->from_is_list = node->kind == VB_YAML_LIST;
    layer->n_from = layer->from_is_list ? (uint32_t)node->n : 1;
    if (layer->n_from == 0 || layer->n_from > VB_MAX_FROM)
        return vb_fail(err, VB_E_INPUT, "%s:%u: from: expected one layer or up to %d", out->file,
                       node->line, VB_MAX_FROM);
    for (uint32_t i = 0; i < layer->n_from; i++) {
        const struct vb_yaml *item = layer->from_is_list ? node->items[i] : node;
        long from = 0;
        enum vb_status status = vb_description_integer(
            out->file, item, "from", -(long)VB_MAX_LAYERS, VB_MAX_LAYERS, &from, err);
        if (status != VB_OK)
            return status;
        if (from < -1)
            from += index; /* counted back from this layer */
        if (from >= (long)index || from < -1 || (from == -1 && index == 0 && layer->n_from > 1))
            return vb_fail(err, VB_E_INPUT,
                           "%s:%u: layer %u: from %s points %s; expected -1 or a "
                           "layer below %u",
                           out->file, item->line, index, item->text,
                           from >= (long)index ? "forward" : "nowhere", index);
        layer->from[i] = (int32_t)from;
    }
    return VB_OK;
}

/* "kpt_shape: [17, 3]"; COCO's where there is none. */
static enum vb_status read_keypoints(const struct vb_yaml *shape, struct vb_description *out,
                                     struct vb_error *err)
{
    long numbers[2] = { 17, 3 };
    if (shape != NULL && (shape->kind != VB_YAML_LIST || shape->n != 2))
        return vb_fail(err, VB_E_INPUT, "%s:%u: kpt_shape is [keypoints, 2 or 3]", out->file,
                       shape->line);
    for (size_t i = 0; i < 2 && shape != NULL; i++) {
        enum vb_status status =
            vb_description_integer(out->file, shape->items[i], "kpt_shape", i == 0 ? 1 : 2,
                                   i == 0 ? MAX_KEYPOINTS : 3, &numbers[i], err);
        if (status != VB_OK)
            return status;
    }
    out->n_keypoints = (uint32_t)numbers[0];
    out->keypoint_values = (uint32_t)numbers[1];
    return VB_OK;
}

static enum vb_status read_layer(const struct vb_yaml *row, struct vb_description *out,
                                 struct vb_error *err)
{
    struct vb_layer *layer = &out->layers[out->n_layers];
    long repeats = 0;
    if (row->kind != VB_YAML_LIST || row->n != 4)
        return vb_fail(err, VB_E_INPUT, "%s:%u: a layer is [from, repeats, module, args]",
                       out->file, row->line);
    enum vb_status status = read_from(row->items[0], out->n_layers, out, layer, err);
    if (status == VB_OK)
        status = vb_description_integer(out->file, row->items[1], "repeats", 1, MAX_REPEATS,
                                        &repeats, err);
    if (status != VB_OK)
        return status;
    if (row->items[2]->kind != VB_YAML_SCALAR || row->items[3]->kind != VB_YAML_LIST)
        return vb_fail(err, VB_E_INPUT,
                       "%s:%u: a layer is [from, repeats, module, args], args a list", out->file,
                       row->line);
    layer->line = row->line;
    layer->repeats = (uint32_t)repeats;
    layer->module = row->items[2]->text;
    layer->args = row->items[3];
    out->n_layers++;
    return VB_OK;
}

static enum vb_status read_layers(const struct vb_yaml *root, struct vb_description *out,
                                  struct vb_arena *arena, struct vb_error *err)
{
    static const char *const parts[] = { "backbone", "head" };
    out->layers = vb_arena_alloc(arena, VB_MAX_LAYERS, sizeof *out->layers);
    if (out->layers == NULL)
        return vb_fail(err, VB_E_SYSTEM, "%s: no host memory left to read it", out->file);
    for (size_t p = 0; p < 2; p++) {
        const struct vb_yaml *part = vb_yaml_find(root, parts[p]);
        if (part == NULL || part->kind != VB_YAML_LIST)
            return vb_fail(err, VB_E_INPUT, "%s:%u: expected '%s:' and a list of layers", out->file,
                           part != NULL ? part->line : root->line, parts[p]);
        if (part->n > VB_MAX_LAYERS - out->n_layers)
            return vb_fail(err, VB_E_INPUT, "%s:%u: more than %d layers", out->file, part->line,
                           VB_MAX_LAYERS);
        for (size_t i = 0; i < part->n; i++) {
            enum vb_status status = read_layer(part->items[i], out, err);
            if (status != VB_OK)
                return status;
        }
    }
    return VB_OK;
}

enum vb_status vb_description_parse(const char *file, const char *data, size_t bytes,
                                    struct vb_arena *arena, struct vb_description *out,
                                    struct vb_error *err)
{
    struct vb_yaml *root = NULL;
    long classes = 0;
    *out = (struct vb_description){ .file = file,
                                    .model = file,
                                    .depth = 1,
                                    .width = 1,
                                    .max_channels = UINT32_MAX,
                                    .bins = USUAL_BINS };
    enum vb_status status = vb_yaml_parse(file, data, bytes, arena, &root, err);
    if (status != VB_OK)
        return status;
    const struct vb_yaml *nc = vb_yaml_find(root, "nc");
    if (root->kind != VB_YAML_MAP || nc == NULL)
        return vb_fail(err, VB_E_INPUT, "%s:%u: expected 'nc:', the number of classes", file,
                       root->line);
    status = vb_description_integer(file, nc, "nc", 1, MAX_CLASSES, &classes, err);
    if (status != VB_OK)
        return status;
    out->classes = (uint32_t)classes;
    status = read_multiples(root, out, err);
    if (status == VB_OK)
        status = read_anchors(vb_yaml_find(root, "anchors"), out, err);
    if (status == VB_OK)
        status = read_keypoints(vb_yaml_find(root, "kpt_shape"), out, err);
    if (status == VB_OK)
        status = read_head(root, out, err);
    return status == VB_OK ? read_layers(root, out, arena, err) : status;
}
