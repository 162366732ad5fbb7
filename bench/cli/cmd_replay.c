/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/replay.h"
#include "device/gpu_spec.h"
#include "memory/trace_form.h"
#include "memory/trace_pickle.h"
#include "memory/trace_replay.h"
#include "memory/trace_totals.h"

enum { EXIT_NOT_SO = 1, MAX_FILE_BYTES = 1 << 28, MAX_DEVICE = 1 << 16 };

struct request {
    const char *path, *segments, *conf, *addresses, *device, *memory, *gpu;
    struct cli_values tries;
};

static void count(struct replay_summary *summary, const char *key, const char *what, size_t n_same,
                  size_t n)
{
    size_t i = summary->n_counts++;
    summary->counts[i].key = key;
    summary->counts[i].what = what;
    summary->counts[i].n_same = n_same;
    summary->counts[i].n = n;
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
                      struct replay_summary *out)
{
    bool is_placed = addresses == VB_REPLAY_RECORDED && !r->has_pages;
    out->is_same = vb_replay_is_same(r, addresses);
    out->sizes_of = "pool";
    out->peak_reserved_bytes = r->peak_reserved_bytes;
    out->first_difference = r->first_difference;
    if (is_placed)
        count(out, "allocations_at_address", "allocations at their recorded address",
              r->n_at_address, r->n_allocations);
    if (r->has_segments && !r->has_pages) {
        count(out, "segments_made", "segments made when and as large as recorded",
              r->n_segments_same, r->n_segments);
        count(out, "segments_given_back", "segments given back as recorded", r->n_released_same,
              r->n_released);
    }
    if (r->has_segments)
        count(out, "events_reserved", "events with as much reserved", r->n_reserved_same,
              r->n_reserved);
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

/* How much there is for segments; 0: not asked. */
static enum vb_status read_capacity(const struct request *request, uint64_t *out,
                                    struct vb_error *err)
{
    struct vb_gpu_spec gpu = { 0 };
    struct vb_error why;
    *out = 0;
    if (request->memory != NULL && request->gpu != NULL)
        return vb_fail(err, VB_E_INPUT, "--memory or --gpu, not both");
    if (request->memory != NULL) {
        enum vb_status status = vb_bytes_parse(request->memory, out, &why);
        if (status != VB_OK)
            return vb_fail(err, status, "--memory: %s", why.text);
        return *out > 0 ? VB_OK : vb_fail(err, VB_E_INPUT, "--memory is 0, expected more");
    }
    if (request->gpu == NULL)
        return VB_OK;
    enum vb_status status = vb_gpu_spec_find(request->gpu, &gpu, err);
    if (status == VB_OK)
        *out = gpu.capacity_bytes - gpu.context_bytes;
    vb_gpu_spec_clear(&gpu);
    return status;
}

/* What every form of events comes to. */
static enum vb_status replay_recording(const struct request *request,
                                       struct replay_recording *recording, struct vb_arena *arena,
                                       struct replay_summary *out, struct vb_error *err)
{
    enum vb_replay_addresses addresses;
    struct vb_replay result;
    uint64_t capacity = 0;
    bool tries = request->tries.n > 0 || request->memory != NULL || request->gpu != NULL;
    enum vb_status status = VB_OK;
    if (request->conf != NULL)
        status = vb_pool_options_parse(request->conf, &recording->options, err);
    if (status == VB_OK)
        status = read_capacity(request, &capacity, err);
    if (status == VB_OK)
        status = read_addresses(request->addresses, &recording->trace, recording->has_end,
                                &addresses, err);
    if (status == VB_OK)
        status = vb_trace_replay(recording->path, &recording->trace,
                                 recording->has_end ? &recording->end : NULL, &recording->options,
                                 addresses, arena, &result, err);
    if (status == VB_OK)
        summarize(&result, addresses, recording->has_end, out);
    if (status == VB_OK && tries)
        status = replay_try(recording, &request->tries, capacity, arena, &out->trials, err);
    return status;
}

static enum vb_status replay_events(const struct request *request, const char *text,
                                    struct vb_arena *arena, struct replay_summary *out,
                                    struct vb_error *err)
{
    char usual[PATH_MAX];
    char *json = NULL;
    size_t bytes = 0;
    const char *segments = request->segments;
    struct replay_recording recording = { .path = request->path };
    usual_end(request->path, usual, sizeof usual);
    if (segments == NULL && access(usual, R_OK) == 0)
        segments = usual;
    recording.has_end = segments != NULL;
    enum vb_status status = vb_trace_parse(request->path, text, arena, &recording.trace, err);
    if (status == VB_OK && recording.has_end)
        status = vb_file_read(segments, MAX_FILE_BYTES, &json, &bytes, err);
    if (status == VB_OK && recording.has_end)
        status = vb_trace_parse_end(segments, json, arena, &recording.end, err);
    if (status == VB_OK)
        status = replay_recording(request, &recording, arena, out, err);
    free(json);
    return status;
}

static enum vb_status read_device(const char *text, long *out, struct vb_error *err)
{
    char *end = NULL;
    *out = VB_TRACE_ANY_DEVICE;
    if (text == NULL)
        return VB_OK;
    *out = strtol(text, &end, 10);
    if (end == text || *end != '\0' || *out < 0 || *out > MAX_DEVICE)
        return vb_fail(err, VB_E_INPUT, "--device is '%s', expected the number of a GPU, from 0 on",
                       text);
    return VB_OK;
}

static enum vb_status replay_pickle(const struct request *request, FILE *file,
                                    struct vb_arena *arena, struct replay_summary *out,
                                    struct vb_error *err)
{
    struct replay_recording recording = { .path = request->path, .has_end = true };
    struct vb_trace_pickle pickle;
    struct vb_text text = { 0 };
    long device = VB_TRACE_ANY_DEVICE;
    if (request->segments != NULL)
        return vb_fail(err, VB_E_INPUT, "--segments: a pickle has its own");
    enum vb_status status = read_device(request->device, &device, err);
    if (status == VB_OK)
        status = vb_trace_read_pickle(request->path, file, device, NULL, arena, &pickle, err);
    if (status != VB_OK)
        return status;
    recording.trace = pickle.trace;
    recording.end = pickle.end;
    recording.options = pickle.options;
    out->place = "event";
    out->has_device = true;
    out->device = pickle.device;
    out->n_private = pickle.n_private;
    vb_pool_options_append(&pickle.options, &text);
    out->settings = vb_arena_copy(arena, vb_text_data(&text));
    vb_text_clear(&text);
    return replay_recording(request, &recording, arena, out, err);
}

static enum vb_status check_totals(const char *path, const char *text, struct replay_summary *out,
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

static enum vb_status replay_text(const struct request *request, FILE *file, struct vb_arena *arena,
                                  struct replay_summary *out, struct vb_error *err)
{
    char *text = NULL;
    size_t bytes = 0;
    if (request->device != NULL)
        return vb_fail(err, VB_E_INPUT, "--device: only a pickle has events of several GPUs");
    enum vb_status status =
        vb_file_read_open(request->path, file, MAX_FILE_BYTES, &text, &bytes, err);
    if (status == VB_OK)
        status = vb_trace_has_totals(text) ? check_totals(request->path, text, out, err)
                                           : replay_events(request, text, arena, out, err);
    free(text);
    return status;
}

static enum vb_status replay(const struct request *request, struct vb_arena *arena,
                             struct replay_summary *out, struct vb_error *err)
{
    enum vb_trace_form form;
    FILE *file = fopen(request->path, "rb");
    *out = (struct replay_summary){ .path = request->path, .place = "line" };
    if (file == NULL)
        return vb_fail(err, VB_E_INPUT, "%s: cannot be opened: %s", request->path, strerror(errno));
    enum vb_status status = vb_trace_form_of(request->path, file, &form, err);
    if (status == VB_OK)
        status = form == VB_TRACE_FORM_PICKLE ? replay_pickle(request, file, arena, out, err)
                                              : replay_text(request, file, arena, out, err);
    (void)fclose(file);
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

/* Whether some setting comes to the end, or none was tried against a limit. */
static bool has_room(const struct replay_trials *trials)
{
    bool has = trials->n == 0 || trials->capacity_bytes == 0;
    for (size_t i = 0; i < trials->n; i++)
        has = has || !trials->items[i].trial.ran_out;
    return has;
}

int cmd_replay(int argc, char **argv)
{
    struct request request = { 0 };
    const char *format_text = "md";
    const struct cli_option options[] = {
        { "device", "N", "the GPU, where a snapshot has events of several", &request.device, NULL },
        { "try", "TEXT",
          "settings to compare, as PYTORCH_CUDA_ALLOC_CONF; usual: those commonly "
          "advised; may be given again",
          NULL, &request.tries },
        { "memory", "SIZE", "what the segments may take: does it run out?", &request.memory, NULL },
        { "gpu", "NAME", "the same: this GPU's memory less its context", &request.gpu, NULL },
        { "alloc-conf", "TEXT", "the recorded process's settings; of a pickle as it tells",
          &request.conf, NULL },
        { "segments", "FILE", "a CSV's segments at its end; TRACE.segments.json if there",
          &request.segments, NULL },
        { "addresses", "NAME", "of new segments: recorded (if told), synthetic", &request.addresses,
          NULL },
        { "format", "NAME", "md, csv or json", &format_text, NULL },
    };
    const struct cli_command command = {
        .usage = "vrambench replay FILE [options]",
        .summary =
            "Replays a recording of PyTorch's allocator through the pool and compares "
            "addresses,\n"
            "segments, reserved bytes and what is left; --try tells what other settings of "
            "the\n"
            "allocator would have done. FILE is what torch.cuda.memory._dump_snapshot() wrote\n"
            "(only plain data is read from a pickle, no code), or a CSV of such events. Of a\n"
            "profiler's recording the sums are checked. Exit status 1 where they differ, or "
            "where\n"
            "each of the settings runs out.",
        .examples = "  vrambench replay snapshot.pickle\n"
                    "  vrambench replay snapshot.pickle --try usual --gpu t4\n"
                    "  vrambench replay snapshot.pickle --memory 22GiB "
                    "--try max_split_size_mb:256\n",
        .options = options,
        .n_options = sizeof options / sizeof *options,
        .min_positional = 1,
        .max_positional = 1,
    };
    struct cli_values positional = { 0 };
    struct vb_error err = { 0 };
    struct vb_arena arena = { 0 };
    struct replay_summary summary;
    enum replay_format format = REPLAY_MD;
    int exit_status = 0;
    if (!cli_begin(&command, argc, argv, &positional, &exit_status))
        return exit_status;
    request.path = positional.items[0];
    enum vb_status status = read_format(format_text, &format, &err);
    if (status == VB_OK)
        status = replay(&request, &arena, &summary, &err);
    if (status == VB_OK)
        status = replay_print(&summary, format, &err);
    vb_arena_clear(&arena);
    if (status != VB_OK)
        return cli_fail(status, &err);
    return summary.is_same && has_room(&summary.trials) ? 0 : EXIT_NOT_SO;
}
