/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

enum vb_status vb_fail(struct vb_error *err, enum vb_status status, const char *format, ...)
{
    if (err == NULL)
        return status;

    /* Written apart first: an argument may be the text of the very same error. */
    struct vb_error text;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text.text, sizeof text.text, format, arguments);
    va_end(arguments);
    *err = text;
    return status;
}
