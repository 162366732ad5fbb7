/* SPDX-License-Identifier: Apache-2.0 */
#include "device/cudnn_bag.h"

#include <stdlib.h>
#include <string.h>

void vb_bag_shrink(struct vb_cudnn_bag *bag, size_t n)
{
    while (bag->n > n)
        (void)bag->cudnn->destroy(bag->items[--bag->n]);
}

struct vb_cudnn_bag *vb_cudnn_bag_new(const struct vb_cudnn *cudnn)
{
    struct vb_cudnn_bag *bag = malloc(sizeof *bag);
    if (bag != NULL) {
        bag->cudnn = cudnn;
        bag->n = 0;
    }
    return bag;
}

void vb_cudnn_bag_drop(struct vb_cudnn_bag *bag)
{
    if (bag != NULL)
        vb_bag_shrink(bag, 0);
    free(bag);
}

enum vb_status vb_cudnn_check(const struct vb_cudnn *cudnn, int code, const char *what,
                              struct vb_error *err)
{
    if (code == 0)
        return VB_OK;

    char reason[256] = "";
    cudnn->get_last_error(reason, sizeof reason);
    reason[strcspn(reason, "\n")] = '\0';
    return vb_fail(err, VB_E_DEVICE, "cuDNN %llu: %s failed with status %d%s%s",
                   (unsigned long long)cudnn->version, what, code, reason[0] != '\0' ? ": " : "",
                   reason);
}

enum vb_status vb_bag_make(struct vb_cudnn_bag *bag, enum vb_cudnn_descriptor_type type, void **out,
                           struct vb_error *err)
{
    if (bag->n == VB_MAX_DESCRIPTORS)
        return vb_fail(err, VB_E_DEVICE, "cuDNN: more than %d descriptors", VB_MAX_DESCRIPTORS);
    int code = bag->cudnn->create((int)type, out);
    if (code == 0)
        bag->items[bag->n++] = *out;
    return vb_cudnn_check(bag->cudnn, code, "creating a descriptor", err);
}

enum vb_status vb_bag_build(struct vb_cudnn_bag *bag, enum vb_cudnn_descriptor_type type,
                            const char *what, const struct vb_cudnn_setting *settings,
                            size_t n_settings, void **out, struct vb_error *err)
{
    enum vb_status status = vb_bag_make(bag, type, out, err);
    for (size_t i = 0; i < n_settings && status == VB_OK; i++)
        status = vb_cudnn_check(bag->cudnn,
                                bag->cudnn->set(*out, settings[i].name, settings[i].type,
                                                settings[i].n, settings[i].values),
                                what, err);
    if (status == VB_OK)
        status = vb_cudnn_check(bag->cudnn, bag->cudnn->finalize(*out), what, err);
    return status;
}
