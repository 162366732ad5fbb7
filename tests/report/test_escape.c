/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of others in HTML, in JSON within a script element, and in gnuplot's strings. */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <criterion/parameterized.h>

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "report/escape.h"

struct escape_case {
    char label[48];
    char text[48];
    char html[96], json[96], gnuplot[96];
};

#define BAD "\xef\xbf\xbd"

ParameterizedTestParameters(escape, writes)
{
    static struct escape_case cases[] = {
        { "nothing is nothing", "", "", "\"\"", "''" },
        { "letters stay", "yolov5s", "yolov5s", "\"yolov5s\"", "'yolov5s'" },
        { "a script does not end", "</script>", "&lt;/script&gt;", "\"\\u003c/script\\u003e\"",
          "'</script>'" },
        { "quotes of both kinds", "\"a'b", "&quot;a&#39;b", "\"\\\"a'b\"", "'\"a''b'" },
        { "an entity is its letters", "&lt;", "&amp;lt;", "\"\\u0026lt;\"", "'\\&lt;'" },
        { "a backslash", "a\\n", "a\\n", "\"a\\\\n\"", "'a\\\\n'" },
        { "lines and tabs", "a\nb\tc", "a\nb\tc", "\"a\\nb\\tc\"", "'a b c'" },
        { "controls are seen",
          "a\x01\x7f"
          "b\x1b",
          "a" BAD BAD "b" BAD, "\"a" BAD BAD "b" BAD "\"", "'a" BAD BAD "b" BAD "'" },
        { "a control of two bytes", "a\xc2\x85", "a" BAD, "\"a" BAD "\"", "'a" BAD "'" },
        { "no text is turned around",
          "a\xe2\x80\xae"
          "b",
          "a" BAD "b", "\"a" BAD "b\"", "'a" BAD "b'" },
        { "JavaScript's line ends",
          "a\xe2\x80\xa8"
          "b",
          "a\xe2\x80\xa8"
          "b",
          "\"a\\u2028b\"",
          "'a\xe2\x80\xa8"
          "b'" },
        { "other scripts stay", "\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80",
          "\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80", "\"\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80\"",
          "'\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80'" },
        { "what was replaced before stays", BAD, BAD, "\"" BAD "\"", "'" BAD "'" },
        { "a byte that begins nothing",
          "a\xff"
          "b",
          "a" BAD "b", "\"a" BAD "b\"", "'a" BAD "b'" },
        { "a character that is cut", "a\xe4\xb8", "a" BAD BAD, "\"a" BAD BAD "\"",
          "'a" BAD BAD "'" },
        { "a slash in two bytes", "\xc0\xaf", BAD BAD, "\"" BAD BAD "\"", "'" BAD BAD "'" },
        { "half a pair", "\xed\xa0\x80", BAD BAD BAD, "\"" BAD BAD BAD "\"", "'" BAD BAD BAD "'" },
        { "commands and markup", "`x`{a_b}^@~", "`x`{a_b}^@~", "\"`x`{a_b}^@~\"",
          "'`x`\\{a\\_b\\}\\^\\@\\~'" },
    };
    return cr_make_param_array(struct escape_case, cases, sizeof cases / sizeof *cases);
}

ParameterizedTest(struct escape_case *c, escape, writes)
{
    struct vb_text html = { 0 }, json = { 0 }, gnuplot = { 0 };
    vb_escape_html(&html, c->text);
    vb_escape_json(&json, c->text);
    vb_escape_gnuplot(&gnuplot, c->text);
    cr_expect(strcmp(vb_text_data(&html), c->html) == 0, "%s: %s", c->label, vb_text_data(&html));
    cr_expect(strcmp(vb_text_data(&json), c->json) == 0, "%s: %s", c->label, vb_text_data(&json));
    cr_expect(strcmp(vb_text_data(&gnuplot), c->gnuplot) == 0, "%s: %s", c->label,
              vb_text_data(&gnuplot));
    vb_text_clear(&html);
    vb_text_clear(&json);
    vb_text_clear(&gnuplot);
}

/* Whatever the bytes: another reader of JSON takes it, and nothing is left that ends a script. */
Test(escape, any_bytes_are_json)
{
    uint32_t seed = 1;
    for (int i = 0; i < 20000; i++) {
        char text[24] = { 0 };
        json_error_t fault;
        struct vb_text json = { 0 };
        for (size_t k = 0; k < sizeof text - 1; k++) {
            seed = seed * 1664525u + 1013904223u;
            text[k] = (char)(seed >> 24);
        }
        vb_escape_json(&json, text);
        json_t *value = json_loads(vb_text_data(&json), JSON_DECODE_ANY, &fault);
        const bool is_string = json_is_string(value);
        cr_assert(is_string, "round %d: %s", i, fault.text);
        cr_assert(strpbrk(vb_text_data(&json), "<>&") == NULL);
        json_decref(value);
        vb_text_clear(&json);
    }
}

/* A good text comes back as it was. */
Test(escape, json_loses_nothing)
{
    const char *text = "</script> \"quoted\" \\ & ' \xc3\xa9 \xe2\x80\xa9 {{data}}\n\t";
    struct vb_text json = { 0 };
    vb_escape_json(&json, text);
    json_t *value = json_loads(vb_text_data(&json), JSON_DECODE_ANY, NULL);
    cr_assert(strcmp(json_string_value(value), text) == 0);
    json_decref(value);
    vb_text_clear(&json);
}
