/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>

#include "sweep/range.h"

struct range_case {
    char label[48], text[32], values[96]; /* "" for values: refused */
};

ParameterizedTestParameters(range, is_expanded_or_refused)
{
    static struct range_case cases[] = {
        { "a list keeps its order", "4,1,2", "4 1 2" },
        { "the stop is included where a step hits it", "320:640:160", "320 480 640" },
        { "and left out where none does", "320:639:160", "320 480" },
        { "a step of 1 need not be said", "3:5", "3 4 5" },
        { "geometric, the last included", "1-8*2", "1 2 4 8" },
        { "geometric, the last overshot", "1-7*2", "1 2 4" },
        { "one value is a range", "5:5:1", "5" },
        { "kinds mix with commas", "1, 4:6:2 ,8-16*2", "1 4 6 8 16" },
        { "a step of 0 never ends", "1:4:0", "" },
        { "a factor of 1 never ends", "1-4*1", "" },
        { "backwards", "4:1:1", "" },
        { "geometric backwards", "8-1*2", "" },
        { "a missing value", "1,,2", "" },
        { "nothing", "", "" },
        { "half a range", "1:", "" },
        { "more digits than a value has", "1:9999999999:1", "" },
        { "more than a million", "1:2000000:1", "" },
    };
    return cr_make_param_array(struct range_case, cases, sizeof cases / sizeof *cases);
}

ParameterizedTest(struct range_case *c, range, is_expanded_or_refused)
{
    struct vb_arena arena = { 0 };
    struct vb_values values;
    struct vb_error err = { 0 };
    char text[128] = "";
    enum vb_status status = vb_range_parse(c->text, true, &arena, &values, &err);
    cr_expect_eq(status, c->values[0] != '\0' ? VB_OK : VB_E_INPUT, "%s: %s", c->label, err.text);
    for (size_t i = 0; status == VB_OK && i < values.n && i < 20; i++)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i > 0 ? " " : "",
                       values.items[i]);
    if (status == VB_OK)
        cr_expect_str_eq(text, c->values, "%s", c->label);
    vb_arena_clear(&arena);
}
