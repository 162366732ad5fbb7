/* SPDX-License-Identifier: Apache-2.0 */
/* A question is one graph with one convolution; its results are engine configurations; each becomes
 * a plan that tells its workspace, and on a GPU that is there can be run. */
#include "device/cudnn_backend.h"

#include <string.h>

#include "device/cudnn_bag.h"

enum { MAX_NOTES = 32, STEP = 4 };

enum vb_status vb_cudnn_device_open(const struct vb_cudnn *cudnn, const char *json, void **device,
                                    struct vb_error *err)
{
    void *made = NULL;
    enum vb_status status =
        vb_cudnn_check(cudnn, cudnn->create(VB_CUDNN_DEVICEPROP, &made), "describing a GPU", err);
    if (status != VB_OK)
        return status;

    int code =
        cudnn->set(made, VB_CUDNN_DEVICEPROP_JSON, VB_CUDNN_TYPE_CHAR, (int64_t)strlen(json), json);
    if (code == 0)
        code = cudnn->finalize(made);
    struct vb_error reason = { 0 };
    if (vb_cudnn_check(cudnn, code, "describing the GPU", &reason) != VB_OK) {
        (void)cudnn->destroy(made);
        return vb_fail(err, VB_E_INPUT, "%s", reason.text);
    }
    *device = made;
    return VB_OK;
}

void vb_cudnn_device_close(const struct vb_cudnn *cudnn, void *device)
{
    if (device != NULL)
        (void)cudnn->destroy(device);
}

/* Runs the heuristics: how many configurations they rank. One that cuDNN has no results for is no
 * failure: a list may be empty. */
static void rank(struct vb_cudnn_bag *bag, const struct vb_cudnn_target *target, void *graph,
                 enum vb_cudnn_list list, void **heuristics, int64_t *n)
{
    const int32_t mode = list == VB_CUDNN_HEURISTIC ? VB_CUDNN_MODE_A : VB_CUDNN_FALLBACK;
    const struct vb_cudnn_setting settings[] = {
        { VB_CUDNN_ENGINEHEUR_OPERATION_GRAPH, VB_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph },
        { VB_CUDNN_ENGINEHEUR_MODE, VB_CUDNN_TYPE_HEUR_MODE, 1, &mode },
        { VB_CUDNN_ENGINEHEUR_DEVICEPROP, VB_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
          &target->properties },
    };
    int64_t there = 0;
    *n = 0;
    if (vb_bag_build(bag, VB_CUDNN_ENGINEHEUR, "ranking engines", settings,
                     target->properties != NULL ? 3 : 2, heuristics, NULL) == VB_OK &&
        bag->cudnn->get(*heuristics, VB_CUDNN_ENGINEHEUR_RESULTS, VB_CUDNN_TYPE_BACKEND_DESCRIPTOR,
                        0, &there, NULL) == 0)
        *n = there < VB_MAX_CONFIGURATIONS ? there : VB_MAX_CONFIGURATIONS;
}

/* Writes the configurations among the first `most` of the ranking that cuDNN can set up. */
static enum vb_status read_ranking(struct vb_cudnn_bag *bag, void *heuristics, int64_t most,
                                   void **configurations, int64_t *n, struct vb_error *err)
{
    *n = 0;
    for (int64_t i = 0; i < most; i++) {
        enum vb_status status = vb_bag_make(bag, VB_CUDNN_ENGINECFG, &configurations[i], err);
        if (status != VB_OK)
            return status;
    }
    return vb_cudnn_check(bag->cudnn,
                          bag->cudnn->get(heuristics, VB_CUDNN_ENGINEHEUR_RESULTS,
                                          VB_CUDNN_TYPE_BACKEND_DESCRIPTOR, most, n,
                                          configurations),
                          "reading the ranking", err);
}

static bool has_note(const int32_t *notes, int64_t n, enum vb_cudnn_note note)
{
    for (int64_t i = 0; i < n; i++) {
        if (notes[i] == (int32_t)note)
            return true;
    }
    return false;
}

/* Looks at a configuration's engine; `*passes` is whether the filter leaves it. */
static enum vb_status look(struct vb_cudnn_bag *bag, void *configuration,
                           const struct vb_cudnn_filter *filter, struct vb_cudnn_candidate *out,
                           bool *passes, struct vb_error *err)
{
    const struct vb_cudnn *cudnn = bag->cudnn;
    void *engine = NULL;
    int64_t n = 0;
    enum vb_status status = vb_bag_make(bag, VB_CUDNN_ENGINE, &engine, err);
    if (status == VB_OK)
        status = vb_cudnn_check(cudnn,
                                cudnn->get(configuration, VB_CUDNN_ENGINECFG_ENGINE,
                                           VB_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &n, &engine),
                                "reading an engine", err);
    if (status == VB_OK)
        status = vb_cudnn_check(cudnn,
                                cudnn->get(engine, VB_CUDNN_ENGINE_GLOBAL_INDEX,
                                           VB_CUDNN_TYPE_INT64, 1, &n, &out->engine),
                                "reading an engine's index", err);

    int32_t notes[MAX_NOTES] = { 0 };
    int64_t n_notes = 0;
    if (status == VB_OK)
        status =
            vb_cudnn_check(cudnn,
                           cudnn->get(engine, VB_CUDNN_ENGINE_NUMERICAL_NOTE,
                                      VB_CUDNN_TYPE_NUMERICAL_NOTE, MAX_NOTES, &n_notes, notes),
                           "reading an engine's notes", err);
    if (status != VB_OK)
        return status;

    out->is_nondeterministic = has_note(notes, n_notes, VB_CUDNN_NOTE_NONDETERMINISTIC);
    *passes = !(filter->nondeterministic && out->is_nondeterministic) &&
              !(filter->down_converting && has_note(notes, n_notes, VB_CUDNN_NOTE_DOWN_CONVERT)) &&
              !(filter->tensor_core && has_note(notes, n_notes, VB_CUDNN_NOTE_TENSOR_CORE));
    return VB_OK;
}

/* Makes the plan of a configuration. False where it makes none: the ranking does not promise that.
 */
static bool plan(struct vb_cudnn_bag *bag, const struct vb_cudnn_target *target,
                 void *configuration, struct vb_cudnn_candidate *out)
{
    const bool is_there = target->handle != NULL;
    const struct vb_cudnn_setting settings[] = {
        { VB_CUDNN_EXECUTION_PLAN_ENGINE_CONFIG, VB_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
          &configuration },
        { is_there ? VB_CUDNN_EXECUTION_PLAN_HANDLE : VB_CUDNN_EXECUTION_PLAN_DEVICEPROP,
          is_there ? VB_CUDNN_TYPE_HANDLE : VB_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
          is_there ? (const void *)&target->handle : (const void *)&target->properties },
    };
    const size_t before = bag->n;
    int64_t bytes = -1;
    int64_t n = 0;
    bool done = VB_BAG_BUILD(bag, VB_CUDNN_EXECUTION_PLAN, "planning", settings, &out->plan,
                             NULL) == VB_OK &&
                bag->cudnn->get(out->plan, VB_CUDNN_EXECUTION_PLAN_WORKSPACE_SIZE,
                                VB_CUDNN_TYPE_INT64, 1, &n, &bytes) == 0 &&
                bytes >= 0;
    out->workspace_bytes = (uint64_t)bytes;
    if (!done)
        vb_bag_shrink(bag, before);
    return done;
}

/* Writes the first `room` of the ranking's first `most` that will do. */
static enum vb_status try_first(struct vb_cudnn_bag *bag, const struct vb_cudnn_target *target,
                                void *heuristics, int64_t most,
                                const struct vb_cudnn_filter *filter,
                                struct vb_cudnn_candidate *out, size_t room, size_t *n,
                                struct vb_error *err)
{
    void *configurations[VB_MAX_CONFIGURATIONS];
    int64_t there = 0;
    *n = 0;
    enum vb_status status = read_ranking(bag, heuristics, most, configurations, &there, err);
    for (int64_t i = 0; i < there && *n < room && status == VB_OK; i++) {
        struct vb_cudnn_candidate candidate = { 0 };
        bool passes = false;
        status = look(bag, configurations[i], filter, &candidate, &passes, err);
        if (status == VB_OK && passes && plan(bag, target, configurations[i], &candidate))
            out[(*n)++] = candidate;
    }
    return status;
}

/* Where no plan is to be kept: what was made is gone, and so are the candidates' plans. */
static void forget_plans(struct vb_cudnn_bag *own, struct vb_cudnn_candidate *out, size_t n)
{
    vb_bag_shrink(own, 0);
    for (size_t i = 0; i < n; i++)
        out[i].plan = NULL;
}

/* Setting up what is read of the ranking is nearly all of a question's cost, and most of it is of
 * no use: so it is read as far as it takes, in a few steps. */
enum vb_status vb_cudnn_candidates(const struct vb_cudnn_target *target, const struct vb_conv *conv,
                                   enum vb_cudnn_list list, const struct vb_cudnn_filter *filter,
                                   struct vb_cudnn_bag *kept, struct vb_cudnn_candidate *out,
                                   size_t room, size_t *n, struct vb_error *err)
{
    struct vb_cudnn_bag own = { .cudnn = target->cudnn };
    struct vb_cudnn_bag *bag = kept != NULL ? kept : &own;
    void *graph = NULL;
    void *heuristics = NULL;
    int64_t there = 0;
    *n = 0;

    enum vb_status status = vb_cudnn_graph(bag, target, conv, &graph, err);
    if (status == VB_OK)
        rank(bag, target, graph, list, &heuristics, &there);
    const size_t before = bag->n;
    for (int64_t most = 0; most < there && *n < room && status == VB_OK;) {
        most = most == 0 ? (int64_t)room : most * STEP;
        most = most < there ? most : there;
        vb_bag_shrink(bag, before);
        status = try_first(bag, target, heuristics, most, filter, out, room, n, err);
    }
    if (kept == NULL)
        forget_plans(&own, out, *n);
    return status;
}

bool vb_cudnn_engine_plan(const struct vb_cudnn_target *target, const struct vb_conv *conv,
                          int64_t engine, struct vb_cudnn_bag *kept, struct vb_cudnn_candidate *out)
{
    struct vb_cudnn_bag own = { .cudnn = target->cudnn };
    struct vb_cudnn_bag *bag = kept != NULL ? kept : &own;
    void *graph = NULL, *made = NULL, *configuration = NULL;
    bool done = vb_cudnn_graph(bag, target, conv, &graph, NULL) == VB_OK;
    const struct vb_cudnn_setting engine_settings[] = {
        { VB_CUDNN_ENGINE_OPERATION_GRAPH, VB_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph },
        { VB_CUDNN_ENGINE_GLOBAL_INDEX, VB_CUDNN_TYPE_INT64, 1, &engine },
        { VB_CUDNN_ENGINE_DEVICEPROP, VB_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &target->properties },
    };
    done = done && vb_bag_build(bag, VB_CUDNN_ENGINE, "naming an engine", engine_settings,
                                target->properties != NULL ? 3 : 2, &made, NULL) == VB_OK;
    const struct vb_cudnn_setting settings[] = {
        { VB_CUDNN_ENGINECFG_ENGINE, VB_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &made },
    };
    *out = (struct vb_cudnn_candidate){ .engine = engine };
    done = done &&
           VB_BAG_BUILD(bag, VB_CUDNN_ENGINECFG, "configuring an engine", settings, &configuration,
                        NULL) == VB_OK &&
           plan(bag, target, configuration, out);
    if (kept == NULL)
        forget_plans(&own, out, 1);
    else if (!done)
        vb_bag_shrink(kept, 0);
    return done;
}
