/* SPDX-License-Identifier: Apache-2.0 */
/* Random programs of several processes and GPUs: every moment looked at, by their lives. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "watch/account.h"

enum {
    PROCESSES = 3,
    GPUS = 2,
    MOST_LIVES = 30,
    LAST_NS = 400,
    EVENTS = 2 * MOST_LIVES * GPUS,
    CONTEXT = 7000,
    ROUNDS = 300,
};
static const char *const names[GPUS] = { "0000:01:00.0", "0000:0A:00.0" };

struct random {
    uint64_t state;
};

static uint32_t draw(struct random *random, uint32_t n)
{
    random->state = random->state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(random->state >> 33) % n;
}

struct truth {
    struct {
        uint64_t bytes, from, to;
    } lives[PROCESSES][GPUS][MOST_LIVES];
    size_t n[PROCESSES][GPUS];
    uint64_t gone[PROCESSES];
    struct vb_watch_event events[PROCESSES][EVENTS];
    struct vb_watch_device devices[PROCESSES][GPUS];
    struct vb_watch_trace traces[PROCESSES];
    struct vb_watch_sample samples[PROCESSES * GPUS * LAST_NS];
    struct vb_watch_run run;
};
static struct truth truth;

static uint64_t live(size_t process, size_t gpu, uint64_t ns)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < truth.n[process][gpu] && ns < truth.gone[process]; i++) {
        if (truth.lives[process][gpu][i].from <= ns && ns < truth.lives[process][gpu][i].to)
            sum += truth.lives[process][gpu][i].bytes;
    }
    return sum;
}

/* The clock of the records runs 5000 before the other, and each process numbers its GPUs. */
static void add_event(size_t process, size_t gpu, size_t life, bool is_taken)
{
    struct vb_watch_trace *trace = &truth.traces[process];
    trace->events[trace->n_events++] = (struct vb_watch_event){
        .ns = 5000 + (is_taken ? truth.lives[process][gpu][life].from
                               : truth.lives[process][gpu][life].to),
        .address = 1000 * (gpu + 1) + life,
        .bytes = truth.lives[process][gpu][life].bytes,
        .device = (uint32_t)(process % 2 == 0 ? gpu : GPUS - 1 - gpu),
        .kind = VB_MEMORY_DEVICE,
        .change = is_taken ? VB_MEMORY_TAKEN : VB_MEMORY_GIVEN,
    };
}

static void draw_process(struct random *random, size_t process)
{
    struct vb_watch_trace *trace = &truth.traces[process];
    const uint64_t begun = draw(random, 50);
    truth.gone[process] = 345 + draw(random, 50); /* after its last event */
    *trace = (struct vb_watch_trace){ .start = { .pid = (int32_t)(1000000000 + process),
                                                 .monotonic_ns = begun,
                                                 .record_ns = 5000 + begun },
                                      .command = "",
                                      .why = "",
                                      .events = truth.events[process],
                                      .devices = truth.devices[process],
                                      .n_devices = GPUS,
                                      .end_ns = truth.gone[process] };
    for (size_t gpu = 0; gpu < GPUS; gpu++) {
        const size_t device = process % 2 == 0 ? gpu : GPUS - 1 - gpu;
        trace->devices[device].device = (uint32_t)device;
        (void)snprintf(trace->devices[device].bus_id, sizeof trace->devices[device].bus_id, "%s",
                       names[gpu]);
        truth.n[process][gpu] = 1 + draw(random, MOST_LIVES - 1);
        for (size_t i = 0; i < truth.n[process][gpu]; i++) {
            const uint64_t from = begun + 1 + draw(random, 200);
            const bool stays = draw(random, 8) == 0;
            truth.lives[process][gpu][i].from = from;
            truth.lives[process][gpu][i].to = stays ? UINT64_MAX : from + 1 + draw(random, 90);
            truth.lives[process][gpu][i].bytes = 1 + draw(random, 1000);
            add_event(process, gpu, i, true);
            if (!stays)
                add_event(process, gpu, i, false);
        }
    }
    for (size_t i = trace->n_events; i > 1; i--) {
        const size_t other = draw(random, (uint32_t)i);
        const struct vb_watch_event kept = trace->events[i - 1];
        trace->events[i - 1] = trace->events[other];
        trace->events[other] = kept;
    }
}

/* What NVML says every 7 ns of those that are there. */
static void look(void)
{
    static const char *bus_ids[GPUS] = { "0000:01:00.0", "0000:0a:00.0" };
    truth.run = (struct vb_watch_run){ .end_ns = LAST_NS,
                                       .samples = truth.samples,
                                       .bus_ids = bus_ids,
                                       .n_gpus = GPUS,
                                       .no_samples = "" };
    for (uint64_t ns = 0; ns < LAST_NS; ns += 7) {
        for (size_t gpu = 0; gpu < GPUS; gpu++) {
            for (size_t p = 0; p < PROCESSES; p++) {
                if (ns >= truth.traces[p].start.monotonic_ns && ns < truth.gone[p])
                    truth.samples[truth.run.n_samples++] =
                        (struct vb_watch_sample){ ns, live(p, gpu, ns) + CONTEXT * (p + 1),
                                                  (uint32_t)truth.traces[p].start.pid,
                                                  (uint32_t)gpu };
            }
        }
    }
}

static void draw_truth(struct random *random)
{
    memset(&truth, 0, sizeof truth);
    for (size_t p = 0; p < PROCESSES; p++)
        draw_process(random, p);
    look();
}

static const struct vb_watched_total *find_total(const struct vb_watched *watched, const char *name)
{
    for (size_t i = 0; i < watched->n_totals; i++) {
        if (strcmp(watched->totals[i].name, name) == 0)
            return &watched->totals[i];
    }
    return NULL;
}

static void check_total(const struct vb_watched *watched, size_t gpu)
{
    uint64_t most = 0, moment = 0, context = 0;
    const struct vb_watched_total *total = find_total(watched, names[gpu]);
    cr_assert_not_null(total);
    for (uint64_t ns = 0; ns < LAST_NS; ns++) {
        uint64_t sum = 0;
        for (size_t p = 0; p < PROCESSES; p++)
            sum += live(p, gpu, ns);
        cr_assert_eq(vb_live_curve_at(&total->curve, ns), sum, "at %d", (int)ns);
        if (sum <= most)
            continue;
        most = sum;
        moment = ns;
    }
    for (size_t p = 0; p < PROCESSES; p++) {
        if (moment >= truth.traces[p].start.monotonic_ns && moment <= truth.gone[p])
            context += CONTEXT * (p + 1);
    }
    cr_assert_eq(total->peak_bytes, most);
    cr_assert_eq(total->peak_ns, moment);
    cr_assert(total->has_context && !total->is_lower_bound);
    cr_assert_eq(total->context_bytes, context);
    cr_assert_eq(total->n_processes, PROCESSES);
}

static void check_process(const struct vb_watched_process *process, size_t p)
{
    cr_assert_eq(process->end, VB_WATCHED_ENDED);
    cr_assert_eq(process->n_gpus, GPUS);
    for (size_t k = 0; k < GPUS; k++) {
        const struct vb_watched_gpu *part = &process->gpus[k];
        const size_t gpu = strcmp(part->name, names[0]) == 0 ? 0 : 1;
        uint64_t most = 0, sum = 0;
        for (uint64_t ns = 0; ns < truth.gone[p]; ns++)
            most = live(p, gpu, ns) > most ? live(p, gpu, ns) : most;
        cr_assert_eq(part->peak_bytes, most);
        cr_assert_eq(part->context_bytes, CONTEXT * (p + 1));
        for (size_t i = 0; i < part->n_largest; i++)
            sum += part->largest[i].bytes;
        cr_assert(part->n_largest == VB_TIMELINE_LARGEST ? sum <= most : sum == most);
    }
}

Test(account, agrees_with_every_moment_looked_at)
{
    struct random random = { 7 };
    for (int round = 0; round < ROUNDS; round++) {
        struct vb_arena arena = { 0 };
        struct vb_watched watched;
        draw_truth(&random);
        const struct vb_watch_traces traces = { truth.traces, PROCESSES };
        cr_assert_eq(vb_watch_account(&traces, &truth.run, &watched, &arena, NULL), VB_OK);
        cr_assert_eq(watched.n_totals, GPUS);
        for (size_t gpu = 0; gpu < GPUS; gpu++)
            check_total(&watched, gpu);
        for (size_t p = 0; p < PROCESSES; p++)
            check_process(&watched.processes[p], p);
        vb_arena_clear(&arena);
    }
}

/* What a trace holds is not believed, and there is no context where the account has gaps. */
Test(account, what_cannot_be_is_missing)
{
    struct random random = { 8 };
    struct vb_arena arena = { 0 };
    struct vb_watched watched;
    draw_truth(&random);
    truth.traces[0].events[0].kind = VB_MEMORY_KINDS;
    truth.traces[1].events[0].change = 77;
    truth.traces[2].start.n_dropped = 5;
    const struct vb_watch_traces traces = { truth.traces, PROCESSES };
    cr_assert_eq(vb_watch_account(&traces, &truth.run, &watched, &arena, NULL), VB_OK);
    for (size_t p = 0; p < PROCESSES; p++)
        cr_expect(watched.processes[p].gpus[0].n_missing > 0, "process %zu", p);
    cr_expect_not(watched.processes[2].gpus[0].has_context);
    for (size_t i = 0; i < watched.n_totals; i++)
        cr_expect(watched.totals[i].is_lower_bound && !watched.totals[i].has_context);
    vb_arena_clear(&arena);
}
