/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_FIT_CALIBRATION_FILE_H
#define VB_FIT_CALIBRATION_FILE_H

/* Calibrations as a file: JSON with a version, a checksum over the calibrations, and what they come
 * from. Reading and writing; where files lie is not decided here. */

#include "base/text.h"
#include "fit/calibration.h"

struct vb_calibrations {
    char path[256];        /* of the file, as it was given; cut where it does not fit */
    char tool[96];         /* "vrambench 0.1.0 COMMIT" */
    char date[24];         /* "2026-11-28": when it was made first from this journal */
    char journal_hash[17]; /* of the journal's bytes: base/hash.h, in hexadecimal */
    uint64_t n_records;    /* lines of the journal that were read */
    struct vb_calibration *items;
    size_t n;
};

/* Appends the file's text. */
void vb_calibrations_append(const struct vb_calibrations *calibrations, struct vb_text *out);

/* Reads such a text; what it points to is the arena's. VB_E_INPUT: not JSON (as a truncated file is
 * not), no calibration file, of a newer version, a value out of its range, or the checksum is not
 * the calibrations'; the text begins with the path. */
VB_CHECKED enum vb_status vb_calibrations_parse(const char *path, const char *text, size_t bytes,
                                                struct vb_arena *arena, struct vb_calibrations *out,
                                                struct vb_error *err);

#endif
