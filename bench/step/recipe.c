/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a family are put in the order of the versions in their names; those up to the
 * version that is asked for are read one after the other over a zeroed struct. */

#include "step/recipe.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/ini.h"
#include "base/option.h"
#include "base/text.h"

enum {
    MAX_FILES = 64,
    VERSION_PARTS = 3,
    FIRST_YEAR = 2015,
    LAST_YEAR = 2100,
    MAX_OBJECT_BYTES = 256, /* of what a recipe's section fills */
};
_Static_assert(sizeof(struct vb_trainer) <= MAX_OBJECT_BYTES &&
                   sizeof(struct vb_torch) <= MAX_OBJECT_BYTES,
               "a section's struct");

const char *const vb_family_names[VB_N_FAMILIES] = { "yolov5", "ultralytics", "classifier" };
static const char *const check_names[] = { "none", "own", "copy", "nano" };
static const char *const drawing_names[] = { "never", "before", "after" };
static const char *const half_names[] = { "always", "amp" };
static const char *const loss_names[] = { "none", "own", "float" };
const char *const vb_unit_names[2] = { "GB", "GiB" };
static const char *const emptying_names[] = { "after", "around", "within" };
static const char *const reading_names[] = { "pass", "boxes", "both" };

#define TRAINER_NUMBER(member, low, high) VB_NUMBER_OPTION(struct vb_trainer, member, low, high)
#define TRAINER_SWITCH(member) VB_SWITCH_OPTION(struct vb_trainer, member)
static const struct vb_option trainer_options[] = {
    { "deterministic", "on, off", "", TRAINER_SWITCH(deterministic) },
    { "deterministic_since", "100 to 999", "", TRAINER_NUMBER(deterministic_since, 0, 999) },
    { "benchmark", "on, off", "", TRAINER_SWITCH(benchmark) },
    { "clips", "on, off", "", TRAINER_SWITCH(clips) },
    { "nominal_batch", "1 to 4096", "", TRAINER_NUMBER(nominal_batch, 1, 4096) },
    { "warmup_iterations", "0 to 100000", "", TRAINER_NUMBER(warmup_iterations, 0, 100000) },
    { "halves_weights", "on, off", "", TRAINER_SWITCH(halves_weights) },
    { "holds_predictions", "on, off", "", TRAINER_SWITCH(holds_predictions) },
    { "keeps_bytes", "on, off", "", TRAINER_SWITCH(keeps_bytes) },
    { "check", "none, own, copy, nano", "", VB_NAME_OPTION(struct vb_trainer, check, check_names) },
    { "check_batch", "1 to 64", "", TRAINER_NUMBER(check_batch, 1, 64) },
    { "check_height", "32 to 4096", "", TRAINER_NUMBER(check_height, 32, 4096) },
    { "check_width", "32 to 4096", "", TRAINER_NUMBER(check_width, 32, 4096) },
    { "check_stays", "on, off", "", TRAINER_SWITCH(check_stays) },
    { "plotted_batches", "0 to 8", "", TRAINER_NUMBER(plotted_batches, 0, VB_MAX_PLOTTED) },
    { "draws", "never, before, after", "",
      VB_NAME_OPTION(struct vb_trainer, draws, drawing_names) },
    { "draws_in_eval", "on, off", "", TRAINER_SWITCH(draws_in_eval) },
    { "empties_above_percent", "0 to 100", "", TRAINER_NUMBER(empties_above_percent, 0, 100) },
    { "empties_before_percent", "0 to 100", "", TRAINER_NUMBER(empties_before_percent, 0, 100) },
    { "validation_factor", "1 to 16", "", TRAINER_NUMBER(validation_factor, 1, 16) },
    { "validation_half", "always, amp", "",
      VB_NAME_OPTION(struct vb_trainer, validation_half, half_names) },
    { "validation_loss", "none, own, float", "",
      VB_NAME_OPTION(struct vb_trainer, validation_loss, loss_names) },
    { "multiscale_percent", "0 to 99", "", TRAINER_NUMBER(multiscale_percent, 0, 99) },
    { "unit", "GB, GiB", "", VB_NAME_OPTION(struct vb_trainer, unit, vb_unit_names) },
    { "frozen_norms_in_eval", "on, off", "", TRAINER_SWITCH(frozen_norms_in_eval) },
    { "loads_on_device", "on, off", "", TRAINER_SWITCH(loads_on_device) },
    { "autobatch_repeats", "1 to 10", "", TRAINER_NUMBER(autobatch.repeats, 1, 10) },
    { "autobatch_largest", "16 to 64", "", TRAINER_NUMBER(autobatch.largest, 16, 64) },
    { "autobatch_empties", "after, around, within", "",
      VB_NAME_OPTION(struct vb_trainer, autobatch.empties, emptying_names) },
    { "autobatch_reads", "pass, boxes, both", "",
      VB_NAME_OPTION(struct vb_trainer, autobatch.reads, reading_names) },
    { "autobatch_copies_for_thop", "on, off", "", TRAINER_SWITCH(autobatch.copies_for_thop) },
    { "autobatch_percent", "1 to 100", "", TRAINER_NUMBER(autobatch.rules.percent, 1, 100) },
    { "autobatch_fit", "line, logarithms, whole-gib", "",
      VB_NAME_OPTION(struct vb_trainer, autobatch.rules.fit, vb_autobatch_fit_names) },
    { "autobatch_usual", "0 to 1024", "", TRAINER_NUMBER(autobatch.rules.usual, 0, 1024) },
    { "autobatch_most", "0 to 65536", "", TRAINER_NUMBER(autobatch.rules.most, 0, 65536) },
    { "autobatch_capped", "on, off", "", TRAINER_SWITCH(autobatch.rules.is_capped) },
};

#define TORCH_SWITCH(member) VB_SWITCH_OPTION(struct vb_torch, member)
static const struct vb_option torch_options[] = {
    { "fixed_algorithms", "on, off", "", TORCH_SWITCH(fixed_algorithms) },
    { "foreach", "on, off", "", TORCH_SWITCH(foreach) },
    { "zeroes_to_none", "on, off", "", TORCH_SWITCH(zeroes_to_none) },
    { "sums_in_place", "on, off", "", TORCH_SWITCH(sums_in_place) },
    { "lean_bce", "on, off", "", TORCH_SWITCH(lean_bce) },
    { "lean_adam", "on, off", "", TORCH_SWITCH(lean_adam) },
    { "casts_pieces", "on, off", "", TORCH_SWITCH(casts_pieces) },
    { "upsample_fp32", "on, off", "", TORCH_SWITCH(upsample_fp32) },
    { "cublas_in_pool", "on, off", "", TORCH_SWITCH(cublas_in_pool) },
    { "counts_in_place", "on, off", "", TORCH_SWITCH(counts_in_place) },
    { "lazy_modules", "on, off", "", TORCH_SWITCH(lazy_modules) },
};

/* A version as numbers: "v6.2-203-g63711f1" is 6, 2, 203; or a day, "2022-11-4". */
struct version {
    long parts[VERSION_PARTS];
    bool is_day;
};

static bool parse_version(const char *text, struct version *out)
{
    const char *at = text[0] == 'v' ? text + 1 : text;
    *out = (struct version){ { 0 }, false };
    for (size_t i = 0; i < VERSION_PARTS; i++) {
        char *end = NULL;
        if (at[0] < '0' || at[0] > '9')
            return i > 0;
        out->parts[i] = strtol(at, &end, 10);
        if (out->parts[i] > 100000)
            return false;
        if (*end != '.' && *end != '-') {
            at = end;
            break;
        }
        at = end + 1;
    }
    out->is_day = out->parts[0] >= FIRST_YEAR && out->parts[0] < LAST_YEAR;
    return at[0] == '\0' || strchr("+-.gabcdr ", at[0]) != NULL || (at[0] >= '0' && at[0] <= '9');
}

static int compare_versions(const struct version *a, const struct version *b)
{
    for (size_t i = 0; i < VERSION_PARTS; i++) {
        if (a->parts[i] != b->parts[i])
            return a->parts[i] < b->parts[i] ? -1 : 1;
    }
    return 0;
}

struct recipe_file {
    char name[64]; /* "ultralytics-8.3.109" */
    struct version version;
};

static int by_version(const void *a, const void *b)
{
    const struct recipe_file *x = a, *y = b;
    return compare_versions(&x->version, &y->version);
}

/* The files of a family, oldest first. */
static enum vb_status list_files(const char *family, struct recipe_file *files, size_t *n,
                                 struct vb_error *err)
{
    char folder[PATH_MAX];
    size_t length = strlen(family);
    vb_file_shipped("sweeps/recipes", folder, sizeof folder);
    DIR *handle = opendir(folder);
    if (handle == NULL)
        return vb_fail(err, VB_E_INPUT, "%s: the folder of recipes cannot be read", folder);
    *n = 0;
    for (struct dirent *entry = readdir(handle); entry != NULL; entry = readdir(handle)) {
        const char *end = strstr(entry->d_name, ".ini");
        struct recipe_file *file = &files[*n];
        if (end == NULL || end[4] != '\0' || strncmp(entry->d_name, family, length) != 0 ||
            entry->d_name[length] != '-' || *n == MAX_FILES)
            continue;
        (void)snprintf(file->name, sizeof file->name, "%.*s", (int)(end - entry->d_name),
                       entry->d_name);
        if (parse_version(file->name + length + 1, &file->version))
            (*n)++;
    }
    (void)closedir(handle);
    qsort(files, *n, sizeof *files, by_version);
    if (*n == 0)
        return vb_fail(err, VB_E_INPUT, "%s: no recipe of %s", folder, family);
    return VB_OK;
}

/* One entry of a file: an option of `section`'s table, or what [recipe] says. `*day` is set where
 * the file tells its day. */
static enum vb_status apply(const struct vb_ini_entry *entry, const char *section,
                            const struct vb_option *options, size_t n_options, void *object,
                            struct version *day, struct vb_error *err)
{
    struct vb_error inner = { 0 };
    if (strcmp(entry->section, "recipe") == 0 && strcmp(entry->key, "source") == 0)
        return VB_OK;
    if (strcmp(entry->section, "recipe") == 0 && strcmp(entry->key, "date") == 0) {
        if (parse_version(entry->value, day) && day->is_day)
            return VB_OK;
        return vb_fail(err, VB_E_INPUT, "%s:%u: date is '%s', expected a day as 2022-9-16",
                       entry->file, entry->line, entry->value);
    }
    const struct vb_option *option = vb_option_find(options, n_options, entry->key);
    if (strcmp(entry->section, section) != 0 || option == NULL) {
        const char *near = vb_option_nearest(options, n_options, entry->key);
        return vb_fail(err, VB_E_INPUT, "%s:%u: no key '%s' in [%s]; expected [%s] with %s%s",
                       entry->file, entry->line, entry->key, entry->section, section,
                       near != NULL ? "for example " : "its keys", near != NULL ? near : "");
    }
    if (vb_option_set(option, entry->value, object, &inner) != VB_OK)
        return vb_fail(err, VB_E_INPUT, "%s:%u: %s", entry->file, entry->line, inner.text);
    return VB_OK;
}

/* What is asked of a family: its version, and which table the files fill. */
struct question {
    const char *family;
    const char *text; /* the version; "": the newest */
    const char *section;
    const struct vb_option *options;
    size_t n_options;
    void *object;
    size_t bytes; /* of the object */
};

static enum vb_status read_recipe(const struct question *question, const struct recipe_file *file,
                                  void *object, struct version *day, struct vb_error *err)
{
    char relative[128], path[PATH_MAX];
    struct vb_arena arena = { 0 };
    struct vb_ini ini;
    (void)snprintf(relative, sizeof relative, "sweeps/recipes/%s.ini", file->name);
    vb_file_shipped(relative, path, sizeof path);
    enum vb_status status = vb_ini_read(path, &arena, &ini, err);
    for (size_t i = 0; status == VB_OK && i < ini.n; i++)
        status = apply(&ini.entries[i], question->section, question->options, question->n_options,
                       object, day, err);
    vb_arena_clear(&arena);
    return status;
}

/* The sum of the files up to the version; `name` is the last one's. */
static enum vb_status sum_up(const struct question *question, char *name, size_t room,
                             struct vb_error *err)
{
    struct recipe_file files[MAX_FILES];
    struct version wanted = { { LONG_MAX }, false };
    char object[MAX_OBJECT_BYTES] = { 0 };
    size_t n = 0;
    if (question->text[0] != '\0' && !parse_version(question->text, &wanted))
        return vb_fail(err, VB_E_INPUT,
                       "%s is '%s', expected a version as 2.4.0, v6.2-203 or a day",
                       question->family, question->text);
    enum vb_status status = list_files(question->family, files, &n, err);
    if (status != VB_OK)
        return status;
    name[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        struct version day = files[i].version;
        char after[sizeof object];
        memcpy(after, object, sizeof after);
        status = read_recipe(question, &files[i], after, &day, err);
        if (status != VB_OK)
            return status;
        const struct version *since = wanted.is_day ? &day : &files[i].version;
        if (compare_versions(since, &wanted) > 0)
            break;
        memcpy(object, after, sizeof object);
        (void)snprintf(name, room, "%s", files[i].name);
    }
    if (name[0] == '\0')
        return vb_fail(err, VB_E_INPUT, "%s %s is older than the oldest recipe, %s",
                       question->family, question->text, files[0].name);
    memcpy(question->object, object, question->bytes);
    return VB_OK;
}

/* "yolov5-v6.2-203" is the family's name, then the version. */
static enum vb_status split_trainer(const char *text, enum vb_family family, const char **version,
                                    struct vb_error *err)
{
    *version = "";
    if (text[0] == '\0')
        return VB_OK;
    for (size_t i = 0; i < VB_N_FAMILIES; i++) {
        size_t length = strlen(vb_family_names[i]);
        if (strncmp(text, vb_family_names[i], length) != 0 ||
            (text[length] != '-' && text[length] != '\0'))
            continue;
        if (i != family)
            return vb_fail(err, VB_E_INPUT, "trainer is '%s', but this model is trained by %s",
                           text, vb_family_names[family]);
        *version = text[length] == '-' ? text + length + 1 : "";
        return VB_OK;
    }
    return vb_fail(
        err, VB_E_INPUT,
        "trainer is '%s', expected yolov5, ultralytics or classifier with or without a version, as "
        "ultralytics-8.3.176",
        text);
}

enum vb_family vb_family_of(const struct vb_graph *graph)
{
    if (graph->head == VB_HEAD_CLASSIFY)
        return VB_CLASSIFIER;
    return graph->head == VB_HEAD_V5 ? VB_YOLOV5 : VB_ULTRALYTICS;
}

static bool chosen(enum vb_choice choice, bool by_recipe)
{
    return choice == VB_AS_RECIPE ? by_recipe : choice == VB_ON;
}

enum vb_status vb_recipe_find(const struct vb_point *point, enum vb_family family,
                              struct vb_recipe *out, struct vb_error *err)
{
    struct vb_trainer trainer = { 0 };
    struct vb_torch torch = { 0 };
    struct version version;
    struct question trainers = { vb_family_names[family],
                                 NULL,
                                 "trainer",
                                 trainer_options,
                                 sizeof trainer_options / sizeof *trainer_options,
                                 &trainer,
                                 sizeof trainer };
    const struct question torches = {
        "torch", point->torch, "torch", torch_options, sizeof torch_options / sizeof *torch_options,
        &torch,  sizeof torch
    };
    char trainer_name[64], torch_name[64];
    enum vb_status status = split_trainer(point->trainer, family, &trainers.text, err);
    if (status == VB_OK)
        status = sum_up(&trainers, trainer_name, sizeof trainer_name, err);
    if (status == VB_OK)
        status = sum_up(&torches, torch_name, sizeof torch_name, err);
    if (status != VB_OK)
        return status;

    trainer.family = family;
    bool is_late = point->torch[0] == '\0' || !parse_version(point->torch, &version) ||
                   version.parts[0] * 100 + version.parts[1] >= (long)trainer.deterministic_since;
    trainer.deterministic = chosen(point->deterministic, trainer.deterministic && is_late);
    trainer.benchmark = chosen(point->benchmark, trainer.benchmark);
    *out = (struct vb_recipe){ .trainer = trainer, .torch = torch };
    (void)snprintf(out->name, sizeof out->name, "%.45s %.45s", trainer_name, torch_name);
    return VB_OK;
}
