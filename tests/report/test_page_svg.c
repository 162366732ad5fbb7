/* SPDX-License-Identifier: Apache-2.0 */
/* What of an SVG goes into a page, and what leaves a chart out. */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <criterion/parameterized.h>

#include <stdio.h>
#include <string.h>

#include "report/page_chart.h"

struct svg_case {
    char label[48];
    char body[160];
    char expected[160]; /* "": the chart is left out */
};

ParameterizedTestParameters(page_svg, takes)
{
    static struct svg_case cases[] = {
        { "names are the chart's own", "<g id=\"a\"><path id='b'/></g>",
          "<g id=\"x-a\"><path id='x-b'/></g>" },
        { "and so are references", "<use xlink:href='#b'/><rect fill='url(#c)'/>",
          "<use xlink:href='#x-b'/><rect fill='url(#x-c)'/>" },
        { "what drew it is not told", "<title>Gnuplot</title><desc>5.4 </desc><g/>", "<g/>" },
        { "texts stay", "<text>a &lt;b&gt; id='b' on=1</text>",
          "<text>a &lt;b&gt; id='b' on=1</text>" },
        { "a script", "<script>x</script>", "" },
        { "an element in a text", "<text><a href='#b'>x</a></text>", "" },
        { "what an event runs", "<g onload='x'/>", "" },
        { "in capitals", "<g ONLOAD='x'/>", "" },
        { "right behind another value", "<g id='a'onload='x'/>", "" },
        { "a reference to elsewhere", "<use xlink:href='http://x/#b'/>", "" },
        { "a style", "<g style='x'/>", "" },
        { "a colour from elsewhere", "<rect fill='url(http://x)'/>", "" },
        { "a tag that does not end", "<g id='a", "" },
        { "a '>' within quotes", "<g id='>'/>", "<g id='x->'/>" },
        { "a comment", "<!-- x -->", "" },
    };
    return cr_make_param_array(struct svg_case, cases, sizeof cases / sizeof *cases);
}

ParameterizedTest(struct svg_case *c, page_svg, takes)
{
    struct vb_arena arena = { 0 };
    char svg[512], expected[512];
    (void)snprintf(
        svg, sizeof svg,
        "<?xml version=\"1.0\"?>\n<svg \n width=\"960\" viewBox=\"0 0 960 600\"\n>%s</svg>",
        c->body);
    (void)snprintf(expected, sizeof expected, "<svg viewBox=\"0 0 960 600\">%s</svg>", c->expected);
    const char *got = vb_page_svg(svg, "x-", &arena);
    if (c->expected[0] == '\0')
        cr_expect(got == NULL, "%s: %s", c->label, got);
    else
        cr_expect(got != NULL && strcmp(got, expected) == 0, "%s: %s", c->label, got);
    vb_arena_clear(&arena);
}

Test(page_svg, what_is_none_is_left_out)
{
    struct vb_arena arena = { 0 };
    cr_expect(vb_page_svg("", "x-", &arena) == NULL);
    cr_expect(vb_page_svg("<svg", "x-", &arena) == NULL);
    cr_expect(vb_page_svg("<svg width='1'></svg>", "x-", &arena) == NULL);
    vb_arena_clear(&arena);
}
