/* SPDX-License-Identifier: Apache-2.0 */
#include "report/fold.h"

#include <stdlib.h>
#include <string.h>

static struct vb_row_key key_of(const void *row)
{
    struct vb_row_key key;
    memcpy(&key, row, sizeof key);
    return key;
}

/* 0: of one point. */
static int by_point(const void *a, const void *b)
{
    const struct vb_row_key x = key_of(a), y = key_of(b);
    if (x.kind != y.kind)
        return x.kind < y.kind ? -1 : 1;
    if (x.imgsz != y.imgsz)
        return x.imgsz < y.imgsz ? -1 : 1;
    return (x.batch > y.batch) - (x.batch < y.batch);
}

static int by_point_and_age(const void *a, const void *b)
{
    const struct vb_row_key x = key_of(a), y = key_of(b);
    const int order = by_point(a, b);
    return order != 0 ? order : (x.number > y.number) - (x.number < y.number);
}

size_t vb_fold_rows(void *rows, size_t n, size_t bytes)
{
    char *at = rows;
    size_t kept = 0;
    if (n > 0)
        qsort(rows, n, bytes, by_point_and_age);
    for (size_t i = 0; i < n; i++) {
        if (kept == 0 || by_point(at + (kept - 1) * bytes, at + i * bytes) != 0)
            kept++;
        memmove(at + (kept - 1) * bytes, at + i * bytes, bytes);
    }
    return kept;
}
