/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>

#include "fit/calibration_file.h"
#include "fit/calibration_find.h"
#include "fit/grid.h"

static struct vb_arena arena;
static struct vb_calibration items[2];
static struct vb_text text;

static const char *architecture(uint32_t compute_capability)
{
    return compute_capability / 100 == 7 ? "Turing" : "Ampere";
}

/* Two calibrations of a T4 that an RTX 2080 Ti plays, as a file. */
static struct vb_calibrations make(void)
{
    static struct grid grid;
    static double truth[GRID_POINTS];
    struct vb_error err = { 0 };
    uint64_t state = 11;
    cr_assert(grid_read(VB_TEST_DATA "/calibration/grid.csv", &grid));
    grid_play(&grid, 0, 1, truth);
    for (size_t i = 0; i < GRID_POINTS; i++)
        grid.points[i].measured_bytes = truth[i] * (1 + GRID_NOISE * grid_normal(&state));
    for (size_t k = 0; k < 2; k++) {
        items[k] = (struct vb_calibration){ .gpu = "Tesla T4",
                                            .driver = "580.65.06",
                                            .cuda = "13.0",
                                            .cudnn = "9.19.0",
                                            .model = "yolov5s",
                                            .compute_capability = 750,
                                            .precision = k == 0 ? VB_FP32 : VB_FP16,
                                            .capacity_bytes = 15843721216,
                                            .planned_with = "9.19.0 (table)" };
        cr_assert(
            eq(int, vb_calibration_fit(grid.points, GRID_POINTS, &arena, &items[k], &err), VB_OK));
    }
    struct vb_calibrations file = { .tool = "vrambench 0.1.0 x",
                                    .date = "2026-11-28",
                                    .journal_hash = "0123456789abcdef",
                                    .n_records = 196,
                                    .items = items,
                                    .n = 2 };
    vb_text_clear(&text);
    vb_calibrations_append(&file, &text);
    cr_assert(not(text.failed));
    return file;
}

Test(calibration_file, what_is_written_is_read)
{
    struct vb_calibrations file = make(), there;
    struct vb_text again = { 0 };
    struct vb_error err = { 0 };
    cr_assert(eq(int, vb_calibrations_parse("c.json", text.data, text.length, &arena, &there, &err),
                 VB_OK),
              "%s", err.text);
    cr_expect(eq(sz, there.n, 2));
    cr_expect(eq(str, there.items[1].gpu, "Tesla T4"));
    cr_expect(eq(int, there.items[1].precision, VB_FP16));
    cr_expect(eq(int, there.items[1].chosen, file.items[1].chosen));
    for (size_t i = 0; i < file.items[1].n_points; i++)
        cr_expect(eq(dbl, there.items[1].points[i].left_out_bytes,
                     file.items[1].points[i].left_out_bytes));
    vb_calibrations_append(&there, &again);
    cr_expect(eq(str, again.data, text.data));
    vb_text_clear(&again);
    vb_text_clear(&text);
    vb_arena_clear(&arena);
}

static void expect_refused(const char *data, size_t bytes, const char *with)
{
    struct vb_calibrations there;
    struct vb_error err = { 0 };
    cr_expect(
        eq(int, vb_calibrations_parse("c.json", data, bytes, &arena, &there, &err), VB_E_INPUT));
    cr_expect(not(zero(ptr, strstr(err.text, with))), "'%s' lacks '%s'", err.text, with);
    cr_expect(zero(ptr, strchr(err.text, '\n')));
    cr_expect(eq(int, strncmp(err.text, "c.json", 6), 0));
}

Test(calibration_file, a_truncated_file_is_refused)
{
    (void)make();
    for (size_t bytes = 0; bytes + 2 < text.length; bytes += 97)
        expect_refused(text.data, bytes, "c.json");
    vb_text_clear(&text);
    vb_arena_clear(&arena);
}

/* The text with the first `was` made `is`. */
static void expect_edit_refused(const char *was, const char *is, const char *with)
{
    struct vb_text edited = { 0 };
    char *at = strstr(text.data, was);
    cr_assert(not(zero(ptr, at)), "no %s", was);
    vb_text_append(&edited, "%.*s%s%s", (int)(at - text.data), text.data, is, at + strlen(was));
    expect_refused(edited.data, edited.length, with);
    vb_text_clear(&edited);
}

Test(calibration_file, what_was_edited_is_refused)
{
    (void)make();
    expect_edit_refused("\"version\":1", "\"version\":2", "version 2, this vrambench reads 1");
    expect_edit_refused("\"version\":1", "\"version\":0", "\"version\" is missing");
    expect_edit_refused("vrambench-calibration", "other", "no calibration file");
    expect_edit_refused("\"gpu\":\"Tesla T4\"", "\"gpu\":\"Tesla T5\"", "edited or damaged");
    expect_edit_refused("\"spread\":0", "\"spread\":9", "edited or damaged");
    expect_edit_refused("\"spread\":", "\"spread\":-", "\"forms\" is missing, or not what");
    expect_edit_refused("\"coefficients\":[", "\"coefficients\":[1,", "\"forms\"");
    expect_edit_refused("[1,320,\"fp32\"", "[0,320,\"fp32\"", "\"points\"");
    expect_edit_refused("[1,320,\"fp32\"", "[NaN,320,\"fp32\"", "not JSON");
    expect_edit_refused("\"chosen\":\"", "\"chosen\":\"x", "\"chosen\"");
    expect_refused("[]", 2, "no calibration file");
    vb_text_clear(&text);
    vb_arena_clear(&arena);
}

static struct vb_calibration_question question(void)
{
    return (struct vb_calibration_question){ .gpu = "Tesla T4",
                                             .cudnn = "9.19.0",
                                             .compute_capability = 750,
                                             .model = "yolov5s",
                                             .family = "yolov5",
                                             .precision = VB_FP16,
                                             .architecture = architecture };
}

Test(calibration_find, the_nearest_is_taken)
{
    struct vb_calibrations file = make();
    struct vb_calibration_question asked = question();
    struct vb_nearest nearest = vb_calibration_nearest(&file, 1, &asked);
    cr_expect(eq(ptr, (void *)nearest.calibration, &items[1]));
    cr_expect(eq(int, nearest.nearness, VB_SAME_STACK));
    cr_expect(eq(u32, nearest.unlike, 0));

    memcpy(items[1].cudnn, "9.18.0", 7);
    nearest = vb_calibration_nearest(&file, 1, &asked);
    cr_expect(eq(ptr, (void *)nearest.calibration, &items[0]),
              "the same cuDNN counts more than the precision");
    cr_expect(eq(u32, nearest.unlike, 1u << VB_CALIBRATED_OTHER_PRECISION));

    asked.gpu = "NVIDIA GeForce RTX 2080 Ti";
    nearest = vb_calibration_nearest(&file, 1, &asked);
    cr_expect(eq(int, nearest.nearness, VB_SAME_ARCHITECTURE));
    asked.compute_capability = 860;
    cr_expect(zero(ptr, (void *)vb_calibration_nearest(&file, 1, &asked).calibration));
    asked = question();
    asked.family = "yolov8";
    cr_expect(zero(ptr, (void *)vb_calibration_nearest(&file, 1, &asked).calibration));
    cr_expect(zero(ptr, (void *)vb_calibration_nearest(NULL, 0, &asked).calibration));
    vb_text_clear(&text);
    vb_arena_clear(&arena);
}

/* The band holds the measured points as often as it says, and is wider where it knows less. */
Test(calibration_find, bands_follow_from_the_residuals)
{
    struct vb_calibrations file = make();
    struct vb_calibration_question asked = question();
    struct vb_nearest nearest = vb_calibration_nearest(&file, 1, &asked);
    struct vb_calibrated answer;
    struct vb_error err = { 0 };
    size_t inside = 0;
    for (size_t i = 0; i < items[1].n_points; i++) {
        const struct vb_calibration_point *point = &items[1].points[i];
        cr_assert(eq(int, vb_calibration_answer(&nearest, point, &arena, &answer, &err), VB_OK));
        struct vb_interval in = vb_band_interval(&answer.band, answer.bytes, 0.9);
        inside += point->measured_bytes >= in.low && point->measured_bytes <= in.high;
    }
    cr_expect(ge(sz, inside, 43), "%zu of 49", inside);
    cr_expect(le(sz, inside, 49));

    struct vb_calibration_point far = items[1].points[items[1].n_points - 1];
    double before = answer.band.widening;
    far.planned_bytes *= 4;
    far.apart_bytes *= 4;
    cr_assert(eq(int, vb_calibration_answer(&nearest, &far, &arena, &answer, &err), VB_OK));
    cr_expect(gt(dbl, answer.outside, 2));
    cr_expect(eq(u32, answer.unlike, 1u << VB_CALIBRATED_OUTSIDE));
    cr_expect(gt(dbl, answer.band.widening, before * 1.4));
    vb_text_clear(&text);
    vb_arena_clear(&arena);
}
