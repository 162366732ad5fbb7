/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CAPTURE_NVML_H
#define VB_CAPTURE_NVML_H

/* What the driver says of one GPU: memory that is gone, clocks, power, throttling. Each figure may
 * be missing on its own (a container, a laptop, a vGPU, no permission): it then has no flag, and
 * its value is not to be read. Every function but open takes NULL. One thread at a time.
 *
 * Source of names, units and numbers: NVIDIA's NVML API Reference Guide.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct vb_nvml;

/* Whose the bytes of vb_nvml_reading.process_bytes are. */
enum vb_nvml_source {
    VB_NVML_PROCESS, /* this process's alone, found by its id */
    VB_NVML_DEVICE, /* what the whole device uses more than when it was opened: other processes that
                       began or grew since are in it */
};

/* Bits of vb_nvml_reading.throttle_reasons. */
enum vb_throttle {
    VB_THROTTLE_IDLE = 0x1,
    VB_THROTTLE_CLOCKS_SET = 0x2,
    VB_THROTTLE_POWER_CAP = 0x4,
    VB_THROTTLE_HW_SLOWDOWN = 0x8,
    VB_THROTTLE_SYNC_BOOST = 0x10,
    VB_THROTTLE_SW_THERMAL = 0x20,
    VB_THROTTLE_HW_THERMAL = 0x40,
    VB_THROTTLE_POWER_BRAKE = 0x80,
    VB_THROTTLE_DISPLAY_CLOCKS = 0x100,
};

struct vb_nvml_reading {
    bool has_process, has_used, has_total, has_sm_clock, has_memory_clock, has_temperature,
        has_power, has_power_limit, has_throttle, has_ecc;
    enum vb_nvml_source process_source;
    uint64_t process_bytes;
    uint64_t used_bytes, total_bytes; /* of the device; used: by all, the driver too */
    uint32_t sm_clock_mhz, memory_clock_mhz;
    uint32_t temperature_celsius;
    uint32_t power_mw, power_limit_mw; /* now; the limit that holds */
    uint64_t throttle_reasons;         /* bits of enum vb_throttle; others may be there */
    bool ecc_is_on;                    /* now, not after the next start */
};

/* Opens the GPU at `bus_id` as cuDeviceGetPCIBusId() writes it. Call it before this process has a
 * CUDA context: what is in use then is not its own. That there is no NVML is no failure: `why` says
 * so. VB_E_SYSTEM: host memory. */
VB_CHECKED enum vb_status vb_nvml_open(const char *bus_id, struct vb_nvml **out,
                                       struct vb_error *err);
void vb_nvml_close(struct vb_nvml *nvml);

/* Why there is nothing to read, "" where there is. */
const char *vb_nvml_why(const struct vb_nvml *nvml);

/* As "580.65.06", "" where it is not known. */
const char *vb_nvml_driver_version(const struct vb_nvml *nvml);

/* Bytes of the device in use when it was opened, by others and the driver; false: not known. */
bool vb_nvml_used_at_start(const struct vb_nvml *nvml, uint64_t *bytes);

void vb_nvml_read(struct vb_nvml *nvml, struct vb_nvml_reading *out);

/* The reasons as a list, "power cap, heat (driver)"; "none" for 0. Cut where it does not fit. */
void vb_throttle_list(uint64_t reasons, char *text, size_t room);

/* Of the reasons those that make a measurement of time worth less: all but being idle and clocks
 * that someone set. */
uint64_t vb_throttle_harmful(uint64_t reasons);

#endif
