/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "record/record.h"

static struct vb_record print_and_parse(const struct vb_record *record, char **line)
{
    struct vb_arena arena = { 0 };
    struct vb_error err = { 0 };
    struct vb_record read;
    cr_assert_eq(vb_record_print(record, line, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_record_parse(*line, &arena, &read, &err), VB_OK, "%s", err.text);
    vb_arena_clear(&arena);
    return read;
}

Test(record, keeps_the_peaks_of_a_runs_parts)
{
    struct vb_record record = { .point = vb_point_default(),
                                .state = VB_STATE_OOM,
                                .unit = "GiB",
                                .peak_part = VB_PART_FIRST,
                                .oom_part = VB_PART_VALIDATION };
    char *line = NULL;
    record.point.multiscale = record.point.copy_paste = record.point.single_cls = true;
    record.point.freeze = 10;
    record.point.rect = 0.5625;
    record.parts[VB_PART_CHECK] = (struct vb_part_peaks){ 1, 2 };
    record.parts[VB_PART_VALIDATION] = (struct vb_part_peaks){ 3, 4 };
    struct vb_record read = print_and_parse(&record, &line);
    cr_expect(strstr(line, "\"oom_part\":\"validation\"") != NULL, "%s", line);
    cr_expect(read.point.multiscale);
    cr_expect(read.point.copy_paste);
    cr_expect(read.point.single_cls);
    cr_expect_eq(read.point.freeze, 10);
    cr_expect(read.point.rect == 0.5625);
    cr_expect_not(read.point.mixup);
    cr_expect_str_eq(read.unit, "GiB");
    cr_expect_eq(read.peak_part, VB_PART_FIRST);
    cr_expect_eq(read.oom_part, VB_PART_VALIDATION);
    for (int i = 0; i < VB_N_PARTS; i++) {
        cr_expect_eq(read.parts[i].allocated_bytes, record.parts[i].allocated_bytes);
        cr_expect_eq(read.parts[i].reserved_bytes, record.parts[i].reserved_bytes);
    }
    free(line);
}

/* The steps stay in their order, and are absent where there are none. */
Test(record, keeps_the_steps_in_their_order)
{
    static const uint64_t samples[] = { 30000001, 10000000, 1, UINT64_C(3600000000000) };
    struct vb_record record = { .point = vb_point_default(),
                                .step_samples_ns = samples,
                                .n_step_samples = 4 };
    struct vb_arena arena = { 0 };
    struct vb_error err = { 0 };
    struct vb_record read;
    char *line = NULL;
    cr_assert_eq(vb_record_print(&record, &line, &err), VB_OK);
    cr_expect(strstr(line, "\"step_samples_ns\":[30000001,10000000,1,3600000000000]") != NULL);
    cr_assert_eq(vb_record_parse(line, &arena, &read, &err), VB_OK, "%s", err.text);
    cr_assert_eq(read.n_step_samples, 4u);
    for (size_t i = 0; i < 4; i++)
        cr_expect_eq(read.step_samples_ns[i], samples[i]);
    free(line);
    vb_arena_clear(&arena);
    record.n_step_samples = 0;
    (void)print_and_parse(&record, &line);
    cr_expect(strstr(line, "samples") == NULL, "%s", line);
    free(line);
}

/* A step has no parts: nothing is said of them. */
Test(record, of_a_step_has_no_parts)
{
    struct vb_record record = { .point = vb_point_default() };
    char *line = NULL;
    (void)print_and_parse(&record, &line);
    cr_expect(strstr(line, "part") == NULL, "%s", line);
    free(line);
}

/* Each phase has a name of its own. */
Test(record, names_every_phase)
{
    for (int i = 0; i < VB_N_PHASES; i++) {
        cr_assert_not_null(vb_phase_names[i]);
        for (int k = 0; k < i; k++)
            cr_expect_str_neq(vb_phase_names[i], vb_phase_names[k]);
    }
}
