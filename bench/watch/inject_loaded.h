/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_WATCH_INJECT_LOADED_H
#define VB_WATCH_INJECT_LOADED_H

/* What this process has loaded. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The path of the library whose file's name begins so. False: there is none. */
bool vb_loaded_find(const char *name, char *path, size_t room);

/* The stretch of code that holds the address, and its file's path. */
struct vb_loaded_code {
    uint64_t from, to, offset;
    char path[1024];
};
bool vb_loaded_code_at(uint64_t address, struct vb_loaded_code *out);

#endif
