/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_DEVICE_KIND_H
#define VB_DEVICE_KIND_H

/* For those who implement a kind of device; everyone else includes device.h.
 *
 * A kind is one file with one `const struct vb_device_kind`. List it in the table in device.c and
 * run tests/device/test_device.c, which holds every kind to what device.h promises.
 */

#include "device/device.h"

struct vb_device_kind {
    const char *prefix; /* what stands before the colon of a device's name */

    /* `selector` is what stands after the colon, "" if nothing does. */
    enum vb_status (*open)(const char *selector, struct vb_device **out, struct vb_error *err);
    void (*close)(struct vb_device *base);

    /* `bytes` is a multiple of the granularity and not 0: device.c has seen to it. */
    enum vb_status (*reserve)(struct vb_device *base, uint64_t bytes, struct vb_segment *out,
                              struct vb_error *err);
    void (*release)(struct vb_device *base, struct vb_segment segment);
    uint64_t (*free_bytes)(const struct vb_device *base);

    /* As device.h has it. NULL: there is nothing to be done. */
    void (*mark)(struct vb_device *base, vb_address address, uint64_t bytes, bool is_taken);

    /* Of a kind that plans convolutions: one whose layout is VB_ONLY_PLANNED always does. */
    enum vb_status (*plan)(struct vb_device *base, const struct vb_conv *conv,
                           const struct vb_conv_rules *rules, struct vb_conv_plan *out,
                           struct vb_error *err);
    /* Of a kind that plans and executes. */
    enum vb_status (*time_plans)(struct vb_device *base, const struct vb_work *work,
                                 uint64_t workspace_bytes, struct vb_error *err);
    /* Of a kind that executes; NULL where its layout is VB_ONLY_PLANNED. */
    enum vb_status (*workspace)(struct vb_device *base, const struct vb_call *call, uint64_t *bytes,
                                struct vb_error *err);
    enum vb_status (*read)(struct vb_device *base, vb_address address, void *out, size_t bytes,
                           struct vb_error *err);

    enum vb_status (*run)(struct vb_device *base, const struct vb_work *work, struct vb_error *err);
    enum vb_status (*elapsed)(struct vb_device *base, double *seconds, struct vb_error *err);

    /* As device.h has them. NULL: there is nothing to watch, note or tell. */
    bool (*watch)(struct vb_device *base, bool records);
    void (*note)(struct vb_device *base, enum vb_moment moment);
    enum vb_status (*tell)(struct vb_device *base, struct vb_record *record, struct vb_error *err);
    enum vb_status (*tell_work)(struct vb_device *base, uint32_t steps, struct vb_record *record,
                                struct vb_error *err);
    /* NULL: it is no GPU that is there. */
    enum vb_status (*describe)(struct vb_device *base, char **json, struct vb_error *err);
};

/* The first member of every kind's own struct. */
struct vb_device {
    const struct vb_device_kind *kind;
    struct vb_device_info info; /* filled by open(); vb_device_limit() alone changes it after */
};

extern const struct vb_device_kind vb_device_virtual;
extern const struct vb_device_kind vb_device_cpu;
extern const struct vb_device_kind vb_device_cuda; /* of a build with nvcc */

#endif
