/* SPDX-License-Identifier: Apache-2.0 */
/* The page: what becomes of records, and what its data hold. */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/page.h"

#define MIB ((uint64_t)1 << 20)

static struct vb_record a_record(const char *model, uint32_t batch, uint32_t imgsz, uint64_t mib)
{
    struct vb_record record = {
        .point = { .batch = batch, .imgsz = imgsz, .precision = VB_FP16, .targets = 8 },
        .state = mib > 0 ? VB_STATE_OK : VB_STATE_OOM,
        .provenance = VB_PLANNED,
        .device = "virtual:t4",
        .gpu = "Tesla T4",
        .cudnn = "9.19.0",
        .tool = "vrambench 0.1.0 abc",
        .usable_bytes = 15000 * MIB,
        .capacity_bytes = 15100 * MIB,
        .peak_allocated_bytes = mib * MIB,
        .peak_reserved_bytes = mib * MIB,
        .step_seconds = mib > 0 ? 0.5 : 0,
        .time_is_modelled = true,
    };
    (void)snprintf(record.point.model, sizeof record.point.model, "%s", model);
    return record;
}

static void add(struct vb_page *page, const struct vb_record *record)
{
    struct vb_error err = { 0 };
    cr_assert(eq(int, vb_page_add(page, record, &err), VB_OK), "%s", err.text);
}

static char *text_of(const struct vb_page *page)
{
    struct vb_text text = { 0 };
    struct vb_error err = { 0 };
    cr_assert(eq(int, vb_page_append(page, &text, &err), VB_OK), "%s", err.text);
    return text.data;
}

/* The page's data, by a reader of JSON that is not the page's own. */
static json_t *data_of(const char *text)
{
    static const char mark[] = "<script type=\"application/json\" id=\"data\">";
    json_error_t fault;
    const char *at = strstr(text, mark);
    cr_assert(at != NULL);
    at += strlen(mark);
    json_t *data = json_loadb(at, (size_t)(strstr(at, "</script>") - at), 0, &fault);
    cr_assert(data != NULL, "line %d: %s", fault.line, fault.text);
    return data;
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (text = strstr(text, what); text != NULL; text = strstr(text + 1, what))
        n++;
    return n;
}

static struct vb_page named(void)
{
    return (struct vb_page){ .name = "runs", .tool = "vrambench 0.1.0 abc", .n_records = 1 };
}

Test(page, the_later_of_one_point_stays)
{
    struct vb_page page = named();
    const struct vb_record records[] = { a_record("yolov5n", 8, 640, 700),
                                         a_record("yolov5n", 8, 320, 200),
                                         a_record("yolov5n", 8, 640, 900),
                                         a_record("yolov5n", 2, 640, 300) };
    for (size_t i = 0; i < 4; i++)
        add(&page, &records[i]);
    vb_page_sort(&page);
    cr_assert(eq(sz, page.n_rows, 3));
    const uint32_t sizes[] = { 320, 640, 640 }, batches[] = { 8, 2, 8 };
    const uint64_t mib[] = { 200, 300, 900 };
    for (size_t i = 0; i < 3; i++) {
        cr_expect(eq(u32, page.rows[i].imgsz, sizes[i]));
        cr_expect(eq(u32, page.rows[i].batch, batches[i]));
        cr_expect(eq(u64, page.rows[i].reserved_bytes, mib[i] * MIB));
    }
    vb_page_clear(&page);
}

Test(page, figures_of_other_versions_are_told_apart)
{
    struct vb_page page = named();
    struct vb_record record = a_record("yolov5n", 8, 640, 700);
    add(&page, &record);
    (void)snprintf(record.cudnn, sizeof record.cudnn, "9.10.2");
    add(&page, &record);
    record.provenance = VB_MEASURED;
    add(&page, &record);
    cr_expect(eq(sz, page.n_stacks, 3));
    cr_expect(eq(sz, page.n_kinds, 3));
    vb_page_clear(&page);
}

/* It was skipped before a GPU was asked about: only its device is known. */
Test(page, a_point_not_reached_is_of_its_device)
{
    struct vb_page page = named();
    struct vb_record record = a_record("yolov5n", 8, 640, 700), skipped = { 0 };
    add(&page, &record);
    skipped = (struct vb_record){ .point = record.point,
                                  .state = VB_STATE_BACKSTOP,
                                  .provenance = VB_PLANNED,
                                  .device = "virtual:t4" };
    skipped.point.batch = 64;
    add(&page, &skipped);
    cr_expect(eq(sz, page.n_stacks, 1));
    cr_expect(eq(sz, page.n_kinds, 1));
    vb_page_clear(&page);
}

Test(page, of_very_many_points_some_are_shown_and_that_is_said)
{
    struct vb_page page = named();
    for (uint32_t i = 0; i < 2 * VB_MOST_PAGE_ROWS + 1; i++) {
        const struct vb_record record = a_record("yolov5n", i + 1, 640, 700);
        add(&page, &record);
    }
    vb_page_sort(&page);
    char *text = text_of(&page);
    cr_expect(eq(sz, count(text, "<tr data-k=0><td>yolov5n<td>fp16<td>mosaic off, sgd<td class=n>"),
                 VB_MOST_PAGE_ROWS));
    cr_expect(strstr(text, "Of 10001 points 5000 are in this page") != NULL);
    cr_expect(strstr(text, "<td class=n>640<td class=n>1<") != NULL, "the first is not shown");
    free(text);
    vb_page_clear(&page);
}

Test(page, too_many_configurations_are_refused)
{
    struct vb_page page = named();
    struct vb_error err = { 0 };
    enum vb_status status = VB_OK;
    uint32_t n = 0;
    for (; n < 2 * VB_MOST_PAGE_KINDS && status == VB_OK; n++) {
        struct vb_record record = a_record("yolov5n", 8, 640, 700);
        record.point.targets = n;
        status = vb_page_add(&page, &record, &err);
    }
    cr_expect(eq(int, status, VB_E_INPUT));
    cr_expect(eq(u32, n, VB_MOST_PAGE_KINDS + 1));
    vb_page_clear(&page);
}

Test(page, texts_of_records_stay_texts)
{
    static const char hostile[] = "</script><script>x</script>\"'<!--{{data}}";
    struct vb_page page = named();
    struct vb_record record = a_record(hostile, 8, 640, 700);
    (void)snprintf(record.gpu, sizeof record.gpu, "%s", hostile);
    (void)snprintf(record.recipe, sizeof record.recipe, "%s", hostile);
    add(&page, &record);
    record.point.batch = 9;
    record.state = VB_STATE_ERROR;
    (void)snprintf(record.reason, sizeof record.reason, "%s", hostile);
    add(&page, &record);
    vb_page_sort(&page);
    page.name = hostile;
    char *text = text_of(&page);
    cr_expect(eq(sz, count(text, "<script"), 2));
    cr_expect(eq(sz, count(text, "</script"), 2));
    cr_expect(strstr(text, "<script>x") == NULL);
    json_t *data = data_of(text);
    const json_t *kind = json_array_get(json_object_get(data, "kinds"), 0);
    cr_expect(strcmp(json_string_value(json_object_get(kind, "model")), hostile) == 0);
    json_decref(data);
    free(text);
    vb_page_clear(&page);
}

/* Numbers that no short text gives: the page must have the very doubles. */
Test(page, the_calculator_has_the_calibration_itself)
{
    struct vb_page page = named();
    const struct vb_record record = a_record("yolov5n", 8, 640, 700);
    struct vb_band_step steps[2] = { { .log_ratio = -1.0 / 3, .weight = 1 },
                                     { .log_ratio = 0.1, .weight = 1 } };
    struct vb_calibrations file = { .date = "2026-11-28" };
    struct vb_calibration calibration = { .gpu = "Tesla T4", .n_points = 7, .n_own = 5 };
    struct vb_page_node node = { 640, 8, 700.0 * 1048576, 600.0 * 1048576, true };
    struct vb_page_ask ask = { .calibration = &calibration,
                               .file = &file,
                               .band = { .steps = steps,
                                         .n_rows = 2,
                                         .n_repositories = 2,
                                         .middle = 2.0 / 7,
                                         .low_scale = 0.01,
                                         .high_scale = 0.3 },
                               .least_bytes = 1.0 / 3,
                               .most_bytes = 1e10 / 3,
                               .context_bytes = 1e8,
                               .usable_bytes = 1.5e10,
                               .nodes = &node,
                               .n_nodes = 1 };
    calibration.fits[VB_CALIBRATE_APART] = (struct vb_calibration_fit){
        .n_terms = 3, .coefficients = { 1.0 / 3, 2.0 / 3, 1e-17 }, .spread = 0.1
    };
    calibration.fits[VB_CALIBRATE_APART].covariance[8] = 1.0 / 9;
    add(&page, &record);
    vb_page_sort(&page);
    page.asks = &ask;
    page.n_asks = 1;
    char *text = text_of(&page);
    json_t *data = data_of(text), *of = json_array_get(json_object_get(data, "asks"), 0);
    const json_t *fit = json_object_get(of, "calibration");
    const json_t *coefficients = json_object_get(fit, "coefficients");
    for (size_t i = 0; i < 3; i++)
        cr_expect(json_number_value(json_array_get(coefficients, i)) ==
                  calibration.fits[VB_CALIBRATE_APART].coefficients[i]);
    cr_expect(json_number_value(json_array_get(json_object_get(fit, "covariance"), 8)) == 1.0 / 9);
    const json_t *step = json_array_get(json_object_get(json_object_get(of, "band"), "steps"), 0);
    cr_expect(json_number_value(json_array_get(step, 0)) == -1.0 / 3);
    const json_t *row = json_array_get(json_object_get(of, "nodes"), 0);
    cr_expect(json_number_value(json_array_get(row, 2)) == node.planned_bytes);
    cr_expect(json_integer_value(json_array_get(row, 4)) == 1);
    json_decref(data);
    free(text);
    vb_page_clear(&page);
}
