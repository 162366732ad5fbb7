/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions, by cuDNN's plans: chosen by the rules that the virtual device plans with. */

#include "config.h"

#if VB_WITH_CUDA
#include <stdlib.h>
#include <string.h>

#include "device/cuda_state.h"

enum { FIRST_ROOM = 64, ALIGNMENT_BYTES = 16 };

static struct vb_cuda_plans *find(struct vb_cuda *self, const struct vb_plan_key *key)
{
    for (size_t i = 0; i < self->n_plans; i++) {
        if (memcmp(&self->plans[i].key, key, sizeof *key) == 0)
            return &self->plans[i];
    }
    return NULL;
}

void vb_cuda_drop_plans(struct vb_cuda *self)
{
    for (size_t i = 0; i < self->n_plans; i++)
        vb_cudnn_bag_drop(self->plans[i].bag);
    free(self->plans);
    self->plans = NULL;
    self->n_plans = self->plans_room = 0;
}

static bool make_room(struct vb_cuda *self)
{
    if (self->n_plans < self->plans_room)
        return true;
    size_t room = self->plans_room > 0 ? 2 * self->plans_room : FIRST_ROOM;
    struct vb_cuda_plans *plans = realloc(self->plans, room * sizeof *plans);
    if (plans == NULL)
        return false;
    self->plans = plans;
    self->plans_room = room;
    return true;
}

/* Asks cuDNN: for one plan, or for all that could be timed. */
static enum vb_status ask(struct vb_cuda *self, const struct vb_conv *conv,
                          const struct vb_plan_key *key, bool benchmark, struct vb_cuda_plans **out,
                          struct vb_error *err)
{
    struct vb_cuda_plans plans = { .key = *key, .bag = vb_cudnn_bag_new(&self->cudnn) };
    if (plans.bag == NULL || !make_room(self)) {
        vb_cudnn_bag_drop(plans.bag);
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for a convolution's plans");
    }
    enum vb_status status = vb_library_candidates(&self->target, conv, key, plans.bag, plans.list,
                                                  benchmark ? VB_N_TIMED : 1, &plans.n, err);
    if (status == VB_OK && plans.n == 0)
        status = vb_fail(err, VB_E_UNSUPPORTED,
                         "cuDNN %llu has no plan on %s for %ux%ux%ux%u with %u kernels of %ux%u",
                         (unsigned long long)self->cudnn.version, self->base.info.name, conv->n,
                         conv->c, conv->h, conv->w, conv->k, conv->kernel_h, conv->kernel_w);
    if (status != VB_OK) {
        vb_cudnn_bag_drop(plans.bag);
        return status;
    }
    *out = &self->plans[self->n_plans++];
    **out = plans;
    return VB_OK;
}

enum vb_status vb_cuda_plan(struct vb_device *base, const struct vb_conv *conv,
                            const struct vb_conv_rules *rules, struct vb_conv_plan *out,
                            struct vb_error *err)
{
    struct vb_cuda *self = vb_cuda_of(base);
    const struct vb_plan_key key = vb_plan_key(conv, rules);
    if (vb_conv_is_native(conv))
        return vb_fail(err, VB_E_UNSUPPORTED,
                       "%s has no kernel for a depthwise convolution of %u channels: PyTorch runs "
                       "it without cuDNN",
                       base->info.name, conv->c);
    struct vb_cuda_plans *plans = find(self, &key);
    enum vb_status status = VB_OK;
    vb_capture_enter(self->capture, vb_tag(VB_OWNER_CUDNN, 0));
    if (plans == NULL)
        status = ask(self, conv, &key, rules->benchmark, &plans, err);
    vb_capture_leave(self->capture);
    if (status != VB_OK)
        return status;

    const struct vb_cudnn_candidate *chosen = &plans->list[plans->chosen];
    *out = (struct vb_conv_plan){ .source = VB_CONV_LIBRARY,
                                  .engine = chosen->engine,
                                  .workspace_bytes = chosen->workspace_bytes,
                                  .low_bytes = chosen->workspace_bytes,
                                  .high_bytes = chosen->workspace_bytes,
                                  .kept = (uint32_t)(plans - self->plans) };
    for (size_t i = 0; i < plans->n && !plans->is_timed; i++) {
        const uint64_t bytes = plans->list[i].workspace_bytes;
        out->low_bytes = bytes < out->low_bytes ? bytes : out->low_bytes;
        out->high_bytes = bytes > out->high_bytes ? bytes : out->high_bytes;
    }
    return VB_OK;
}

static void *address_of(const struct vb_work *work, uint32_t i)
{
    const struct vb_operand *operand = &work->call->operands[i];
    return (void *)(uintptr_t)(work->tensors[i] + operand->offset * vb_dtype_bytes[operand->dtype]);
}

/* The graphs that plans are made for describe tensors without gaps, from whole 16 bytes on, with
 * the channels last or not: as the operand has to lie. */
static bool lies_as_planned(const struct vb_operand *operand, bool channels_last)
{
    const uint32_t *dims = operand->shape.dims;
    const uint64_t plane = (uint64_t)dims[2] * dims[3];
    const uint64_t in_order[] = { dims[1] * plane, plane, dims[3], 1 };
    const uint64_t last[] = { dims[1] * plane, 1, (uint64_t)dims[3] * dims[1], dims[1] };
    const uint64_t *strides = channels_last ? last : in_order;
    bool lies = operand->shape.n_dims == 4 &&
                operand->offset * vb_dtype_bytes[operand->dtype] % ALIGNMENT_BYTES == 0;
    for (uint32_t i = 0; i < 4 && lies; i++)
        lies = dims[i] == 1 || operand->strides[i] == strides[i];
    return lies;
}

static enum vb_status check(const struct vb_work *work, bool channels_last, struct vb_error *err)
{
    for (uint32_t i = 0; i < work->call->n_operands; i++) {
        if (!lies_as_planned(&work->call->operands[i], channels_last))
            return vb_fail(err, VB_E_UNSUPPORTED,
                           "%s of '%s': operand %u lies otherwise than its plan was made for",
                           vb_operator_names[work->call->op], work->call->module, i);
    }
    return VB_OK;
}

static enum vb_status execute(struct vb_cuda *self, const struct vb_work *work, void *plan,
                              struct vb_error *err)
{
    const struct vb_cudnn_operands operands = { .x = address_of(work, 0),
                                                .w = address_of(work, 1),
                                                .y = address_of(work, 2),
                                                .workspace = (void *)(uintptr_t)work->workspace };
    return vb_cudnn_execute(&self->target, plan, &operands, err);
}

enum vb_status vb_cuda_run_conv(struct vb_cuda *self, const struct vb_work *work,
                                struct vb_error *err)
{
    const struct vb_cuda_plans *plans = &self->plans[work->plan->kept];
    enum vb_status status = check(work, plans->key.channels_last != 0, err);
    if (status == VB_OK)
        status = vb_cuda_flush(self, err);
    return status == VB_OK ? execute(self, work, plans->list[plans->chosen].plan, err) : status;
}

/* The second of two runs, in milliseconds. */
static enum vb_status time_plan(struct vb_cuda *self, const struct vb_work *work, void *plan,
                                CUevent *events, float *milliseconds, struct vb_error *err)
{
    const struct vb_cuda_driver *driver = &self->driver;
    enum vb_status status = execute(self, work, plan, err);
    if (status == VB_OK)
        status = vb_cuda_check(driver, driver->event_record(events[0], self->stream),
                               "timing a convolution", err);
    if (status == VB_OK)
        status = execute(self, work, plan, err);
    if (status == VB_OK)
        status = vb_cuda_check(driver, driver->event_record(events[1], self->stream),
                               "timing a convolution", err);
    if (status == VB_OK)
        status = vb_cuda_check(driver, driver->event_synchronize(events[1]), "timing a convolution",
                               err);
    if (status == VB_OK)
        status = vb_cuda_check(driver, driver->event_elapsed(milliseconds, events[0], events[1]),
                               "timing a convolution", err);
    return status;
}

/* As torch.backends.cudnn.benchmark: each plan that fits is run to warm up and then once more, and
 * the fastest is taken from then on. One that does not run is passed over. */
static void time_all(struct vb_cuda *self, const struct vb_work *work, uint64_t workspace_bytes,
                     CUevent *events)
{
    struct vb_cuda_plans *plans = &self->plans[work->plan->kept];
    float least = 0;
    for (size_t i = 0; i < plans->n; i++) {
        float milliseconds = 0;
        if (plans->list[i].workspace_bytes > workspace_bytes ||
            time_plan(self, work, plans->list[i].plan, events, &milliseconds, NULL) != VB_OK)
            continue;
        if (!plans->is_timed || milliseconds < least) {
            plans->chosen = i;
            least = milliseconds;
        }
        plans->is_timed = true;
    }
}

enum vb_status vb_cuda_time_plans(struct vb_device *base, const struct vb_work *work,
                                  uint64_t workspace_bytes, struct vb_error *err)
{
    struct vb_cuda *self = vb_cuda_of(base);
    const struct vb_cuda_driver *driver = &self->driver;
    CUevent events[2] = { NULL, NULL };
    enum vb_status status = check(work, self->plans[work->plan->kept].key.channels_last != 0, err);
    if (status == VB_OK)
        status = vb_cuda_flush(self, err);
    for (size_t i = 0; i < 2 && status == VB_OK; i++)
        status = vb_cuda_check(driver, driver->event_create(&events[i], CU_EVENT_DEFAULT),
                               "making an event", err);
    vb_capture_enter(self->capture, vb_tag(VB_OWNER_CUDNN, 0));
    if (status == VB_OK)
        time_all(self, work, workspace_bytes, events);
    vb_capture_leave(self->capture);
    for (size_t i = 0; i < 2; i++) {
        if (events[i] != NULL)
            (void)driver->event_destroy(events[i]);
    }
    return status;
}
#endif
