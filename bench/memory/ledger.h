/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_MEMORY_LEDGER_H
#define VB_MEMORY_LEDGER_H

/* The ledger: what a pool gave out, by category and by phase, with the peaks. Whoever executes a
 * program tells it each block that it takes and gives back; categories and phases are numbers to
 * it. */

#include <stdint.h>

enum { VB_LEDGER_CATEGORIES = 16, VB_LEDGER_PHASES = 16 };

struct vb_ledger {
    uint64_t bytes[VB_LEDGER_CATEGORIES]; /* now, after rounding */
    uint64_t total_bytes;
    uint32_t phase;
    uint64_t phase_peak_bytes[VB_LEDGER_PHASES];
    uint64_t peak_bytes;
    uint64_t peak_category_bytes[VB_LEDGER_CATEGORIES]; /* at that moment */
    uint32_t peak_phase;
    uint64_t peak_place; /* as the caller counts: given to vb_ledger_take() */
};

/* A block of `bytes` for `category`; `place` says where in the program this is. */
static inline void vb_ledger_take(struct vb_ledger *ledger, uint32_t category, uint64_t bytes,
                                  uint64_t place)
{
    ledger->bytes[category] += bytes;
    ledger->total_bytes += bytes;
    if (ledger->total_bytes > ledger->phase_peak_bytes[ledger->phase])
        ledger->phase_peak_bytes[ledger->phase] = ledger->total_bytes;
    if (ledger->total_bytes <= ledger->peak_bytes)
        return;
    ledger->peak_bytes = ledger->total_bytes;
    ledger->peak_phase = ledger->phase;
    ledger->peak_place = place;
    for (uint32_t i = 0; i < VB_LEDGER_CATEGORIES; i++)
        ledger->peak_category_bytes[i] = ledger->bytes[i];
}

static inline void vb_ledger_give(struct vb_ledger *ledger, uint32_t category, uint64_t bytes)
{
    ledger->bytes[category] -= bytes;
    ledger->total_bytes -= bytes;
}

/* What is there when a phase begins counts for it. */
static inline void vb_ledger_enter(struct vb_ledger *ledger, uint32_t phase)
{
    ledger->phase = phase;
    if (ledger->total_bytes > ledger->phase_peak_bytes[phase])
        ledger->phase_peak_bytes[phase] = ledger->total_bytes;
}

#endif
