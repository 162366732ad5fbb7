/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_TESTS_FUZZ_H
#define VB_TESTS_FUZZ_H

/* What each harness shares: the input as a text that ends in 0. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static inline char *fuzz_text(const uint8_t *data, size_t bytes)
{
    char *text = malloc(bytes + 1);
    if (text != NULL) {
        memcpy(text, data, bytes);
        text[bytes] = '\0';
    }
    return text;
}

#endif
