/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/json_print.h"

#include <stdio.h>

bool cli_print_object(json_t *object, size_t flags)
{
    bool is_written =
        object != NULL &&
        json_dumpf(object, stdout, flags | JSON_REAL_PRECISION(6) | JSON_PRESERVE_ORDER) == 0;
    printf("\n");
    json_decref(object);
    return is_written;
}
