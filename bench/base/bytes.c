/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct unit {
    const char *name;
    double bytes;
} units[] = {
    { "B", 1.0 },
    { "KiB", 1024.0 },
    { "MiB", 1048576.0 },
    { "GiB", 1073741824.0 },
    { "TiB", 1099511627776.0 },
    { "kB", 1e3 },
    { "KB", 1e3 },
    { "MB", 1e6 },
    { "GB", 1e9 },
    { "TB", 1e12 },
};

static const struct unit *find_unit(const char *name)
{
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcasecmp(units[i].name, name) == 0)
            return &units[i];
    }
    return NULL;
}

enum vb_status vb_bytes_parse(const char *text, uint64_t *out, struct vb_error *err)
{
    /* strtod alone would take "inf", "nan" and hexadecimal too. */
    size_t digits = strspn(text, "0123456789.");
    char *end = NULL;
    double number = strtod(text, &end);
    if (digits == 0 || end != text + digits)
        return vb_fail(err, VB_E_INPUT, "'%s' is no size; write it as 24GiB, 24GB or 512MiB", text);
    while (isspace((unsigned char)*end))
        end++;
    if (*end == '\0')
        return vb_fail(err, VB_E_INPUT, "'%s' has no unit; write it as %sGiB or %sMiB", text, text,
                       text);

    const struct unit *unit = find_unit(end);
    if (unit == NULL)
        return vb_fail(err, VB_E_INPUT,
                       "'%s' is no unit of memory; there is B, KiB, MiB, GiB, TiB,"
                       " kB, MB, GB and TB",
                       end);
    if (number * unit->bytes >= 0x1p63)
        return vb_fail(err, VB_E_INPUT, "'%s' is more than any memory holds", text);

    *out = (uint64_t)llround(number * unit->bytes);
    return VB_OK;
}

struct vb_bytes_text vb_bytes_format(uint64_t bytes)
{
    struct vb_bytes_text text;

    if (bytes >= VB_GIB(1))
        (void)snprintf(text.text, sizeof text.text, "%.2f GiB", vb_to_gib(bytes));
    else if (bytes >= VB_MIB(1))
        (void)snprintf(text.text, sizeof text.text, "%.1f MiB", vb_to_mib(bytes));
    else if (bytes >= 1024)
        (void)snprintf(text.text, sizeof text.text, "%.1f KiB", (double)bytes / 1024.0);
    else
        (void)snprintf(text.text, sizeof text.text, "%" PRIu64 " B", bytes);
    return text;
}
