/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include "base/bytes.h"
#include "base/text.h"

struct size_case {
    char label[40], text[24];
    uint64_t bytes; /* 0: refused */
};

ParameterizedTestParameters(bytes, are_read_with_their_unit)
{
    static struct size_case cases[] = {
        { "binary", "24GiB", 25769803776 },
        { "decimal", "24GB", 24000000000 },
        { "a fraction", "22.5 GiB", 24159191040 },
        { "case does not count", "512mib", 536870912 },
        { "bytes", "512 B", 512 },
        { "a bare number", "24", 0 },
        { "another unit", "24 parsecs", 0 },
        { "negative", "-1GiB", 0 },
        { "no number", "GiB", 0 },
        { "hexadecimal", "0x10GiB", 0 },
        { "infinite", "infGiB", 0 },
        { "beyond 64 bits", "99999999999TiB", 0 },
    };
    return cr_make_param_array(struct size_case, cases, sizeof cases / sizeof *cases);
}

ParameterizedTest(struct size_case *c, bytes, are_read_with_their_unit)
{
    struct vb_error err = { 0 };
    uint64_t bytes = 0;
    enum vb_status status = vb_bytes_parse(c->text, &bytes, &err);
    cr_expect_eq(status, c->bytes > 0 ? VB_OK : VB_E_INPUT, "%s: %s", c->label, err.text);
    cr_expect_eq(bytes, c->bytes, "%s", c->label);
}

Test(bytes, arithmetic_notices_when_it_overflows)
{
    uint64_t out;
    cr_expect(vb_mul(UINT64_C(1) << 32, (UINT64_C(1) << 32) - 1, &out));
    cr_expect(!vb_mul(UINT64_C(1) << 32, UINT64_C(1) << 32, &out));
    cr_expect(vb_add(UINT64_MAX - 1, 1, &out));
    cr_expect(!vb_add(UINT64_MAX, 1, &out));
    cr_expect_eq(vb_round_up(513, 512), 1024);
    cr_expect_eq(vb_round_up(512, 512), 512);
    cr_expect_eq(vb_round_up(UINT64_MAX, 512), UINT64_MAX);
}

Test(text, suggests_what_is_near_and_nothing_else)
{
    static const char *const list[] = { "batch", "imgsz", "precision" };
    cr_expect_str_eq(vb_text_nearest("bach", list, 3), "batch");
    cr_expect_str_eq(vb_text_nearest("precison", list, 3), "precision");
    cr_expect_null(vb_text_nearest("weather", list, 3));
}
