/* SPDX-License-Identifier: Apache-2.0 */
#include "sweep/grid.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/text.h"
#include "model/catalogue.h"
#include "sweep/range.h"

enum { MAX_AXES = 24, MAX_SWEEPS = 256, MAX_TIMEOUT_SECONDS = 86400 };

struct axis {
    const struct vb_option *key;
    struct vb_values values;
    const struct vb_ini_entry *entry;
};

struct plan {
    struct vb_sweep *sweep;
    struct vb_point base;
    struct axis axes[MAX_AXES];
    size_t n_axes;
    struct vb_arena *arena;
    struct vb_error *err;
};

static const char *const section_names[] = { "sweep", "axes", "step" };

static enum vb_status at(struct plan *plan, const struct vb_ini_entry *entry, enum vb_status status,
                         const struct vb_error *inner)
{
    if (status == VB_OK)
        return VB_OK;
    return vb_fail(plan->err, status, "%s:%" PRIu32 ": %s", entry->file, entry->line, inner->text);
}

static enum vb_status unknown_key(struct plan *plan, const struct vb_ini_entry *entry,
                                  const char *near)
{
    if (near != NULL)
        return vb_fail(plan->err, VB_E_INPUT,
                       "%s:%" PRIu32 ": unknown key '%s' in [%s]; did you mean %s?", entry->file,
                       entry->line, entry->key, entry->section, near);
    return vb_fail(plan->err, VB_E_INPUT,
                   "%s:%" PRIu32 ": unknown key '%s' in [%s]; 'vrambench help keys' "
                   "lists those there are",
                   entry->file, entry->line, entry->key, entry->section);
}

static enum vb_status bad_sweep_key(struct plan *plan, const struct vb_ini_entry *entry,
                                    const char *expected)
{
    return vb_fail(plan->err, VB_E_INPUT, "%s:%" PRIu32 ": %s is '%s', expected %s", entry->file,
                   entry->line, entry->key, entry->value, expected);
}

static enum vb_status set_timeout(struct plan *plan, const struct vb_ini_entry *entry)
{
    char rest = '\0';
    uint32_t seconds = 0;
    if (sscanf(entry->value, "%" SCNu32 "%c", &seconds, &rest) != 1 || entry->value[0] == '-' ||
        seconds < 1 || seconds > MAX_TIMEOUT_SECONDS)
        return bad_sweep_key(plan, entry, "seconds, 1 to 86400");
    plan->sweep->timeout_seconds = seconds;
    return VB_OK;
}

static enum vb_status set_memory(struct plan *plan, const struct vb_ini_entry *entry)
{
    struct vb_error inner = { 0 };
    enum vb_status status = vb_bytes_parse(entry->value, &plan->sweep->memory_bytes, &inner);
    if (status == VB_OK && plan->sweep->memory_bytes == 0)
        return bad_sweep_key(plan, entry, "a size above 0, as 2GiB");
    return at(plan, entry, status, &inner);
}

static enum vb_status set_backstop(struct plan *plan, const struct vb_ini_entry *entry)
{
    plan->sweep->backstop = strcmp(entry->value, "on") == 0;
    if (!plan->sweep->backstop && strcmp(entry->value, "off") != 0)
        return bad_sweep_key(plan, entry, "on or off");
    return VB_OK;
}

static enum vb_status set_sweep_key(struct plan *plan, const struct vb_ini_entry *entry)
{
    struct vb_sweep *sweep = plan->sweep;
    const struct {
        const char *name;
        char *text;
        size_t room;
    } texts[] = { { "title", sweep->title, sizeof sweep->title },
                  { "device", sweep->device, sizeof sweep->device },
                  { "virtual", sweep->virtual_gpu, sizeof sweep->virtual_gpu } };
    static const char *const names[] = { "title",    "device", "virtual",
                                         "backstop", "memory", "timeout" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (strcmp(texts[i].name, entry->key) == 0) {
            (void)snprintf(texts[i].text, texts[i].room, "%s", entry->value);
            return VB_OK;
        }
    }
    if (strcmp(entry->key, "backstop") == 0)
        return set_backstop(plan, entry);
    if (strcmp(entry->key, "memory") == 0)
        return set_memory(plan, entry);
    if (strcmp(entry->key, "timeout") == 0)
        return set_timeout(plan, entry);
    return unknown_key(plan, entry,
                       vb_text_nearest(entry->key, names, sizeof names / sizeof *names));
}

/* Sets a value, and for a model looks whether there is one. */
static enum vb_status set_value(const struct vb_option *key, const char *text,
                                struct vb_point *point, struct vb_error *err)
{
    enum vb_status status = vb_option_set(key, text, point, err);
    if (status == VB_OK && strcmp(key->name, "model") == 0)
        status = vb_catalogue_check(text, err);
    return status;
}

/* Every value of an axis is checked before the first point is run. */
static enum vb_status set_axis(struct plan *plan, const struct vb_ini_entry *entry)
{
    const struct vb_option *key = vb_key_find(entry->key);
    struct vb_error inner = { 0 };
    struct axis axis = { .key = key, .entry = entry };
    if (key == NULL)
        return unknown_key(plan, entry, vb_option_nearest(vb_keys, vb_key_count, entry->key));
    enum vb_status status = vb_range_parse(entry->value, key->kind == VB_OPTION_NUMBER, plan->arena,
                                           &axis.values, &inner);
    if (status != VB_OK)
        return vb_fail(plan->err, status, "%s:%" PRIu32 ": %s: %s", entry->file, entry->line,
                       entry->key, inner.text);
    for (size_t i = 0; status == VB_OK && i < axis.values.n; i++) {
        struct vb_point probe = plan->base;
        status = set_value(key, axis.values.items[i], &probe, &inner);
    }
    if (status != VB_OK)
        return at(plan, entry, status, &inner);

    size_t place = 0;
    while (place < plan->n_axes && plan->axes[place].key != key)
        place++;
    if (place == MAX_AXES)
        return vb_fail(plan->err, VB_E_INPUT, "%s:%" PRIu32 ": more than %d axes", entry->file,
                       entry->line, MAX_AXES);
    plan->axes[place] = axis;
    if (place == plan->n_axes)
        plan->n_axes++;
    return VB_OK;
}

static enum vb_status set_step_key(struct plan *plan, const struct vb_ini_entry *entry)
{
    const struct vb_option *key = vb_key_find(entry->key);
    struct vb_error inner = { 0 };
    if (key == NULL)
        return unknown_key(plan, entry, vb_option_nearest(vb_keys, vb_key_count, entry->key));
    return at(plan, entry, set_value(key, entry->value, &plan->base, &inner), &inner);
}

static enum vb_status set_entry(struct plan *plan, const struct vb_ini_entry *entry)
{
    if (strcmp(entry->section, "sweep") == 0)
        return set_sweep_key(plan, entry);
    if (strcmp(entry->section, "axes") == 0)
        return set_axis(plan, entry);
    if (strcmp(entry->section, "step") == 0)
        return set_step_key(plan, entry);
    const char *near = vb_text_nearest(entry->section, section_names, 3);
    return vb_fail(plan->err, VB_E_INPUT, "%s:%" PRIu32 ": unknown section [%s]; %s%s%s",
                   entry->file, entry->line, entry->section,
                   near != NULL ? "did you mean [" : "expected [sweep], ",
                   near != NULL ? near : "[axes] or [step", "]");
}

/* "section.key=value" as an entry of a file called --set. */
static enum vb_status set_override(struct plan *plan, const char *text)
{
    char *copy = vb_arena_copy(plan->arena, text);
    char *equals = copy != NULL ? strchr(copy, '=') : NULL;
    if (equals == NULL)
        return vb_fail(plan->err, VB_E_INPUT, "--set %s: expected section.key=value", text);
    *equals = '\0';
    char *dot = strchr(copy, '.');
    struct vb_ini_entry *entry = vb_arena_alloc(plan->arena, 1, sizeof *entry);
    if (entry == NULL)
        return vb_fail(plan->err, VB_E_SYSTEM, "no host memory left for --set");
    *entry = (struct vb_ini_entry){
        .section = "step", .name = "", .key = copy, .value = equals + 1, .file = "--set", .line = 1
    };
    if (dot != NULL) {
        *dot = '\0';
        entry->section = copy;
        entry->key = dot + 1;
    }
    return set_entry(plan, entry);
}

static enum vb_status count_points(struct plan *plan, const char *path, uint64_t *out)
{
    uint64_t n = 1;
    for (size_t i = 0; i < plan->n_axes; i++) {
        if (!vb_mul(n, plan->axes[i].values.n, &n) || n > VB_MAX_POINTS)
            return vb_fail(plan->err, VB_E_INPUT,
                           "%s: more than %d points; take fewer values, or split "
                           "the sweep",
                           path, VB_MAX_POINTS);
    }
    struct vb_point probe = plan->base;
    for (size_t i = 0; i < plan->n_axes; i++) {
        struct vb_error inner = { 0 };
        (void)(vb_option_set(plan->axes[i].key, plan->axes[i].values.items[0], &probe, &inner) ==
               VB_OK);
    }
    if (probe.model[0] == '\0' || probe.batch == 0 || probe.imgsz == 0)
        return vb_fail(plan->err, VB_E_INPUT, "%s: %s is missing; give it in [axes] or [step]",
                       path,
                       probe.model[0] == '\0' ? "model"
                       : probe.batch == 0     ? "batch"
                                              : "imgsz");
    *out = n;
    return VB_OK;
}

/* Whether the point has one of the values that a filter names. */
static enum vb_status passes(struct plan *plan, const char *filter, const struct vb_point *point,
                             bool *out)
{
    char *copy = vb_arena_copy(plan->arena, filter);
    char *equals = copy != NULL ? strchr(copy, '=') : NULL;
    struct vb_values values;
    struct vb_error inner = { 0 };
    char text[256];
    if (equals == NULL)
        return vb_fail(plan->err, VB_E_INPUT, "--filter %s: expected key=value", filter);
    *equals = '\0';
    const struct vb_option *key = vb_key_find(copy);
    if (key == NULL)
        return vb_fail(plan->err, VB_E_INPUT, "--filter %s: unknown key '%s'", filter, copy);
    enum vb_status status =
        vb_range_parse(equals + 1, key->kind == VB_OPTION_NUMBER, plan->arena, &values, &inner);
    if (status != VB_OK)
        return vb_fail(plan->err, status, "--filter %s: %s", filter, inner.text);
    vb_option_get(key, point, text, sizeof text);
    *out = false;
    for (size_t i = 0; i < values.n; i++)
        *out = *out || strcmp(values.items[i], text) == 0;
    return VB_OK;
}

static enum vb_status expand_points(struct plan *plan, const char *path,
                                    const struct vb_overrides *overrides)
{
    uint64_t n = 0;
    enum vb_status status = count_points(plan, path, &n);
    if (status != VB_OK)
        return status;
    plan->sweep->points = vb_arena_alloc(plan->arena, n, sizeof *plan->sweep->points);
    if (plan->sweep->points == NULL)
        return vb_fail(plan->err, VB_E_SYSTEM, "%s: no host memory left for %" PRIu64 " points",
                       path, n);
    for (uint64_t i = 0; i < n; i++) {
        struct vb_point point = plan->base;
        struct vb_error inner = { 0 };
        uint64_t rest = i;
        bool is_wanted =
            overrides->n_shards == 0 || i % overrides->n_shards == overrides->shard - 1;
        for (size_t a = plan->n_axes; a-- > 0; rest /= plan->axes[a].values.n) {
            const char *value = plan->axes[a].values.items[rest % plan->axes[a].values.n];
            status = at(plan, plan->axes[a].entry,
                        vb_option_set(plan->axes[a].key, value, &point, &inner), &inner);
            if (status != VB_OK)
                return status;
        }
        for (size_t f = 0; is_wanted && f < overrides->n_filter; f++) {
            status = passes(plan, overrides->filter[f], &point, &is_wanted);
            if (status != VB_OK)
                return status;
        }
        if (is_wanted)
            plan->sweep->points[plan->sweep->n_points++] = point;
    }
    return VB_OK;
}

/* Unnamed sections first, then the named ones of `name`, then the command line. */
static enum vb_status plan_sweep(const char *path, const struct vb_ini *ini, const char *name,
                                 const struct vb_overrides *overrides, struct vb_sweep *sweep,
                                 struct vb_arena *arena, struct vb_error *err)
{
    struct plan plan = { .sweep = sweep, .base = vb_point_default(), .arena = arena, .err = err };
    const char *slash = strrchr(path, '/');
    const char *file = slash != NULL ? slash + 1 : path;
    int length = (int)strcspn(file, ".");
    (void)snprintf(sweep->name, sizeof sweep->name, name[0] != '\0' ? "%.*s-%s" : "%.*s%s", length,
                   file, name);
    (void)snprintf(sweep->device, sizeof sweep->device, "auto");
    sweep->timeout_seconds = VB_USUAL_TIMEOUT_SECONDS;
    for (int is_named = 0; is_named < 2; is_named++) {
        for (size_t i = 0; i < ini->n; i++) {
            const struct vb_ini_entry *entry = &ini->entries[i];
            bool is_here = is_named ? name[0] != '\0' && strcmp(entry->name, name) == 0
                                    : entry->name[0] == '\0';
            enum vb_status status = is_here ? set_entry(&plan, entry) : VB_OK;
            if (status != VB_OK)
                return status;
        }
    }
    for (size_t i = 0; i < overrides->n_set; i++) {
        enum vb_status status = set_override(&plan, overrides->set[i]);
        if (status != VB_OK)
            return status;
    }
    return expand_points(&plan, path, overrides);
}

static size_t list_names(const struct vb_ini *ini, const char **names)
{
    size_t n = 0;
    for (size_t i = 0; i < ini->n; i++) {
        bool is_known = ini->entries[i].name[0] == '\0';
        for (size_t k = 0; k < n; k++)
            is_known = is_known || strcmp(names[k], ini->entries[i].name) == 0;
        if (!is_known && n < MAX_SWEEPS)
            names[n++] = ini->entries[i].name;
    }
    return n;
}

enum vb_status vb_grid_expand(const char *path, const struct vb_ini *ini,
                              const struct vb_overrides *overrides, struct vb_arena *arena,
                              struct vb_sweeps *out, struct vb_error *err)
{
    const char *names[MAX_SWEEPS] = { "" };
    size_t n = list_names(ini, names);
    *out = (struct vb_sweeps){ 0 };
    if (n == 0)
        names[n++] = "";
    out->items = vb_arena_alloc(arena, n, sizeof *out->items);
    if (out->items == NULL)
        return vb_fail(err, VB_E_SYSTEM, "%s: no host memory left for its sweeps", path);
    for (size_t i = 0; i < n; i++) {
        if (overrides->section != NULL && strcmp(overrides->section, names[i]) != 0)
            continue;
        enum vb_status status =
            plan_sweep(path, ini, names[i], overrides, &out->items[out->n], arena, err);
        if (status != VB_OK)
            return status;
        out->n++;
    }
    if (out->n == 0)
        return vb_fail(err, VB_E_INPUT, "%s: no sweep is called '%s'", path, overrides->section);
    return VB_OK;
}

enum vb_status vb_grid_read(const char *path, const struct vb_overrides *overrides,
                            struct vb_arena *arena, struct vb_sweeps *out, struct vb_error *err)
{
    struct vb_ini ini;
    enum vb_status status = vb_ini_read(path, arena, &ini, err);
    return status == VB_OK ? vb_grid_expand(path, &ini, overrides, arena, out, err) : status;
}
