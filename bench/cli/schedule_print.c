/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/schedule_print.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/advise_print.h"
#include "cli/json_print.h"

#define GIB 1073741824.0
/* A sequence that reserves so much more than its largest phase does fragments. */
#define NOTABLE 1.02

static double rate(const struct cli_phase *phase)
{
    return phase->answer.step_seconds > 0 ? phase->point.batch / phase->answer.step_seconds : 0;
}

static void print_phase(const struct cli_phase *phase, size_t number)
{
    char probability[16];
    printf("| %2zu | %5" PRIu32 " | %-6s | %6" PRIu32 " | %4" PRIu32 " |", number,
           phase->point.imgsz, vb_mosaic_names[phase->point.mosaic], phase->epochs,
           phase->largest_batch);
    if (phase->point.batch == 0) {
        printf("  none |      |       |         |       |\n");
        return;
    }
    printf(
        " %5" PRIu32 " | %4" PRIu32 " | %5.2f | %7s | %5.1f |\n", phase->point.batch,
        phase->accumulate, phase->answer.estimate.need_bytes / GIB,
        cli_probability_text(phase->answer.estimate.probability, probability, sizeof probability),
        phase->seconds / 3600);
}

static void print_shared(const char *what, const struct cli_shared *shared, double separate_bytes)
{
    if (shared->ran_out)
        printf("  %-26s runs out in phase %zu\n", what, shared->ran_out_at + 1);
    else
        printf("  %-26s %6.2f GiB, %+.2f\n", what, shared->peak_reserved_bytes / GIB,
               (shared->peak_reserved_bytes - separate_bytes) / GIB);
}

/* What it takes for one process to have all phases. */
static const char *advice(const struct cli_schedule *schedule)
{
    const struct cli_shared *kept = &schedule->kept, *emptied = &schedule->emptied;
    if (!kept->ran_out && kept->peak_reserved_bytes <= NOTABLE * schedule->separate_bytes)
        return "one process can have them all: nothing is lost to fragments";
    if (!emptied->ran_out && emptied->peak_reserved_bytes <= NOTABLE * schedule->separate_bytes)
        return "one process can have them all with torch.cuda.empty_cache() between phases; "
               "without, what an earlier phase left cached is in the way";
    return "a process of its own for each phase is needed: what an earlier one left is in the way";
}

static void print_draws(const struct cli_schedule *schedule)
{
    if (!schedule->question->point.multiscale)
        return;
    printf("multi-scale: planned at the worst draw,");
    for (size_t i = 0; i < schedule->n_phases; i++)
        printf(" %" PRIu32 " of %" PRIu32 "%s", schedule->phases[i].largest_size,
               schedule->phases[i].point.imgsz, i + 1 < schedule->n_phases ? "," : "\n");
}

static void print_commands(const struct cli_schedule *schedule)
{
    const char *model = schedule->question->point.model;
    bool is_v5 = schedule->recipe.trainer.family == VB_YOLOV5;
    printf("\nto type:\n");
    for (size_t i = 0; i < schedule->n_phases; i++) {
        const struct cli_phase *phase = &schedule->phases[i];
        struct vb_point point = phase->point;
        char arguments[768], note[256], all[1024], head[32];
        if (i > 0) /* it goes on from what the phase before left */
            (void)snprintf(point.model, sizeof point.model, "last.pt");
        cli_training_arguments(&schedule->recipe.trainer, &schedule->question->point, &point,
                               arguments, sizeof arguments, note, sizeof note);
        (void)snprintf(head, sizeof head, "%4zu  ", i + 1);
        (void)snprintf(all, sizeof all, "%s %s%" PRIu32, arguments,
                       is_v5 ? "--epochs " : "epochs=", phase->epochs);
        cli_print_command(head, all);
        if (note[0] != '\0')
            cli_print_wrapped("    # ", note);
    }
    printf("    # last.pt: of the phase before; it began from %.60s\n", model);
}

static void print_end(const struct cli_schedule *schedule)
{
    double seconds = 0;
    for (size_t i = 0; i < schedule->n_phases; i++)
        seconds += schedule->phases[i].seconds;
    printf("\n%.1f hours for %" PRIu32 " images an epoch, modelled (a roofline: no GPU is quicker),"
           "\nwithout validation\n",
           seconds / 3600, schedule->images);
    print_draws(schedule);
    printf("\nall phases in one process, reserved at the peak (the largest alone: %.2f GiB):\n",
           schedule->separate_bytes / GIB);
    print_shared("cache kept:", &schedule->kept, schedule->separate_bytes);
    print_shared("empty_cache() between:", &schedule->emptied, schedule->separate_bytes);
    cli_print_wrapped("", advice(schedule));
    print_commands(schedule);
}

static void print_md(const struct cli_schedule *schedule)
{
    const struct vb_device_info *info = vb_device_info(schedule->question->asked.device);
    printf("%.40s %s on %.40s, %.2f GiB usable\n"
           "effective batch %" PRIu32
           "; fits: the largest batch that does; sums: batches to a step\n"
           "of the optimizer\n\n",
           schedule->question->point.model, vb_precision_names[schedule->question->point.precision],
           info->product, (double)(info->capacity_bytes - info->context_bytes) / GIB,
           schedule->effective_batch);
    printf("|  # | imgsz | mosaic | epochs | fits | batch | sums |   GiB | P(fits) | hours |\n"
           "| -: | ----: | :----- | -----: | ---: | ----: | ---: | ----: | ------: | ----: |\n");
    for (size_t i = 0; i < schedule->n_phases; i++)
        print_phase(&schedule->phases[i], i + 1);
    if (cli_schedule_fits(schedule))
        print_end(schedule);
    else
        printf("\nNot every phase fits, with no batch at all: 'vrambench advise' says what to "
               "change.\n");
}

static json_t *phase_object(const struct cli_phase *phase)
{
    json_t *object =
        json_pack("{s:i,s:s,s:i,s:i,s:i,s:b}", "imgsz", (int)phase->point.imgsz, "mosaic",
                  vb_mosaic_names[phase->point.mosaic], "epochs", (int)phase->epochs,
                  "largest_size", (int)phase->largest_size, "largest_batch",
                  (int)phase->largest_batch, "fits", phase->point.batch > 0);
    if (object == NULL || phase->point.batch == 0)
        return object;
    const struct vb_estimate *estimate = &phase->answer.estimate;
    (void)json_object_set_new(object, "batch", json_integer(phase->point.batch));
    (void)json_object_set_new(object, "accumulate", json_integer(phase->accumulate));
    (void)json_object_set_new(object, "need_bytes", json_integer((json_int_t)estimate->need_bytes));
    (void)json_object_set_new(object, "usable_bytes",
                              json_integer((json_int_t)estimate->usable_bytes));
    if (estimate->probability > 0)
        (void)json_object_set_new(object, "probability", json_real(estimate->probability));
    if (phase->seconds > 0) {
        (void)json_object_set_new(object, "images_per_second", json_real(rate(phase)));
        (void)json_object_set_new(object, "seconds", json_real(phase->seconds));
        (void)json_object_set_new(object, "time_is_modelled", json_true());
    }
    return object;
}

static json_t *shared_object(const struct cli_shared *shared)
{
    json_t *object = json_pack("{s:b,s:I}", "ran_out", (int)shared->ran_out, "peak_reserved_bytes",
                               (json_int_t)shared->peak_reserved_bytes);
    if (object != NULL && shared->ran_out)
        (void)json_object_set_new(object, "ran_out_in",
                                  json_integer((json_int_t)shared->ran_out_at + 1));
    return object;
}

static bool print_json(const struct cli_schedule *schedule)
{
    json_t *phases = json_array();
    for (size_t i = 0; i < schedule->n_phases; i++)
        (void)json_array_append_new(phases, phase_object(&schedule->phases[i]));
    json_t *root = json_pack("{s:s,s:i,s:i,s:o}", "model", schedule->question->point.model,
                             "effective_batch", (int)schedule->effective_batch, "images",
                             (int)schedule->images, "phases", phases);
    if (root != NULL && cli_schedule_fits(schedule)) {
        (void)json_object_set_new(root, "separate_reserved_bytes",
                                  json_integer((json_int_t)schedule->separate_bytes));
        (void)json_object_set_new(root, "cache_kept", shared_object(&schedule->kept));
        (void)json_object_set_new(root, "cache_emptied", shared_object(&schedule->emptied));
    }
    return cli_print_object(root, JSON_INDENT(2));
}

static void print_csv(const struct cli_schedule *schedule)
{
    printf("imgsz,mosaic,epochs,largest_size,largest_batch,batch,accumulate,need_bytes,"
           "usable_bytes,probability,images_per_second,seconds\n");
    for (size_t i = 0; i < schedule->n_phases; i++) {
        const struct cli_phase *phase = &schedule->phases[i];
        const struct vb_estimate *estimate = &phase->answer.estimate;
        printf("%" PRIu32 ",%s,%" PRIu32 ",%" PRIu32 ",%" PRIu32 ",", phase->point.imgsz,
               vb_mosaic_names[phase->point.mosaic], phase->epochs, phase->largest_size,
               phase->largest_batch);
        if (phase->point.batch == 0)
            printf(",,,,,,\n");
        else
            printf("%" PRIu32 ",%" PRIu32 ",%.0f,%.0f,%.6f,%.6g,%.6g\n", phase->point.batch,
                   phase->accumulate, estimate->need_bytes, estimate->usable_bytes,
                   estimate->probability, rate(phase), phase->seconds);
    }
}

enum vb_status cli_schedule_print(const struct cli_schedule *schedule, enum vb_table_format format,
                                  struct vb_error *err)
{
    bool is_written = true;
    if (format == VB_TABLE_MD)
        print_md(schedule);
    else if (format == VB_TABLE_CSV)
        print_csv(schedule);
    else if (format == VB_TABLE_JSON)
        is_written = print_json(schedule);
    for (size_t i = 0; format == VB_TABLE_JSONL && is_written && i < schedule->n_phases; i++)
        is_written = cli_print_object(phase_object(&schedule->phases[i]), JSON_COMPACT);
    return is_written ? VB_OK : vb_fail(err, VB_E_SYSTEM, "the schedule cannot be written");
}
