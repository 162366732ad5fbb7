/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_FIT_PUBLISHED_PROFILE_H
#define VB_FIT_PUBLISHED_PROFILE_H

/* AutoBatch's printed tables: what autobatch.csv leaves out, which autobatch_tables.csv beside it
 * has, and what is taken for what neither tells. */

#include "fit/published.h"

/* The rows whose table was begun on a device that held much else already get that as their reason;
 * others the version that the table's note names. Cuts `text` in place and borrows it. VB_E_INPUT:
 * no such table, with file and line. */
VB_CHECKED enum vb_status vb_published_read_tables(const char *file, char *text, size_t bytes,
                                                   struct vb_arena *arena,
                                                   struct vb_published_file *rows,
                                                   struct vb_error *err);

/* Fills in a profile's version and PyTorch where they are not told, and says so in its note: of
 * YOLOv5 those of the day in its source, of ultralytics 8.0's. False: no host memory. */
bool vb_published_assume_profile(struct vb_published *row, struct vb_arena *arena);

#endif
