/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_REPORT_FOLD_H
#define VB_REPORT_FOLD_H

/* Rows of points as tables have them: in order, one a point. */

#include <stddef.h>
#include <stdint.h>

/* What such a row begins with. */
struct vb_row_key {
    uint32_t kind, imgsz, batch;
    uint32_t number; /* as they came */
};
#define VB_BEGINS_WITH_KEY(row)                                                                    \
    _Static_assert(offsetof(row, kind) == offsetof(struct vb_row_key, kind) &&                     \
                       offsetof(row, imgsz) == offsetof(struct vb_row_key, imgsz) &&               \
                       offsetof(row, batch) == offsetof(struct vb_row_key, batch) &&               \
                       offsetof(row, number) == offsetof(struct vb_row_key, number),               \
                   #row " begins with a key")

/* Sorts `n` rows of `bytes` each by kind, image size, batch; of several of one point the last to
 * come stays. Gives how many are left. */
size_t vb_fold_rows(void *rows, size_t n, size_t bytes);

#endif
