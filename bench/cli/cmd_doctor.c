/* SPDX-License-Identifier: Apache-2.0 */
/* What this machine has, what is missing, what it would be for and how to get it. */
#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/library.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "config.h"
#include "device/cudnn_library.h"
#include "device/device.h"
#include "device/gpu_spec.h"
#include "device/plan_cache.h"
#include "device/plan_table.h"

enum { EXIT_NOTHING = 3 };

static void found(const char *part, const char *what)
{
    printf("ok       %-14s %s\n", part, what);
}

static void missing(const char *part, const char *what_for, const char *how)
{
    printf("missing  %-14s %s\n%24s%s\n", part, what_for, "", how);
}

/* One function of each library is enough to tell where it is. */
static const struct vb_symbol driver_symbol[] = { { "cuInit", 0, false } };
static const struct vb_symbol nvml_symbol[] = { { "nvmlInit_v2", 0, false } };
static const struct vb_symbol cupti_symbol[] = { { "cuptiGetVersion", 0, false } };

/* NVIDIA's libraries that come without cuDNN. */
static const struct part {
    const char *name;
    struct vb_library_query query;
    const char *what_for, *how;
} parts[] = {
    { "NVIDIA driver",
      { { "libcuda.so.1" }, NULL, driver_symbol, 1 },
      "to measure on a GPU; planning does without",
      "your distribution's: apt install nvidia-driver" },
    { "NVML",
      { { "libnvidia-ml.so.1" }, NULL, nvml_symbol, 1 },
      "to see what other processes take on a GPU, and its clocks",
      "comes with the driver" },
    { "CUPTI",
      { { "libcupti.so.13", "libcupti.so.12", "libcupti.so" },
        "../extras/CUPTI/lib64",
        cupti_symbol,
        1 },
      "to record allocations and kernels on a GPU",
      "the CUDA Toolkit; VRAMBENCH_CUDA_LIBS names another folder" },
};

static void check_library(const struct part *part)
{
    void *function = NULL;
    struct vb_library library;
    if (vb_library_open(&part->query, &function, &library, NULL) != VB_OK) {
        missing(part->name, part->what_for, part->how);
        return;
    }
    found(part->name, library.path);
    vb_library_close(&library);
}

/* A program along PATH, else at `other`. */
static bool find_program(const char *name, const char *other, char *where, size_t room)
{
    for (const char *at = getenv("PATH"); at != NULL && *at != '\0';) {
        size_t length = strcspn(at, ":");
        (void)snprintf(where, room, "%.*s/%s", (int)length, at, name);
        if (access(where, X_OK) == 0)
            return true;
        at += length + (at[length] == ':');
    }
    (void)snprintf(where, room, "%s", other);
    return access(where, X_OK) == 0;
}

static void check_cpu(void)
{
    struct vb_device *device = NULL;
    struct vb_error err = { 0 };
    char text[320];
    if (vb_device_open("cpu", &device, &err) != VB_OK) {
        missing("cpu", "to run training steps on this machine", err.text);
        return;
    }
    const struct vb_device_info *info = vb_device_info(device);
    (void)snprintf(text, sizeof text, "%s, %" PRIu32 " threads, %s available, oneDNN %s",
                   info->product, info->threads, vb_bytes_format(info->capacity_bytes).text,
                   info->onednn);
    found("cpu", text);
    vb_device_close(device);
}

static void check_cudnn(void)
{
    struct vb_cudnn cudnn = { 0 };
    struct vb_error err = { 0 };
    char text[4200];
    if (vb_cudnn_open(&cudnn, &err) != VB_OK) {
        missing("cuDNN 9", "to ask for the workspaces of any shape on any GPU; no GPU needed",
                "pip install nvidia-cudnn-cu13");
        printf("%24s%s\n", "", err.text);
        return;
    }
    (void)snprintf(text, sizeof text, "%" PRIu64 ".%" PRIu64 ".%" PRIu64 ", %s",
                   cudnn.version / 10000, cudnn.version / 100 % 100, cudnn.version % 100,
                   cudnn.path);
    found("cuDNN 9", text);
    vb_cudnn_close(&cudnn);
}

static void check_programs(void)
{
    char where[4200];
    if (find_program("nvcc", VB_CUDA_LIBRARY_DIR "/../bin/nvcc", where, sizeof where))
        found("CUDA Toolkit", where);
    else
        missing("CUDA Toolkit", "to build what runs on a GPU; planning does without",
                "apt install nvidia-cuda-toolkit, or developer.nvidia.com/cuda-downloads");
    if (find_program("gnuplot", "", where, sizeof where))
        found("gnuplot", where);
    else
        missing("gnuplot", "to draw charts; tables do without", "apt install gnuplot-nox");
}

static void check_cache(void)
{
    char folder[4096];
    char text[4200];
    uint64_t bytes = 0;
    size_t n = 0;
    if (!vb_plan_cache_folder(folder, sizeof folder)) {
        missing("cache", "to ask cuDNN each question once", "set VRAMBENCH_CACHE to a folder");
        return;
    }
    DIR *open = opendir(folder);
    for (const struct dirent *entry = open != NULL ? readdir(open) : NULL; entry != NULL;
         entry = readdir(open)) {
        struct stat info;
        if (fstatat(dirfd(open), entry->d_name, &info, 0) != 0 || !S_ISREG(info.st_mode))
            continue;
        bytes += (uint64_t)info.st_size;
        n++;
    }
    if (open != NULL)
        (void)closedir(open);
    (void)snprintf(text, sizeof text, "%s, %zu files, %s", folder, n, vb_bytes_format(bytes).text);
    found("cache", text);
}

/* The GPUs and how many have a table. Without any GPU nothing can be planned. */
static bool check_gpus(void)
{
    struct vb_arena arena = { 0 };
    struct vb_error err = { 0 };
    const char **names = NULL;
    char text[160];
    size_t n = 0, n_tables = 0;
    if (vb_gpu_spec_names(&arena, &names, &n, &err) != VB_OK || n == 0) {
        missing("GPUs", "to plan at all", "set VRAMBENCH_HOME to a copy of the project's tree");
        printf("%24s%s\n", "", err.text);
        n = 0;
    }
    for (size_t i = 0; i < n; i++) {
        struct vb_gpu_spec gpu = { 0 };
        if (vb_gpu_spec_find(names[i], &gpu, &err) == VB_OK)
            n_tables += vb_plan_table_version(&gpu) > 0;
        else
            printf("faulty   %-14s %s\n", names[i], err.text);
        vb_gpu_spec_clear(&gpu);
    }
    (void)snprintf(text, sizeof text, "%zu can be planned for, %zu have a table of workspaces", n,
                   n_tables);
    if (n > 0)
        found("GPUs", text);
    if (n > 0 && n_tables < n)
        missing("tables", "for the other GPUs where there is no cuDNN",
                "vrambench oracle --pack sweeps/v5s.ini, on a machine with cuDNN");
    vb_arena_clear(&arena);
    return n > 0;
}

int cmd_doctor(int argc, char **argv)
{
    const struct cli_command command = {
        .usage = "vrambench doctor",
        .summary = "Says what this machine can do: what was found, and what is missing, what for "
                   "and how to\nget it. Exit status 3 only where nothing can be done.",
    };
    struct cli_values positional = { 0 };
    int exit_status = 0;
    if (!cli_begin(&command, argc, argv, &positional, &exit_status))
        return exit_status;

    printf("vrambench %s\n", VB_VERSION);
    const bool can_plan = check_gpus();
    check_cpu();
    check_cudnn();
    check_cache();
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        check_library(&parts[i]);
    check_programs();
    return can_plan ? EXIT_SUCCESS : EXIT_NOTHING;
}
