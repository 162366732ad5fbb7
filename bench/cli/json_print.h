/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_JSON_PRINT_H
#define VB_CLI_JSON_PRINT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Prints the object to stdout, six digits to a number, and a new line; then it is gone. `flags` are
 * jansson's. False: it is NULL or cannot be written. */
bool cli_print_object(json_t *object, size_t flags);

#endif
