/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/bytes.h"
#include "cli/watch_report.h"

static double seconds_of(const struct cli_watch_report *report, uint64_t ns)
{
    const uint64_t start = report->run->start_ns;
    return ns > start ? (double)(ns - start) * 1e-9 : 0;
}

const struct vb_watched_total *cli_watch_largest(const struct vb_watched *watched)
{
    const struct vb_watched_total *largest = NULL;
    for (size_t i = 0; i < watched->n_totals; i++) {
        const struct vb_watched_total *total = &watched->totals[i];
        if (largest == NULL ||
            total->peak_bytes + total->context_bytes > largest->peak_bytes + largest->context_bytes)
            largest = total;
    }
    return largest;
}

const char *cli_watch_doubt(const struct vb_watched_process *process)
{
    static char text[640];
    uint64_t n_missing = process->trace->start.n_dropped;
    for (size_t i = 0; i < process->n_gpus; i++)
        n_missing = process->gpus[i].n_missing > n_missing ? process->gpus[i].n_missing : n_missing;
    if (process->trace->why[0] != '\0')
        (void)snprintf(text, sizeof text, "%.600s", process->trace->why);
    else if (n_missing > 0)
        (void)snprintf(text, sizeof text, "at least %" PRIu64 " records are missing", n_missing);
    else if (process->end == VB_WATCHED_ABRUPT || process->trace->is_cut)
        (void)snprintf(
            text, sizeof text,
            "its last quarter of a second may be missing: it was killed, crashed or left "
            "by _exit(), as Python's forked workers do");
    else
        text[0] = '\0';
    return text;
}

static void print_head(const struct cli_watch_report *report)
{
    const int ended = report->run->ended;
    (void)fprintf(stderr, "\nvrambench watch: %s ", report->argv[0]);
    if (WIFSIGNALED(ended))
        (void)fprintf(stderr, "was ended by signal %d (%s)", WTERMSIG(ended),
                      strsignal(WTERMSIG(ended)));
    else
        (void)fprintf(stderr, "ended with status %d", WEXITSTATUS(ended));
    (void)fprintf(stderr, " after %.1f s; %zu program%s of it opened CUDA\n", report->run->seconds,
                  report->watched->n_processes, report->watched->n_processes == 1 ? "" : "s");
    if (report->watched->n_processes == 0)
        (void)fputs("no process of it opened CUDA, or those that did have another environment\n",
                    stderr);
}

/* What else is known of the context than its size. */
static const char *no_context(const struct cli_watch_report *report)
{
    const char *why = report->run->no_samples;
    return why[0] != '\0' ? why : "NVML lists no such process, or its account has gaps";
}

static void print_total(const struct cli_watch_report *report, const struct vb_watched_total *total)
{
    const bool is_recorded = total->peak_bytes > 0 || !total->is_lower_bound;
    const bool is_seen = total->sampled_bytes > 0 && total->device_bytes == total->sampled_bytes &&
                         total->sampled_bytes > total->peak_bytes + total->context_bytes;
    const bool has_whole = is_seen || total->has_context;
    (void)fprintf(stderr, "peak of %s, measured: ", total->name);
    if (has_whole || is_recorded)
        (void)fprintf(stderr, "%s%s", total->is_lower_bound || is_seen ? "at least " : "",
                      vb_bytes_format(has_whole ? total->device_bytes : total->peak_bytes).text);
    if (is_seen)
        (void)fputs(", as NVML saw it, ten times a second", stderr);
    if (!is_recorded) {
        (void)fputs(has_whole ? "; allocations are not recorded\n" : "nothing is recorded\n",
                    stderr);
        return;
    }
    (void)fprintf(stderr, "%sallocated %s", is_seen ? "; recorded: " : " = ",
                  vb_bytes_format(total->peak_bytes).text);
    if (total->peak_bytes > 0)
        (void)fprintf(stderr, " (at %.2f s, %zu program%s)", seconds_of(report, total->peak_ns),
                      total->n_processes, total->n_processes == 1 ? "" : "s");
    if (total->has_context)
        (void)fprintf(stderr, " + context %s\n", vb_bytes_format(total->context_bytes).text);
    else
        (void)fprintf(stderr, "; context not known: %s\n", no_context(report));
}

static void print_part(const struct cli_watch_report *report, const struct vb_watched_gpu *part)
{
    (void)fprintf(stderr, "  %s: allocated %s", part->name, vb_bytes_format(part->peak_bytes).text);
    if (part->peak_bytes > 0)
        (void)fprintf(stderr, " at %.2f s", seconds_of(report, part->peak_ns));
    if (part->has_context)
        (void)fprintf(stderr, ", context %s", vb_bytes_format(part->context_bytes).text);
    if (part->n_samples > 0)
        (void)fprintf(stderr, "; NVML saw up to %s, %zu samples",
                      vb_bytes_format(part->sampled_bytes).text, part->n_samples);
    (void)fputc('\n', stderr);
    if (part->managed_bytes > 0)
        (void)fprintf(stderr, "  and managed memory, not counted: %s\n",
                      vb_bytes_format(part->managed_bytes).text);
    if (part->n_largest > 0)
        (void)fputs("  largest allocations then:\n", stderr);
    for (size_t i = 0; i < part->n_largest; i++) {
        const struct vb_watched_allocation *one = &part->largest[i];
        char address[24] = "";
        if (one->address != 0)
            (void)snprintf(address, sizeof address, "0x%012" PRIx64, one->address);
        (void)fprintf(stderr, "    %10s  at %.2f s  %14s  %s%s%s\n",
                      vb_bytes_format(one->bytes).text, one->seconds, address, one->call,
                      one->caller[0] != '\0' ? " from " : "", one->caller);
    }
}

static void print_process(const struct cli_watch_report *report,
                          const struct vb_watched_process *process)
{
    static const char *const ends[] = { "", ", killed or left by _exit()",
                                        ", went on as another program", ", still running" };
    const char *doubt = cli_watch_doubt(process);
    (void)fprintf(stderr, "process %" PRId32 "%s: %.100s\n", process->trace->start.pid,
                  ends[process->end], process->trace->command);
    if (process->trace->why[0] != '\0' && process->trace->n_events == 0)
        (void)fprintf(stderr, "  capture: none: %s\n", doubt);
    else if (doubt[0] != '\0')
        (void)fprintf(stderr, "  peaks are lower bounds: %s\n", doubt);
    for (size_t i = 0; i < process->n_gpus; i++)
        print_part(report, &process->gpus[i]);
}

static void print_beside(const char *what, double planned, double measured)
{
    (void)fprintf(stderr, "  %-28s %10s  measured %10s", what,
                  vb_bytes_format((uint64_t)planned).text,
                  vb_bytes_format((uint64_t)measured).text);
    if (measured > 0)
        (void)fprintf(stderr, "  (%+.1f %%)", 100 * (planned / measured - 1));
    (void)fputc('\n', stderr);
}

/* What a plan calls needed is what its allocator holds; a program's libraries allocate beside it.
 */
static void print_plan(const struct cli_watch_report *report)
{
    const struct cli_watch_plan *plan = report->plan;
    const struct vb_watched_total *total = cli_watch_largest(report->watched);
    if (!plan->is_asked)
        return;
    (void)fprintf(stderr, "planned by 'vrambench estimate': %s, on %s\n", plan->point, plan->gpu);
    if (total == NULL) {
        (void)fprintf(stderr, "  needs %s and context %s; nothing was measured\n",
                      vb_bytes_format((uint64_t)plan->need_bytes).text,
                      vb_bytes_format((uint64_t)plan->context_bytes).text);
        return;
    }
    print_beside("need, without context", plan->need_bytes, (double)total->peak_bytes);
    if (plan->has_interval)
        (void)fprintf(stderr, "  %-28s %10s to %s\n", "90 % of such are from",
                      vb_bytes_format((uint64_t)plan->low_bytes).text,
                      vb_bytes_format((uint64_t)plan->high_bytes).text);
    if (total->has_context)
        print_beside("with context", plan->need_bytes + plan->context_bytes,
                     (double)total->device_bytes);
}

void cli_watch_print(const struct cli_watch_report *report)
{
    const struct vb_watched *watched = report->watched;
    print_head(report);
    for (size_t i = 0; i < watched->n_totals; i++)
        print_total(report, &watched->totals[i]);
    for (size_t i = 0; i < watched->n_processes; i++)
        print_process(report, &watched->processes[i]);
    print_plan(report);
}
