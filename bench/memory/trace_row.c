/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/trace_row.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool vb_trace_row_split(struct vb_trace_row *row, const char *text, size_t length, size_t n)
{
    if (length > 0 && text[length - 1] == '\r')
        length--;
    if (length >= sizeof row->copy || n > sizeof row->cells / sizeof *row->cells)
        return false;
    memcpy(row->copy, text, length);
    row->copy[length] = '\0';
    size_t found = 0;
    char *rest = row->copy;
    for (char *cell = strsep(&rest, ","); cell != NULL; cell = strsep(&rest, ",")) {
        if (found == n)
            return false;
        row->cells[found++] = cell;
    }
    return found == n;
}

static bool is_digits(const char *text)
{
    return *text != '\0' && strspn(text, "0123456789") == strlen(text);
}

bool vb_trace_number(const char *text, uint64_t *out)
{
    errno = 0;
    *out = strtoull(text, NULL, 10);
    return is_digits(text) && errno == 0;
}

bool vb_trace_signed(const char *text, int64_t *out)
{
    errno = 0;
    *out = strtoll(text, NULL, 10);
    return is_digits(text + (text[0] == '-')) && errno == 0;
}
