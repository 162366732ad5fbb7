/* SPDX-License-Identifier: Apache-2.0 */
#include "record/on_gpu.h"

#include <stdio.h>

#include "record/json.h"

#define MEMBER(member, kind) VB_MEMBER(vb_on_gpu, member, kind)
static const struct vb_member members[] = {
    MEMBER(driver, VB_MEMBER_TEXT),
    MEMBER(cuda, VB_MEMBER_TEXT),
    MEMBER(cupti, VB_MEMBER_TEXT),
    MEMBER(pci, VB_MEMBER_TEXT),
    MEMBER(compute_capability, VB_MEMBER_BYTES),
    MEMBER(ecc, VB_MEMBER_TEXT),
    MEMBER(power_limit_watts, VB_MEMBER_POSITIVE),
    MEMBER(others_bytes, VB_MEMBER_BYTES),
    MEMBER(warning, VB_MEMBER_TEXT),
    MEMBER(capture, VB_MEMBER_TEXT),
    MEMBER(capture_why, VB_MEMBER_TEXT),
    MEMBER(captured_peak_bytes, VB_MEMBER_BYTES),
    MEMBER(pool_bytes, VB_MEMBER_BYTES),
    MEMBER(cudnn_bytes, VB_MEMBER_BYTES),
    MEMBER(rest_bytes, VB_MEMBER_BYTES),
    MEMBER(dropped_records, VB_MEMBER_BYTES),
    MEMBER(process_bytes, VB_MEMBER_BYTES),
    MEMBER(process_source, VB_MEMBER_TEXT),
    MEMBER(recorded_step_seconds, VB_MEMBER_POSITIVE),
};
static const struct vb_member moment_members[] = {
    VB_MEMBER(vb_gpu_moment, sm_mhz, VB_MEMBER_BYTES),
    VB_MEMBER(vb_gpu_moment, memory_mhz, VB_MEMBER_BYTES),
    VB_MEMBER(vb_gpu_moment, celsius, VB_MEMBER_BYTES),
    VB_MEMBER(vb_gpu_moment, watts, VB_MEMBER_POSITIVE),
    VB_MEMBER(vb_gpu_moment, throttled, VB_MEMBER_TEXT),
};
static const struct vb_member kernel_members[] = {
    VB_MEMBER(vb_kernel_time, name, VB_MEMBER_TEXT),
    VB_MEMBER(vb_kernel_time, seconds, VB_MEMBER_POSITIVE),
    VB_MEMBER(vb_kernel_time, launches, VB_MEMBER_BYTES),
};
#define COUNT(list) (sizeof(list) / sizeof *(list))

static void write_moment(json_t *object, const char *key, const struct vb_gpu_moment *moment)
{
    json_t *of = json_object();
    vb_members_write(of, moment_members, COUNT(moment_members), moment);
    if (json_object_size(of) > 0)
        (void)json_object_set(object, key, of);
    json_decref(of);
}

void vb_on_gpu_write(const struct vb_on_gpu *on_gpu, json_t *object)
{
    if (on_gpu->compute_capability == 0)
        return;
    json_t *of = json_object(), *kernels = json_array();
    vb_members_write(of, members, COUNT(members), on_gpu);
    write_moment(of, "before", &on_gpu->before);
    write_moment(of, "after", &on_gpu->after);
    for (uint64_t i = 0; i < on_gpu->n_kernel_times; i++) {
        json_t *kernel = json_object();
        vb_members_write(kernel, kernel_members, COUNT(kernel_members), &on_gpu->kernels[i]);
        (void)json_array_append_new(kernels, kernel);
    }
    if (on_gpu->n_kernel_times > 0)
        (void)json_object_set(of, "kernels", kernels);
    json_decref(kernels);
    (void)json_object_set_new(object, "on_gpu", of);
}

static enum vb_status read_kernels(const json_t *list, struct vb_on_gpu *out, struct vb_error *err)
{
    enum vb_status status = VB_OK;
    if (json_array_size(list) > VB_N_KERNEL_TIMES)
        return vb_fail(err, VB_E_INPUT, "'kernels' has more than %d entries", VB_N_KERNEL_TIMES);
    for (size_t i = 0; i < json_array_size(list) && status == VB_OK; i++) {
        status = vb_members_read(json_array_get(list, i), kernel_members, COUNT(kernel_members),
                                 &out->kernels[i], err);
        out->n_kernel_times = i + 1;
    }
    return status;
}

enum vb_status vb_on_gpu_read(const json_t *object, struct vb_on_gpu *out, struct vb_error *err)
{
    const json_t *of = json_object_get(object, "on_gpu");
    if (of == NULL)
        return VB_OK;
    enum vb_status status = vb_members_read(of, members, COUNT(members), out, err);
    if (status == VB_OK)
        status = vb_members_read(json_object_get(of, "before"), moment_members,
                                 COUNT(moment_members), &out->before, err);
    if (status == VB_OK)
        status = vb_members_read(json_object_get(of, "after"), moment_members,
                                 COUNT(moment_members), &out->after, err);
    return status == VB_OK ? read_kernels(json_object_get(of, "kernels"), out, err) : status;
}
