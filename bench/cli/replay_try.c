/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cli/replay.h"

/* What PyTorch's page on memory management and its message of running out name, alone, at values
 * that are commonly tried; the last needs to know how much memory there is. */
static const char *const usual[] = {
    "",
    "expandable_segments:True",
    "max_split_size_mb:128",
    "max_split_size_mb:512",
    "roundup_power2_divisions:4",
    "roundup_power2_divisions:8",
    "garbage_collection_threshold:0.8,per_process_memory_fraction:1",
};
enum { N_USUAL = sizeof usual / sizeof *usual };

struct tries {
    const struct replay_recording *recording;
    struct vb_trace_start start;
    const char *recorded; /* its settings as a text */
    struct vb_arena *arena;
    struct replay_trials *out;
    struct vb_error *err;
};

static const char *text_of(struct tries *tries, const struct vb_pool_options *options)
{
    struct vb_text text = { 0 };
    vb_pool_options_append(options, &text);
    const char *copy = text.failed ? NULL : vb_arena_copy(tries->arena, vb_text_data(&text));
    vb_text_clear(&text);
    return copy;
}

static enum vb_status try_options(struct tries *tries, const char *label,
                                  const struct vb_pool_options *options)
{
    struct replay_trials *out = tries->out;
    struct vb_arena scratch = { 0 };
    if (out->n == REPLAY_MAX_TRIALS)
        return vb_fail(tries->err, VB_E_INPUT, "--try: more than %d settings", REPLAY_MAX_TRIALS);
    out->items[out->n].settings = label;
    enum vb_status status =
        vb_trace_try(tries->recording->path, &tries->recording->trace, &tries->start, options,
                     out->capacity_bytes, &scratch, &out->items[out->n].trial, tries->err);
    vb_arena_clear(&scratch);
    out->n += status == VB_OK;
    return status;
}

static enum vb_status try_text(struct tries *tries, const char *text)
{
    struct vb_pool_options options;
    enum vb_status status = vb_pool_options_parse(text, &options, tries->err);
    if (status != VB_OK)
        return status;
    return try_options(tries, text[0] == '\0' ? "defaults" : text, &options);
}

/* The recording's own is there already; without a limit a part of it is no limit either. */
static enum vb_status try_usual(struct tries *tries)
{
    enum vb_status status = VB_OK;
    for (size_t i = 0; i < N_USUAL && status == VB_OK; i++) {
        bool needs_limit = strstr(usual[i], "fraction") != NULL;
        if (strcmp(usual[i], tries->recorded) != 0 &&
            (!needs_limit || tries->out->capacity_bytes > 0))
            status = try_text(tries, usual[i]);
    }
    return status;
}

static enum vb_status try_recorded(struct tries *tries)
{
    tries->recorded = text_of(tries, &tries->recording->options);
    const char *label =
        tries->recorded == NULL
            ? NULL
            : vb_arena_format(tries->arena, "as recorded (%s)",
                              tries->recorded[0] == '\0' ? "defaults" : tries->recorded);
    if (label == NULL)
        return vb_fail(tries->err, VB_E_SYSTEM, "no host memory left for a replay");
    return try_options(tries, label, &tries->recording->options);
}

enum vb_status replay_try(const struct replay_recording *recording, const struct cli_values *texts,
                          uint64_t capacity_bytes, struct vb_arena *arena,
                          struct replay_trials *out, struct vb_error *err)
{
    struct tries tries = { .recording = recording, .arena = arena, .out = out, .err = err };
    enum vb_status status = vb_trace_find_start(recording->path, &recording->trace,
                                                recording->has_end ? &recording->end : NULL,
                                                &recording->options, arena, &tries.start, err);
    if (status != VB_OK)
        return status;
    out->n = 0;
    out->n_start = tries.start.n_live;
    out->start_bytes = tries.start.live_bytes;
    out->capacity_bytes = capacity_bytes;
    if (capacity_bytes == 0)
        out->capacity_bytes = vb_trace_capacity(&recording->trace, &tries.start);
    out->is_inferred = capacity_bytes == 0 && out->capacity_bytes > 0;
    status = try_recorded(&tries);
    if (texts->n == 0 && status == VB_OK)
        status = try_usual(&tries);
    for (size_t i = 0; i < texts->n && status == VB_OK; i++)
        status = strcmp(texts->items[i], "usual") == 0 ? try_usual(&tries)
                                                       : try_text(&tries, texts->items[i]);
    return status;
}
