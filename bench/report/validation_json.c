/* SPDX-License-Identifier: Apache-2.0 */
/* One object. Percent values are numbers in percent; what is not known is absent. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/validation_parts.h"

/* jansson refuses what is no UTF-8, which a file may hold: such a text is left out. */
static bool put_text(json_t *object, const char *key, const char *text)
{
    json_t *value = text != NULL && text[0] != '\0' ? json_string(text) : NULL;
    return value == NULL || json_object_set_new(object, key, value) == 0;
}

static bool put_number(json_t *object, const char *key, double value)
{
    return isnan(value) || json_object_set_new(object, key, json_real(value)) == 0;
}

static bool put_count(json_t *object, const char *key, size_t value)
{
    return json_object_set_new(object, key, json_integer((json_int_t)value)) == 0;
}

static bool put_accuracy(json_t *object, const struct vb_accuracy *a)
{
    return put_number(object, "median_ape", a->median_ape) &&
           put_number(object, "mean_ape", a->mean_ape) &&
           put_number(object, "p90_ape", a->p90_ape) &&
           put_number(object, "worst_ape", a->worst_ape) && put_number(object, "bias", a->bias) &&
           put_number(object, "mean_bias", a->mean_bias) &&
           put_number(object, "coverage50", a->coverage50) &&
           put_number(object, "coverage90", a->coverage90);
}

/* {"gpu": {"t4": {"rows": 50, ...}}, ...} */
static bool put_groups(json_t *root, const struct vb_prediction *items, size_t n,
                       struct vb_arena *arena, struct vb_error *err)
{
    json_t *by = json_object();
    if (by == NULL || json_object_set_new(root, "by", by) != 0)
        return false;
    for (int key = 0; key < VB_N_GROUP_KEYS; key++) {
        struct vb_accuracy_group *groups = NULL;
        size_t n_groups = 0;
        json_t *object = json_object();
        if (object == NULL || json_object_set_new(by, vb_group_key_names[key], object) != 0 ||
            vb_accuracy_by(items, n, (enum vb_group_key)key, arena, &groups, &n_groups, err) !=
                VB_OK)
            return false;
        for (size_t i = 0; i < n_groups; i++) {
            json_t *group = json_object();
            json_t *name = json_string(groups[i].name);
            bool is_text = name != NULL; /* not of a user's odd bytes */
            json_decref(name);
            if (group == NULL || !put_count(group, "rows", groups[i].accuracy.n) ||
                !put_accuracy(group, &groups[i].accuracy) ||
                json_object_set_new(object, is_text ? groups[i].name : "?", group) != 0)
                return false;
        }
    }
    return true;
}

static bool put_interval(json_t *object, const char *low, const char *high, bool has,
                         const struct vb_interval *interval)
{
    return !has ||
           (put_number(object, low, interval->low) && put_number(object, high, interval->high));
}

/* The verdict; what widened the intervals. */
static bool put_band(json_t *object, const struct vb_judged *row)
{
    json_t *unlike = json_array();
    bool is_put = unlike != NULL && json_object_set_new(object, "unlike", unlike) == 0 &&
                  put_text(object, "verdict", vb_verdict_names[row->estimate.verdict]) &&
                  put_count(object, "need_bytes", row->need_bytes) &&
                  put_count(object, "usable_bytes", row->usable_bytes);
    for (uint32_t i = 0; i < VB_N_UNLIKE && is_put; i++) {
        if ((row->unlike >> i & 1) != 0)
            is_put = json_array_append_new(unlike, json_string(vb_unlike_names[i])) == 0;
    }
    if (!is_put || row->widening <= 0)
        return is_put;
    return put_number(object, "probability", row->estimate.probability) &&
           put_number(object, "widening", row->widening);
}

static bool put_prediction(json_t *list, const struct vb_judged *row)
{
    const struct vb_published *run = row->run;
    static const char *const states[] = { "ok", "no fit", "ran out", "skipped" };
    const struct vb_prediction *p = &row->prediction;
    json_t *object = json_object();
    if (object == NULL || json_array_append_new(list, object) != 0)
        return false;
    bool is_put =
        put_count(object, "line", run->line) && put_text(object, "state", states[row->state]) &&
        put_text(object, "trust", run->trust) && put_text(object, "gpu", row->gpu) &&
        put_text(object, "model", run->model) && put_text(object, "family", run->family) &&
        put_text(object, "code_version", run->version) && put_text(object, "torch", run->torch) &&
        put_text(object, "workload", vb_workload_names[run->workload]) &&
        put_text(object, "repository", run->repository) && put_text(object, "note", row->note) &&
        put_count(object, "batch", run->batch) && put_count(object, "imgsz", run->imgsz) &&
        put_number(object, "published_bytes", run->ran_out ? (double)NAN : run->bytes) &&
        put_band(object, row);
    if (!is_put || row->state != VB_JUDGED)
        return is_put;
    return put_number(object, "planned_bytes", p->planned_bytes) &&
           put_number(object, "error", vb_prediction_error(p)) &&
           put_interval(object, "low50_bytes", "high50_bytes", p->has_interval50, &p->interval50) &&
           put_interval(object, "low90_bytes", "high90_bytes", p->has_interval90, &p->interval90);
}

static bool put_skipped(json_t *root, const struct vb_validation *validation,
                        struct vb_arena *arena)
{
    size_t n = 0;
    json_t *list = json_array();
    const struct vb_remark *remarks = vb_validation_remarks(validation, false, arena, &n);
    if (list == NULL || json_object_set_new(root, "reasons", list) != 0 || remarks == NULL)
        return false;
    for (size_t first = 0, next; first < n; first = next) {
        json_t *lines = json_array();
        for (next = first; next < n && strcmp(remarks[first].text, remarks[next].text) == 0; next++)
            (void)json_array_append_new(lines, json_integer(remarks[next].line));
        json_t *group = json_object();
        if (group == NULL || json_array_append_new(list, group) != 0 ||
            !put_text(group, "reason", remarks[first].text) ||
            !put_count(group, "rows", next - first) ||
            json_object_set_new(group, "lines", lines) != 0)
            return false;
    }
    return true;
}

static bool fill(json_t *root, const struct vb_validation *validation, struct vb_arena *arena,
                 struct vb_error *err)
{
    struct vb_accuracy all;
    const struct vb_prediction *items = vb_validation_predictions(validation, arena);
    json_t *list = json_array();
    if (items == NULL || list == NULL ||
        vb_accuracy_of(items, validation->n_judged, &all, err) != VB_OK ||
        !put_text(root, "file", validation->file) ||
        !put_count(root, "rows", validation->n_judged) ||
        !put_count(root, "skipped", validation->n_skipped) ||
        !put_count(root, "no_fit", validation->n_no_fit) ||
        !put_count(root, "ran_out", validation->n_ran_out) ||
        !put_number(root, "risk", validation->risk) ||
        !put_count(root, "left_out", validation->n_left_out) || !put_accuracy(root, &all) ||
        !put_groups(root, items, validation->n_judged, arena, err) ||
        !put_skipped(root, validation, arena)) {
        json_decref(list);
        return false;
    }
    bool is_put = json_object_set_new(root, "predictions", list) == 0;
    for (size_t i = 0; i < validation->n && is_put; i++) {
        if (validation->rows[i].state != VB_SKIPPED)
            is_put = put_prediction(list, &validation->rows[i]);
    }
    return is_put;
}

enum vb_status vb_validation_append_json(const struct vb_validation *validation,
                                         struct vb_arena *arena, struct vb_text *out,
                                         struct vb_error *err)
{
    json_t *root = json_object();
    char *text = NULL;
    if (root != NULL && fill(root, validation, arena, err))
        text = json_dumps(root, JSON_REAL_PRECISION(10) | JSON_COMPACT);
    json_decref(root);
    if (text == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the JSON");
    vb_text_append(out, "%s\n", text);
    free(text);
    return VB_OK;
}
