/* SPDX-License-Identifier: Apache-2.0 */
/* This machine, and the GPUs that a virtual device can be. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/export_gpu.h"
#include "device/device.h"
#include "device/gpu_spec.h"
#include "device/plan_table.h"

enum devices_format { DEVICES_MD, DEVICES_CSV, DEVICES_JSON };

static void print_header(enum devices_format format)
{
    if (format == DEVICES_CSV)
        printf("name,product,compute_capability,capacity_bytes,context_bytes,context_eager_bytes,"
               "bandwidth_bytes_per_second,table_cudnn\n");
}

/* One table a compute capability: the lines stay narrow, and alike GPUs stand together. */
static void print_heading(uint32_t capability)
{
    printf("\n%s, compute capability %" PRIu32 ".%" PRIu32 "\n\n"
           "| device             | product                        | usable |  of | table |\n"
           "| :----------------- | :----------------------------- | -----: | --: | ----: |\n",
           vb_gpu_spec_architecture(capability), capability / 100, capability / 10 % 10);
}

/* One object of the list. NULL where the host has no memory left. */
static json_t *to_json(const struct vb_gpu_spec *gpu, uint64_t table)
{
    json_t *object =
        json_pack("{s:s, s:s, s:f, s:I, s:I, s:I}", "name", gpu->name, "product", gpu->product,
                  "compute_capability", (double)gpu->compute_capability / 100.0, "capacity_bytes",
                  (json_int_t)gpu->capacity_bytes, "context_bytes", (json_int_t)gpu->context_bytes,
                  "context_eager_bytes", (json_int_t)gpu->context_eager_bytes);
    if (object != NULL && gpu->bandwidth_bytes_per_second > 0.0)
        (void)json_object_set_new(object, "bandwidth_bytes_per_second",
                                  json_real(gpu->bandwidth_bytes_per_second));
    if (object != NULL && table > 0)
        (void)json_object_set_new(object, "table_cudnn", json_integer((json_int_t)table));
    return object;
}

static void print_gpu(const struct vb_gpu_spec *gpu, uint64_t table, enum devices_format format,
                      json_t *list)
{
    static const char vendor[] = "NVIDIA ";
    char version[32] = "";
    const double capability = (double)gpu->compute_capability / 100.0;
    if (format == DEVICES_JSON) {
        (void)json_array_append_new(list, to_json(gpu, table));
        return;
    }
    if (format == DEVICES_CSV) {
        if (table > 0)
            (void)snprintf(version, sizeof version, "%" PRIu64, table);
        printf("%s,%s,%.1f,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%.0f,%s\n", gpu->name, gpu->product,
               capability, gpu->capacity_bytes, gpu->context_bytes, gpu->context_eager_bytes,
               gpu->bandwidth_bytes_per_second, version);
        return;
    }
    const char *product = gpu->product;
    if (strncmp(product, vendor, strlen(vendor)) == 0)
        product += strlen(vendor);
    if (table > 0)
        (void)snprintf(version, sizeof version, "%" PRIu64 ".%" PRIu64, table / 10000,
                       table / 100 % 100);
    printf("| %-18s | %-30.30s | %6.2f | %3.0f | %5s |\n", gpu->name, product,
           vb_to_gib(gpu->capacity_bytes - gpu->context_bytes), vb_to_gib(gpu->capacity_bytes),
           version);
}

/* A processor's or a GPU's own. */
static void print_details(const struct vb_device_info *info)
{
    if (info->compute_capability == 0)
        printf("%" PRIu32 " threads, %.2f GiB available, oneDNN %s", info->threads,
               vb_to_gib(info->capacity_bytes), info->onednn);
    else
        printf(
            "compute capability %.1f,\n        %.2f GiB usable of %.2f, cuDNN %" PRIu64 ".%" PRIu64,
            (double)info->compute_capability / 100.0,
            vb_to_gib(info->capacity_bytes - info->context_bytes), vb_to_gib(info->capacity_bytes),
            info->cudnn_version / 10000, info->cudnn_version / 100 % 100);
}

static json_t *measuring_to_json(const struct vb_device_info *info)
{
    json_t *object = json_pack("{s:s, s:s, s:I}", "name", info->name, "product", info->product,
                               "capacity_bytes", (json_int_t)info->capacity_bytes);
    if (object != NULL && info->compute_capability > 0) {
        (void)json_object_set_new(object, "compute_capability",
                                  json_real((double)info->compute_capability / 100.0));
        (void)json_object_set_new(object, "context_bytes",
                                  json_integer((json_int_t)info->context_bytes));
        (void)json_object_set_new(object, "cudnn", json_integer((json_int_t)info->cudnn_version));
    } else if (object != NULL) {
        (void)json_object_set_new(object, "threads", json_integer(info->threads));
        (void)json_object_set_new(object, "onednn", json_string(info->onednn));
    }
    return object;
}

/* A device of this machine, which measures. */
static enum vb_status print_measuring(const char *name, enum devices_format format, json_t *list,
                                      struct vb_error *err)
{
    struct vb_device *device = NULL;
    enum vb_status status = vb_device_open(name, &device, err);
    if (status != VB_OK)
        return status;
    const struct vb_device_info *info = vb_device_info(device);
    const double capability = (double)info->compute_capability / 100.0;
    switch (format) {
    case DEVICES_MD:
        printf("\n%s: %s, ", info->name, info->product);
        print_details(info);
        printf(". It measures.\n");
        break;
    case DEVICES_CSV:
        printf("%s,%s,", info->name, info->product);
        if (capability > 0)
            printf("%.1f,%" PRIu64 ",%" PRIu64 ",,,%" PRIu64 "\n", capability, info->capacity_bytes,
                   info->context_bytes, info->cudnn_version);
        else
            printf(",%" PRIu64 ",,,,\n", info->capacity_bytes);
        break;
    case DEVICES_JSON:
        (void)json_array_append_new(list, measuring_to_json(info));
        break;
    }
    vb_device_close(device);
    return VB_OK;
}

/* All GPUs of this machine; in a table for readers, why there is none. */
static void print_gpus_here(enum devices_format format, json_t *list)
{
    enum vb_status status = VB_OK;
    struct vb_error err = { 0 };
    for (unsigned i = 0; status == VB_OK; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "cuda:%u", i);
        status = print_measuring(name, format, list, &err);
        if (status != VB_OK && status != VB_E_INPUT && format == DEVICES_MD)
            printf("\n%s: none: %s\n", name, err.text);
        else if (status == VB_E_INPUT && i == 0 && format == DEVICES_MD)
            printf("\ncuda: none: %s\n", err.text);
    }
}

static enum vb_status print_gpu_called(const char *name, enum devices_format format,
                                       uint32_t *capability, json_t *list, struct vb_error *err)
{
    struct vb_gpu_spec gpu = { 0 };
    enum vb_status status = vb_gpu_spec_find(name, &gpu, err);
    if (status == VB_OK && format == DEVICES_MD && gpu.compute_capability != *capability)
        print_heading(gpu.compute_capability);
    *capability = gpu.compute_capability;
    if (status == VB_OK)
        print_gpu(&gpu, vb_plan_table_version(&gpu), format, list);
    vb_gpu_spec_clear(&gpu);
    return status;
}

static enum vb_status print_all(const char *const *names, size_t n, bool with_gpus_here,
                                enum devices_format format, struct vb_error *err)
{
    json_t *list = json_array();
    enum vb_status status = VB_OK;
    uint32_t capability = 0;
    print_header(format);
    if (with_gpus_here)
        print_gpus_here(format, list);
    for (size_t i = 0; i < n && status == VB_OK; i++) {
        if (strncmp(names[i], "cpu", 3) == 0 || strncmp(names[i], "cuda", 4) == 0)
            status = print_measuring(names[i], format, list, err);
        else
            status = print_gpu_called(names[i], format, &capability, list, err);
    }
    if (status == VB_OK && format == DEVICES_JSON) {
        (void)json_dumpf(list, stdout, JSON_INDENT(1));
        putchar('\n');
    }
    if (status == VB_OK && format == DEVICES_MD)
        printf("\nUse: --device cuda:N, cpu, virtual:NAME, the product's name, or FILE.json for "
               "any other GPU\n"
               "(sweeps/gpus/README.md). In GiB: usable is what the context leaves of all.\n"
               "A table holds the answers of that cuDNN for machines without it.\n");
    json_decref(list);
    return status;
}

/* All names: this machine's, then alike GPUs together. */
static enum vb_status all_names(struct vb_arena *arena, const char ***names, size_t *n,
                                struct vb_error *err)
{
    struct vb_gpu_index index = { 0 };
    enum vb_status status = vb_gpu_index_read(arena, &index, err);
    if (status != VB_OK)
        return status;
    const char **list = vb_arena_alloc(arena, index.n + 2, sizeof *list);
    if (list == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for %zu GPUs", index.n);
    list[0] = "cpu";
    for (size_t i = 0; i < index.n; i++)
        list[i + 1] = index.products[i].name;
    *names = list;
    *n = index.n + 1;
    return VB_OK;
}

static enum vb_status read_format(const char *text, enum devices_format *out, struct vb_error *err)
{
    static const char *const names[] = { "md", "csv", "json" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum devices_format)i;
            return VB_OK;
        }
    }
    return vb_fail(err, VB_E_INPUT, "--format is '%s', expected md, csv or json", text);
}

int cmd_devices(int argc, char **argv)
{
    const char *format_text = "md", *export = NULL;
    const struct cli_option options[] = {
        { "format", "NAME", "md, csv or json", &format_text, NULL },
        { "export", NULL, "prints a GPU that is there (cuda:0) as a file of sweeps/gpus/", &export,
          NULL },
    };
    const struct cli_command command = {
        .usage = "vrambench devices [NAME...] [options]",
        .summary =
            "Lists this machine and its GPUs, which measure, and the GPUs that can be planned for\n"
            "without having them.",
        .options = options,
        .n_options = sizeof options / sizeof *options,
        .max_positional = 64,
    };
    struct cli_values positional = { 0 };
    struct vb_error err = { 0 };
    struct vb_arena arena = { 0 };
    enum devices_format format = DEVICES_MD;
    const char **names = positional.items;
    size_t n = 0;
    int exit_status = 0;
    if (!cli_begin(&command, argc, argv, &positional, &exit_status))
        return exit_status;

    enum vb_status status = read_format(format_text, &format, &err);
    if (status == VB_OK && export != NULL) {
        status = cli_export_gpu(positional.n > 0 ? positional.items[0] : "cuda:0", &err);
        return status == VB_OK ? EXIT_SUCCESS : cli_fail(status, &err);
    }
    if (status == VB_OK && positional.n == 0)
        status = all_names(&arena, &names, &n, &err);
    if (status == VB_OK)
        status =
            print_all(names, positional.n > 0 ? positional.n : n, positional.n == 0, format, &err);
    vb_arena_clear(&arena);
    return status == VB_OK ? EXIT_SUCCESS : cli_fail(status, &err);
}
