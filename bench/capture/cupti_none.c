/* SPDX-License-Identifier: Apache-2.0 */
/* What stands for CUPTI in a build without its headers: it is never on, and says why. */
#include "capture/cupti.h"

#include <stdlib.h>

#include "config.h"

#if !VB_WITH_CUPTI
struct vb_cupti {
    char unused;
};

static const struct vb_cupti_info none = {
    .why = "nothing is captured: this was built without CUPTI's headers; configure it where the "
           "CUDA Toolkit is",
};

enum vb_status vb_cupti_open(struct vb_timeline *timeline, size_t buffer_bytes,
                             struct vb_cupti **out, struct vb_error *err)
{
    (void)timeline;
    (void)buffer_bytes;
    struct vb_cupti *cupti = calloc(1, sizeof *cupti);
    if (cupti == NULL)
        return vb_fail(err, VB_E_SYSTEM, "capture: no host memory");
    *out = cupti;
    return VB_OK;
}

void vb_cupti_close(struct vb_cupti *cupti)
{
    free(cupti);
}

const struct vb_cupti_info *vb_cupti_info(const struct vb_cupti *cupti)
{
    (void)cupti;
    return &none;
}

bool vb_cupti_is_on(const struct vb_cupti *cupti)
{
    (void)cupti;
    return false;
}

uint64_t vb_cupti_now(struct vb_cupti *cupti)
{
    (void)cupti;
    return 0;
}

bool vb_cupti_push(struct vb_cupti *cupti, uint64_t tag)
{
    (void)cupti;
    (void)tag;
    return false;
}

void vb_cupti_pop(struct vb_cupti *cupti)
{
    (void)cupti;
}

void vb_cupti_flush(struct vb_cupti *cupti)
{
    (void)cupti;
}

void vb_cupti_lock(void)
{
}

void vb_cupti_unlock(void)
{
}
#endif
