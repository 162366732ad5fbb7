/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "memory/trace_replay.h"
#include "memory/trace_totals.h"

enum { EXIT_DIFFERENT = 1, MAX_FILE_BYTES = 1 << 28, MAX_COUNTS = 6 };

enum replay_format { REPLAY_MD, REPLAY_CSV, REPLAY_JSON };

/* What is printed, of either kind of recording. */
struct summary {
    const char *path;
    bool is_same;
    struct {
        const char *key, *what;
        size_t n_same, n;
    } counts[MAX_COUNTS];
    size_t n_counts;
    const char *sizes_of; /* "pool" or "recording" */
    uint64_t peak_reserved_bytes;
    size_t first_difference; /* line; 0: none */
};

struct request {
    const char *path, *segments, *conf, *addresses;
};

static void count(struct summary *summary, const char *key, const char *what, size_t n_same,
                  size_t n)
{
    size_t i = summary->n_counts++;
    summary->counts[i].key = key;
    summary->counts[i].what = what;
    summary->counts[i].n_same = n_same;
    summary->counts[i].n = n;
}

static void print_md(const struct summary *s)
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
        printf("First difference: line %zu\n", s->first_difference);
}

static void print_csv(const struct summary *s)
{
    printf("compared,equal,of\n");
    for (size_t i = 0; i < s->n_counts; i++)
        printf("%s,%zu,%zu\n", s->counts[i].key, s->counts[i].n_same, s->counts[i].n);
}

/* False where the host has no memory left. */
static bool print_json(const struct summary *s)
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
        (void)json_object_set_new(root, "first_difference_line",
                                  json_integer((json_int_t)s->first_difference));
    bool is_written = json_dumpf(root, stdout, JSON_INDENT(2)) == 0;
    printf("\n");
    json_decref(root);
    return is_written;
}

/* "x.csv" has its end in "x.segments.json" where nothing else is said. */
static void usual_end(const char *trace, char *path, size_t room)
{
    size_t length = strlen(trace);
    if (length > 4 && strcmp(trace + length - 4, ".csv") == 0)
        length -= 4;
    (void)snprintf(path, room, "%.*s.segments.json", (int)length, trace);
}

static void summarize(const struct vb_replay *r, enum vb_replay_addresses addresses, bool has_end,
                      struct summary *out)
{
    bool is_placed = addresses == VB_REPLAY_RECORDED;
    out->is_same = vb_replay_is_same(r, addresses);
    out->sizes_of = "pool";
    out->peak_reserved_bytes = r->peak_reserved_bytes;
    out->first_difference = r->first_difference;
    if (is_placed)
        count(out, "allocations_at_address", "allocations at their recorded address",
              r->n_at_address, r->n_allocations);
    if (r->has_segments) {
        count(out, "segments_made", "segments made when and as large as recorded",
              r->n_segments_same, r->n_segments);
        count(out, "segments_given_back", "segments given back as recorded", r->n_released_same,
              r->n_released);
        count(out, "events_reserved", "events with as much reserved", r->n_reserved_same,
              r->n_reserved);
    }
    if (is_placed && has_end)
        count(out, "blocks_at_end", "blocks at the end, free ones too", r->n_final_same,
              r->n_final);
}

static enum vb_status read_addresses(const char *text, const struct vb_trace *trace, bool has_end,
                                     enum vb_replay_addresses *out, struct vb_error *err)
{
    bool is_told = has_end || vb_trace_has_segments(trace);
    *out = is_told ? VB_REPLAY_RECORDED : VB_REPLAY_SYNTHETIC;
    if (text == NULL)
        return VB_OK;
    if (strcmp(text, "recorded") != 0 && strcmp(text, "synthetic") != 0)
        return vb_fail(err, VB_E_INPUT, "--addresses is '%s', expected recorded or synthetic",
                       text);
    if (strcmp(text, "recorded") == 0 && !is_told)
        return vb_fail(err, VB_E_INPUT, "--addresses recorded: the trace tells of no segments");
    *out = strcmp(text, "recorded") == 0 ? VB_REPLAY_RECORDED : VB_REPLAY_SYNTHETIC;
    return VB_OK;
}

static enum vb_status replay_snapshot(const struct request *request, const char *text,
                                      struct vb_arena *arena, struct summary *out,
                                      struct vb_error *err)
{
    char usual[PATH_MAX];
    char *json = NULL;
    size_t bytes = 0;
    const char *segments = request->segments;
    struct vb_trace trace;
    struct vb_trace_end end;
    struct vb_pool_options options;
    struct vb_replay result;
    enum vb_replay_addresses addresses;
    usual_end(request->path, usual, sizeof usual);
    if (segments == NULL && access(usual, R_OK) == 0)
        segments = usual;
    bool has_end = segments != NULL;
    enum vb_status status = vb_pool_options_parse(request->conf, &options, err);
    if (status == VB_OK)
        status = vb_trace_parse(request->path, text, arena, &trace, err);
    if (status == VB_OK && has_end)
        status = vb_file_read(segments, MAX_FILE_BYTES, &json, &bytes, err);
    if (status == VB_OK && has_end)
        status = vb_trace_parse_end(segments, json, arena, &end, err);
    if (status == VB_OK)
        status = read_addresses(request->addresses, &trace, has_end, &addresses, err);
    if (status == VB_OK)
        status = vb_trace_replay(request->path, &trace, has_end ? &end : NULL, &options, addresses,
                                 arena, &result, err);
    if (status == VB_OK)
        summarize(&result, addresses, has_end, out);
    free(json);
    return status;
}

static enum vb_status check_totals(const char *path, const char *text, struct summary *out,
                                   struct vb_error *err)
{
    struct vb_trace_totals totals;
    enum vb_status status = vb_trace_check_totals(path, text, &totals, err);
    if (status != VB_OK)
        return status;
    count(out, "sums", "running sums as recorded", totals.n_sums_same, totals.n_sums);
    count(out, "allocated_within_reserved", "events with no more allocated than reserved",
          totals.n_below_reserved, totals.n_events);
    out->is_same = totals.first_difference == 0;
    out->sizes_of = "recording";
    out->peak_reserved_bytes = totals.peak_reserved_bytes;
    out->first_difference = totals.first_difference;
    return VB_OK;
}

static enum vb_status replay(const struct request *request, struct summary *out,
                             struct vb_error *err)
{
    char *text = NULL;
    size_t bytes = 0;
    struct vb_arena arena = { 0 };
    enum vb_status status = vb_file_read(request->path, MAX_FILE_BYTES, &text, &bytes, err);
    *out = (struct summary){ .path = request->path };
    if (status == VB_OK)
        status = vb_trace_has_totals(text) ? check_totals(request->path, text, out, err)
                                           : replay_snapshot(request, text, &arena, out, err);
    free(text);
    vb_arena_clear(&arena);
    return status;
}

static enum vb_status read_format(const char *text, enum replay_format *out, struct vb_error *err)
{
    static const char *const names[] = { "md", "csv", "json" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum replay_format)i;
            return VB_OK;
        }
    }
    return vb_fail(err, VB_E_INPUT, "--format is '%s', expected md, csv or json", text);
}

static enum vb_status print_summary(const struct summary *summary, enum replay_format format,
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

int cmd_replay(int argc, char **argv)
{
    struct request request = { .conf = "" };
    const char *format_text = "md";
    const struct cli_option options[] = {
        { "segments", "FILE", "the segments at its end; TRACE.segments.json if there",
          &request.segments, NULL },
        { "alloc-conf", "TEXT", "as PYTORCH_CUDA_ALLOC_CONF", &request.conf, NULL },
        { "addresses", "NAME", "of new segments: recorded (if told), synthetic", &request.addresses,
          NULL },
        { "format", "NAME", "md, csv or json", &format_text, NULL },
    };
    const struct cli_command command = {
        .usage = "vrambench replay TRACE.csv [options]",
        .summary =
            "Replays a recording of PyTorch's allocator through the pool and compares addresses,\n"
            "segments, reserved bytes and what is left. Of a profiler's recording the sums are\n"
            "checked. Exit status 1 where they differ.",
        .options = options,
        .n_options = sizeof options / sizeof *options,
        .min_positional = 1,
        .max_positional = 1,
    };
    struct cli_values positional = { 0 };
    struct vb_error err = { 0 };
    struct summary summary;
    enum replay_format format = REPLAY_MD;
    int exit_status = 0;
    if (!cli_begin(&command, argc, argv, &positional, &exit_status))
        return exit_status;
    request.path = positional.items[0];
    enum vb_status status = read_format(format_text, &format, &err);
    if (status == VB_OK)
        status = replay(&request, &summary, &err);
    if (status == VB_OK)
        status = print_summary(&summary, format, &err);
    if (status != VB_OK)
        return cli_fail(status, &err);
    return summary.is_same ? 0 : EXIT_DIFFERENT;
}
