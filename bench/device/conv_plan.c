/* SPDX-License-Identifier: Apache-2.0 */
/* Three sources, asked in this order: what is in the cache or can be asked of the library, the table that
 * ships, the nearest entry of that table scaled. cuDNN takes most of a second to start, so it is opened
 * only for a question that the cache does not answer; the cache's name holds its version, which a
 * small file remembers for the library that would be found. */

#include "device/conv_plan.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "device/cudnn_backend.h"
#include "device/hash.h"
#include "device/plan_store.h"

enum { CANDIDATES = 10, MAX_IDENTITY = 1 << 16 };

struct vb_conv_planner {
    const struct vb_gpu_spec *gpu;
    struct vb_cudnn cudnn;
    void *device; /* cuDNN's description of the GPU; NULL until it is needed */
    bool has_library;
    bool is_open;
    uint64_t version;
    uint64_t table_version;
    struct vb_plan_store cache; /* the library's answers */
    struct vb_plan_store table;
    bool has_table;
    char folder[PATH_MAX / 2]; /* of the cache; "" where there is none */
    char cache_path[PATH_MAX];
};

static void find_folder(char *folder, size_t room)
{
    const char *own = getenv("VRAMBENCH_CACHE");
    const char *xdg = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    folder[0] = '\0';
    if (own != NULL && own[0] != '\0')
        (void)snprintf(folder, room, "%s", own);
    else if (xdg != NULL && xdg[0] != '\0')
        (void)snprintf(folder, room, "%s/vrambench", xdg);
    else if (home != NULL && home[0] != '\0')
        (void)snprintf(folder, room, "%s/.cache/vrambench", home);
    if (folder[0] != '\0' && vb_file_make_folder(folder, NULL) != VB_OK)
        folder[0] = '\0';
}

static void identity_path(const struct vb_conv_planner *self, char *path, size_t room)
{
    (void)snprintf(path, room, "%s/library-%016" PRIx64, self->folder, vb_cudnn_surroundings());
}

/* The version of the library that would be found, if it is the one that was found last time: same
 * surroundings, same file, same size and time. */
static bool recall_version(struct vb_conv_planner *self)
{
    char path[PATH_MAX], file[4097] = "";
    char *text = NULL;
    size_t bytes = 0;
    uint64_t version = 0;
    long long size = 0, time = 0;
    struct stat info;
    identity_path(self, path, sizeof path);
    if (self->folder[0] == '\0' || vb_file_read(path, MAX_IDENTITY, &text, &bytes, NULL) != VB_OK)
        return false;
    int n = sscanf(text, "%" SCNu64 " %lld %lld %4096[^\n]", &version, &size, &time, file);
    free(text);
    if (n != 4 || stat(file, &info) != 0 || info.st_size != size || info.st_mtime != time)
        return false;
    self->version = version;
    return true;
}

static void remember_version(const struct vb_conv_planner *self)
{
    char path[PATH_MAX], line[5000];
    struct stat info;
    if (self->folder[0] == '\0' || stat(self->cudnn.path, &info) != 0)
        return;
    identity_path(self, path, sizeof path);
    int n = snprintf(line, sizeof line, "%" PRIu64 " %lld %lld %s\n", self->version,
                     (long long)info.st_size, (long long)info.st_mtime, self->cudnn.path);
    if (n > 0 && (size_t)n < sizeof line)
        (void)(vb_file_write(path, line, (size_t)n, NULL) == VB_OK);
}

static enum vb_status load_cache(struct vb_conv_planner *self, struct vb_error *err)
{
    if (self->folder[0] == '\0')
        return VB_OK;
    (void)snprintf(self->cache_path, sizeof self->cache_path,
                   "%s/plans-%" PRIu64 "-%016" PRIx64 ".txt", self->folder, self->version,
                   self->gpu->identity);
    return vb_plan_store_load(&self->cache, self->cache_path, VB_CONV_LIBRARY, err);
}

/* The library and its description of the GPU, once; false: not to be had. */
static bool open_library(struct vb_conv_planner *self)
{
    if (self->is_open)
        return self->has_library;
    self->is_open = true;
    self->has_library = vb_cudnn_allowed() && vb_cudnn_open(&self->cudnn, NULL) == VB_OK;
    if (self->has_library)
        self->has_library =
            vb_cudnn_device_open(&self->cudnn, self->gpu->json, &self->device, NULL) == VB_OK;
    return self->has_library;
}

/* One table for each compute capability: workspaces/sm86.txt */
static enum vb_status load_table(struct vb_conv_planner *self, struct vb_error *err)
{
    char relative[128], path[PATH_MAX];
    char *text = NULL;
    size_t bytes = 0;
    if (self->has_table)
        return VB_OK;
    self->has_table = true;
    (void)snprintf(relative, sizeof relative, "sweeps/workspaces/%s.txt", self->gpu->name);
    vb_file_shipped(relative, path, sizeof path);
    if (vb_file_read(path, 1 << 28, &text, &bytes, NULL) == VB_OK) {
        (void)sscanf(text, "# cuDNN %" SCNu64, &self->table_version);
        free(text);
    }
    return vb_plan_store_load(&self->table, path, VB_CONV_TABLE, err);
}

enum vb_status vb_conv_planner_open(const struct vb_gpu_spec *gpu, struct vb_conv_planner **out,
                                    struct vb_error *err)
{
    struct vb_conv_planner *self = calloc(1, sizeof *self);
    if (self == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the planner");
    self->gpu = gpu;
    enum vb_status status = VB_OK;
    find_folder(self->folder, sizeof self->folder);
    if (vb_cudnn_allowed() && !recall_version(self) && open_library(self)) {
        self->version = self->cudnn.version;
        remember_version(self);
    }
    if (self->version > 0)
        status = load_cache(self, err);
    else
        status = load_table(self, err);
    if (status != VB_OK) {
        vb_conv_planner_close(self);
        return status;
    }
    *out = self;
    return VB_OK;
}

void vb_conv_planner_close(struct vb_conv_planner *self)
{
    if (self == NULL)
        return;
    if (self->cache_path[0] != '\0')
        vb_plan_store_save(&self->cache, self->cache_path);
    if (self->device != NULL)
        vb_cudnn_device_close(&self->cudnn, self->device);
    vb_cudnn_close(&self->cudnn);
    vb_plan_store_clear(&self->cache);
    vb_plan_store_clear(&self->table);
    free(self);
}

/* PyTorch's choice: of the heuristic's list the first that passes and makes a plan, else of the last
 * resort's. */
static enum vb_status ask(struct vb_conv_planner *self, const struct vb_conv *conv,
                          const struct vb_conv_rules *rules, struct vb_conv_plan *out,
                          struct vb_error *err)
{
    struct vb_cudnn_candidate candidates[CANDIDATES];
    struct vb_cudnn_filter filter = { .nondeterministic = rules->deterministic,
                                      .down_converting = true,
                                      .tensor_core = conv->type == VB_CONV_FP32 && !rules->tf32 };
    size_t room = rules->benchmark ? CANDIDATES : 1;
    size_t n = 0;
    enum vb_status status = vb_cudnn_candidates(&self->cudnn, self->device, conv, VB_CUDNN_HEURISTIC,
                                                &filter, candidates, room, &n, err);
    if (status == VB_OK && n == 0)
        status = vb_cudnn_candidates(&self->cudnn, self->device, conv, VB_CUDNN_LAST_RESORT, &filter,
                                     candidates, room, &n, err);
    if (status != VB_OK)
        return status;
    if (n == 0)
        return vb_fail(err, VB_E_UNSUPPORTED, "cuDNN has no plan for a %ux%u convolution of %u channels "
                       "on %s", conv->kernel_h, conv->kernel_w, conv->c, self->gpu->name);
    uint64_t bytes = candidates[0].workspace_bytes;
    *out = (struct vb_conv_plan){ VB_CONV_LIBRARY, candidates[0].engine, bytes, bytes, bytes };
    for (size_t i = 0; i < n; i++) {
        uint64_t other = candidates[i].workspace_bytes;
        out->low_bytes = other < out->low_bytes ? other : out->low_bytes;
        out->high_bytes = other > out->high_bytes ? other : out->high_bytes;
    }
    return VB_OK;
}

static double volume(const struct vb_conv *conv)
{
    return (double)conv->n * conv->h * conv->w;
}

/* How unlike two convolutions are: factors between their sizes, as logarithms. Another direction, type,
 * kernel or stride is no likeness at all. */
static double unlikeness(const struct vb_conv *a, const struct vb_conv *b)
{
    if (a->direction != b->direction || a->type != b->type || a->kernel_h != b->kernel_h ||
        a->stride != b->stride || (a->groups > 1) != (b->groups > 1))
        return INFINITY;
    return fabs(log2((double)a->c / b->c)) + fabs(log2((double)a->k / b->k)) +
           0.25 * fabs(log2(volume(a) / volume(b)));
}

/* The workspace of the table's most similar convolution, in proportion to the images' volume. */
static void fit(const struct vb_conv_planner *self, const struct vb_conv *conv,
                struct vb_conv_plan *out)
{
    const struct vb_plan_entry *nearest = NULL;
    double least = INFINITY;
    for (size_t i = 0; i < self->table.n; i++) {
        double far = unlikeness(conv, &self->table.entries[i].conv);
        if (far < least) {
            least = far;
            nearest = &self->table.entries[i];
        }
    }
    double bytes = nearest != NULL ? (double)nearest->plan.workspace_bytes * volume(conv) /
                                         volume(&nearest->conv)
                                   : 0;
    *out = (struct vb_conv_plan){ VB_CONV_FITTED, -1, (uint64_t)bytes, (uint64_t)bytes, (uint64_t)bytes };
}

/* PyTorch runs fp32 depthwise convolutions with a kernel of its own, which takes no workspace. */
static bool is_native(const struct vb_conv *conv)
{
    return conv->groups > 1 && conv->groups == conv->c && conv->type == VB_CONV_FP32 &&
           !conv->channels_last;
}

enum vb_status vb_conv_planner_plan(struct vb_conv_planner *self, const struct vb_conv *conv,
                                    const struct vb_conv_rules *rules, struct vb_conv_plan *out,
                                    struct vb_error *err)
{
    if (is_native(conv)) {
        *out = (struct vb_conv_plan){ .source = VB_CONV_LIBRARY, .engine = -1 };
        return VB_OK;
    }
    const struct vb_plan_entry *known = vb_plan_store_find(&self->cache, conv, rules);
    if (known != NULL) {
        *out = known->plan;
        return VB_OK;
    }
    if (self->version > 0 && open_library(self)) {
        struct vb_plan_entry entry = { .conv = *conv, .rules = *rules };
        enum vb_status status = ask(self, conv, rules, &entry.plan, err);
        if (status == VB_OK)
            status = vb_plan_store_add(&self->cache, &entry, err);
        if (status == VB_OK)
            *out = entry.plan;
        return status;
    }
    enum vb_status status = load_table(self, err);
    if (status != VB_OK)
        return status;
    known = vb_plan_store_find(&self->table, conv, rules);
    if (known != NULL)
        *out = known->plan;
    else
        fit(self, conv, out);
    return VB_OK;
}

uint64_t vb_conv_planner_version(const struct vb_conv_planner *self)
{
    return self->version > 0 ? self->version : self->table_version;
}
