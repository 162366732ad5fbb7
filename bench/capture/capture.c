/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/capture.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "capture/cupti.h"

struct vb_capture {
    struct vb_cupti *cupti;
    struct vb_timeline timeline; /* between lock and unlock */
    uint64_t pushed;             /* a bit for each that is entered, the innermost lowest */
};

static bool is_on(const struct vb_capture *capture)
{
    return capture != NULL && vb_cupti_is_on(capture->cupti);
}

enum vb_status vb_capture_open(size_t buffer_bytes, struct vb_capture **out, struct vb_error *err)
{
    struct vb_capture *capture = calloc(1, sizeof *capture);
    if (capture == NULL)
        return vb_fail(err, VB_E_SYSTEM, "capture: no host memory");
    enum vb_status status =
        vb_cupti_open(&capture->timeline, buffer_bytes > 0 ? buffer_bytes : VB_CAPTURE_BUFFER_BYTES,
                      &capture->cupti, err);
    if (status != VB_OK) {
        free(capture);
        return status;
    }
    *out = capture;
    return VB_OK;
}

void vb_capture_close(struct vb_capture *capture)
{
    if (capture == NULL)
        return;
    vb_cupti_close(capture->cupti);
    vb_timeline_clear(&capture->timeline);
    free(capture);
}

bool vb_capture_watch(struct vb_capture *capture, bool watches)
{
    return is_on(capture) && vb_cupti_watch(capture->cupti, watches);
}

struct vb_capture_info vb_capture_info(const struct vb_capture *capture)
{
    if (capture == NULL)
        return (struct vb_capture_info){ .cupti_path = "", .why = "nothing is captured" };
    const struct vb_cupti_info *info = vb_cupti_info(capture->cupti);
    return (struct vb_capture_info){ .is_on = is_on(capture),
                                     .has_memory = info->has_memory,
                                     .has_kernels = info->has_kernels,
                                     .has_memsets = info->has_memsets,
                                     .uses_device_memory = info->uses_device_memory,
                                     .cupti_version = info->version,
                                     .cupti_path = info->path,
                                     .why = info->why };
}

/* The window is entered before the push and left after the pop, so that it holds what lies between.
 */
void vb_capture_enter(struct vb_capture *capture, uint64_t tag)
{
    if (!is_on(capture))
        return;
    uint64_t ns = vb_cupti_now(capture->cupti);
    vb_cupti_lock();
    vb_timeline_enter(&capture->timeline, ns, tag);
    vb_cupti_unlock();
    capture->pushed = capture->pushed << 1 | vb_cupti_push(capture->cupti, tag);
}

void vb_capture_leave(struct vb_capture *capture)
{
    if (!is_on(capture))
        return;
    if (capture->pushed & 1)
        vb_cupti_pop(capture->cupti);
    capture->pushed >>= 1;
    uint64_t ns = vb_cupti_now(capture->cupti);
    vb_cupti_lock();
    vb_timeline_leave(&capture->timeline, ns);
    vb_cupti_unlock();
}

uint64_t vb_capture_now(const struct vb_capture *capture)
{
    return is_on(capture) ? vb_cupti_now(capture->cupti) : 0;
}

static void note_loss(struct vb_capture_reading *reading)
{
    const struct vb_timeline_answer *answer = &reading->answer;
    if (!answer->is_complete)
        (void)snprintf(reading->note, sizeof reading->note,
                       "the peak is a lower bound: %" PRIu64 " records dropped, %" PRIu64
                       " releases without their allocation, %" PRIu64 " releases missing",
                       answer->n_dropped, answer->n_unknown_releases, answer->n_lost_releases);
}

enum vb_status vb_capture_read(struct vb_capture *capture, struct vb_capture_reading *out,
                               struct vb_arena *arena, struct vb_error *err)
{
    struct vb_capture_reading reading = { 0 };
    if (!is_on(capture)) {
        *out = reading;
        return VB_OK;
    }
    uint64_t clock = vb_cupti_now(capture->cupti);
    uint64_t now = clock != 0 ? clock : UINT64_MAX - 1; /* without a clock: after all records */
    vb_cupti_flush(capture->cupti);
    vb_cupti_lock();
    enum vb_status status = vb_timeline_answer(&capture->timeline, &reading.answer, arena, err);
    if (status == VB_OK)
        status = vb_timeline_live(&capture->timeline, now, &reading.now, err);
    vb_cupti_unlock();
    if (status != VB_OK)
        return status;
    reading.has_memory = vb_cupti_info(capture->cupti)->has_memory;
    reading.has_kernels = vb_cupti_info(capture->cupti)->has_kernels;
    note_loss(&reading);
    *out = reading;
    return VB_OK;
}

enum vb_status vb_capture_live(struct vb_capture *capture, uint64_t ns, bool *has,
                               struct vb_live *out, struct vb_error *err)
{
    struct vb_live live = { 0 };
    enum vb_status status = VB_OK;
    bool has_memory = is_on(capture) && vb_cupti_info(capture->cupti)->has_memory;
    if (has_memory) {
        vb_cupti_flush(capture->cupti);
        vb_cupti_lock();
        status = vb_timeline_live(&capture->timeline, ns, &live, err);
        vb_cupti_unlock();
    }
    if (status != VB_OK)
        return status;
    *has = has_memory;
    *out = live;
    return VB_OK;
}
