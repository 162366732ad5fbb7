/* SPDX-License-Identifier: Apache-2.0 */
#include "fit/calibration_file.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

enum { VERSION = 1, MAX_CALIBRATIONS = 4096, N_POINT_VALUES = 10, NAME_ROOM = 32 };
static const char format_name[] = "vrambench-calibration";

#define HUGE_BYTES 1e18
#define HUGE_COUNT 4294967295.0

/* Short names, which a later version may not change. */
static const char *const form_keys[VB_N_CALIBRATION_FORMS] = { "planned-apart", "planned",
                                                               "batch-pixels", "batch" };

/* The texts of a calibration, for reading and writing alike. */
static const struct {
    const char *key;
    size_t offset, room;
} texts[] = {
#define TEXT(member)                                                                               \
    {                                                                                              \
#member, offsetof(struct vb_calibration, member),                                          \
            sizeof(((struct vb_calibration *)0)->member)                                           \
    }
    TEXT(gpu), TEXT(driver), TEXT(cuda), TEXT(cudnn), TEXT(model), TEXT(planned_with),
#undef TEXT
};
enum { N_TEXTS = sizeof texts / sizeof *texts };

static json_t *reals(const double *values, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(list, json_real(values[i]));
    return list;
}

static json_t *write_fit(enum vb_calibration_form form, const struct vb_calibration_fit *fit)
{
    const double interval[2] = { fit->interval_low, fit->interval_high };
    json_t *object = json_object();
    (void)json_object_set_new(object, "form", json_string(form_keys[form]));
    (void)json_object_set_new(object, "text", json_string(vb_calibration_form_names[form]));
    (void)json_object_set_new(object, "points", json_integer((json_int_t)fit->n));
    (void)json_object_set_new(object, "set_aside", json_integer((json_int_t)fit->n_aside));
    (void)json_object_set_new(object, "coefficients", reals(fit->coefficients, fit->n_terms));
    (void)json_object_set_new(object, "low90", reals(fit->low, fit->n_terms));
    (void)json_object_set_new(object, "high90", reals(fit->high, fit->n_terms));
    (void)json_object_set_new(object, "covariance",
                              reals(fit->covariance, fit->n_terms * fit->n_terms));
    (void)json_object_set_new(object, "spread", json_real(fit->spread));
    (void)json_object_set_new(object, "freedom", json_real(fit->freedom));
    (void)json_object_set_new(object, "left_out_median", json_real(fit->median_error));
    (void)json_object_set_new(object, "left_out_worst", json_real(fit->worst_error));
    (void)json_object_set_new(object, "interval90", reals(interval, 2));
    return object;
}

static json_t *write_point(const struct vb_calibration_point *point)
{
    return json_pack("[I,I,s,s,I,f,f,f,f,f]", (json_int_t)point->batch, (json_int_t)point->imgsz,
                     vb_precision_names[point->precision], vb_mosaic_names[point->mosaic],
                     (json_int_t)point->repeats, point->measured_bytes, point->planned_bytes,
                     point->apart_bytes, point->left_out_bytes, point->weight);
}

static json_t *write_calibration(const struct vb_calibration *of)
{
    json_t *object = json_object(), *forms = json_array(), *points = json_array();
    for (size_t i = 0; i < N_TEXTS; i++)
        (void)json_object_set_new(object, texts[i].key,
                                  json_string((const char *)of + texts[i].offset));
    (void)json_object_set_new(object, "compute_capability", json_integer(of->compute_capability));
    (void)json_object_set_new(object, "capacity_bytes",
                              json_integer((json_int_t)of->capacity_bytes));
    (void)json_object_set_new(object, "precision", json_string(vb_precision_names[of->precision]));
    (void)json_object_set_new(object, "mosaic", json_string(vb_mosaic_names[of->mosaic]));
    (void)json_object_set_new(object, "optimizer", json_string(vb_optimizer_names[of->optimizer]));
    (void)json_object_set_new(object, "workload", json_string(vb_workload_names[of->workload]));
    (void)json_object_set_new(object, "own_points", json_integer((json_int_t)of->n_own));
    (void)json_object_set_new(object, "pooled", json_boolean(of->is_pooled));
    (void)json_object_set_new(object, "chosen", json_string(form_keys[of->chosen]));
    for (int form = 0; form < VB_N_CALIBRATION_FORMS; form++) {
        if (of->fits[form].is_fitted)
            (void)json_array_append_new(forms,
                                        write_fit((enum vb_calibration_form)form, &of->fits[form]));
    }
    for (size_t i = 0; i < of->n_points; i++)
        (void)json_array_append_new(points, write_point(&of->points[i]));
    (void)json_object_set_new(object, "forms", forms);
    (void)json_object_set_new(object, "points", points);
    return object;
}

/* NULL: no host memory. */
static char *dump(const json_t *value)
{
    return json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
}

static uint64_t checksum_of(uint64_t hash, const json_t *calibration)
{
    char *text = dump(calibration);
    if (text != NULL)
        hash = vb_hash(hash, text, strlen(text));
    free(text);
    return hash;
}

/* One value a line, so that versions of a file can be compared. */
static void append_lines(const json_t *object, struct vb_text *out)
{
    const char *key;
    json_t *value;
    bool is_first = true;
    vb_text_append(out, "{");
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        vb_text_append(out, "%s\n \"%s\":", is_first ? "" : ",", key);
        is_first = false;
        bool is_list = json_is_array(value) && json_is_array(json_array_get(value, 0));
        for (size_t i = 0; is_list && i < json_array_size(value); i++) {
            char *text = dump(json_array_get(value, i));
            vb_text_append(out, "%s%s", i == 0 ? "[\n  " : ",\n  ", text != NULL ? text : "");
            out->failed = out->failed || text == NULL;
            free(text);
        }
        char *text = is_list ? NULL : dump(value);
        out->failed = out->failed || (!is_list && text == NULL);
        vb_text_append(out, "%s", is_list ? "]" : text != NULL ? text : "");
        free(text);
    }
    vb_text_append(out, "}");
}

void vb_calibrations_append(const struct vb_calibrations *calibrations, struct vb_text *out)
{
    uint64_t checksum = VB_HASH_START;
    struct vb_text body = { 0 };
    for (size_t i = 0; i < calibrations->n; i++) {
        json_t *object = write_calibration(&calibrations->items[i]);
        checksum = checksum_of(checksum, object);
        vb_text_append(&body, "%s", i > 0 ? ",\n" : "");
        append_lines(object, &body);
        json_decref(object);
    }
    vb_text_append(out,
                   "{\"format\":\"%s\",\"version\":%d,\n\"tool\":\"%s\",\"date\":\"%s\",\n"
                   "\"journal\":\"%s\",\"records\":%" PRIu64 ",\"checksum\":\"%016" PRIx64 "\",\n"
                   "\"calibrations\":[\n%s\n]}\n",
                   format_name, VERSION, calibrations->tool, calibrations->date,
                   calibrations->journal_hash, calibrations->n_records, checksum,
                   vb_text_data(&body));
    out->failed = out->failed || body.failed;
    vb_text_clear(&body);
}

struct reader {
    const char *path;
    size_t place; /* of the calibration, from 1; 0: before them */
    struct vb_arena *arena;
    struct vb_error *err;
};

static enum vb_status bad(const struct reader *reader, const char *key)
{
    if (reader->place == 0)
        return vb_fail(reader->err, VB_E_INPUT,
                       "%s: \"%s\" is missing, or not what a calibration file has there",
                       reader->path, key);
    return vb_fail(reader->err, VB_E_INPUT,
                   "%s: calibration %zu: \"%s\" is missing, or not what a calibration has there; "
                   "write the file anew with 'vrambench fit'",
                   reader->path, reader->place, key);
}

static bool read_text(const json_t *object, const char *key, char *out, size_t room)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value) || json_string_length(value) >= room)
        return false;
    (void)snprintf(out, room, "%s", json_string_value(value));
    return true;
}

static bool read_number(const json_t *value, double low, double high, double *out)
{
    *out = json_number_value(value);
    return json_is_number(value) && isfinite(*out) && *out >= low && *out <= high;
}

/* A whole number from `low` on. */
static bool read_count(const json_t *value, double low, double high, uint64_t *out)
{
    double number;
    if (!json_is_integer(value) || !read_number(value, low, high, &number))
        return false;
    *out = (uint64_t)json_integer_value(value);
    return true;
}

static bool read_name(const json_t *value, const char *const *names, size_t n, int *out)
{
    const char *text = json_string_value(value);
    for (size_t i = 0; text != NULL && i < n; i++) {
        if (strcmp(names[i], text) == 0) {
            *out = (int)i;
            return true;
        }
    }
    return false;
}

static bool read_reals(const json_t *list, double low, double high, double *out, size_t n)
{
    bool is_good = json_is_array(list) && json_array_size(list) == n;
    for (size_t i = 0; is_good && i < n; i++)
        is_good = read_number(json_array_get(list, i), low, high, &out[i]);
    return is_good;
}

static bool read_fit(const json_t *object, struct vb_calibration *out)
{
    struct vb_calibration_fit fit = { .is_fitted = true };
    double interval[2];
    uint64_t n, n_aside;
    int form = 0;
    size_t terms = json_array_size(json_object_get(object, "coefficients"));
    if (!read_name(json_object_get(object, "form"), form_keys, VB_N_CALIBRATION_FORMS, &form) ||
        out->fits[form].is_fitted || terms != (form == VB_CALIBRATE_APART ? 3 : 2))
        return false;
    fit.n_terms = terms;
    bool is_good =
        read_count(json_object_get(object, "points"), 1, VB_MOST_CALIBRATED, &n) &&
        read_count(json_object_get(object, "set_aside"), 0, VB_MOST_CALIBRATED, &n_aside) &&
        read_reals(json_object_get(object, "coefficients"), -1e15, 1e15, fit.coefficients, terms) &&
        read_reals(json_object_get(object, "low90"), -1e18, 1e18, fit.low, terms) &&
        read_reals(json_object_get(object, "high90"), -1e18, 1e18, fit.high, terms) &&
        read_reals(json_object_get(object, "covariance"), -1e30, 1e30, fit.covariance,
                   terms * terms) &&
        read_number(json_object_get(object, "spread"), 1e-9, 1e6, &fit.spread) &&
        read_number(json_object_get(object, "freedom"), 1, HUGE_COUNT, &fit.freedom) &&
        read_number(json_object_get(object, "left_out_median"), 0, 1e9, &fit.median_error) &&
        read_number(json_object_get(object, "left_out_worst"), 0, 1e9, &fit.worst_error) &&
        read_reals(json_object_get(object, "interval90"), -1e9, 1e9, interval, 2);
    if (!is_good)
        return false;
    fit.n = (size_t)n;
    fit.n_aside = (size_t)n_aside;
    fit.interval_low = interval[0];
    fit.interval_high = interval[1];
    out->fits[form] = fit;
    return true;
}

static bool read_point(const json_t *row, struct vb_calibration_point *out)
{
    uint64_t batch, imgsz, repeats;
    int precision, mosaic;
    if (json_array_size(row) != N_POINT_VALUES ||
        !read_count(json_array_get(row, 0), 1, HUGE_COUNT, &batch) ||
        !read_count(json_array_get(row, 1), 1, HUGE_COUNT, &imgsz) ||
        !read_name(json_array_get(row, 2), vb_precision_names, 3, &precision) ||
        !read_name(json_array_get(row, 3), vb_mosaic_names, 3, &mosaic) ||
        !read_count(json_array_get(row, 4), 1, HUGE_COUNT, &repeats) ||
        !read_number(json_array_get(row, 5), 1, HUGE_BYTES, &out->measured_bytes) ||
        !read_number(json_array_get(row, 6), 0, HUGE_BYTES, &out->planned_bytes) ||
        !read_number(json_array_get(row, 7), 0, HUGE_BYTES, &out->apart_bytes) ||
        !read_number(json_array_get(row, 8), -HUGE_BYTES, HUGE_BYTES, &out->left_out_bytes) ||
        !read_number(json_array_get(row, 9), 0, 1, &out->weight))
        return false;
    out->batch = (uint32_t)batch;
    out->imgsz = (uint32_t)imgsz;
    out->repeats = (uint32_t)repeats;
    out->precision = (enum vb_precision)precision;
    out->mosaic = (enum vb_mosaic)mosaic;
    return true;
}

static enum vb_status read_points(const struct reader *reader, const json_t *list,
                                  struct vb_calibration *out)
{
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n < VB_LEAST_POINTS || n > VB_MOST_CALIBRATED)
        return bad(reader, "points");
    out->points = vb_arena_alloc(reader->arena, n, sizeof *out->points);
    if (out->points == NULL)
        return vb_fail(reader->err, VB_E_SYSTEM, "%s: no host memory left to read it",
                       reader->path);
    for (size_t i = 0; i < n; i++) {
        if (!read_point(json_array_get(list, i), &out->points[i]))
            return bad(reader, "points");
    }
    out->n_points = n;
    return VB_OK;
}

static enum vb_status read_names(const struct reader *reader, const json_t *object,
                                 struct vb_calibration *out)
{
    int precision, mosaic, optimizer, workload, chosen;
    const struct {
        const char *key;
        const char *const *names;
        size_t n;
        int *value;
    } names[] = {
        { "precision", vb_precision_names, 3, &precision },
        { "mosaic", vb_mosaic_names, 3, &mosaic },
        { "optimizer", vb_optimizer_names, 3, &optimizer },
        { "workload", vb_workload_names, 3, &workload },
        { "chosen", form_keys, VB_N_CALIBRATION_FORMS, &chosen },
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!read_name(json_object_get(object, names[i].key), names[i].names, names[i].n,
                       names[i].value))
            return bad(reader, names[i].key);
    }
    out->precision = (enum vb_precision)precision;
    out->mosaic = (enum vb_mosaic)mosaic;
    out->optimizer = (enum vb_optimizer)optimizer;
    out->workload = (enum vb_workload)workload;
    out->chosen = (enum vb_calibration_form)chosen;
    return VB_OK;
}

static enum vb_status read_calibration(const struct reader *reader, const json_t *object,
                                       struct vb_calibration *out)
{
    uint64_t compute_capability, n_own;
    for (size_t i = 0; i < N_TEXTS; i++) {
        if (!read_text(object, texts[i].key, (char *)out + texts[i].offset, texts[i].room))
            return bad(reader, texts[i].key);
    }
    enum vb_status status = read_names(reader, object, out);
    if (status != VB_OK)
        return status;
    if (!read_count(json_object_get(object, "compute_capability"), 0, 1e6, &compute_capability))
        return bad(reader, "compute_capability");
    if (!read_count(json_object_get(object, "capacity_bytes"), 0, HUGE_BYTES, &out->capacity_bytes))
        return bad(reader, "capacity_bytes");
    if (!read_count(json_object_get(object, "own_points"), 0, HUGE_COUNT, &n_own))
        return bad(reader, "own_points");
    out->compute_capability = (uint32_t)compute_capability;
    out->n_own = (size_t)n_own;
    out->is_pooled = json_is_true(json_object_get(object, "pooled"));
    const json_t *forms = json_object_get(object, "forms");
    for (size_t i = 0; i < json_array_size(forms); i++) {
        if (!read_fit(json_array_get(forms, i), out))
            return bad(reader, "forms");
    }
    if (!out->fits[out->chosen].is_fitted)
        return bad(reader, "chosen");
    return read_points(reader, json_object_get(object, "points"), out);
}

static enum vb_status read_heading(const struct reader *reader, const json_t *root,
                                   struct vb_calibrations *out)
{
    const char *format = json_string_value(json_object_get(root, "format"));
    const json_t *version = json_object_get(root, "version");
    if (format == NULL || strcmp(format, format_name) != 0)
        return vb_fail(reader->err, VB_E_INPUT, "%s: no calibration file of 'vrambench fit'",
                       reader->path);
    if (json_is_integer(version) && json_integer_value(version) > VERSION)
        return vb_fail(reader->err, VB_E_INPUT,
                       "%s: a calibration file of version %" JSON_INTEGER_FORMAT
                       ", this vrambench reads %d; take a newer vrambench, or write the file anew "
                       "with 'vrambench fit'",
                       reader->path, json_integer_value(version), VERSION);
    if (!json_is_integer(version) || json_integer_value(version) != VERSION)
        return bad(reader, "version");
    if (!read_text(root, "tool", out->tool, sizeof out->tool))
        return bad(reader, "tool");
    if (!read_text(root, "date", out->date, sizeof out->date))
        return bad(reader, "date");
    if (!read_text(root, "journal", out->journal_hash, sizeof out->journal_hash))
        return bad(reader, "journal");
    return read_count(json_object_get(root, "records"), 0, 1e15, &out->n_records)
               ? VB_OK
               : bad(reader, "records");
}

static enum vb_status read_all(struct reader *reader, const json_t *root,
                               struct vb_calibrations *out)
{
    const json_t *list = json_object_get(root, "calibrations");
    uint64_t checksum = VB_HASH_START;
    char text[17], expected[NAME_ROOM];
    enum vb_status status = read_heading(reader, root, out);
    if (status != VB_OK)
        return status;
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n == 0 || n > MAX_CALIBRATIONS)
        return bad(reader, "calibrations");
    out->items = vb_arena_alloc(reader->arena, n, sizeof *out->items);
    if (out->items == NULL)
        return vb_fail(reader->err, VB_E_SYSTEM, "%s: no host memory left to read it",
                       reader->path);
    for (size_t i = 0; i < n; i++) {
        reader->place = i + 1;
        status = read_calibration(reader, json_array_get(list, i), &out->items[i]);
        if (status != VB_OK)
            return status;
        checksum = checksum_of(checksum, json_array_get(list, i));
    }
    out->n = n;
    (void)snprintf(expected, sizeof expected, "%016" PRIx64, checksum);
    if (!read_text(root, "checksum", text, sizeof text) || strcmp(text, expected) != 0)
        return vb_fail(reader->err, VB_E_INPUT,
                       "%s: edited or damaged since it was written (its checksum is another); "
                       "write it anew with 'vrambench fit'",
                       reader->path);
    return VB_OK;
}

enum vb_status vb_calibrations_parse(const char *path, const char *text, size_t bytes,
                                     struct vb_arena *arena, struct vb_calibrations *out,
                                     struct vb_error *err)
{
    struct reader reader = { .path = path, .arena = arena, .err = err };
    json_error_t fault;
    *out = (struct vb_calibrations){ 0 };
    (void)snprintf(out->path, sizeof out->path, "%s", path);
    json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &fault);
    if (root == NULL)
        return vb_fail(err, VB_E_INPUT,
                       "%s:%d: not JSON, or cut short: %.120s; write it anew with 'vrambench fit'",
                       path, fault.line, fault.text);
    enum vb_status status = read_all(&reader, root, out);
    json_decref(root);
    return status;
}
