/* SPDX-License-Identifier: Apache-2.0 */
/* One object; ratios are the candidate's over the base's, what is not known is absent. */

#include <jansson.h>
#include <stdlib.h>

#include "report/compare_parts.h"

/* jansson refuses what is no UTF-8, as a folder's name may be: such a text is left out. */
static void put_text(json_t *object, const char *key, const char *text)
{
    if (text[0] != '\0')
        (void)json_object_set_new(object, key, json_string(text));
}

static void put_count(json_t *object, const char *key, uint64_t value)
{
    (void)json_object_set_new(object, key, json_integer((json_int_t)value));
}

static void put_number(json_t *object, const char *key, double value)
{
    (void)json_object_set_new(object, key, json_real(value));
}

static void put_memory(json_t *object, const char *key, const struct vb_memory_change *memory)
{
    if (memory->change == VB_CHANGE_NONE)
        return;
    json_t *of = json_object();
    put_text(of, "change", vb_change_names[memory->change]);
    put_count(of, "base_bytes", memory->base_bytes);
    put_count(of, "candidate_bytes", memory->candidate_bytes);
    put_number(of, "ratio", memory->ratio);
    (void)json_object_set_new(object, key, of);
}

static void put_time(json_t *object, const struct vb_time_change *time)
{
    if (time->change == VB_CHANGE_NONE)
        return;
    json_t *of = json_object();
    put_text(of, "change", vb_change_names[time->change]);
    put_number(of, "base_seconds", time->base_seconds);
    put_number(of, "candidate_seconds", time->candidate_seconds);
    put_count(of, "base_steps", time->n_base);
    put_count(of, "candidate_steps", time->n_candidate);
    put_number(of, "ratio", time->ratio);
    if (time->has_interval) {
        put_number(of, "ratio_low", time->low);
        put_number(of, "ratio_high", time->high);
    }
    put_number(of, "p", time->p);
    put_number(of, "adjusted_p", time->adjusted_p);
    if (time->steps_needed > 0)
        put_count(of, "steps_needed", time->steps_needed);
    (void)json_object_set_new(object, "step", of);
}

static json_t *write_point(const struct vb_compared *item)
{
    json_t *object = json_object(), *point = json_object();
    vb_members_write(point, vb_point_members, vb_point_member_count, vb_compared_point(item));
    (void)json_object_set_new(object, "point", point);
    put_text(object, "change", vb_change_names[item->change]);
    if (item->pair.base != NULL)
        put_text(object, "base_state", vb_state_names[item->pair.base->state]);
    if (item->pair.candidate != NULL)
        put_text(object, "candidate_state", vb_state_names[item->pair.candidate->state]);
    put_text(object, "why", item->why);
    put_memory(object, "peak_reserved", &item->reserved);
    put_memory(object, "peak_device", &item->device);
    put_time(object, &item->time);
    return object;
}

static json_t *write_environment(const struct vb_comparison *comparison)
{
    struct vb_environment_change changes[VB_MOST_ENVIRONMENT];
    const size_t n = vb_environment_changes(comparison, changes);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(list,
                                    json_pack("{s:s, s:s, s:s}", "what", changes[i].what, "base",
                                              changes[i].base, "candidate", changes[i].candidate));
    return list;
}

enum vb_status vb_compare_json(const struct vb_comparison *comparison,
                               const struct vb_compare_texts *texts, struct vb_text *out,
                               struct vb_error *err)
{
    json_t *root = json_object(), *points = json_array(), *counts = json_object();
    put_count(root, "schema", 1);
    put_text(root, "outcome", vb_change_names[comparison->outcome]);
    put_text(root, "base", texts->base);
    put_text(root, "candidate", texts->candidate);
    put_text(root, "gpu", comparison->pairs.base->gpu);
    put_text(root, "provenance", vb_provenance_names[comparison->pairs.base->provenance]);
    put_number(root, "memory_threshold", comparison->thresholds.memory);
    put_number(root, "time_threshold", comparison->thresholds.time);
    put_number(root, "risk", VB_COMPARE_RISK);
    (void)json_object_set_new(root, "environment", write_environment(comparison));
    for (size_t i = 0; i < VB_N_CHANGES; i++)
        put_count(counts, vb_change_names[i], comparison->n_of[i]);
    (void)json_object_set_new(root, "counts", counts);
    if (comparison->steps_needed > 0)
        put_count(root, "steps_needed", comparison->steps_needed);
    for (size_t i = 0; i < comparison->n; i++)
        (void)json_array_append_new(points, write_point(&comparison->items[i]));
    (void)json_object_set_new(root, "points", points);
    char *text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    if (text == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the comparison's text");
    vb_text_append(out, "%s\n", text);
    free(text);
    return VB_OK;
}
