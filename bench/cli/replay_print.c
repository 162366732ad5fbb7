/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "base/bytes.h"
#include "cli/replay.h"

static double unused_share(const struct vb_trial *trial)
{
    return trial->peak_reserved_bytes == 0
               ? 0
               : 1 - (double)trial->allocated_at_peak_bytes / (double)trial->peak_reserved_bytes;
}

static void print_trial(const struct replay_summary *s, size_t index)
{
    const struct vb_trial *trial = &s->trials.items[index].trial;
    printf("| %s | %s | %s | %.1f %% | ", s->trials.items[index].settings,
           vb_bytes_format(trial->peak_reserved_bytes).text,
           vb_bytes_format(trial->peak_allocated_bytes).text, 100 * unused_share(trial));
    if (trial->has_segments)
        printf("%" PRIu64 " | %" PRIu64 " |", trial->segments_at_peak, trial->n_retries);
    else
        printf("- | %" PRIu64 " |", trial->n_retries);
    if (s->trials.capacity_bytes == 0)
        printf("\n");
    else if (!trial->ran_out)
        printf(" no |\n");
    else if (trial->ran_out_line == 0)
        printf(" before the recording begins |\n");
    else
        printf(" at %s %zu, for %s |\n", s->place, trial->ran_out_line,
               vb_bytes_format(trial->ran_out_bytes).text);
}

/* Which setting needed least, of those that came to the end. */
static void print_best(const struct replay_trials *t)
{
    size_t best = t->n;
    for (size_t i = 0; i < t->n; i++) {
        bool is_less = best == t->n || t->items[i].trial.peak_reserved_bytes <
                                           t->items[best].trial.peak_reserved_bytes;
        if (!t->items[i].trial.ran_out && is_less)
            best = i;
    }
    if (best == t->n)
        printf("\nEvery one of them runs out.\n");
    else if (t->items[0].trial.ran_out)
        printf("\nWhat was recorded runs out; it does not with %s.\n", t->items[best].settings);
    else if (best == 0)
        printf("\nNone of them would reserve less.\n");
    else
        printf("\nLeast is reserved with %s: %s less.\n", t->items[best].settings,
               vb_bytes_format(t->items[0].trial.peak_reserved_bytes -
                               t->items[best].trial.peak_reserved_bytes)
                   .text);
}

static void print_trials(const struct replay_summary *s)
{
    const struct replay_trials *t = &s->trials;
    printf("\nWith other settings");
    if (t->capacity_bytes > 0)
        printf(", in %s%s", vb_bytes_format(t->capacity_bytes).text,
               t->is_inferred ? " (what there was where the recording ran out)" : "");
    printf("; unused: of what is reserved at the peak.\n\n"
           "| settings | reserved | allocated | unused | segments | retries |%s\n"
           "| --- | ---: | ---: | ---: | ---: | ---: |%s\n",
           t->capacity_bytes > 0 ? " runs out |" : "", t->capacity_bytes > 0 ? " --- |" : "");
    bool ran_out = false;
    for (size_t i = 0; i < t->n; i++) {
        print_trial(s, i);
        ran_out = ran_out || t->items[i].trial.ran_out;
    }
    if (ran_out)
        printf("\nFor what runs out the numbers are those until then.\n");
    print_best(t);
    if (t->n_start > 0)
        printf("%zu blocks (%s) were alive before the recording began. How they came to lie where\n"
               "they did is not known: here they are asked for anew, in order of address.\n",
               t->n_start, vb_bytes_format(t->start_bytes).text);
}

static void print_md(const struct replay_summary *s)
{
    printf("%s: %s\n\n", s->path,
           s->n_counts == 0 ? "nothing to compare"
           : s->is_same     ? "equal"
                            : "different");
    if (s->n_counts > 0)
        printf("| compared | equal | of |\n| --- | ---: | ---: |\n");
    for (size_t i = 0; i < s->n_counts; i++)
        printf("| %s | %zu | %zu |\n", s->counts[i].what, s->counts[i].n_same, s->counts[i].n);
    printf("%sReserved at the peak, by the %s: %s\n", s->n_counts > 0 ? "\n" : "", s->sizes_of,
           vb_bytes_format(s->peak_reserved_bytes).text);
    if (s->first_difference > 0)
        printf("First difference: %s %zu\n", s->place, s->first_difference);
    if (s->n_private > 0)
        printf(
            "%zu segments are of private pools (CUDA graphs, MemPools), which are not modelled\n",
            s->n_private);
    if (s->trials.n > 0)
        print_trials(s);
}

static void print_csv(const struct replay_summary *s)
{
    if (s->trials.n == 0)
        printf("compared,equal,of\n");
    for (size_t i = 0; i < s->n_counts && s->trials.n == 0; i++)
        printf("%s,%zu,%zu\n", s->counts[i].key, s->counts[i].n_same, s->counts[i].n);
    if (s->trials.n > 0)
        printf("settings,peak_reserved_bytes,peak_allocated_bytes,allocated_at_peak_bytes,"
               "requested_at_peak_bytes,segments_at_peak,retries,ran_out,ran_out_%s,"
               "ran_out_bytes\n",
               s->place);
    for (size_t i = 0; i < s->trials.n; i++) {
        const struct vb_trial *t = &s->trials.items[i].trial;
        printf("\"%s\",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",",
               s->trials.items[i].settings, t->peak_reserved_bytes, t->peak_allocated_bytes,
               t->allocated_at_peak_bytes, t->requested_at_peak_bytes);
        if (t->has_segments)
            printf("%" PRIu64, t->segments_at_peak);
        printf(",%" PRIu64 ",%s", t->n_retries, t->ran_out ? "true" : "false");
        if (t->ran_out)
            printf(",%zu,%" PRIu64 "\n", t->ran_out_line, t->ran_out_bytes);
        else
            printf(",,\n");
    }
}

static json_t *trial_object(const struct replay_summary *s, size_t index)
{
    const struct vb_trial *t = &s->trials.items[index].trial;
    json_t *object =
        json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:b}", "settings", s->trials.items[index].settings,
                  "peak_reserved_bytes", (json_int_t)t->peak_reserved_bytes, "peak_allocated_bytes",
                  (json_int_t)t->peak_allocated_bytes, "allocated_at_peak_bytes",
                  (json_int_t)t->allocated_at_peak_bytes, "requested_at_peak_bytes",
                  (json_int_t)t->requested_at_peak_bytes, "retries", (json_int_t)t->n_retries,
                  "ran_out", (int)t->ran_out);
    if (t->has_segments)
        (void)json_object_set_new(object, "segments_at_peak",
                                  json_integer((json_int_t)t->segments_at_peak));
    if (t->n_refused > 0)
        (void)json_object_set_new(object, "refused_as_recorded",
                                  json_integer((json_int_t)t->n_refused));
    if (t->ran_out) {
        (void)json_object_set_new(object, "ran_out_at", json_integer((json_int_t)t->ran_out_line));
        (void)json_object_set_new(object, "ran_out_bytes",
                                  json_integer((json_int_t)t->ran_out_bytes));
    }
    return object;
}

static void add_trials(const struct replay_summary *s, json_t *root)
{
    json_t *list = json_array();
    for (size_t i = 0; i < s->trials.n; i++)
        (void)json_array_append_new(list, trial_object(s, i));
    (void)json_object_set_new(root, "tried", list);
    (void)json_object_set_new(root, "blocks_before", json_integer((json_int_t)s->trials.n_start));
    if (s->trials.capacity_bytes > 0)
        (void)json_object_set_new(root, "capacity_bytes",
                                  json_integer((json_int_t)s->trials.capacity_bytes));
}

/* False where the host has no memory left. */
static bool print_json(const struct replay_summary *s)
{
    json_t *counts = json_object();
    for (size_t i = 0; i < s->n_counts; i++)
        (void)json_object_set_new(counts, s->counts[i].key,
                                  json_pack("{s:I,s:I}", "equal", (json_int_t)s->counts[i].n_same,
                                            "of", (json_int_t)s->counts[i].n));
    json_t *root =
        json_pack("{s:s,s:b,s:o,s:I}", "trace", s->path, "is_equal", (int)s->is_same, "compared",
                  counts, "peak_reserved_bytes", (json_int_t)s->peak_reserved_bytes);
    if (root == NULL)
        return false;
    if (s->first_difference > 0)
        (void)json_object_set_new(
            root, s->has_device ? "first_difference_event" : "first_difference_line",
            json_integer((json_int_t)s->first_difference));
    if (s->has_device)
        (void)json_object_set_new(root, "device", json_integer((json_int_t)s->device));
    if (s->settings != NULL)
        (void)json_object_set_new(root, "alloc_conf", json_string(s->settings));
    if (s->n_private > 0)
        (void)json_object_set_new(root, "private_segments", json_integer((json_int_t)s->n_private));
    if (s->trials.n > 0)
        add_trials(s, root);
    bool is_written = json_dumpf(root, stdout, JSON_INDENT(2)) == 0;
    printf("\n");
    json_decref(root);
    return is_written;
}

enum vb_status replay_print(const struct replay_summary *summary, enum replay_format format,
                            struct vb_error *err)
{
    if (format == REPLAY_MD)
        print_md(summary);
    else if (format == REPLAY_CSV)
        print_csv(summary);
    else if (!print_json(summary))
        return vb_fail(err, VB_E_SYSTEM, "the result cannot be written");
    return VB_OK;
}
