/* SPDX-License-Identifier: Apache-2.0 */
#include "model/catalogue.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "model/expand.h"

enum { MAX_FILE_BYTES = 1 << 20, MAX_CLASSES = 10000, ANY_IMGSZ = 256 };

const char *const vb_catalogue_names[] = {
    "yolov3",       "yolov3-spp",   "yolov3-tiny",  "yolov3u",      "yolov3-sppu",  "yolov3-tinyu",
    "yolov5n",      "yolov5s",      "yolov5m",      "yolov5l",      "yolov5x",      "yolov5n6",
    "yolov5s6",     "yolov5m6",     "yolov5l6",     "yolov5x6",     "yolov5nu",     "yolov5su",
    "yolov5mu",     "yolov5lu",     "yolov5xu",     "yolov8n",      "yolov8s",      "yolov8m",
    "yolov8l",      "yolov8x",      "yolov9t",      "yolov9s",      "yolov9m",      "yolov9c",
    "yolov9e",      "yolov10n",     "yolov10s",     "yolov10m",     "yolov10b",     "yolov10l",
    "yolov10x",     "yolo11n",      "yolo11s",      "yolo11m",      "yolo11l",      "yolo11x",
    "yolo12n",      "yolo12s",      "yolo12m",      "yolo12l",      "yolo12x",      "yolo26n",
    "yolo26s",      "yolo26m",      "yolo26l",      "yolo26x",      "yolov8n-seg",  "yolov8s-seg",
    "yolov8m-seg",  "yolov8l-seg",  "yolov8x-seg",  "yolov8n-pose", "yolov8s-pose", "yolov8m-pose",
    "yolov8l-pose", "yolov8x-pose", "yolov8n-obb",  "yolov8s-obb",  "yolov8m-obb",  "yolov8l-obb",
    "yolov8x-obb",  "yolov8n-cls",  "yolov8s-cls",  "yolov8m-cls",  "yolov8l-cls",  "yolov8x-cls",
    "yolo11n-seg",  "yolo11s-seg",  "yolo11m-seg",  "yolo11l-seg",  "yolo11x-seg",  "yolo11n-pose",
    "yolo11s-pose", "yolo11m-pose", "yolo11l-pose", "yolo11x-pose", "yolo11n-obb",  "yolo11s-obb",
    "yolo11m-obb",  "yolo11l-obb",  "yolo11x-obb",  "yolo11n-cls",  "yolo11s-cls",  "yolo11m-cls",
    "yolo11l-cls",  "yolo11x-cls",
};
const size_t vb_catalogue_size = sizeof vb_catalogue_names / sizeof *vb_catalogue_names;

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text);
    size_t n = strlen(end);
    return length >= n && strcmp(text + length - n, end) == 0;
}

static enum vb_status find_file(const char *model, char *path, size_t room, struct vb_error *err)
{
    for (size_t i = 0; i < vb_catalogue_size; i++) {
        char relative[64];
        if (strcmp(model, vb_catalogue_names[i]) != 0)
            continue;
        (void)snprintf(relative, sizeof relative, "sweeps/models/%s.yaml", model);
        vb_file_shipped(relative, path, room);
        return VB_OK;
    }
    if (ends_with(model, ".yaml") || ends_with(model, ".yml")) {
        (void)snprintf(path, room, "%s", model);
        return VB_OK;
    }
    const char *near = vb_text_nearest(model, vb_catalogue_names, vb_catalogue_size);
    if (near != NULL)
        return vb_fail(err, VB_E_INPUT, "unknown model '%s'; did you mean %s?", model, near);
    return vb_fail(err, VB_E_INPUT,
                   "unknown model '%s'; expected one that vrambench models lists, as yolov5s or "
                   "yolov9c, or the path of a .yaml file",
                   model);
}

enum vb_status vb_catalogue_check(const char *model, struct vb_error *err)
{
    char path[PATH_MAX];
    return find_file(model, path, sizeof path, err);
}

enum vb_status vb_catalogue_describe(const char *model, struct vb_arena *arena,
                                     struct vb_description *out, struct vb_error *err)
{
    char path[PATH_MAX];
    char *data = NULL;
    size_t bytes = 0;
    enum vb_status status = find_file(model, path, sizeof path, err);
    if (status == VB_OK)
        status = vb_file_read(path, MAX_FILE_BYTES, &data, &bytes, err);
    if (status != VB_OK)
        return status;
    const char *file = vb_arena_copy(arena, path);
    const char *name = vb_arena_copy(arena, model);
    if (file == NULL || name == NULL)
        status = vb_fail(err, VB_E_SYSTEM, "%s: no host memory left to read it", path);
    if (status == VB_OK)
        status = vb_description_parse(file, data, bytes, arena, out, err);
    if (status == VB_OK)
        out->model = name;
    free(data);
    return status;
}

enum vb_status vb_catalogue_expand(const char *model, uint32_t batch, uint32_t imgsz,
                                   uint32_t classes, struct vb_arena *arena, struct vb_graph *out,
                                   struct vb_error *err)
{
    struct vb_description description;
    enum vb_status status = vb_catalogue_describe(model, arena, &description, err);
    if (status == VB_OK)
        status = vb_expand(&description, batch, imgsz, classes, arena, out, err);
    return status;
}

/* Each class adds parameters to the head, so the number is found by halving. */
enum vb_status vb_catalogue_classes(const char *model, uint64_t parameters, uint32_t *classes,
                                    struct vb_error *err)
{
    uint32_t low = 1, high = MAX_CLASSES;
    *classes = 0;
    while (low <= high && *classes == 0) {
        struct vb_arena arena = { 0 };
        struct vb_graph graph;
        uint32_t middle = low + (high - low) / 2;
        enum vb_status status =
            vb_catalogue_expand(model, 1, ANY_IMGSZ, middle, &arena, &graph, err);
        uint64_t found = status == VB_OK ? graph.parameter_elements : 0;
        vb_arena_clear(&arena);
        if (status != VB_OK)
            return status;
        if (found == parameters)
            *classes = middle;
        else if (found < parameters)
            low = middle + 1;
        else
            high = middle - 1;
    }
    return VB_OK;
}
