/* SPDX-License-Identifier: Apache-2.0 */
#include "sweep/keys.h"

#include <string.h>

#define TEXT(member) VB_TEXT_OPTION(struct vb_point, member)
#define NUMBER(member, low, high) VB_NUMBER_OPTION(struct vb_point, member, low, high)
#define DECIMAL(member, low, high) VB_DECIMAL_OPTION(struct vb_point, member, low, high)
#define SWITCH(member) VB_SWITCH_OPTION(struct vb_point, member)
#define NAME(member, names) VB_NAME_OPTION(struct vb_point, member, names)

const struct vb_option vb_keys[] = {
    { "model", "yolov5s, yolov8n, ... or a .yaml file", "the model to train", TEXT(model) },
    { "trainer", "yolov5, ultralytics or classifier, -VERSION",
      "whose code trains, as ultralytics-8.3.176", TEXT(trainer) },
    { "torch", "a version, as 2.6.0", "PyTorch's; without one: the newest", TEXT(torch) },
    { "batch", "1 to 65536", "images in a batch", NUMBER(batch, 1, 65536) },
    { "imgsz", "a multiple of the model's stride", "pixels a side; with rect of the longer one",
      NUMBER(imgsz, 1, 16384) },
    { "precision", "fp32, fp16, bf16",
      "of the arithmetic; fp16 and bf16 are autocast over fp32 weights",
      NAME(precision, vb_precision_names) },
    { "mosaic", "off, cpu, on", "where four images are composed into one: nowhere, host, device",
      NAME(mosaic, vb_mosaic_names) },
    { "mixup", "on, off", "two mosaics are mixed into an image, on the device", SWITCH(mixup) },
    { "copy_paste", "on, off", "parts of a mosaic's mirror image are pasted on it, likewise",
      SWITCH(copy_paste) },
    { "optimizer", "sgd, adam, adamw", "whose state stays on the device",
      NAME(optimizer, vb_optimizer_names) },
    { "accumulate", "0 to 1024", "batches whose gradients are summed; 0: as the recipe does",
      NUMBER(accumulate, 0, 1024) },
    { "targets", "1 to 1000", "boxes an image: what the loss takes depends on it",
      NUMBER(targets, 1, 1000) },
    { "most", "0 to 10000", "boxes of the fullest image; 0: as far above the mean as usual",
      NUMBER(most, 0, 10000) },
    { "classes", "0 to 10000", "classes to tell apart; 0: as many as the model's file says",
      NUMBER(classes, 0, 10000) },
    { "single_cls", "on, off", "one class, whatever the data has", SWITCH(single_cls) },
    { "rect", "0 to 1",
      "the images' shorter side as a share of the longer one, as 0.75 of 4:3; 0: square",
      DECIMAL(rect, 0, 1) },
    { "freeze", "0 to 999", "the model's first layers are not trained: so many",
      NUMBER(freeze, 0, 999) },
    { "thop", "recipe, on, off", "AutoBatch counts operations first, where thop is installed",
      NAME(thop, vb_choice_names) },
    { "ema", "on, off", "an averaged copy of the weights is kept", SWITCH(ema) },
    { "deterministic", "recipe, on, off", "plans that may differ from run to run are left out",
      NAME(deterministic, vb_choice_names) },
    { "benchmark", "recipe, on, off", "cuDNN times several plans and takes the fastest",
      NAME(benchmark, vb_choice_names) },
    { "tf32", "on, off", "fp32 convolutions may use tensor cores", SWITCH(tf32) },
    { "channels_last", "on, off", "images are stored NHWC", SWITCH(channels_last) },
    { "multiscale", "on, off", "each batch has a size of its own, drawn around imgsz",
      SWITCH(multiscale) },
    { "alloc_conf", "as PYTORCH_CUDA_ALLOC_CONF", "settings of the caching allocator",
      TEXT(alloc_conf) },
    { "pool", "caching, native", "the allocator: PyTorch's, or none",
      NAME(pool, vb_pool_kind_names) },
    { "workspace", "pool, outside", "where operators' scratch comes from; outside: not counted",
      NAME(workspace, vb_scratch_names) },
    { "workload", "train, autobatch, run",
      "a training step, AutoBatch's profile, or a run's phases",
      NAME(workload, vb_workload_names) },
    { "warmup", "0 to 1000", "steps before those that count", NUMBER(warmup, 0, 1000) },
    { "steps", "1 to 1000", "steps that count; on a GPU at least, where they are 6 or more",
      NUMBER(steps, 1, 1000) },
};
const size_t vb_key_count = sizeof vb_keys / sizeof *vb_keys;

const struct vb_option *vb_key_find(const char *name)
{
    return vb_option_find(vb_keys, vb_key_count, name);
}

void vb_keys_reference(struct vb_text *out)
{
    struct vb_point point = vb_point_default();
    vb_text_append(out, "| key | takes | default | what it is |\n| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < vb_key_count; i++) {
        char value[256];
        vb_option_get(&vb_keys[i], &point, value, sizeof value);
        bool is_given = value[0] == '\0' || (vb_keys[i].kind == VB_OPTION_NUMBER &&
                                             vb_keys[i].low > 0 && strcmp(value, "0") == 0);
        vb_text_append(out, "| %s | %s | %s | %s |\n", vb_keys[i].name, vb_keys[i].values,
                       is_given ? "" : value, vb_keys[i].help);
    }
}
