/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/text.h"
#include "cli/watch_report.h"
#include "config.h"
#include "report/gnuplot.h"

enum { CHART_POINTS = 2000, CHART_CURVES = 16 };

static double seconds_of(const struct cli_watch_report *report, uint64_t ns)
{
    const uint64_t start = report->run->start_ns;
    return ns > start ? (double)(ns - start) * 1e-9 : 0;
}

/* ------------------------------------------------------------------------------ report.json */

static void set_bytes(json_t *object, const char *key, uint64_t bytes)
{
    (void)json_object_set_new(object, key, json_integer((json_int_t)bytes));
}

static json_t *pack_allocation(const struct vb_watched_allocation *one)
{
    char address[24];
    (void)snprintf(address, sizeof address, "0x%" PRIx64, one->address);
    json_t *object =
        json_pack("{s:I,s:f,s:s,s:I}", "bytes", (json_int_t)one->bytes, "taken_seconds",
                  one->seconds, "call", one->call, "correlation", (json_int_t)one->correlation);
    if (one->address != 0)
        (void)json_object_set_new(object, "address", json_string(address));
    if (one->caller[0] != '\0')
        (void)json_object_set_new(object, "caller", json_string(one->caller));
    return object;
}

static json_t *pack_part(const struct cli_watch_report *report, const struct vb_watched_gpu *part)
{
    json_t *object =
        json_pack("{s:s,s:I,s:f}", "gpu", part->name, "peak_allocated_bytes",
                  (json_int_t)part->peak_bytes, "peak_seconds", seconds_of(report, part->peak_ns));
    json_t *largest = json_array();
    if (part->has_context)
        set_bytes(object, "context_bytes", part->context_bytes);
    if (part->n_samples > 0) {
        set_bytes(object, "nvml_largest_bytes", part->sampled_bytes);
        (void)json_object_set_new(object, "nvml_samples",
                                  json_integer((json_int_t)part->n_samples));
    }
    if (part->managed_bytes > 0)
        set_bytes(object, "managed_bytes", part->managed_bytes);
    for (size_t i = 0; i < part->n_largest; i++)
        (void)json_array_append_new(largest, pack_allocation(&part->largest[i]));
    (void)json_object_set_new(object, "largest_at_peak", largest);
    return object;
}

static json_t *pack_process(const struct cli_watch_report *report,
                            const struct vb_watched_process *process)
{
    const char *doubt = cli_watch_doubt(process);
    const bool is_off = process->trace->why[0] != '\0' && process->trace->n_events == 0;
    json_t *object =
        json_pack("{s:i,s:i,s:f,s:s,s:s}", "pid", (int)process->trace->start.pid, "parent_pid",
                  (int)process->trace->start.parent, "cuda_opened_seconds",
                  seconds_of(report, process->trace->start.monotonic_ns), "end",
                  vb_watched_end_names[process->end], "capture",
                  is_off             ? "none"
                  : doubt[0] != '\0' ? "lower-bound"
                                     : "full");
    json_t *gpus = json_array();
    /* A command line need not be UTF-8. */
    json_t *command = json_string(process->trace->command);
    if (command != NULL)
        (void)json_object_set_new(object, "command", command);
    if (doubt[0] != '\0')
        (void)json_object_set_new(object, "capture_reason", json_string(doubt));
    if (process->trace->start.cupti_version > 0)
        (void)json_object_set_new(object, "cupti",
                                  json_integer((json_int_t)process->trace->start.cupti_version));
    for (size_t i = 0; i < process->n_gpus; i++)
        (void)json_array_append_new(gpus, pack_part(report, &process->gpus[i]));
    (void)json_object_set_new(object, "gpus", gpus);
    return object;
}

static json_t *pack_total(const struct cli_watch_report *report,
                          const struct vb_watched_total *total)
{
    json_t *object = json_pack(
        "{s:s,s:I,s:f,s:I,s:b}", "gpu", total->name, "peak_allocated_bytes",
        (json_int_t)total->peak_bytes, "peak_seconds", seconds_of(report, total->peak_ns),
        "processes", (json_int_t)total->n_processes, "is_lower_bound", (int)total->is_lower_bound);
    if (total->has_context)
        set_bytes(object, "context_bytes", total->context_bytes);
    if (total->has_context || total->sampled_bytes > 0)
        set_bytes(object, "peak_device_bytes", total->device_bytes);
    if (total->sampled_bytes > 0)
        set_bytes(object, "nvml_largest_bytes", total->sampled_bytes);
    return object;
}

static json_t *pack_plan(const struct cli_watch_plan *plan)
{
    json_t *object =
        json_pack("{s:s,s:s,s:s,s:I,s:I}", "provenance", "planned", "point", plan->point, "gpu",
                  plan->gpu, "need_bytes", (json_int_t)plan->need_bytes, "context_bytes",
                  (json_int_t)plan->context_bytes);
    if (plan->has_interval) {
        set_bytes(object, "need_low_bytes", (uint64_t)plan->low_bytes);
        set_bytes(object, "need_high_bytes", (uint64_t)plan->high_bytes);
    }
    return object;
}

static json_t *pack_command(char *const *argv)
{
    json_t *list = json_array();
    for (; *argv != NULL; argv++) {
        json_t *text = json_string(*argv);
        (void)json_array_append_new(list, text != NULL ? text : json_string("(not UTF-8)"));
    }
    return list;
}

static json_t *pack_report(const struct cli_watch_report *report)
{
    const struct vb_watch_run *run = report->run;
    json_t *totals = json_array(), *processes = json_array();
    for (size_t i = 0; i < report->watched->n_totals; i++)
        (void)json_array_append_new(totals, pack_total(report, &report->watched->totals[i]));
    for (size_t i = 0; i < report->watched->n_processes; i++)
        (void)json_array_append_new(processes,
                                    pack_process(report, &report->watched->processes[i]));
    json_t *root =
        json_pack("{s:i,s:s,s:s,s:s,s:o,s:i,s:f,s:o,s:o}", "schema", 1, "tool", VB_VERSION,
                  "commit", VB_COMMIT, "provenance", "measured", "command",
                  pack_command(report->argv), "exit_status", vb_watch_exit_status(run->ended),
                  "seconds", run->seconds, "gpus", totals, "processes", processes);
    if (root != NULL && WIFSIGNALED(run->ended))
        (void)json_object_set_new(root, "signal", json_integer(WTERMSIG(run->ended)));
    if (root != NULL && run->no_samples[0] != '\0')
        (void)json_object_set_new(root, "context_reason", json_string(run->no_samples));
    if (root != NULL && report->plan->is_asked)
        (void)json_object_set_new(root, "plan", pack_plan(report->plan));
    return root;
}

static enum vb_status write_file(const char *folder, const char *name, const char *data,
                                 struct vb_error *err)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    if (data == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for %s", path);
    return vb_file_write(path, data, strlen(data), err);
}

static enum vb_status write_json(const struct cli_watch_report *report, const char *folder,
                                 struct vb_error *err)
{
    json_t *root = pack_report(report);
    char *text = root != NULL ? json_dumps(root, JSON_INDENT(2)) : NULL;
    enum vb_status status = write_file(folder, "report.json", text, err);
    free(text);
    json_decref(root);
    return status;
}

/* ---------------------------------------------------------------------------------- curves */

/* Each point holds from its moment on. */
static enum vb_status write_csv(const struct cli_watch_report *report, const char *folder,
                                struct vb_error *err)
{
    struct vb_text text = { 0 };
    vb_text_append(&text, "gpu,pid,seconds,allocated_bytes\n");
    for (size_t i = 0; i < report->watched->n_processes; i++) {
        const struct vb_watched_process *process = &report->watched->processes[i];
        for (size_t k = 0; k < process->n_gpus; k++) {
            const struct vb_live_curve *curve = &process->gpus[k].curve;
            for (size_t p = 0; p < curve->n; p++)
                vb_text_append(&text, "%s,%" PRId32 ",%.9f,%" PRIu64 "\n", process->gpus[k].name,
                               process->trace->start.pid, seconds_of(report, curve->points[p].ns),
                               curve->points[p].device_bytes);
        }
    }
    enum vb_status status =
        write_file(folder, "timeline.csv", text.failed ? NULL : vb_text_data(&text), err);
    vb_text_clear(&text);
    return status;
}

/* Of many points in a row the highest and the last: no peak goes, and what follows is right. */
static void chart_curve(const struct cli_watch_report *report, const struct vb_live_curve *curve,
                        uint64_t end_ns, struct vb_text *data)
{
    const size_t step = curve->n / CHART_POINTS + 1;
    for (size_t i = 0; i < curve->n; i += step) {
        const size_t after = i + step < curve->n ? i + step : curve->n;
        size_t highest = i;
        for (size_t k = i; k < after; k++) {
            if (curve->points[k].device_bytes > curve->points[highest].device_bytes)
                highest = k;
        }
        for (size_t k = highest; k < after; k = k == after - 1 ? after : after - 1)
            vb_text_append(data, "%.6f %.6f\n", seconds_of(report, curve->points[k].ns),
                           (double)curve->points[k].device_bytes / 1073741824.0);
    }
    if (curve->n > 0)
        vb_text_append(data, "%.6f %.6f\n", seconds_of(report, end_ns),
                       (double)curve->points[curve->n - 1].device_bytes / 1073741824.0);
    vb_text_append(data, "\n\n");
}

static size_t chart_data(const struct cli_watch_report *report, struct vb_text *data)
{
    const struct vb_watched *watched = report->watched;
    size_t n = 0;
    for (size_t i = 0; i < watched->n_totals; i++) {
        if (n == CHART_CURVES || watched->totals[i].curve.n == 0)
            continue;
        vb_text_append(data, "\"%s, all\" GiB\n", watched->totals[i].name);
        chart_curve(report, &watched->totals[i].curve, report->run->end_ns, data);
        n++;
    }
    for (size_t i = 0; i < watched->n_processes && watched->n_processes > 1; i++) {
        const struct vb_watched_process *process = &watched->processes[i];
        for (size_t k = 0; k < process->n_gpus; k++) {
            if (n == CHART_CURVES || process->gpus[k].curve.n == 0)
                continue;
            vb_text_append(data, "\"process %" PRId32 " on %s\" GiB\n", process->trace->start.pid,
                           process->gpus[k].name);
            chart_curve(report, &process->gpus[k].curve, process->gone_ns, data);
            n++;
        }
    }
    return n;
}

static enum vb_status draw(const struct cli_watch_report *report, const char *folder,
                           struct vb_error *err)
{
    struct vb_text data = { 0 }, settings = { 0 };
    char note[128];
    bool is_drawn = true;
    const size_t n = chart_data(report, &data);
    vb_text_append(&settings,
                   "title = 'Device memory of a watched program, measured'\nn_curves = "
                   "%zu\n",
                   n);
    enum vb_status status = VB_OK;
    if (data.failed || settings.failed)
        status = vb_fail(err, VB_E_SYSTEM, "no host memory left for a chart");
    else if (n > 0)
        status = vb_gnuplot_draw(folder, "watch", "watch", vb_text_data(&settings),
                                 vb_text_data(&data), &is_drawn, note, sizeof note, err);
    if (status == VB_OK && !is_drawn)
        (void)fprintf(stderr, "vrambench: %s\n", note);
    vb_text_clear(&data);
    vb_text_clear(&settings);
    return status;
}

enum vb_status cli_watch_write(const struct cli_watch_report *report, const char *folder,
                               struct vb_error *err)
{
    enum vb_status status = write_json(report, folder, err);
    if (status == VB_OK)
        status = write_csv(report, folder, err);
    return status == VB_OK ? draw(report, folder, err) : status;
}
