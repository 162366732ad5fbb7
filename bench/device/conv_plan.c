/* SPDX-License-Identifier: Apache-2.0 */
/* Where an answer comes from, in this order: PyTorch's own kernel, which needs none; what this
 * planner or one before it was told (plan_cache); cuDNN; the packed table; the fitted model. cuDNN
 * is opened for the first question that the cache cannot answer, not before: that takes half a
 * second.
 *
 * The choice is PyTorch's with its cuDNN v8 API (torch-memory.md, part A, 3): mode A's ranking
 * without the engines that the settings exclude, and the list of last resort where none of them
 * makes a plan.
 */
#include "device/conv_plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/cudnn_backend.h"
#include "device/cudnn_library.h"
#include "device/fixed_engine.h"
#include "device/library_answer.h"
#include "device/plan_cache.h"
#include "device/plan_map.h"
#include "device/plan_table.h"
#include "device/workspace_model.h"

enum { SAVE_EVERY = 1024 };

/* cuDNN 9.10.2 is the last to support Maxwell, Pascal and Volta; from 9.11.0 on Turing is the
 * oldest. Source: NVIDIA's support matrix of cuDNN 9.10.2, which lists 5.0 to 12.0; that the one of
 * 9.11.0 does not is taken from projects that had to pin 9.10. The answers show it: of 1,232
 * for a V100, 9.11.0 gives 1,162 otherwise than 9.10.2 (184 differ from 9.8.0 to 9.10.2, none
 * from 9.11.0 to 9.19.0), for a T4 it is 4. */
enum { FIRST_WITHOUT_VOLTA = 91100 };

/* Source: NVIDIA, cuDNN frontend documentation, "Deviceless Ahead-of-time Compilation". */
enum { FIRST_WITH_DEVICES = 90800 };

struct vb_conv_planner {
    const struct vb_gpu_spec *gpu; /* borrowed */

    enum library_state { LIBRARY_UNKNOWN, LIBRARY_KNOWN, LIBRARY_OPEN, LIBRARY_ABSENT } state;
    uint64_t version; /* of the library, from LIBRARY_KNOWN on */
    struct vb_cudnn cudnn;
    void *cudnn_device;
    struct vb_plan_map answers; /* the library's */
    size_t n_saved;             /* how many of them the disk has */

    const struct vb_plan_table *only; /* borrowed; LIBRARY_ABSENT, and no other answers */
    bool has_looked; /* for a table: where there is none for the GPU, reading them all once is
                        enough */
    bool has_table;  /* LIBRARY_ABSENT: */
    struct vb_plan_table table;
    bool has_model;
    struct vb_workspace_model model;
};

/* Whether PyTorch runs a depthwise convolution with its own kernel, which has no workspace, rather
 * than with cuDNN: always in fp32 and bf16 for NCHW; in fp16 by shape; never for channels-last.
 * Source: torch-memory.md, parts A 3 and B 9; the shapes as PyTorch 2.0 to 2.4 decide
 * (aten/src/ATen/native/Convolution.cpp, cuDNN 8.2 and later). */
bool vb_conv_is_native(const struct vb_conv *conv)
{
    const bool is_depthwise = conv->groups > 1 && conv->groups == conv->c && conv->k % conv->c == 0;
    if (!is_depthwise || conv->channels_last)
        return false;
    if (conv->type != VB_CONV_FP16 || conv->c < 32 || conv->dilation != 1)
        return true;
    if (conv->h == 1 && conv->stride == 1)
        return false;

    const uint32_t kernel = conv->kernel_h;
    if (kernel != conv->kernel_w || (kernel != 1 && kernel != 3 && kernel != 5) || conv->w < 7 ||
        conv->stride > 2)
        return true;
    if (conv->stride == 1)
        return false;
    if (conv->n == 1)
        return kernel == 1 && conv->w > 28;
    if (kernel == 1)
        return conv->n > 16 || conv->c < 128 || conv->w > 7;
    return conv->c < 512 && (conv->c < 256 || conv->w < 28);
}

static void save(struct vb_conv_planner *planner)
{
    if (planner->n_saved == planner->answers.n)
        return;
    vb_plan_cache_append(planner->version, planner->gpu->identity, &planner->answers,
                         planner->n_saved);
    planner->n_saved = planner->answers.n;
}

/* Takes up what the disk has of this library's answers for this GPU. */
static void load(struct vb_conv_planner *planner, uint64_t version)
{
    vb_plan_map_clear(&planner->answers);
    planner->version = version;
    vb_plan_cache_load(version, planner->gpu->identity, &planner->answers);
    planner->n_saved = planner->answers.n;
}

bool vb_conv_is_supported(uint64_t cudnn_version, uint32_t compute_capability)
{
    return compute_capability >= VB_TURING || cudnn_version < FIRST_WITHOUT_VOLTA;
}

static enum vb_status is_too_new(const struct vb_conv_planner *planner, struct vb_error *err)
{
    const uint64_t version = planner->cudnn.version;
    return vb_fail(err, VB_E_UNSUPPORTED,
                   "cuDNN %" PRIu64 ".%" PRIu64 ".%" PRIu64
                   " no longer supports compute capability %.1f (%s); 9.10.2 is the last that does",
                   version / 10000, version / 100 % 100, version % 100,
                   (double)planner->gpu->compute_capability / 100, planner->gpu->name);
}

/* Describes the GPU to the library that was opened. Where this fails the library is closed. */
static enum vb_status start_library(struct vb_conv_planner *planner, struct vb_error *err)
{
    struct vb_error reason = { 0 };
    enum vb_status status = VB_OK;
    if (!vb_conv_is_supported(planner->cudnn.version, planner->gpu->compute_capability))
        status = is_too_new(planner, err);
    if (status == VB_OK) {
        status = vb_cudnn_device_open(&planner->cudnn, planner->gpu->json, &planner->cudnn_device,
                                      &reason);
        if (status != VB_OK)
            status = vb_fail(err, status, "%s: %s", planner->gpu->name, reason.text);
    }
    if (status != VB_OK) {
        vb_cudnn_close(&planner->cudnn);
        return status;
    }
    if (planner->version != planner->cudnn.version)
        load(planner, planner->cudnn.version);
    planner->state = LIBRARY_OPEN;
    return VB_OK;
}

static void do_without(struct vb_conv_planner *planner)
{
    planner->state = LIBRARY_ABSENT;
    planner->version = 0;
}

/* Opens cuDNN. That it is not there, or no longer supports the GPU, is no error: the table answers
 * then; nor that it has no device properties (before 9.8). A description that it refuses is one:
 * the table has nothing for such a GPU. */
static enum vb_status open_library(struct vb_conv_planner *planner, struct vb_error *err)
{
    if (vb_cudnn_open(&planner->cudnn, NULL) != VB_OK) {
        do_without(planner);
        return VB_OK;
    }
    const struct vb_cudnn found = planner->cudnn;
    enum vb_status status = start_library(planner, err);
    if (status == VB_E_INPUT)
        return status;
    /* Kept too where it is only this GPU that it does not support. */
    if (status == VB_OK || !vb_conv_is_supported(found.version, planner->gpu->compute_capability))
        vb_plan_cache_keep_library(vb_cudnn_surroundings(), found.path, found.version);
    if (status != VB_OK)
        do_without(planner);
    return VB_OK;
}

/* Opens the library at `path`, for which nothing else will do. */
static enum vb_status open_given(struct vb_conv_planner *planner, const char *path,
                                 struct vb_error *err)
{
    struct vb_error reason = { 0 };
    enum vb_status status = vb_cudnn_open_at(path, &planner->cudnn, err);
    if (status != VB_OK)
        return status;
    const uint64_t version = planner->cudnn.version;
    if (version < FIRST_WITH_DEVICES) {
        vb_cudnn_close(&planner->cudnn);
        return vb_fail(err, VB_E_UNSUPPORTED,
                       "%.300s: is cuDNN %" PRIu64 ".%" PRIu64 ".%" PRIu64
                       ", which cannot be asked about a GPU that is not there; 9.8.0 or later can",
                       path, version / 10000, version / 100 % 100, version % 100);
    }
    status = start_library(planner, &reason);
    /* Whatever it has against the GPU: it cannot be used for it. */
    return status == VB_OK ? VB_OK
                           : vb_fail(err, VB_E_UNSUPPORTED, "%.200s: %.300s", path, reason.text);
}

/* Finds out which library there is, from the cache if it knows. */
static enum vb_status know_library(struct vb_conv_planner *planner, struct vb_error *err)
{
    char path[4096];
    uint64_t version = 0;
    if (planner->state != LIBRARY_UNKNOWN)
        return VB_OK;
    if (!vb_cudnn_allowed()) {
        planner->state = LIBRARY_ABSENT;
        return VB_OK;
    }
    if (!vb_plan_cache_library(vb_cudnn_surroundings(), path, sizeof path, &version))
        return open_library(planner, err);
    if (!vb_conv_is_supported(version, planner->gpu->compute_capability)) {
        do_without(planner);
        return VB_OK;
    }
    load(planner, version);
    planner->state = LIBRARY_KNOWN;
    return VB_OK;
}

static void use_table(struct vb_conv_planner *planner)
{
    if (planner->state != LIBRARY_ABSENT || planner->only != NULL || planner->has_looked)
        return;
    planner->has_table = vb_plan_table_find(planner->gpu, &planner->table);
    planner->has_looked = true;
}

enum vb_status vb_conv_planner_open_from(const struct vb_gpu_spec *gpu,
                                         const struct vb_conv_origin *origin,
                                         struct vb_conv_planner **out, struct vb_error *err)
{
    struct vb_conv_planner *planner = calloc(1, sizeof *planner);
    if (planner == NULL)
        return vb_fail(err, VB_E_SYSTEM, "%s: no host memory left", gpu->name);

    enum vb_status status = VB_OK;
    planner->gpu = gpu;
    planner->only = origin->table;
    if (origin->table != NULL)
        planner->state = LIBRARY_ABSENT;
    else if (origin->library != NULL)
        status = open_given(planner, origin->library, err);
    else
        status = know_library(planner, err);
    if (status != VB_OK) {
        vb_conv_planner_close(planner);
        return status;
    }
    use_table(planner);
    *out = planner;
    return VB_OK;
}

enum vb_status vb_conv_planner_open(const struct vb_gpu_spec *gpu, struct vb_conv_planner **out,
                                    struct vb_error *err)
{
    static const struct vb_conv_origin any;
    return vb_conv_planner_open_from(gpu, &any, out, err);
}

void vb_conv_planner_close(struct vb_conv_planner *planner)
{
    if (planner == NULL)
        return;
    save(planner);
    if (planner->state == LIBRARY_OPEN)
        vb_cudnn_device_close(&planner->cudnn, planner->cudnn_device);
    vb_cudnn_close(&planner->cudnn);
    vb_plan_table_clear(&planner->table);
    vb_plan_map_clear(&planner->answers);
    free(planner);
}

bool vb_conv_planner_has_asked(const struct vb_conv_planner *planner)
{
    return planner->state == LIBRARY_OPEN;
}

uint64_t vb_conv_planner_version(const struct vb_conv_planner *planner)
{
    if (planner->only != NULL)
        return planner->only->version;
    return planner->state == LIBRARY_ABSENT ? planner->table.version : planner->version;
}

/* Asks the open library and keeps the answer; one that holds with nondeterministic engines left out
 * as well is kept for that question too. */
static enum vb_status ask_library(struct vb_conv_planner *planner, const struct vb_conv *conv,
                                  const struct vb_plan_key *key, bool with_range,
                                  struct vb_plan_answer *out, struct vb_error *err)
{
    const struct vb_cudnn_target target = { .cudnn = &planner->cudnn,
                                            .properties = planner->cudnn_device,
                                            .compute_capability =
                                                planner->gpu->compute_capability };
    bool is_strict = false;
    enum vb_status status = vb_library_answer(&target, conv, key, with_range, out, &is_strict, err);
    if (status == VB_OK)
        status = vb_plan_map_put(&planner->answers, key, out, err);
    if (status == VB_OK && key->deterministic == VB_PLAN_ANY && is_strict) {
        struct vb_plan_key strict = *key;
        strict.deterministic = VB_PLAN_DETERMINISTIC;
        status = vb_plan_map_put(&planner->answers, &strict, out, err);
    }
    return status;
}

/* With a library known or open: its answer, from memory or asked now. */
static enum vb_status answer_of_library(struct vb_conv_planner *planner, const struct vb_conv *conv,
                                        const struct vb_plan_key *key, bool with_range,
                                        struct vb_plan_answer *out, struct vb_error *err)
{
    const struct vb_plan_answer *known = vb_plan_map_find(&planner->answers, key);
    if (known != NULL && (!with_range || vb_plan_has_range(known))) {
        *out = *known;
        return VB_OK;
    }
    if (planner->state == LIBRARY_KNOWN) {
        enum vb_status status = open_library(planner, err);
        if (status != VB_OK || planner->state == LIBRARY_ABSENT)
            return status;
    }
    if (planner->answers.n >= planner->n_saved + SAVE_EVERY)
        save(planner);
    return ask_library(planner, conv, key, with_range, out, err);
}

/* Without a library: the table's answer, or the model's. */
static enum vb_status answer_without_library(struct vb_conv_planner *planner,
                                             const struct vb_conv *conv,
                                             const struct vb_plan_key *key,
                                             struct vb_plan_answer *answer,
                                             enum vb_conv_source *source, struct vb_error *err)
{
    use_table(planner);
    const struct vb_plan_table *table = planner->only != NULL ? planner->only : &planner->table;
    struct vb_plan_key packed_key = *key; /* tables hold rankings only */
    if (packed_key.deterministic == VB_PLAN_FIXED) {
        if (vb_fixed_answer(conv, planner->gpu->compute_capability, answer)) {
            *source = VB_CONV_FITTED;
            return VB_OK;
        }
        packed_key.deterministic = VB_PLAN_DETERMINISTIC;
    }
    const struct vb_plan_answer *packed = vb_plan_map_find(&table->map, &packed_key);
    if (packed != NULL) {
        *answer = *packed;
        *source = VB_CONV_TABLE;
        return VB_OK;
    }
    if (planner->only != NULL)
        return vb_fail(err, VB_E_UNSUPPORTED,
                       "%.200s: has no answer for %ux%ux%ux%u with %u kernels of %ux%u, %s",
                       table->path, conv->n, conv->c, conv->h, conv->w, conv->k, conv->kernel_h,
                       conv->kernel_w, key->deterministic ? "deterministic" : "nondeterministic");
    if (!planner->has_model)
        vb_workspace_model_load(planner->gpu->compute_capability, &planner->model);
    planner->has_model = true;
    *answer = vb_workspace_model_answer(&planner->model, conv);
    *source = VB_CONV_FITTED;
    return VB_OK;
}

/* PyTorch's own kernel is exact whoever is asked: it counts as of the best source that there is, so
 * that it does not make a record's sources mixed. */
static enum vb_conv_source source_of_native(const struct vb_conv_planner *planner)
{
    if (planner->state != LIBRARY_ABSENT)
        return VB_CONV_LIBRARY;
    return planner->has_table || planner->only != NULL ? VB_CONV_TABLE : VB_CONV_FITTED;
}

/* What would divide by 0 or have no output: the graph never holds such a thing. */
static bool makes_sense(const struct vb_conv *conv)
{
    const uint64_t window = (uint64_t)conv->dilation * (conv->kernel_h - 1) + 1;
    return conv->n > 0 && conv->c > 0 && conv->h > 0 && conv->w > 0 && conv->k > 0 &&
           conv->kernel_h > 0 && conv->kernel_w > 0 && conv->stride > 0 && conv->dilation > 0 &&
           conv->groups > 0 && conv->c % conv->groups == 0 && conv->k % conv->groups == 0 &&
           conv->h + 2 * (uint64_t)conv->pad >= window;
}

enum vb_status vb_conv_planner_plan(struct vb_conv_planner *planner, const struct vb_conv *conv,
                                    const struct vb_conv_rules *rules, struct vb_conv_plan *out,
                                    struct vb_error *err)
{
    if (!makes_sense(conv))
        return vb_fail(err, VB_E_UNSUPPORTED,
                       "%ux%ux%ux%u with %u kernels of %ux%u: no convolution", conv->n, conv->c,
                       conv->h, conv->w, conv->k, conv->kernel_h, conv->kernel_w);
    if (vb_conv_is_native(conv)) {
        *out =
            (struct vb_conv_plan){ .source = source_of_native(planner), .engine = VB_PLAN_NATIVE };
        return VB_OK;
    }

    const struct vb_plan_key key = vb_plan_key(conv, rules);
    struct vb_plan_answer answer = { 0 };
    enum vb_conv_source source = VB_CONV_LIBRARY;
    enum vb_status status = VB_OK;
    if (planner->state != LIBRARY_ABSENT)
        status = answer_of_library(planner, conv, &key, rules->benchmark, &answer, err);
    if (planner->state == LIBRARY_ABSENT && status == VB_OK)
        status = answer_without_library(planner, conv, &key, &answer, &source, err);
    if (status != VB_OK)
        return status;
    if (answer.engine == VB_PLAN_NONE)
        return vb_fail(err, VB_E_UNSUPPORTED,
                       "cuDNN %llu has no plan on %s for %ux%ux%ux%u with %u kernels of %ux%u",
                       (unsigned long long)vb_conv_planner_version(planner), planner->gpu->name,
                       conv->n, conv->c, conv->h, conv->w, conv->k, conv->kernel_h, conv->kernel_w);

    *out = (struct vb_conv_plan){
        .source = source,
        .engine = answer.engine,
        .workspace_bytes = answer.workspace_bytes,
        .low_bytes = rules->benchmark ? answer.low_bytes : answer.workspace_bytes,
        .high_bytes = rules->benchmark ? answer.high_bytes : answer.workspace_bytes,
    };
    return VB_OK;
}
