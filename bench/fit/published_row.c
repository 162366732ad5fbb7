/* SPDX-License-Identifier: Apache-2.0 */
#include "fit/published_row.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

enum { MAX_NAME = 64 };

void vb_published_refuse(struct vb_published_reading *reading, const char *format, ...)
{
    char text[256];
    va_list arguments;
    if (reading->row->reason != NULL)
        return;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    reading->row->reason = vb_arena_copy(reading->arena, text);
}

static void assume(struct vb_published_reading *reading, const char *what)
{
    const char *before = reading->row->note;
    reading->row->note =
        before == NULL ? what : vb_arena_format(reading->arena, "%s; %s", before, what);
}

/* A whole number, which spreadsheets may have given a ".0". */
static bool read_count(const char *text, uint64_t most, uint64_t *out)
{
    char *end = NULL;
    if (!isdigit((unsigned char)text[0]))
        return false;
    unsigned long long value = strtoull(text, &end, 10);
    if (end[0] == '.' && end[1] != '\0' && end[1 + strspn(end + 1, "0")] == '\0')
        end += strlen(end);
    *out = value;
    return *end == '\0' && value <= most && strlen(text) < 19;
}

/* A number above 0. */
static bool read_size(const char *text, double *out)
{
    char *end = NULL;
    if (!isdigit((unsigned char)text[0]) && text[0] != '.')
        return false;
    *out = strtod(text, &end);
    return *end == '\0' && isfinite(*out) && *out > 0;
}

/* "github.com/OWNER/REPO@..." or "https://github.com/OWNER/REPO/issues/1" -> "OWNER/REPO". */
static const char *repository_of(struct vb_arena *arena, const char *source)
{
    static const char host[] = "github.com/";
    const char *at = strstr(source, host);
    if (at == NULL)
        return source;
    at += strlen(host);
    size_t owner = strcspn(at, "/@: ");
    if (at[owner] != '/')
        return source;
    size_t length = owner + 1 + strcspn(at + owner + 1, "/@: ");
    return vb_arena_format(arena, "%.*s", (int)length, at);
}

/* Without its folder, its ending and what follows a blank; lower case. A user's own path of a YAML
 * file stays what it is. */
static const char *model_of(const struct vb_published_reading *reading, const char *text)
{
    static const char *const endings[] = { ".pt", ".yaml", ".yml" };
    const char *slash = strrchr(text, '/');
    const char *dot = strrchr(text, '.');
    if (reading->form == VB_PUBLISHED_OWN && slash != NULL && dot != NULL &&
        (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0))
        return text;
    text = slash != NULL ? slash + 1 : text;
    size_t length = strcspn(text, " ");
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t n = strlen(endings[i]);
        if (length > n && strncasecmp(text + length - n, endings[i], n) == 0)
            length -= n;
    }
    char *name = vb_arena_format(reading->arena, "%.*s", (int)length, text);
    for (char *c = name; c != NULL && *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    return name;
}

/* The trainer's family as written, or from the model where a user leaves it out: YOLOv8 has no
 * other trainer, and yolov5 without a u no other either. */
static const char *family_of(const struct vb_published_reading *reading)
{
    const char *text = reading->cells[VB_FIELD_FAMILY];
    if (strcasecmp(text, "yolov5") == 0)
        return "yolov5";
    if (strcasecmp(text, "ultralytics") == 0)
        return "ultralytics";
    if (text[0] != '\0' || reading->row->model == NULL)
        return text;
    return strncmp(reading->row->model, "yolov5", 6) == 0 ? "yolov5" : "ultralytics";
}

static void read_model(struct vb_published_reading *reading)
{
    static const struct {
        const char *ending, *what;
    } others[] = { { "-seg", "segmentation" },
                   { "-cls", "classification" },
                   { "-obb", "oriented boxes" },
                   { "-pose", "pose" } };
    struct vb_published *row = reading->row;
    const char *summary =
        vb_published_note_value(reading->arena, reading->cells[VB_FIELD_NOTE], "summary_name");
    const char *written = reading->cells[VB_FIELD_MODEL];
    row->model = model_of(reading, summary != NULL ? summary : written);
    row->family = family_of(reading);
    if (row->model == NULL || row->model[0] == '\0') {
        vb_published_refuse(reading, "the model is not given");
        return;
    }
    if (strlen(row->model) > MAX_NAME && strchr(row->model, '/') == NULL)
        vb_published_refuse(reading, "model '%.40s...' is not built in", row->model);
    if (strcmp(row->trust, "M") == 0)
        vb_published_refuse(reading, "rows of other code: MMYOLO");
    if (strcmp(row->family, "yolov5") != 0 && strcmp(row->family, "ultralytics") != 0)
        vb_published_refuse(reading, "rows of other code (family '%.40s'): not modelled",
                            row->family);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (strcmp(row->family, "yolov5") == 0 && strstr(row->model, others[i].ending) != NULL)
            vb_published_refuse(reading, "YOLOv5's model for %s: not modelled yet", others[i].what);
    }
    /* Ultralytics' YOLOv5 has YOLOv8's head, and says so by a u that its summary leaves out. */
    size_t length = strlen(row->model);
    if (strcmp(row->family, "ultralytics") == 0 && strncmp(row->model, "yolov5", 6) == 0 &&
        row->model[length - 1] != 'u')
        row->model = vb_arena_format(reading->arena, "%su", row->model);
}

static void read_numbers(struct vb_published_reading *reading)
{
    struct vb_published *row = reading->row;
    const struct {
        enum vb_field field;
        const char *what, *unit;
        uint32_t *out;
    } needed[] = { { VB_FIELD_BATCH, "batch", "images", &row->batch },
                   { VB_FIELD_IMGSZ, "image size", "pixels", &row->imgsz } };
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        const char *text = reading->cells[needed[i].field];
        uint64_t value = 0;
        if (text[0] == '\0')
            vb_published_refuse(reading, "%s is not given", needed[i].what);
        else if (!read_count(text, UINT32_MAX, &value) || value == 0)
            vb_published_refuse(reading, "%s is '%.40s', no number of %s", needed[i].what, text,
                                needed[i].unit);
        *needed[i].out = (uint32_t)value;
    }
    const char *classes = reading->cells[VB_FIELD_CLASSES];
    const char *parameters = reading->cells[VB_FIELD_PARAMETERS];
    const char *instances = reading->cells[VB_FIELD_INSTANCES];
    uint64_t value = 0;
    if (classes[0] != '\0' && (!read_count(classes, UINT32_MAX, &value) || value == 0))
        vb_published_refuse(reading, "num_classes is '%.40s', no number of classes", classes);
    row->classes = (uint32_t)value;
    if (parameters[0] != '\0' && !read_count(parameters, UINT64_MAX, &row->parameters))
        vb_published_refuse(reading, "params is '%.40s', no number of parameters", parameters);
    value = 0;
    row->has_instances = instances[0] != '\0';
    if (row->has_instances && !read_count(instances, UINT32_MAX, &value))
        vb_published_refuse(reading, "instances are '%.40s', no number of boxes", instances);
    row->instances = (uint32_t)value;
}

static bool is_one_of(const char *text, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcasecmp(text, list[i]) == 0)
            return true;
    }
    return false;
}

/* AMP is on in both trainers unless something else is said. */
static void read_precision(struct vb_published_reading *reading)
{
    static const char *const on[] = { "", "1", "1.0", "true", "on", "fp16" };
    static const char *const off[] = { "0", "0.0", "false", "off", "fp32" };
    const char *text = reading->cells[VB_FIELD_AMP];
    if (is_one_of(text, off, sizeof off / sizeof *off))
        reading->row->precision = VB_FP32;
    else if (!is_one_of(text, on, sizeof on / sizeof *on))
        vb_published_refuse(reading, "amp is '%.40s', expected 1 or 0", text);
}

/* What the trainers take where nothing is said: YOLOv5's train.py SGD; ultralytics' `auto` AdamW
 * for runs of up to 10,000 iterations, as nearly all published ones are (general knowledge). */
static void read_optimizer(struct vb_published_reading *reading)
{
    const char *text = reading->cells[VB_FIELD_OPTIMIZER];
    struct vb_published *row = reading->row;
    if (row->workload == VB_AUTOBATCH)
        return;
    if (text[0] == '\0' || strcasecmp(text, "auto") == 0) {
        bool is_yolov5 = strcmp(row->family, "yolov5") == 0;
        row->optimizer = is_yolov5 ? VB_SGD : VB_ADAMW;
        assume(reading, is_yolov5 ? "optimizer not given: SGD" : "optimizer not given: AdamW");
        return;
    }
    for (size_t i = 0; i < sizeof vb_optimizer_names / sizeof *vb_optimizer_names; i++) {
        if (strcasecmp(text, vb_optimizer_names[i]) == 0) {
            row->optimizer = (enum vb_optimizer)i;
            return;
        }
    }
    vb_published_refuse(reading, "optimizer '%.40s': not modelled", text);
}

/* Bytes of the unit, 0 where it cannot be told. */
static double unit_of(const struct vb_published_reading *reading)
{
    static const struct {
        const char *name;
        double bytes;
    } units[] = {
        { "GiB", 1073741824.0 }, { "GB", 1e9 }, { "MiB", 1048576.0 }, { "MB", 1e6 }, { "B", 1 }
    };
    const char *text = reading->cells[VB_FIELD_UNIT];
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcasecmp(text, units[i].name) == 0)
            return units[i].bytes;
    }
    if (text[0] != '\0')
        return 0;
    if (reading->form == VB_PUBLISHED_BEST)
        return 1073741824.0;
    if (reading->form == VB_PUBLISHED_AUTOBATCH)
        return 1e9;
    return vb_published_unit(reading->row->family, reading->row->version);
}

static void read_memory(struct vb_published_reading *reading)
{
    const char *text = reading->cells[VB_FIELD_MEMORY];
    const char *unit = reading->cells[VB_FIELD_UNIT];
    double value = 0, total = 0, bytes = unit_of(reading);
    if (text[0] == '\0')
        vb_published_refuse(reading, "the memory is not given");
    else if (!read_size(text, &value))
        vb_published_refuse(reading, "the memory is '%.40s', expected a number above 0", text);
    if (bytes <= 0 && unit[0] != '\0')
        vb_published_refuse(reading, "unit is '%.40s', expected GiB, GB, MiB or MB", unit);
    else if (bytes <= 0)
        vb_published_refuse(reading, "the memory's unit is not known: give unit (GiB or GB), or "
                                     "the trainer's code_version");
    reading->row->bytes = value * bytes;
    text = reading->cells[VB_FIELD_GPU_TOTAL];
    if (text[0] != '\0' && read_size(text, &total) && total < 1e9)
        reading->row->gpu_total_bytes =
            (uint64_t)(total *
                       (reading->form == VB_PUBLISHED_AUTOBATCH ? 1073741824.0 : 1048576.0));
}

static void read_gpu(struct vb_published_reading *reading)
{
    const char *several = reading->cells[VB_FIELD_SEVERAL_GPUS];
    reading->row->gpu = reading->cells[VB_FIELD_GPU];
    if (reading->row->ran_out) { /* "Tesla T4 (14913MiB)" */
        const char *gpu = reading->row->gpu;
        char *name = vb_arena_format(reading->arena, "%.*s", (int)strcspn(gpu, "("), gpu);
        reading->row->gpu = name != NULL ? vb_text_trim(name) : "";
    }
    if (reading->row->gpu[0] == '\0')
        vb_published_refuse(reading, "the GPU is not given");
    if (strcmp(several, "1") == 0)
        vb_published_refuse(reading, "2 GPUs or more");
    else if (several[0] != '\0' && strcmp(several, "0") != 0)
        vb_published_refuse(reading, "it is not told whether one GPU was used or more");
}

bool vb_published_read(struct vb_published_reading *reading)
{
    struct vb_published *row = reading->row;
    row->source = reading->cells[VB_FIELD_SOURCE];
    row->repository = repository_of(reading->arena, row->source);
    row->trust = reading->cells[VB_FIELD_TRUST];
    row->torch = reading->cells[VB_FIELD_TORCH];
    row->version = reading->cells[VB_FIELD_VERSION];
    if (reading->form == VB_PUBLISHED_TABLES)
        vb_published_refuse(reading, "a table's heading: its rows are in autobatch.csv");
    row->ran_out = reading->form == VB_PUBLISHED_OOM;
    if (row->reason != NULL)
        return true;
    if (reading->form == VB_PUBLISHED_AUTOBATCH)
        row->workload = VB_AUTOBATCH;
    vb_published_read_note(reading);
    read_model(reading);
    if (row->model == NULL)
        return false;
    read_numbers(reading);
    read_gpu(reading);
    read_precision(reading);
    read_optimizer(reading);
    if (!row->ran_out)
        read_memory(reading);
    if (row->workload == VB_AUTOBATCH && strcmp(reading->cells[VB_FIELD_GFLOPS], "0") == 0)
        row->thop = VB_OFF;
    if (row->workload == VB_AUTOBATCH && strcmp(reading->cells[VB_FIELD_BACKWARD], "nan") == 0)
        vb_published_refuse(reading, "its backward pass failed: no profile of a step");
    return row->repository != NULL && row->model != NULL;
}
