/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_BASE_FILE_H
#define VB_BASE_FILE_H

/* Whole files: read at once, written by rename so that a reader sees the old one or the new one. */

#include <stddef.h>
#include <stdio.h>

#include "base/error.h"

/* Reads all of the file into memory of the caller's, to be given to free(). A 0 byte follows the
 * last. VB_E_INPUT: it cannot be opened or read, or is larger than `limit_bytes`; the text names
 * it. */
VB_CHECKED enum vb_status vb_file_read(const char *path, size_t limit_bytes, char **data,
                                       size_t *bytes, struct vb_error *err);

/* The same of what is left of a file that is open, which stays open. `path` names it in errors. */
VB_CHECKED enum vb_status vb_file_read_open(const char *path, FILE *file, size_t limit_bytes,
                                            char **data, size_t *bytes, struct vb_error *err);

/* Writes to a new file beside `path`, flushes it to the disk and renames it over `path`.
 * VB_E_SYSTEM: the folder cannot be written, or the disk is full; what was there is untouched. */
VB_CHECKED enum vb_status vb_file_write(const char *path, const void *data, size_t bytes,
                                        struct vb_error *err);

/* Makes the folder and those above it. VB_E_SYSTEM: one cannot be made. */
VB_CHECKED enum vb_status vb_file_make_folder(const char *path, struct vb_error *err);

/* Finds a file that ships with the project, as "sweeps/gpus/t4.json": under VRAMBENCH_HOME if that
 * is set, else under the tree that this was built from. Writes its path, cut to `room`; does not
 * look whether it is there. */
void vb_file_shipped(const char *relative, char *path, size_t room);

#endif
