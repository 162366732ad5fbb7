/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/bytes.h"
#include "base/text.h"
#include "memory/pool.h"

enum { MAX_TEXT = 256, N_INTERVALS = 16, LARGE_BUFFER_MIB = 20 };

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

static enum vb_status read_split(const char *name, const char *text, struct vb_pool_options *out,
                                 struct vb_error *err)
{
    double mib = 0;
    enum vb_status status = read_number(name, text, LARGE_BUFFER_MIB + 1, 1 << 24, &mib, err);
    if (status == VB_OK)
        out->max_split_bytes = VB_MIB((uint64_t)mib);
    return status;
}

static enum vb_status read_rounding(const char *name, const char *text, struct vb_pool_options *out,
                                    struct vb_error *err)
{
    double mib = 0;
    enum vb_status status = read_number(name, text, LARGE_BUFFER_MIB + 1, 1 << 24, &mib, err);
    if (status == VB_OK)
        out->max_non_split_rounding_bytes = VB_MIB((uint64_t)mib);
    return status;
}

static enum vb_status read_threshold(const char *name, const char *text,
                                     struct vb_pool_options *out, struct vb_error *err)
{
    return read_number(name, text, 0.000001, 0.999999, &out->garbage_threshold, err);
}

static enum vb_status read_expandable(const char *name, const char *text,
                                      struct vb_pool_options *out, struct vb_error *err)
{
    if (strcasecmp(text, "true") != 0 && strcasecmp(text, "false") != 0)
        return vb_fail(err, VB_E_INPUT, "alloc_conf: %s is '%s', expected True or False", name,
                       text);
    out->expandable_segments = strcasecmp(text, "true") == 0;
    return VB_OK;
}

static enum vb_status read_divisions(const char *name, const char *text, uint32_t *out,
                                     struct vb_error *err)
{
    double n = 0;
    enum vb_status status = read_number(name, text, 0, 1 << 16, &n, err);
    uint32_t divisions = (uint32_t)n;
    if (status == VB_OK && (divisions & (divisions - 1)) != 0)
        return vb_fail(err, VB_E_INPUT, "alloc_conf: %s is '%s', expected a power of two", name,
                       text);
    *out = divisions;
    return status;
}

static uint32_t interval_of(double mib)
{
    uint32_t interval = 0;
    while (interval + 1 < N_INTERVALS && (double)(2u << interval) <= mib)
        interval++;
    return interval;
}

/* "4", or "[256:1,512:2,>:8]": sizes in MiB; unnamed smaller ones take the first value. */
static enum vb_status read_roundup(const char *name, char *text, struct vb_pool_options *out,
                                   struct vb_error *err)
{
    size_t length = strlen(text);
    uint32_t divisions = 0;
    if (text[0] != '[') {
        enum vb_status status = read_divisions(name, text, &divisions, err);
        for (size_t i = 0; i < N_INTERVALS; i++)
            out->roundup_divisions[i] = divisions;
        return status;
    }
    if (text[length - 1] != ']')
        return vb_fail(err, VB_E_INPUT, "alloc_conf: %s: expected [SIZE:N,...,>:N]", name);
    text[length - 1] = '\0';
    char *rest = text + 1;
    uint32_t next = 0;
    for (char *item = strsep(&rest, ","); item != NULL; item = strsep(&rest, ",")) {
        char *colon = strchr(item, ':');
        double mib = 0;
        if (colon == NULL)
            return vb_fail(err, VB_E_INPUT, "alloc_conf: %s: '%s' is no SIZE:N", name, item);
        *colon = '\0';
        bool is_rest = strcmp(vb_text_trim(item), ">") == 0;
        enum vb_status status = read_divisions(name, vb_text_trim(colon + 1), &divisions, err);
        if (status == VB_OK && !is_rest)
            status = read_number(name, vb_text_trim(item), 1, 1 << 20, &mib, err);
        if (status != VB_OK)
            return status;
        uint32_t until = is_rest ? N_INTERVALS - 1 : interval_of(mib);
        for (; next <= until; next++)
            out->roundup_divisions[next] = divisions;
    }
    for (; next < N_INTERVALS; next++)
        out->roundup_divisions[next] = divisions;
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
    };
    static const char *const names[] = { "max_split_size_mb", "max_non_split_rounding_mb",
                                         "garbage_collection_threshold", "expandable_segments",
                                         "roundup_power2_divisions" };
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        if (strcmp(settings[i].name, name) == 0)
            return settings[i].read(name, value, out, err);
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
