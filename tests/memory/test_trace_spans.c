/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "memory/trace_spans.h"

Test(trace_spans, what_overlaps_is_seen)
{
    static const struct {
        const char *label;
        uint64_t address, bytes;
        bool overlaps;
    } cases[] = {
        { "below all", 0, 1000, false },
        { "up to the first", 900, 100, false },
        { "into the first", 900, 101, true },
        { "the first itself", 1000, 500, true },
        { "within it", 1100, 1, true },
        { "its last byte", 1499, 1, true },
        { "right behind it", 1500, 500, false },
        { "into the second", 1500, 501, true },
        { "over both", 0, 10000, true },
        { "above all", 2500, 1000, false },
        { "beyond 64 bits", UINT64_MAX - 1, 2, true },
    };
    struct vb_arena arena = { 0 };
    struct vb_trace_spans spans = { 0 };
    cr_assert(vb_trace_spans_add(&spans, 2000, 500, &arena));
    cr_assert(vb_trace_spans_add(&spans, 1000, 500, &arena));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_eq(vb_trace_spans_overlap(&spans, cases[i].address, cases[i].bytes),
                     cases[i].overlaps, "%s", cases[i].label);
    vb_trace_spans_remove(&spans, 1100); /* none begins there */
    cr_expect_eq(spans.n, 2);
    vb_trace_spans_remove(&spans, 1000);
    cr_expect_not(vb_trace_spans_overlap(&spans, 1000, 500));
    cr_expect(vb_trace_spans_overlap(&spans, 2000, 1));
    vb_arena_clear(&arena);
}
