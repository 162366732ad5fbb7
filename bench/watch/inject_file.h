/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_WATCH_INJECT_FILE_H
#define VB_WATCH_INJECT_FILE_H

/* The file of this process (watch/format.h). The descriptor is out of the way of those that the
 * program counts on, is not handed to what it executes, and is looked at before each chunk: a
 * program may close what it did not open, and its own file may then have the number. Nothing that
 * goes wrong here reaches the program. One thread at a time. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* False: there is no file, and writing does nothing. */
bool vb_inject_file_open(const char *folder, int pid, uint64_t start_ticks);

/* Adds a chunk of two parts, either of which may be empty. False: it is not there. */
bool vb_inject_file_write(uint32_t kind, const void *first, size_t first_bytes, const void *second,
                          size_t second_bytes);

/* So many records are missing. It goes to where the file begins, for there may be no room for more.
 */
void vb_inject_file_dropped(uint64_t n);

#endif
