/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/bytes.h"
#include "base/text.h"
#include "memory/pool.h"

enum { MAX_TEXT = 256, N_INTERVALS = 16, LARGE_BUFFER_MIB = 20, MAX_MIB = 1 << 24 };

static enum vb_status read_number(const char *name, const char *text, double low, double high,
                                  double *out, struct vb_error *err)
{
    char *end = NULL;
    double value = strtod(text, &end);
    if (strspn(text, "0123456789.") != strlen(text) || end == text || *end != '\0' || value < low ||
        value > high)
        return vb_fail(err, VB_E_INPUT, "alloc_conf: %s is '%s', expected %g to %g", name, text,
                       low, high);
    *out = value;
    return VB_OK;
}

/* As PyTorch's, which takes no fraction of a MiB. */
static enum vb_status read_whole(const char *name, const char *text, double low, double high,
                                 uint64_t *out, struct vb_error *err)
{
    double value = 0;
    if (strchr(text, '.') != NULL)
        return vb_fail(err, VB_E_INPUT, "alloc_conf: %s is '%s', expected a whole number", name,
                       text);
    enum vb_status status = read_number(name, text, low, high, &value, err);
    if (status == VB_OK)
        *out = (uint64_t)value;
    return status;
}

static enum vb_status read_split(const char *name, const char *text, struct vb_pool_options *out,
                                 struct vb_error *err)
{
    uint64_t mib = 0;
    enum vb_status status = read_whole(name, text, LARGE_BUFFER_MIB + 1, MAX_MIB, &mib, err);
    if (status == VB_OK)
        out->max_split_bytes = VB_MIB(mib);
    return status;
}

static enum vb_status read_rounding(const char *name, const char *text, struct vb_pool_options *out,
                                    struct vb_error *err)
{
    uint64_t mib = 0;
    enum vb_status status = read_whole(name, text, LARGE_BUFFER_MIB + 1, MAX_MIB, &mib, err);
    if (status == VB_OK)
        out->max_non_split_rounding_bytes = VB_MIB(mib);
    return status;
}

static enum vb_status read_threshold(const char *name, const char *text,
                                     struct vb_pool_options *out, struct vb_error *err)
{
    return read_number(name, text, 0.000001, 0.999999, &out->garbage_threshold, err);
}

static enum vb_status read_fraction(const char *name, const char *text, struct vb_pool_options *out,
                                    struct vb_error *err)
{
    return read_number(name, text, 0.000001, 1, &out->memory_fraction, err);
}

static enum vb_status read_switch(const char *name, const char *text, bool *out,
                                  struct vb_error *err)
{
    if (strcasecmp(text, "true") != 0 && strcasecmp(text, "false") != 0)
        return vb_fail(err, VB_E_INPUT, "alloc_conf: %s is '%s', expected True or False", name,
                       text);
    *out = strcasecmp(text, "true") == 0;
    return VB_OK;
}

static enum vb_status read_expandable(const char *name, const char *text,
                                      struct vb_pool_options *out, struct vb_error *err)
{
    return read_switch(name, text, &out->expandable_segments, err);
}

/* Locks, and memory of the host: nothing of the device's. */
static enum vb_status read_without_effect(const char *name, const char *text,
                                          struct vb_pool_options *out, struct vb_error *err)
{
    bool ignored = false;
    (void)out;
    return read_switch(name, text, &ignored, err);
}

static enum vb_status read_threads(const char *name, const char *text, struct vb_pool_options *out,
                                   struct vb_error *err)
{
    uint64_t ignored = 0;
    (void)out;
    return read_whole(name, text, 1, 128, &ignored, err);
}

/* What the driver's own pool reserves is not known, so it is refused rather than guessed. */
static enum vb_status read_backend(const char *name, const char *text, struct vb_pool_options *out,
                                   struct vb_error *err)
{
    (void)out;
    if (strcmp(text, "native") != 0)
        return vb_fail(err, VB_E_INPUT, "alloc_conf: %s is '%s', only native is modelled", name,
                       text);
    return VB_OK;
}

static enum vb_status read_large_segment(const char *name, const char *text,
                                         struct vb_pool_options *out, struct vb_error *err)
{
    (void)out;
    if (strcmp(text, "20") != 0)
        return vb_fail(err, VB_E_INPUT, "alloc_conf: %s is '%s', only 20 is modelled", name, text);
    return VB_OK;
}

static enum vb_status read_divisions(const char *name, const char *text, uint32_t *out,
                                     struct vb_error *err)
{
    uint64_t n = 0;
    enum vb_status status = read_whole(name, text, 0, 1 << 16, &n, err);
    uint32_t divisions = (uint32_t)n;
    if (status == VB_OK && (divisions & (divisions - 1)) != 0)
        return vb_fail(err, VB_E_INPUT, "alloc_conf: %s is '%s', expected a power of two", name,
                       text);
    *out = divisions;
    return status;
}

/* Named by its power of two in MiB: 256 is 256 MiB to 512 MiB. */
static enum vb_status read_interval(const char *name, const char *text, uint32_t *out,
                                    struct vb_error *err)
{
    uint64_t mib = 0;
    enum vb_status status = read_whole(name, text, 1, MAX_MIB, &mib, err);
    if (status != VB_OK)
        return status;
    if ((mib & (mib - 1)) != 0)
        return vb_fail(err, VB_E_INPUT, "alloc_conf: %s: size '%s', expected a power of two", name,
                       text);
    uint32_t log2 = (uint32_t)(63 - __builtin_clzll(mib));
    *out = log2 < N_INTERVALS ? log2 : N_INTERVALS - 1;
    return VB_OK;
}

/* One SIZE:N of the list. The first value goes to all smaller intervals too; one that is not named
 * stays off; ">" begins at the interval named last and so replaces its value, as PyTorch has it
 * from 2.0 on. */
static enum vb_status read_item(const char *name, char *item, bool is_first, uint32_t *last,
                                struct vb_pool_options *out, struct vb_error *err)
{
    uint32_t divisions = 0, until = N_INTERVALS - 1;
    char *colon = strchr(item, ':');
    if (colon == NULL)
        return vb_fail(err, VB_E_INPUT, "alloc_conf: %s: '%s' is no SIZE:N", name, item);
    *colon = '\0';
    const char *size = vb_text_trim(item);
    enum vb_status status = read_divisions(name, vb_text_trim(colon + 1), &divisions, err);
    if (status == VB_OK && strcmp(size, ">") != 0) {
        status = read_interval(name, size, &until, err);
        *last = is_first ? 0 : until;
    }
    for (uint32_t i = *last; status == VB_OK && i <= until; i++)
        out->roundup_divisions[i] = divisions;
    if (strcmp(size, ">") != 0)
        *last = until;
    return status;
}

/* "4", or "[256:1,512:2,>:8]" with sizes in MiB. */
static enum vb_status read_roundup(const char *name, char *text, struct vb_pool_options *out,
                                   struct vb_error *err)
{
    size_t length = strlen(text);
    uint32_t divisions = 0, last = 0;
    if (text[0] != '[') {
        enum vb_status status = read_divisions(name, text, &divisions, err);
        for (size_t i = 0; status == VB_OK && i < N_INTERVALS; i++)
            out->roundup_divisions[i] = divisions;
        return status;
    }
    if (text[length - 1] != ']')
        return vb_fail(err, VB_E_INPUT, "alloc_conf: %s: expected [SIZE:N,...,>:N]", name);
    text[length - 1] = '\0';
    char *rest = text + 1;
    bool is_first = true;
    for (char *item = strsep(&rest, ","); item != NULL; item = strsep(&rest, ",")) {
        enum vb_status status = read_item(name, item, is_first, &last, out, err);
        if (status != VB_OK)
            return status;
        is_first = false;
    }
    return VB_OK;
}

static enum vb_status read_setting(char *name, char *value, struct vb_pool_options *out,
                                   struct vb_error *err)
{
    static const struct {
        const char *name;
        enum vb_status (*read)(const char *, const char *, struct vb_pool_options *,
                               struct vb_error *);
    } settings[] = {
        { "max_split_size_mb", read_split },
        { "max_non_split_rounding_mb", read_rounding },
        { "garbage_collection_threshold", read_threshold },
        { "expandable_segments", read_expandable },
        { "per_process_memory_fraction", read_fraction },
        { "backend", read_backend },
        { "large_segment_size_mb", read_large_segment },
        { "release_lock_on_cudamalloc", read_without_effect },
        { "graph_capture_record_stream_reuse", read_without_effect },
        { "pinned_use_cuda_host_register", read_without_effect },
        { "pinned_use_background_threads", read_without_effect },
        { "pinned_num_register_threads", read_threads },
    };
    const char *names[sizeof settings / sizeof *settings + 1] = { "roundup_power2_divisions" };
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        if (strcmp(settings[i].name, name) == 0)
            return settings[i].read(name, value, out, err);
        names[i + 1] = settings[i].name;
    }
    if (strcmp(name, "roundup_power2_divisions") == 0)
        return read_roundup(name, value, out, err);
    const char *near = vb_text_nearest(name, names, sizeof names / sizeof *names);
    return vb_fail(err, VB_E_INPUT, "alloc_conf: unknown setting '%s'%s%s%s", name,
                   near != NULL ? "; did you mean " : "", near != NULL ? near : "",
                   near != NULL ? "?" : "");
}

/* The end of one setting: the next comma outside brackets. */
static char *cut_setting(char *text)
{
    int depth = 0;
    for (; *text != '\0'; text++) {
        depth += (*text == '[') - (*text == ']');
        if (*text == ',' && depth == 0) {
            *text = '\0';
            return text + 1;
        }
    }
    return NULL;
}

enum vb_status vb_pool_options_parse(const char *text, struct vb_pool_options *out,
                                     struct vb_error *err)
{
    char copy[MAX_TEXT];
    *out = (struct vb_pool_options){ 0 };
    if (strlen(text) >= sizeof copy)
        return vb_fail(err, VB_E_INPUT, "alloc_conf: longer than %d characters", MAX_TEXT - 1);
    (void)snprintf(copy, sizeof copy, "%s", text);
    for (char *setting = copy; setting != NULL && *vb_text_trim(setting) != '\0';) {
        char *next = cut_setting(setting);
        char *colon = strchr(setting, ':');
        if (colon == NULL)
            return vb_fail(err, VB_E_INPUT, "alloc_conf: '%s' is no NAME:VALUE", setting);
        *colon = '\0';
        enum vb_status status =
            read_setting(vb_text_trim(setting), vb_text_trim(colon + 1), out, err);
        if (status != VB_OK)
            return status;
        setting = next;
    }
    return VB_OK;
}
