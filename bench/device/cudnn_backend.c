/* SPDX-License-Identifier: Apache-2.0 */
/* How it works: every descriptor that a question needs is made through a bag, which destroys them
 * all in reverse when the question is answered, whichever way it ends. A question is one graph with
 * one convolution; its results are engine configurations; each becomes a plan that tells its
 * workspace.
 */
#include "device/cudnn_backend.h"

#include <string.h>

#include "device/cudnn_abi.h"

/* Heuristics rank 6 to 64 configurations; a bag holds them with their engines and the graph. */
enum { MAX_CONFIGURATIONS = 96, MAX_DESCRIPTORS = 2 * MAX_CONFIGURATIONS + 16, MAX_NOTES = 32 };
enum { BYTE_ALIGNMENT = 16, N_DIMS = 4, N_SPATIAL = 2, STEP = 4 };
enum { UID_X = 1, UID_W = 2, UID_Y = 3 };

struct bag {
    const struct vb_cudnn *cudnn;
    size_t n;
    void *items[MAX_DESCRIPTORS];
};

/* Destroys all that was made since the bag held `n`. */
static void bag_shrink(struct bag *bag, size_t n)
{
    while (bag->n > n)
        (void)bag->cudnn->destroy(bag->items[--bag->n]);
}

static void bag_clear(struct bag *bag)
{
    bag_shrink(bag, 0);
}

/* Turns cuDNN's status into ours; `what` is what was done, for the text. */
static enum vb_status check(const struct vb_cudnn *cudnn, int code, const char *what,
                            struct vb_error *err)
{
    if (code == 0)
        return VB_OK;

    char reason[256] = "";
    cudnn->get_last_error(reason, sizeof reason);
    reason[strcspn(reason, "\n")] = '\0';
    return vb_fail(err, VB_E_DEVICE, "cuDNN %llu: %s failed with status %d: %s",
                   (unsigned long long)cudnn->version, what, code, reason);
}

static enum vb_status make(struct bag *bag, enum vb_cudnn_descriptor_type type, void **out,
                           struct vb_error *err)
{
    if (bag->n == MAX_DESCRIPTORS)
        return vb_fail(err, VB_E_DEVICE, "cuDNN: more than %d descriptors", MAX_DESCRIPTORS);
    int code = bag->cudnn->create((int)type, out);
    if (code == 0)
        bag->items[bag->n++] = *out;
    return check(bag->cudnn, code, "creating a descriptor", err);
}

/* One attribute to set. */
struct setting {
    int name;
    int type;
    int64_t n;
    const void *values;
};

/* Makes a descriptor, sets all its attributes and finalizes it. */
static enum vb_status build(struct bag *bag, enum vb_cudnn_descriptor_type type, const char *what,
                            const struct setting *settings, size_t n_settings, void **out,
                            struct vb_error *err)
{
    enum vb_status status = make(bag, type, out, err);
    for (size_t i = 0; i < n_settings && status == VB_OK; i++)
        status = check(bag->cudnn,
                       bag->cudnn->set(*out, settings[i].name, settings[i].type, settings[i].n,
                                       settings[i].values),
                       what, err);
    if (status == VB_OK)
        status = check(bag->cudnn, bag->cudnn->finalize(*out), what, err);
    return status;
}
#define BUILD(bag, type, what, settings, out, err)                                                 \
    build(bag, type, what, settings, sizeof(settings) / sizeof *(settings), out, err)

enum vb_status vb_cudnn_device_open(const struct vb_cudnn *cudnn, const char *json, void **device,
                                    struct vb_error *err)
{
    void *made = NULL;
    enum vb_status status =
        check(cudnn, cudnn->create(VB_CUDNN_DEVICEPROP, &made), "describing a GPU", err);
    if (status != VB_OK)
        return status;

    int code =
        cudnn->set(made, VB_CUDNN_DEVICEPROP_JSON, VB_CUDNN_TYPE_CHAR, (int64_t)strlen(json), json);
    if (code == 0)
        code = cudnn->finalize(made);
    if (code != 0) {
        struct vb_error reason = { 0 };
        (void)check(cudnn, code, "describing the GPU", &reason);
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

static int32_t data_type(enum vb_conv_type type)
{
    static const int32_t types[] = { [VB_CONV_FP32] = VB_CUDNN_FLOAT,
                                     [VB_CONV_FP16] = VB_CUDNN_HALF,
                                     [VB_CONV_BF16] = VB_CUDNN_BFLOAT16 };
    return types[type];
}

/* `dims` in the order N, C, H, W (a weight's: K, C, R, S), whatever the layout. */
static enum vb_status make_tensor(struct bag *bag, int64_t uid, const int64_t *dims,
                                  const struct vb_conv *conv, void **out, struct vb_error *err)
{
    const int64_t plane = dims[2] * dims[3];
    const int64_t nchw[N_DIMS] = { dims[1] * plane, plane, dims[3], 1 };
    const int64_t nhwc[N_DIMS] = { dims[1] * plane, 1, dims[3] * dims[1], dims[1] };
    const int64_t alignment = BYTE_ALIGNMENT;
    const int32_t type = data_type(conv->type);
    const struct setting settings[] = {
        { VB_CUDNN_TENSOR_DATA_TYPE, VB_CUDNN_TYPE_DATA_TYPE, 1, &type },
        { VB_CUDNN_TENSOR_DIMENSIONS, VB_CUDNN_TYPE_INT64, N_DIMS, dims },
        { VB_CUDNN_TENSOR_STRIDES, VB_CUDNN_TYPE_INT64, N_DIMS, conv->channels_last ? nhwc : nchw },
        { VB_CUDNN_TENSOR_UNIQUE_ID, VB_CUDNN_TYPE_INT64, 1, &uid },
        { VB_CUDNN_TENSOR_BYTE_ALIGNMENT, VB_CUDNN_TYPE_INT64, 1, &alignment },
    };
    return BUILD(bag, VB_CUDNN_TENSOR, "describing a tensor", settings, out, err);
}

static enum vb_status make_convolution(struct bag *bag, const struct vb_conv *conv, void **out,
                                       struct vb_error *err)
{
    const int64_t spatial = N_SPATIAL;
    const int32_t compute = VB_CUDNN_FLOAT;
    const int32_t mode = VB_CUDNN_CROSS_CORRELATION;
    const int64_t pads[N_SPATIAL] = { conv->pad, conv->pad };
    const int64_t strides[N_SPATIAL] = { conv->stride, conv->stride };
    const int64_t dilations[N_SPATIAL] = { conv->dilation, conv->dilation };
    const struct setting settings[] = {
        { VB_CUDNN_CONVOLUTION_SPATIAL_DIMS, VB_CUDNN_TYPE_INT64, 1, &spatial },
        { VB_CUDNN_CONVOLUTION_COMP_TYPE, VB_CUDNN_TYPE_DATA_TYPE, 1, &compute },
        { VB_CUDNN_CONVOLUTION_CONV_MODE, VB_CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode },
        { VB_CUDNN_CONVOLUTION_PRE_PADDINGS, VB_CUDNN_TYPE_INT64, N_SPATIAL, pads },
        { VB_CUDNN_CONVOLUTION_POST_PADDINGS, VB_CUDNN_TYPE_INT64, N_SPATIAL, pads },
        { VB_CUDNN_CONVOLUTION_FILTER_STRIDES, VB_CUDNN_TYPE_INT64, N_SPATIAL, strides },
        { VB_CUDNN_CONVOLUTION_DILATIONS, VB_CUDNN_TYPE_INT64, N_SPATIAL, dilations },
    };
    return BUILD(bag, VB_CUDNN_CONVOLUTION, "describing a convolution", settings, out, err);
}

/* An operation graph that holds the one convolution. */
static enum vb_status make_graph(struct bag *bag, const struct vb_conv *conv, void **out,
                                 struct vb_error *err)
{
    static const struct {
        enum vb_cudnn_descriptor_type type;
        int alpha; /* the attribute; beta and the rest follow it in the same order each */
    } operations[] = {
        [VB_CONV_FORWARD] = { VB_CUDNN_OPERATION_FORWARD, VB_CUDNN_FORWARD_ALPHA },
        [VB_CONV_BACKWARD_DATA] = { VB_CUDNN_OPERATION_BACKWARD_DATA,
                                    VB_CUDNN_BACKWARD_DATA_ALPHA },
        [VB_CONV_BACKWARD_FILTER] = { VB_CUDNN_OPERATION_BACKWARD_FILTER,
                                      VB_CUDNN_BACKWARD_FILTER_ALPHA },
    };
    const int64_t x_dims[] = { conv->n, conv->c, conv->h, conv->w };
    const int64_t w_dims[] = { conv->k, conv->c / conv->groups, conv->kernel_h, conv->kernel_w };
    const int64_t y_dims[] = { conv->n, conv->k,
                               (int64_t)vb_conv_output_size(conv, conv->h, conv->kernel_h),
                               (int64_t)vb_conv_output_size(conv, conv->w, conv->kernel_w) };
    void *x = NULL, *w = NULL, *y = NULL, *convolution = NULL, *operation = NULL;
    enum vb_status status = make_tensor(bag, UID_X, x_dims, conv, &x, err);
    if (status == VB_OK)
        status = make_tensor(bag, UID_W, w_dims, conv, &w, err);
    if (status == VB_OK)
        status = make_tensor(bag, UID_Y, y_dims, conv, &y, err);
    if (status == VB_OK)
        status = make_convolution(bag, conv, &convolution, err);
    if (status != VB_OK)
        return status;

    const float alpha = 1.0F, beta = 0.0F;
    const int first = operations[conv->direction].alpha;
    const struct setting settings[] = {
        { first, VB_CUDNN_TYPE_FLOAT, 1, &alpha },
        { first + 1, VB_CUDNN_TYPE_FLOAT, 1, &beta },
        { first + 2, VB_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &convolution },
        { first + 3, VB_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &w },
        { first + 4, VB_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &x },
        { first + 5, VB_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &y },
    };
    status = BUILD(bag, operations[conv->direction].type, "describing the operation", settings,
                   &operation, err);
    if (status != VB_OK)
        return status;

    const struct setting ops[] = {
        { VB_CUDNN_OPERATIONGRAPH_OPS, VB_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &operation },
    };
    return BUILD(bag, VB_CUDNN_OPERATIONGRAPH, "making the graph", ops, out, err);
}

/* Runs the heuristics: how many configurations they rank. One that cuDNN has no results for is no
 * failure: a list may be empty. */
static void rank(struct bag *bag, void *device, void *graph, enum vb_cudnn_list list,
                 void **heuristics, int64_t *n)
{
    const int32_t mode = list == VB_CUDNN_HEURISTIC ? VB_CUDNN_MODE_A : VB_CUDNN_FALLBACK;
    const struct setting settings[] = {
        { VB_CUDNN_ENGINEHEUR_OPERATION_GRAPH, VB_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph },
        { VB_CUDNN_ENGINEHEUR_MODE, VB_CUDNN_TYPE_HEUR_MODE, 1, &mode },
        { VB_CUDNN_ENGINEHEUR_DEVICEPROP, VB_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &device },
    };
    int64_t there = 0;
    *n = 0;
    if (BUILD(bag, VB_CUDNN_ENGINEHEUR, "ranking engines", settings, heuristics, NULL) == VB_OK &&
        bag->cudnn->get(*heuristics, VB_CUDNN_ENGINEHEUR_RESULTS, VB_CUDNN_TYPE_BACKEND_DESCRIPTOR,
                        0, &there, NULL) == 0)
        *n = there < MAX_CONFIGURATIONS ? there : MAX_CONFIGURATIONS;
}

/* Writes the configurations among the first `most` of the ranking that cuDNN can set up. */
static enum vb_status read_ranking(struct bag *bag, void *heuristics, int64_t most,
                                   void **configurations, int64_t *n, struct vb_error *err)
{
    *n = 0;
    for (int64_t i = 0; i < most; i++) {
        enum vb_status status = make(bag, VB_CUDNN_ENGINECFG, &configurations[i], err);
        if (status != VB_OK)
            return status;
    }
    return check(bag->cudnn,
                 bag->cudnn->get(heuristics, VB_CUDNN_ENGINEHEUR_RESULTS,
                                 VB_CUDNN_TYPE_BACKEND_DESCRIPTOR, most, n, configurations),
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
static enum vb_status look(struct bag *bag, void *configuration,
                           const struct vb_cudnn_filter *filter, struct vb_cudnn_candidate *out,
                           bool *passes, struct vb_error *err)
{
    const struct vb_cudnn *cudnn = bag->cudnn;
    void *engine = NULL;
    int64_t n = 0;
    enum vb_status status = make(bag, VB_CUDNN_ENGINE, &engine, err);
    if (status == VB_OK)
        status = check(cudnn,
                       cudnn->get(configuration, VB_CUDNN_ENGINECFG_ENGINE,
                                  VB_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &n, &engine),
                       "reading an engine", err);
    if (status == VB_OK)
        status = check(cudnn,
                       cudnn->get(engine, VB_CUDNN_ENGINE_GLOBAL_INDEX, VB_CUDNN_TYPE_INT64, 1, &n,
                                  &out->engine),
                       "reading an engine's index", err);

    int32_t notes[MAX_NOTES] = { 0 };
    int64_t n_notes = 0;
    if (status == VB_OK)
        status = check(cudnn,
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

/* Makes the plan of a configuration, for its workspace only. False where it makes none: the ranking
 * does not promise that. */
static bool plan(const struct vb_cudnn *cudnn, void *device, void *configuration,
                 uint64_t *workspace)
{
    const struct setting settings[] = {
        { VB_CUDNN_EXECUTION_PLAN_ENGINE_CONFIG, VB_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
          &configuration },
        { VB_CUDNN_EXECUTION_PLAN_DEVICEPROP, VB_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &device },
    };
    struct bag bag = { .cudnn = cudnn };
    void *made = NULL;
    int64_t bytes = -1;
    int64_t n = 0;
    bool done = BUILD(&bag, VB_CUDNN_EXECUTION_PLAN, "planning", settings, &made, NULL) == VB_OK &&
                cudnn->get(made, VB_CUDNN_EXECUTION_PLAN_WORKSPACE_SIZE, VB_CUDNN_TYPE_INT64, 1, &n,
                           &bytes) == 0 &&
                bytes >= 0;
    bag_clear(&bag);
    *workspace = (uint64_t)bytes;
    return done;
}

/* Writes the first `room` of the ranking's first `most` that will do. */
static enum vb_status try_first(struct bag *bag, void *device, void *heuristics, int64_t most,
                                const struct vb_cudnn_filter *filter,
                                struct vb_cudnn_candidate *out, size_t room, size_t *n,
                                struct vb_error *err)
{
    void *configurations[MAX_CONFIGURATIONS];
    int64_t there = 0;
    *n = 0;
    enum vb_status status = read_ranking(bag, heuristics, most, configurations, &there, err);
    for (int64_t i = 0; i < there && *n < room && status == VB_OK; i++) {
        struct vb_cudnn_candidate candidate = { 0 };
        bool passes = false;
        status = look(bag, configurations[i], filter, &candidate, &passes, err);
        if (status == VB_OK && passes &&
            plan(bag->cudnn, device, configurations[i], &candidate.workspace_bytes))
            out[(*n)++] = candidate;
    }
    return status;
}

/* Setting up what is read of the ranking is nearly all of a question's cost, and most of it is of
 * no use: so it is read as far as it takes, in a few steps. */
enum vb_status vb_cudnn_candidates(const struct vb_cudnn *cudnn, void *device,
                                   const struct vb_conv *conv, enum vb_cudnn_list list,
                                   const struct vb_cudnn_filter *filter,
                                   struct vb_cudnn_candidate *out, size_t room, size_t *n,
                                   struct vb_error *err)
{
    struct bag bag = { .cudnn = cudnn };
    void *graph = NULL;
    void *heuristics = NULL;
    int64_t there = 0;
    *n = 0;

    enum vb_status status = make_graph(&bag, conv, &graph, err);
    if (status == VB_OK)
        rank(&bag, device, graph, list, &heuristics, &there);
    const size_t before = bag.n;
    for (int64_t most = 0; most < there && *n < room && status == VB_OK;) {
        most = most == 0 ? (int64_t)room : most * STEP;
        most = most < there ? most : there;
        bag_shrink(&bag, before);
        status = try_first(&bag, device, heuristics, most, filter, out, room, n, err);
    }
    bag_clear(&bag);
    return status;
}

bool vb_cudnn_engine_plan(const struct vb_cudnn *cudnn, void *device, const struct vb_conv *conv,
                          int64_t engine, struct vb_cudnn_candidate *out)
{
    struct bag bag = { .cudnn = cudnn };
    void *graph = NULL, *made = NULL, *configuration = NULL;
    bool done = make_graph(&bag, conv, &graph, NULL) == VB_OK;
    const struct setting engine_settings[] = {
        { VB_CUDNN_ENGINE_OPERATION_GRAPH, VB_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph },
        { VB_CUDNN_ENGINE_GLOBAL_INDEX, VB_CUDNN_TYPE_INT64, 1, &engine },
        { VB_CUDNN_ENGINE_DEVICEPROP, VB_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &device },
    };
    done = done &&
           BUILD(&bag, VB_CUDNN_ENGINE, "naming an engine", engine_settings, &made, NULL) == VB_OK;
    const struct setting settings[] = {
        { VB_CUDNN_ENGINECFG_ENGINE, VB_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &made },
    };
    *out = (struct vb_cudnn_candidate){ .engine = engine };
    done = done &&
           BUILD(&bag, VB_CUDNN_ENGINECFG, "configuring an engine", settings, &configuration,
                 NULL) == VB_OK &&
           plan(cudnn, device, configuration, &out->workspace_bytes);
    bag_clear(&bag);
    return done;
}
