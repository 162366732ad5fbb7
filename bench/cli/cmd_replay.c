/* SPDX-License-Identifier: Apache-2.0 */
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

enum { EXIT_DIFFERENT = 1, MAX_FILE_BYTES = 1 << 28 };

static void print_count(const char *what, size_t n_same, size_t n)
{
    printf("  %-38s %8zu of %zu\n", what, n_same, n);
}

static bool is_same(const struct vb_replay *r)
{
    return r->first_difference == 0 && r->n_at_address == r->n_allocations &&
           r->n_segments == r->n_segments_same && r->n_released == r->n_released_same &&
           r->n_final == r->n_final_same;
}

static void print_replay(const char *path, const struct vb_replay *r)
{
    printf("%s: %s\n", path, is_same(r) ? "equal" : "different");
    print_count("allocations at their recorded address", r->n_at_address, r->n_allocations);
    print_count("segments made as recorded", r->n_segments_same, r->n_segments);
    print_count("blocks at the end as recorded", r->n_final_same, r->n_final);
    printf("  reserved: %s at the end, %s at the peak\n",
           vb_bytes_format(r->end_reserved_bytes).text,
           vb_bytes_format(r->peak_reserved_bytes).text);
    if (r->first_difference > 0)
        printf("  first difference: line %zu\n", r->first_difference);
}

/* "x.csv" has its end in "x.segments.json" where nothing else is said. */
static void usual_end(const char *trace, char *path, size_t room)
{
    size_t length = strlen(trace);
    if (length > 4 && strcmp(trace + length - 4, ".csv") == 0)
        length -= 4;
    (void)snprintf(path, room, "%.*s.segments.json", (int)length, trace);
}

static enum vb_status replay(const char *path, const char *segments, const char *conf,
                             struct vb_replay *out, struct vb_error *err)
{
    char usual[PATH_MAX];
    char *text = NULL, *json = NULL;
    size_t bytes = 0;
    struct vb_arena arena = { 0 };
    struct vb_trace trace;
    struct vb_trace_end end;
    struct vb_pool_options options;
    usual_end(path, usual, sizeof usual);
    if (segments == NULL && access(usual, R_OK) == 0)
        segments = usual;
    enum vb_status status = vb_pool_options_parse(conf, &options, err);
    if (status == VB_OK)
        status = vb_file_read(path, MAX_FILE_BYTES, &text, &bytes, err);
    if (status == VB_OK)
        status = vb_trace_parse(path, text, &arena, &trace, err);
    if (status == VB_OK && segments != NULL)
        status = vb_file_read(segments, MAX_FILE_BYTES, &json, &bytes, err);
    if (status == VB_OK && segments != NULL)
        status = vb_trace_parse_end(segments, json, &arena, &end, err);
    if (status == VB_OK)
        status =
            vb_trace_replay(&trace, segments != NULL ? &end : NULL, &options, &arena, out, err);
    free(text);
    free(json);
    vb_arena_clear(&arena);
    return status;
}

int cmd_replay(int argc, char **argv)
{
    const char *segments = NULL, *conf = "";
    const struct cli_option options[] = {
        { "segments", "FILE", "the segments at its end; TRACE.segments.json if there", &segments,
          NULL },
        { "alloc-conf", "TEXT", "as PYTORCH_CUDA_ALLOC_CONF", &conf, NULL },
    };
    const struct cli_command command = {
        .usage = "vrambench replay TRACE.csv [options]",
        .summary =
            "Replays a recording of PyTorch's allocator through the pool and compares addresses,\n"
            "segments and what is left. Exit status 1 where they differ.",
        .options = options,
        .n_options = sizeof options / sizeof *options,
        .min_positional = 1,
        .max_positional = 1,
    };
    struct cli_values positional = { 0 };
    struct vb_error err = { 0 };
    struct vb_replay result;
    int exit_status = 0;
    if (!cli_begin(&command, argc, argv, &positional, &exit_status))
        return exit_status;
    enum vb_status status = replay(positional.items[0], segments, conf, &result, &err);
    if (status != VB_OK)
        return cli_fail(status, &err);
    print_replay(positional.items[0], &result);
    return is_same(&result) ? 0 : EXIT_DIFFERENT;
}
