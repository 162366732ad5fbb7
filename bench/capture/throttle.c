/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "capture/nvml.h"

static const struct {
    uint64_t bit;
    const char *name;
} names[] = {
    { VB_THROTTLE_IDLE, "idle" },
    { VB_THROTTLE_CLOCKS_SET, "clocks set" },
    { VB_THROTTLE_POWER_CAP, "power cap" },
    { VB_THROTTLE_HW_SLOWDOWN, "slowed by the hardware" },
    { VB_THROTTLE_SYNC_BOOST, "sync boost" },
    { VB_THROTTLE_SW_THERMAL, "heat (driver)" },
    { VB_THROTTLE_HW_THERMAL, "heat (hardware)" },
    { VB_THROTTLE_POWER_BRAKE, "power brake" },
    { VB_THROTTLE_DISPLAY_CLOCKS, "display clocks" },
};

static void append(char *text, size_t room, size_t *length, const char *more)
{
    const char *between = *length > 0 ? ", " : "";
    int written = snprintf(text + *length, room - *length, "%s%s", between, more);
    *length += (size_t)written;
    if (*length >= room)
        *length = room - 1;
}

void vb_throttle_list(uint64_t reasons, char *text, size_t room)
{
    size_t length = 0;
    text[0] = '\0';
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if ((reasons & names[i].bit) != 0)
            append(text, room, &length, names[i].name);
        reasons &= ~names[i].bit;
    }
    if (reasons != 0) {
        char unknown[32];
        (void)snprintf(unknown, sizeof unknown, "unknown 0x%" PRIx64, reasons);
        append(text, room, &length, unknown);
    }
    if (length == 0)
        append(text, room, &length, "none");
}

uint64_t vb_throttle_harmful(uint64_t reasons)
{
    return reasons & ~(uint64_t)(VB_THROTTLE_IDLE | VB_THROTTLE_CLOCKS_SET);
}
