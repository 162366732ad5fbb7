/* SPDX-License-Identifier: Apache-2.0 */
/* Programs against what PyTorch did: the peaks of 192 configurations of YOLOv5, YOLOv8, YOLOv10 and
 * YOLO11 over two steps each, what many boxes cost, and the bytes that autograd saved
 * (tests/data/steps). */

#include "recorded.h"

/* The foreground anchors of the run that loss_counts.csv tells of, of each head; 0 for YOLOv5. Of
 * some families it tells of one model: there the others are begun with the same. */
static struct foreground foreground_of(const struct csv *csv, size_t row)
{
    struct csv counts = csv_open("steps/loss_counts.csv");
    const char *model = csv_text(csv, row, "model");
    struct foreground n = { 0 };
    bool is_own = false;
    for (size_t i = 0; i < counts.n_rows && !is_own; i++) {
        const char *other = csv_text(&counts, i, "model");
        is_own = strcmp(other, model) == 0;
        if (strncmp(other, model, strlen(model) - 1) != 0 ||
            csv_number(&counts, i, "batch") != csv_number(csv, row, "batch") ||
            csv_number(&counts, i, "imgsz") != csv_number(csv, row, "imgsz"))
            is_own = false;
        else
            n = read_foreground(csv_text(&counts, i, "v8_fg_anchors"));
    }
    csv_close(&counts);
    return n;
}

static void make_row(struct made *made, const struct csv *csv, size_t row, struct foreground n)
{
    const char *amp = csv_text(csv, row, "amp");
    bool is_24 =
        csv_has(csv, "semantics") && strcmp(csv_text(csv, row, "semantics"), "torch2.4-like") == 0;
    struct setting setting = {
        .model = csv_text(csv, row, "model"),
        .batch = (uint32_t)csv_number(csv, row, "batch"),
        .imgsz = (uint32_t)csv_number(csv, row, "imgsz"),
        .precision = amp[0] != '\0' ? VB_FP16 : VB_FP32,
        .torch = recorded(is_24, strstr(amp, "torch2.4") != NULL),
    };
    setting.torch.cpu_autocast = strcmp(amp, "cpu_bf16") == 0;
    if (csv_has(csv, "optimizer") && strcmp(csv_text(csv, row, "optimizer"), "AdamW") == 0)
        setting.optimizer = VB_ADAMW;
    make(made, &setting, n);
}

/* At batch 4 anchor-free models' rows come from runs of their own, with their own number of
 * foreground anchors: there it is free (of the one-to-many head, where there are two), found from
 * one column, which grows by as much with each, reported, and every other column is held to it. At
 * other sizes it may be one less, where the run's network let two boxes contend for an anchor:
 * gives how often it was. */
static size_t fit_row(struct made *made, const struct csv *csv, size_t row,
                      int64_t (*found)(const struct csv *, size_t, const struct vb_program *),
                      const char *column)
{
    struct foreground n = foreground_of(csv, row);
    bool is_free = csv_number(csv, row, "batch") == 4;
    int64_t real = (int64_t)csv_number(csv, row, column);
    make_row(made, csv, row, n);
    int64_t off = real - found(csv, row, &made->program);
    if (n.many == 0 || off == 0)
        return 0;
    vb_arena_clear(&made->arena);
    struct foreground other = { n.many + 1, n.one };
    make_row(made, csv, row, other);
    int64_t slope = found(csv, row, &made->program) - (real - off);
    vb_arena_clear(&made->arena);
    other.many = is_free ? (uint32_t)((int64_t)n.many + off / slope) : n.many - 1;
    (void)fprintf(stderr, "%s batch %s imgsz %s amp '%s': %u foreground anchors, %u elsewhere\n",
                  csv_text(csv, row, "model"), csv_text(csv, row, "batch"),
                  csv_text(csv, row, "imgsz"), csv_text(csv, row, "amp"), other.many, n.many);
    make_row(made, csv, row, other);
    return is_free ? 0 : 1;
}

static int64_t saved_by_loss(const struct csv *csv, size_t row, const struct vb_program *program)
{
    (void)csv;
    (void)row;
    return (int64_t)program->saved_loss.bytes;
}

static void expect_bytes(const struct csv *csv, size_t row, const char *column, uint64_t found)
{
    cr_expect_eq(
        found, csv_number(csv, row, column), "%s batch %s imgsz %s amp '%s' %s: %lu, real %s",
        csv_text(csv, row, "model"), csv_text(csv, row, "batch"), csv_text(csv, row, "imgsz"),
        csv_text(csv, row, "amp"), column, (unsigned long)found, csv_text(csv, row, column));
}

Test(saved, bytes_are_what_hooks_counted)
{
    struct csv csv = csv_open("steps/saved_summary.csv");
    size_t n_contended = 0;
    for (size_t i = 0; i < csv.n_rows; i++) {
        struct made made;
        n_contended += fit_row(&made, &csv, i, saved_by_loss, "loss_extra_unique_saved_bytes");
        expect_bytes(&csv, i, "unique_saved_bytes", made.program.saved_forward.bytes);
        expect_bytes(&csv, i, "unique_saved_count", made.program.saved_forward.count);
        expect_bytes(&csv, i, "loss_extra_unique_saved_bytes", made.program.saved_loss.bytes);
        expect_bytes(&csv, i, "loss_extra_unique_saved_count", made.program.saved_loss.count);
        vb_arena_clear(&made.arena);
    }
    cr_expect_eq(n_contended, 0);
    csv_close(&csv);
}

/* What the program has alive at its highest and at the end of each phase of the row's step. */
static void walk_step(const struct csv *csv, size_t row, const struct vb_program *program,
                      int64_t *peaks, int64_t *ends)
{
    static struct events all[N_PHASES];
    bool is_first = csv_number(csv, row, "step") == 1;
    int64_t alive = (int64_t)csv_number(csv, row, "step_start_bytes");
    our_events(program, is_first ? 1 : 2, true, all);
    /* The recording counts a steady step from when the last batch is gone: our first event of it.
     */
    if (is_first)
        alive += resident_bytes(program);
    else if (all[PREP].bytes[0] < 0)
        alive -= all[PREP].bytes[0];
    for (size_t i = 0; i < N_PHASES; i++) {
        peak_and_end(&all[i], &alive, &peaks[i]);
        ends[i] = alive;
    }
}

static int64_t loss_end(const struct csv *csv, size_t row, const struct vb_program *program)
{
    int64_t peaks[N_PHASES], ends[N_PHASES];
    walk_step(csv, row, program, peaks, ends);
    return ends[LOSS];
}

static void compare_peaks(const struct csv *csv, size_t row, const struct vb_program *program)
{
    int64_t peaks[N_PHASES], ends[N_PHASES];
    walk_step(csv, row, program, peaks, ends);
    expect_bytes(csv, row, "after_prep_bytes", (uint64_t)ends[PREP]);
    expect_bytes(csv, row, "fwd_peak_bytes", (uint64_t)peaks[FWD]);
    expect_bytes(csv, row, "fwd_end_bytes", (uint64_t)ends[FWD]);
    expect_bytes(csv, row, "loss_peak_bytes", (uint64_t)peaks[LOSS]);
    expect_bytes(csv, row, "loss_end_bytes", (uint64_t)ends[LOSS]);
    expect_bytes(csv, row, "bwd_peak_bytes", (uint64_t)peaks[BWD]);
    expect_bytes(csv, row, "bwd_end_bytes", (uint64_t)ends[BWD]);
    expect_bytes(csv, row, "clip_peak_bytes", (uint64_t)peaks[CLIP]);
    expect_bytes(csv, row, "opt_peak_bytes", (uint64_t)peaks[OPT]);
    expect_bytes(csv, row, "opt_end_bytes", (uint64_t)ends[OPT]);
    expect_bytes(csv, row, "after_zero_grad_bytes", (uint64_t)ends[ZERO]);
    expect_bytes(csv, row, "ema_peak_bytes", (uint64_t)peaks[EMA]);
    expect_bytes(csv, row, "step_end_bytes", (uint64_t)ends[EMA]);
}

Test(peaks, are_the_recorded_ones_of_every_configuration)
{
    struct csv csv = csv_open("steps/step_peaks.csv");
    size_t n = 0, n_contended = 0;
    for (size_t i = 0; i < csv.n_rows; i++) {
        struct made made;
        n_contended += fit_row(&made, &csv, i, loss_end, "loss_end_bytes");
        compare_peaks(&csv, i, &made.program);
        vb_arena_clear(&made.arena);
        n++;
    }
    cr_expect_eq(n, 384);
    cr_expect_eq(n_contended, 1); /* the second step of YOLO11n, batch 2 at 320, AMP of 2.4 */
    csv_close(&csv);
}

/* Many boxes an image, the same number in each: drawn ones, as the recorded ones are not given. */
static void make_dense(struct made *made, const struct csv *csv, size_t row, uint32_t n_foreground)
{
    struct setting setting = {
        .model = csv_text(csv, row, "model"),
        .batch = (uint32_t)csv_number(csv, row, "batch"),
        .imgsz = (uint32_t)csv_number(csv, row, "imgsz"),
        .torch = recorded(false, false),
    };
    uint32_t per_image = (uint32_t)csv_number(csv, row, "gt_per_image(all images)");
    *made = (struct made){ 0 };
    const struct vb_point point = { .batch = setting.batch,
                                    .targets = per_image,
                                    .most = per_image };
    struct vb_targets targets = vb_targets_even(&made->arena, &point);
    targets.n_foreground = n_foreground;
    make_for(made, &setting, &targets);
}

static void walk_dense(const struct vb_program *program, int64_t *peaks, int64_t *ends)
{
    static struct events all[N_PHASES];
    int64_t alive = resident_bytes(program);
    our_events(program, 1, true, all);
    for (size_t i = 0; i < N_PHASES; i++) {
        peak_and_end(&all[i], &alive, &peaks[i]);
        ends[i] = alive;
    }
}

static int64_t dense_loss_end(const struct csv *csv, size_t row, uint32_t n_foreground)
{
    struct made made;
    int64_t peaks[N_PHASES], ends[N_PHASES];
    make_dense(&made, csv, row, n_foreground);
    walk_dense(&made.program, peaks, ends);
    vb_arena_clear(&made.arena);
    return ends[LOSS];
}

/* As many foreground anchors as leave what was left at the end of the loss. */
static uint32_t dense_foreground(const struct csv *csv, size_t row)
{
    int64_t none = dense_loss_end(csv, row, 1);
    int64_t each = dense_loss_end(csv, row, 2) - none;
    int64_t off = (int64_t)csv_number(csv, row, "loss_end_bytes") - none;
    cr_assert_eq(off % each, 0, "row %zu: no whole number of foreground anchors", row);
    return (uint32_t)(1 + off / each);
}

/* Free in YOLOv8's rows is one integer, the foreground anchors: how many anchors lie inside boxes
 * decides no column. */
Test(dense, boxes_cost_yolov8_what_was_recorded)
{
    struct csv csv = csv_open("steps/loss_dense_targets.csv");
    for (size_t i = 0; i < csv.n_rows; i++) {
        struct made made;
        int64_t peaks[N_PHASES], ends[N_PHASES];
        if (strncmp(csv_text(&csv, i, "model"), "yolov8", 6) != 0)
            continue;
        uint32_t n = dense_foreground(&csv, i);
        make_dense(&made, &csv, i, n);
        walk_dense(&made.program, peaks, ends);
        cr_expect_eq(ends[FWD], (int64_t)csv_number(&csv, i, "fwd_end_bytes"));
        cr_expect_eq(peaks[LOSS], (int64_t)csv_number(&csv, i, "loss_peak_bytes"));
        cr_expect_eq(ends[LOSS], (int64_t)csv_number(&csv, i, "loss_end_bytes"));
        cr_expect_eq(peaks[BWD], (int64_t)csv_number(&csv, i, "bwd_peak_bytes"));
        (void)fprintf(stderr, "%s boxes an image: %u foreground anchors\n",
                      csv_text(&csv, i, "gt_per_image(all images)"), n);
        vb_arena_clear(&made.arena);
    }
    csv_close(&csv);
}

/* YOLOv5's matches follow from the boxes, and the recorded ones had some more than ours: what is
 * left at the end of the loss says how many, at MATCH bytes each; the peak is held to at most a
 * match's share of the loss's temporaries more. */
Test(dense, boxes_cost_yolov5_what_was_recorded)
{
    enum { MATCH = 840, MATCH_AT_PEAK = 856 };
    struct csv csv = csv_open("steps/loss_dense_targets.csv");
    for (size_t i = 0; i < csv.n_rows; i++) {
        struct made made;
        int64_t peaks[N_PHASES], ends[N_PHASES];
        if (strncmp(csv_text(&csv, i, "model"), "yolov5", 6) != 0)
            continue;
        make_dense(&made, &csv, i, 0);
        walk_dense(&made.program, peaks, ends);
        int64_t more = (int64_t)csv_number(&csv, i, "loss_end_bytes") - ends[LOSS];
        int64_t higher = (int64_t)csv_number(&csv, i, "loss_peak_bytes") - peaks[LOSS];
        cr_expect_eq(ends[FWD], (int64_t)csv_number(&csv, i, "fwd_end_bytes"));
        cr_expect_eq(peaks[BWD], (int64_t)csv_number(&csv, i, "bwd_peak_bytes"));
        cr_expect_eq(more % MATCH, 0, "%ld bytes are no whole matches", (long)more);
        cr_expect(higher >= 0 && higher <= more / MATCH * MATCH_AT_PEAK);
        (void)fprintf(stderr, "%s boxes an image: %ld matches more than ours\n",
                      csv_text(&csv, i, "gt_per_image(all images)"), (long)(more / MATCH));
        vb_arena_clear(&made.arena);
    }
    csv_close(&csv);
}
