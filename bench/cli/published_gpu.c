/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/published_gpu.h"

#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "device/gpu_spec.h"

#define NEAR_SHARE 0.06 /* totals of one product differ by what ECC and drivers hold back */

static const struct {
    uint32_t least; /* compute capability times 100 */
    const char *name;
} architectures[] = {
    { 1000, "Blackwell" }, { 900, "Hopper" }, { 890, "Ada" },    { 800, "Ampere" },
    { 750, "Turing" },     { 700, "Volta" },  { 600, "Pascal" }, { 0, "older" },
};

static const char *architecture_of(uint32_t capability)
{
    size_t i = 0;
    while (capability < architectures[i].least)
        i++;
    return architectures[i].name;
}

/* Letters and digits, lower case, without the words that drivers put first or leave out. */
static void plain_name(const char *product, char *out, size_t room)
{
    static const char *const words[] = { "nvidia", "geforce", "tesla" };
    size_t n = 0;
    for (; *product != '\0' && n + 1 < room; product++) {
        if (isalnum((unsigned char)*product))
            out[n++] = (char)tolower((unsigned char)*product);
        out[n] = '\0';
        for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
            if (strcmp(out, words[i]) == 0)
                n = 0;
        }
    }
    out[n] = '\0';
}

/* The profile of that product or name and of about that memory. */
static enum vb_status find_product(const char *product, uint64_t total_bytes,
                                   struct vb_gpu_spec *out, struct vb_error *err)
{
    struct vb_arena arena = { 0 };
    const char **names = NULL;
    size_t n = 0;
    char wanted[128], there[128];
    plain_name(product, wanted, sizeof wanted);
    enum vb_status status = vb_gpu_spec_names(&arena, &names, &n, err);
    for (size_t i = 0; i < n && status == VB_OK; i++) {
        status = vb_gpu_spec_find(names[i], out, err);
        if (status != VB_OK)
            break;
        plain_name(out->product, there, sizeof there);
        double apart = fabs((double)total_bytes / (double)out->capacity_bytes - 1);
        bool is_named = strcmp(wanted, there) == 0 || strcmp(wanted, names[i]) == 0;
        if (is_named && (total_bytes == 0 || apart < NEAR_SHARE))
            goto out;
        vb_gpu_spec_clear(out);
        if (is_named)
            status = vb_fail(err, VB_E_INPUT,
                             "GPU '%.60s' of %s: its profile '%s' has another "
                             "memory",
                             product, vb_bytes_format(total_bytes).text, names[i]);
    }
    if (status == VB_OK)
        status = vb_fail(err, VB_E_INPUT, "no profile of GPU '%.60s'", product);
out:
    vb_arena_clear(&arena);
    return status;
}

const struct cli_gpu *cli_find_gpu(struct cli_gpus *known, const char *product,
                                   uint64_t total_bytes, struct vb_arena *arena)
{
    struct vb_gpu_spec spec = { 0 };
    struct vb_error err = { 0 };
    for (size_t i = 0; i < known->n; i++) {
        if (known->items[i].total_bytes == total_bytes &&
            strcmp(known->items[i].product, product) == 0)
            return &known->items[i];
    }
    known->items = vb_arena_grow(arena, known->items, known->n, &known->room, sizeof *known->items);
    if (known->items == NULL)
        return NULL;
    struct cli_gpu *gpu = &known->items[known->n++];
    *gpu = (struct cli_gpu){ product, total_bytes, "", "", NULL };
    if (find_product(product, total_bytes, &spec, &err) == VB_OK) {
        gpu->name = vb_arena_copy(arena, spec.name);
        gpu->architecture = architecture_of(spec.compute_capability);
    } else {
        gpu->reason = vb_arena_copy(arena, err.text);
    }
    vb_gpu_spec_clear(&spec);
    return gpu->name != NULL && (gpu->name[0] != '\0' || gpu->reason != NULL) ? gpu : NULL;
}
