/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/point_options.h"

#include <stdio.h>
#include <string.h>

#include "sweep/keys.h"

static const char usual_gpu[] = "rtx3090";

void cli_add_point_options(struct cli_point_options *options, struct cli_option *table, size_t *n)
{
    for (size_t i = 0; i < vb_key_count; i++)
        table[(*n)++] = (struct cli_option){ vb_keys[i].name, "VALUE", vb_keys[i].help,
                                             &options->values[i], NULL };
    table[(*n)++] = (struct cli_option){ "yaml", "FILE", "a model of your own, in place of --model",
                                         &options->yaml, NULL };
    table[(*n)++] =
        (struct cli_option){ "gpu", "NAME", "the GPU, as in sweeps/gpus, or a JSON file",
                             &options->gpu, NULL };
    table[(*n)++] = (struct cli_option){ "device", "NAME", "virtual:GPU, cpu or cpu:THREADS",
                                         &options->device, NULL };
}

enum vb_status cli_read_point(const struct cli_point_options *options, struct vb_point *out,
                              struct vb_error *err)
{
    *out = vb_point_default();
    out->batch = 16;
    out->imgsz = 640;
    for (size_t i = 0; i < vb_key_count; i++) {
        enum vb_status status = options->values[i] != NULL
                                    ? vb_option_set(&vb_keys[i], options->values[i], out, err)
                                    : VB_OK;
        if (status != VB_OK)
            return status;
    }
    if (options->yaml != NULL)
        (void)snprintf(out->model, sizeof out->model, "%s", options->yaml);
    if (out->model[0] == '\0')
        return vb_fail(err, VB_E_INPUT, "no model; give --model yolov5s or --yaml FILE");
    return VB_OK;
}

void cli_set_model(struct cli_point_options *options, const char *model)
{
    for (size_t i = 0; i < vb_key_count; i++) {
        if (strcmp(vb_keys[i].name, "model") == 0)
            options->values[i] = model;
    }
}

bool cli_is_given(const struct cli_point_options *options, const char *key)
{
    for (size_t i = 0; i < vb_key_count; i++) {
        if (strcmp(vb_keys[i].name, key) == 0)
            return options->values[i] != NULL;
    }
    return false;
}

void cli_device_name(const struct cli_point_options *options, char *name, size_t room)
{
    if (options->device != NULL && strcmp(options->device, "auto") != 0)
        (void)snprintf(name, room, "%s", options->device);
    else
        (void)snprintf(name, room, "virtual:%s", options->gpu != NULL ? options->gpu : usual_gpu);
}
