/* SPDX-License-Identifier: Apache-2.0 */
/* The arguments are those of ultralytics' command line and of YOLOv5's train.py; facts of their
 * documentation. */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/advise_row.h"
#include "cli/ranks_print.h"

/* A text that is appended to and cut where it does not fit. */
struct line {
    char *text;
    size_t room;
};

static void add(struct line *line, const char *format, ...) VB_PRINTF(2, 3);
static void add(struct line *line, const char *format, ...)
{
    va_list arguments;
    size_t length = strlen(line->text);
    va_start(arguments, format);
    (void)vsnprintf(line->text + length, line->room - length, format, arguments);
    va_end(arguments);
}

static void say(struct line *note, const char *text)
{
    add(note, "%s%s", note->text[0] != '\0' ? "; " : "", text);
}

/* "yolov5s" is the name of weights; files are named as they are. */
static const char *ending(const char *model)
{
    return strchr(model, '.') != NULL ? "" : ".pt";
}

static const char *const optimizer_arguments[3] = { "SGD", "Adam", "AdamW" };

static void add_ultralytics(const struct vb_trainer *trainer, const struct vb_point *from,
                            const struct vb_point *to, struct line *line)
{
    uint32_t effective = vb_effective_batch(to, trainer->nominal_batch);
    char gpus[64];
    add(line, "yolo train model=%s%s batch=%" PRIu32 " imgsz=%" PRIu32 " amp=%s", to->model,
        ending(to->model), to->batch, to->imgsz, to->precision == VB_FP32 ? "False" : "True");
    if (to->batch != from->batch || to->accumulate > 0)
        add(line, " nbs=%" PRIu32, effective);
    if (to->optimizer != from->optimizer)
        add(line, " optimizer=%s", optimizer_arguments[to->optimizer]);
    if (to->freeze > 0)
        add(line, " freeze=%" PRIu32, to->freeze);
    if (to->mosaic == VB_MOSAIC_OFF && from->mosaic != VB_MOSAIC_OFF)
        add(line, " mosaic=0.0");
    if (from->mixup && !to->mixup && to->mosaic != VB_MOSAIC_CPU)
        add(line, " mixup=0.0");
    if (from->copy_paste && !to->copy_paste && to->mosaic != VB_MOSAIC_CPU)
        add(line, " copy_paste=0.0");
    if (to->multiscale)
        add(line, " multi_scale=True");
    cli_list_gpus(to, gpus, sizeof gpus);
    if (to->gpus > 1)
        add(line, " device=%s", gpus);
}

static void add_yolov5(const struct vb_trainer *trainer, const struct vb_point *from,
                       const struct vb_point *to, struct line *line, struct line *note)
{
    uint32_t effective = vb_effective_batch(to, trainer->nominal_batch);
    struct vb_point plain = *to;
    char gpus[64], launcher[96];
    plain.accumulate = 0;
    cli_launcher(to, launcher, sizeof launcher);
    add(line, "python %strain.py %s %s%s --batch-size %" PRIu32 " --img %" PRIu32, launcher,
        strstr(to->model, ".y") != NULL ? "--cfg" : "--weights", to->model, ending(to->model),
        to->batch, to->imgsz);
    if (to->optimizer != from->optimizer)
        add(line, " --optimizer %s", optimizer_arguments[to->optimizer]);
    if (to->freeze > 0)
        add(line, " --freeze %" PRIu32, to->freeze);
    if (to->multiscale)
        add(line, " --multi-scale");
    cli_list_gpus(to, gpus, sizeof gpus);
    if (to->gpus > 1)
        add(line, " --device %s", gpus);
    if (vb_effective_batch(&plain, trainer->nominal_batch) != effective)
        add(note, "nbs = %" PRIu32 " in train.py, which has no argument for it", effective);
    if (to->precision != from->precision)
        say(note, "train.py trains with AMP unless its check of it fails");
    if (to->mosaic == VB_MOSAIC_OFF && from->mosaic != VB_MOSAIC_OFF)
        say(note, "mosaic: 0.0 in the file of --hyp");
    if (from->mixup && !to->mixup && to->mosaic != VB_MOSAIC_CPU)
        say(note, "mixup: 0.0 in the file of --hyp");
    if (from->copy_paste && !to->copy_paste && to->mosaic != VB_MOSAIC_CPU)
        say(note, "copy_paste: 0.0 in the file of --hyp");
}

/* A script of the user's own: in the words of vrambench. */
static void add_script(const struct vb_point *to, struct line *line, struct line *note)
{
    add(line, "batch=%" PRIu32 " imgsz=%" PRIu32 " precision=%s accumulate=%" PRIu32, to->batch,
        to->imgsz, vb_precision_names[to->precision], to->accumulate > 0 ? to->accumulate : 1);
    say(note, "in the script that trains");
}

void cli_training_arguments(const struct vb_trainer *trainer, const struct vb_point *from,
                            const struct vb_point *to, char *arguments, size_t arguments_room,
                            char *note, size_t note_room)
{
    struct line line = { arguments, arguments_room }, notes = { note, note_room };
    arguments[0] = note[0] = '\0';
    if (to->alloc_conf[0] != '\0')
        add(&line, "PYTORCH_CUDA_ALLOC_CONF=%s ", to->alloc_conf);
    switch (trainer->family) {
    case VB_YOLOV5:
        add_yolov5(trainer, from, to, &line, &notes);
        break;
    case VB_ULTRALYTICS:
        add_ultralytics(trainer, from, to, &line);
        break;
    case VB_CLASSIFIER:
        add_script(to, &line, &notes);
        break;
    }
    if (to->mosaic == VB_MOSAIC_CPU && from->mosaic == VB_MOSAIC_ON)
        say(&notes, "the stock loader composes on the CPU");
    if (to->channels_last && !from->channels_last)
        say(&notes, "model.to(memory_format=torch.channels_last) in the script");
}
