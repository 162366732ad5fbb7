/* SPDX-License-Identifier: Apache-2.0 */
/* Programs against what PyTorch did, event by event: two training steps of YOLOv5s and of YOLOv8n
 * (tests/data/steps, whose README says how they were recorded and are compared). */

#include "recorded.h"

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* A group of the recording: its allocations as a multiset, and the bytes alive at its end. A group
 * without an allocation belongs to the one before. */
struct group {
    int64_t allocations[512];
    size_t n;
    int64_t end_bytes;
    const char *id;
};

/* Batch normalisation's backward is one operator, and its order inside is not compared (the README
 * says why), but its rows bear three numbers: there the module names the group. */
static const char *group_of(const struct csv *csv, size_t row)
{
    bool is_norm = strstr(csv_text(csv, row, "op"), "NativeBatchNormBackward0") != NULL;
    return csv_text(csv, row, is_norm ? "module" : "group");
}

/* The next group of the phase from row *row on. */
static bool next_group(const struct csv *csv, size_t *row, const char *step, const char *phase,
                       struct group *group)
{
    group->n = 0;
    const char *id = NULL;
    for (; *row < csv->n_rows; (*row)++) {
        bool is_here = strcmp(csv_text(csv, *row, "step"), step) == 0 &&
                       strcmp(csv_text(csv, *row, "phase"), phase) == 0;
        bool is_alloc = csv_text(csv, *row, "event")[0] == 'A';
        const char *here = group_of(csv, *row);
        if (csv_text(csv, *row, "phase")[0] == '-')
            continue;
        if (!is_here && group->n > 0)
            return true;
        if (!is_here)
            continue;
        if (is_alloc && id != NULL && group->n > 0 && strcmp(id, here) != 0)
            return true;
        id = here;
        if (group->n == 0)
            group->id = here;
        if (is_alloc)
            group->allocations[group->n++] = (int64_t)csv_number(csv, *row, "bytes");
        group->end_bytes = (int64_t)csv_number(csv, *row, "live_bytes");
    }
    return group->n > 0;
}

/* Takes as many of our allocations as the group has, and the frees up to the next one. */
static bool compare_group(struct group *group, const struct events *events, size_t *at,
                          int64_t *alive, const char *phase)
{
    int64_t ours[512];
    size_t n = 0, first = *at;
    while (*at < events->n && (events->bytes[*at] < 0 || n < group->n)) {
        int64_t bytes = events->bytes[(*at)++];
        *alive += bytes;
        if (bytes > 0)
            ours[n++] = bytes;
    }
    qsort(ours, n, sizeof *ours, by_size);
    qsort(group->allocations, group->n, sizeof *ours, by_size);
    bool same = n == group->n && memcmp(ours, group->allocations, n * sizeof *ours) == 0 &&
                *alive == group->end_bytes;
    if (!same) {
        (void)fprintf(stderr, "%s group %s: real", phase, group->id);
        for (size_t i = 0; i < group->n; i++)
            (void)fprintf(stderr, " %ld", (long)group->allocations[i]);
        (void)fprintf(stderr, " alive %ld; ours", (long)group->end_bytes);
        for (size_t i = first; i < *at; i++)
            (void)fprintf(stderr, " %+ld(%s)", (long)events->bytes[i], events->names[i]);
        (void)fprintf(stderr, " alive %ld\n", (long)*alive);
    }
    return same;
}

static void compare_step(const struct csv *csv, const char *step, const struct events *all,
                         int64_t *alive)
{
    for (size_t phase = PREP; phase <= BWD; phase++) {
        struct group group;
        size_t row = 0, at = 0, n_groups = 0;
        while (next_group(csv, &row, step, phases[phase], &group)) {
            n_groups++;
            cr_assert(compare_group(&group, &all[phase], &at, alive, phases[phase]),
                      "step %s, %s: group %s differs", step, phases[phase], group.id);
        }
        cr_expect_eq(at, all[phase].n, "step %s: %zu events of ours are left over in %s", step,
                     all[phase].n - at, phases[phase]);
        cr_expect_gt(n_groups, 0);
    }
    for (size_t phase = CLIP; phase <= EMA; phase++) {
        int64_t real_peak = 0, real_end = 0, peak = 0;
        for (size_t row = 0; row < csv->n_rows; row++) {
            if (strcmp(csv_text(csv, row, "step"), step) != 0 ||
                strcmp(csv_text(csv, row, "phase"), phases[phase]) != 0)
                continue;
            real_end = (int64_t)csv_number(csv, row, "live_bytes");
            real_peak = real_end > real_peak ? real_end : real_peak;
        }
        peak_and_end(&all[phase], alive, &peak);
        cr_expect_eq(peak, real_peak, "step %s: %s peaks at %ld, real %ld", step, phases[phase],
                     (long)peak, (long)real_peak);
        cr_expect_eq(*alive, real_end, "step %s: %s ends at %ld, real %ld", step, phases[phase],
                     (long)*alive, (long)real_end);
    }
}

/* A scratch of oneDNN's that the recording's filter missed. */
static void leave_out_scratch(const struct csv *csv)
{
    const char *tensor = "";
    for (size_t i = 0; i < csv->n_rows; i++) {
        const char *op = csv_text(csv, i, "op");
        if (strstr(op, "mv>addmv_") != NULL)
            tensor = csv_text(csv, i, "tensor");
        if (strcmp(csv_text(csv, i, "tensor"), tensor) == 0)
            *(char *)(uintptr_t)csv_text(csv, i, "phase") = '-';
    }
}

static void compare_steps(const char *file, const struct setting *setting, uint32_t n_foreground)
{
    static struct events all[N_PHASES];
    struct made made;
    struct csv csv = csv_open(file);
    make(&made, setting, (struct foreground){ n_foreground, 0 });
    /* The recording's first event is the mean of the losses, which we make in the set-up. */
    int64_t alive = resident_bytes(&made.program);
    for (size_t i = 0; i + 1 < csv.n_rows && strcmp(csv_text(&csv, i, "op"), "zeros>empty") == 0 &&
                       strcmp(csv_text(&csv, i, "phase"), "PREP") == 0;
         i++)
        *(char *)(uintptr_t)csv_text(&csv, i, "phase") = '-';
    leave_out_scratch(&csv);
    our_events(&made.program, 1, false, all);
    compare_step(&csv, "1", all, &alive);
    our_events(&made.program, 2, false, all);
    compare_step(&csv, "2", all, &alive);
    vb_arena_clear(&made.arena);
    csv_close(&csv);
}

/* 13 boxes, and the foreground anchors that loss_counts.csv gives for YOLOv8n at this size. */
enum { V8N_FOREGROUND = 130 };

Test(steps, yolov5_fp32_of_2_4)
{
    struct setting s = { "yolov5s", 2, 320, VB_FP32, VB_SGD, recorded(true, true) };
    compare_steps("steps/steps_yolov5s_SGD_t24.csv", &s, 0);
}

Test(steps, yolov5_amp_of_2_4)
{
    struct setting s = { "yolov5s", 2, 320, VB_FP16, VB_SGD, recorded(true, true) };
    compare_steps("steps/steps_yolov5s_SGD_t24_amp.csv", &s, 0);
}

Test(steps, yolov5_fp32_of_1_13)
{
    struct setting s = { "yolov5s", 2, 320, VB_FP32, VB_SGD, recorded(false, false) };
    compare_steps("steps/steps_yolov5s_SGD.csv", &s, 0);
}

Test(steps, yolov5_adamw_of_1_13)
{
    struct setting s = { "yolov5s", 2, 320, VB_FP32, VB_ADAMW, recorded(false, false) };
    compare_steps("steps/steps_yolov5s_AdamW.csv", &s, 0);
}

Test(steps, yolov5_amp_of_1_13)
{
    struct setting s = { "yolov5s", 2, 320, VB_FP16, VB_SGD, recorded(false, false) };
    compare_steps("steps/steps_yolov5s_SGD_amp.csv", &s, 0);
}

Test(steps, yolov8_fp32_of_1_13)
{
    struct setting s = { "yolov8n", 2, 320, VB_FP32, VB_SGD, recorded(false, false) };
    compare_steps("steps/steps_yolov8n_SGD.csv", &s, V8N_FOREGROUND);
}

Test(steps, yolov8_amp_of_2_4)
{
    struct setting s = { "yolov8n", 2, 320, VB_FP16, VB_SGD, recorded(true, true) };
    compare_steps("steps/steps_yolov8n_SGD_t24_amp.csv", &s, V8N_FOREGROUND);
}
