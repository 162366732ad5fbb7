/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "memory/pool.h"

enum { N_INTERVALS = 16 };

static void append(struct vb_text *out, const char *name, const char *value)
{
    vb_text_append(out, "%s%s:%s", out->length > 0 ? "," : "", name, value);
}

static void append_mib(struct vb_text *out, const char *name, uint64_t bytes)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRIu64, bytes >> 20);
    if (bytes > 0)
        append(out, name, text);
}

/* As few digits as say it: 0.8 for what was read from 0.8. */
static void append_share(struct vb_text *out, const char *name, double share)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%g", share);
    if (strtod(text, NULL) < share || strtod(text, NULL) > share)
        (void)snprintf(text, sizeof text, "%.17g", share);
    if (share > 0)
        append(out, name, text);
}

/* "4" where all intervals have it, else each by its size. */
static void append_divisions(struct vb_text *out, const uint32_t *divisions)
{
    bool is_one = true, is_off = true;
    char text[256];
    size_t length = 0;
    for (size_t i = 0; i < N_INTERVALS; i++) {
        is_one = is_one && divisions[i] == divisions[0];
        is_off = is_off && divisions[i] <= 1;
    }
    for (size_t i = 0; i < N_INTERVALS && !is_one; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, "%c%u:%u",
                                   i == 0 ? '[' : ',', 1u << i, divisions[i]);
    if (is_one)
        (void)snprintf(text, sizeof text, "%u", divisions[0]);
    else
        (void)snprintf(text + length, sizeof text - length, "]");
    if (!is_off)
        append(out, "roundup_power2_divisions", text);
}

void vb_pool_options_append(const struct vb_pool_options *options, struct vb_text *out)
{
    struct vb_text text = { 0 };
    append_mib(&text, "max_split_size_mb", options->max_split_bytes);
    append_mib(&text, "max_non_split_rounding_mb", options->max_non_split_rounding_bytes);
    append_divisions(&text, options->roundup_divisions);
    append_share(&text, "garbage_collection_threshold", options->garbage_threshold);
    append_share(&text, "per_process_memory_fraction", options->memory_fraction);
    if (options->expandable_segments)
        append(&text, "expandable_segments", "True");
    vb_text_append(out, "%s", vb_text_data(&text));
    out->failed = out->failed || text.failed;
    vb_text_clear(&text);
}
