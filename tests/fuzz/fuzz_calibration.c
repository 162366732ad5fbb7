/* SPDX-License-Identifier: Apache-2.0 */
/* What is read is also answered from and written again. */
#include "fit/calibration_file.h"
#include "fit/calibration_find.h"
#include "fuzz.h"

static const char *architecture(uint32_t compute_capability)
{
    (void)compute_capability;
    return "any";
}

static void use(const struct vb_calibrations *file, struct vb_arena *arena)
{
    struct vb_text text = { 0 };
    struct vb_calibrated answer;
    struct vb_error err;
    const struct vb_calibration *first = &file->items[0];
    char family[64];
    vb_band_family(first->model, family, sizeof family);
    const struct vb_calibration_question asked = { .gpu = first->gpu,
                                                   .cudnn = first->cudnn,
                                                   .model = first->model,
                                                   .family = family,
                                                   .architecture = architecture };
    struct vb_nearest nearest = vb_calibration_nearest(file, 1, &asked);
    const struct vb_calibration_point point = {
        .batch = 8, .imgsz = 640, .planned_bytes = 4e9, .apart_bytes = 3e9
    };
    if (nearest.calibration != NULL &&
        vb_calibration_answer(&nearest, &point, arena, &answer, &err) == VB_OK)
        (void)vb_band_interval(&answer.band, answer.bytes, 0.9);
    vb_calibrations_append(file, &text);
    vb_text_clear(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct vb_arena arena = { 0 };
    struct vb_calibrations file;
    struct vb_error err;
    char *text = fuzz_text(data, bytes);
    enum vb_status status = vb_calibrations_parse("fuzz.json", text, bytes, &arena, &file, &err);
    if (status == VB_OK)
        use(&file, &arena);
    vb_arena_clear(&arena);
    free(text);
    return 0;
}
