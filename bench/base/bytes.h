/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_BASE_BYTES_H
#define VB_BASE_BYTES_H

/* Sizes: arithmetic that notices when it overflows, and texts with a unit. */

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define VB_MIB(n) ((uint64_t)(n) << 20)
#define VB_GIB(n) ((uint64_t)(n) << 30)

/* False where the result does not fit 64 bits; `*out` is then not to be used. */
static inline bool vb_mul(uint64_t a, uint64_t b, uint64_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

static inline bool vb_add(uint64_t a, uint64_t b, uint64_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

/* `bytes` up to the next multiple of `unit`, a power of two; UINT64_MAX where that overflows. */
static inline uint64_t vb_round_up(uint64_t bytes, uint64_t unit)
{
    uint64_t up;
    return vb_add(bytes, unit - 1, &up) ? up & ~(unit - 1) : UINT64_MAX;
}

static inline double vb_to_mib(uint64_t bytes)
{
    return (double)bytes / 1048576.0;
}

static inline double vb_to_gib(uint64_t bytes)
{
    return (double)bytes / 1073741824.0;
}

/* Reads a size with its unit: "24GiB" (2^30), "24GB" (10^9), "22.5 GiB", "512MiB", "512 B".
 * VB_E_INPUT: no unit (a bare number is refused), no such unit, negative, or beyond 64 bits; the
 * text says what was found and what would be right, without the place. */
VB_CHECKED enum vb_status vb_bytes_parse(const char *text, uint64_t *out, struct vb_error *err);

/* Writes "1.50 GiB", "12.3 MiB" or "512 B" and returns `text`. */
struct vb_bytes_text {
    char text[32];
};
struct vb_bytes_text vb_bytes_format(uint64_t bytes);

#endif
