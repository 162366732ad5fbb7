/* SPDX-License-Identifier: Apache-2.0 */
/* gnuplot's SVG is read tag by tag. What charts of ours are made of is few elements; whatever else
 * there is came from a text that gnuplot did not escape, and the chart is left out. */
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "report/page_chart.h"

enum { MAX_NAME = 24 };

static const char *const elements[] = {
    "svg",    "g",       "defs",        "rect",    "circle",   "path", "use",
    "filter", "feFlood", "feComposite", "polygon", "polyline", "text", "tspan",
};

/* The end of the tag at `tag`, behind its '>'; NULL: it has none. */
static const char *end_of(const char *tag)
{
    char quote = '\0';
    for (; *tag != '\0'; tag++) {
        if (quote != '\0')
            quote = *tag == quote ? '\0' : quote;
        else if (*tag == '"' || *tag == '\'')
            quote = *tag;
        else if (*tag == '>')
            return tag + 1;
    }
    return NULL;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* No script, nothing from elsewhere. */
static bool is_harmless(const char *tag, const char *end)
{
    const char *name = tag[1] == '/' ? tag + 2 : tag + 1;
    const size_t length = strcspn(name, " \t\n/>");
    bool is_known = false;
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++)
        is_known =
            is_known || (strlen(elements[i]) == length && strncmp(elements[i], name, length) == 0);
    for (const char *at = name; at < end && is_known; at++) {
        const bool begins_attribute = strchr(" \t\n'\"", at[-1]) != NULL;
        const char *href = begins(at, "href=") ? at + strlen("href=") : NULL;
        is_known = !(begins_attribute && strncasecmp(at, "on", 2) == 0) &&
                   !(begins_attribute && strncasecmp(at, "style", 5) == 0) &&
                   (href == NULL || href[1] == '#') &&
                   !(begins(at, "url(") && !begins(at, "url(#"));
    }
    return is_known;
}

/* The tag, its names and references begun with `prefix`. */
static void append_tag(const char *tag, const char *end, const char *prefix, struct vb_text *out)
{
    static const char *const names[] = { " id='",   " id=\"",   "\tid='", "\tid=\"",
                                         "href='#", "href=\"#", "url(#" };
    while (tag < end) {
        size_t taken = 1 + strcspn(tag + 1, " \thu"); /* with which names begin */
        bool is_name = false;
        for (size_t i = 0; i < sizeof names / sizeof *names && !is_name; i++) {
            is_name = begins(tag, names[i]);
            taken = is_name ? strlen(names[i]) : taken;
        }
        taken = taken < (size_t)(end - tag) ? taken : (size_t)(end - tag);
        vb_text_append(out, "%.*s%s", (int)taken, tag, is_name ? prefix : "");
        tag += taken;
    }
}

/* Behind the element at `at` if it is one that only says what drew the chart. */
static const char *pass_over(const char *at)
{
    const char *end = NULL;
    if (begins(at, "<title>"))
        end = strstr(at, "</title>");
    else if (begins(at, "<desc>"))
        end = strstr(at, "</desc>");
    return end != NULL ? strchr(end, '>') + 1 : at;
}

char *vb_page_svg(const char *svg, const char *prefix, struct vb_arena *arena)
{
    struct vb_text out = { 0 };
    const char *at = strstr(svg, "<svg"), *box = NULL;
    bool is_good = at != NULL && end_of(at) != NULL;
    if (is_good) {
        at = end_of(at);
        box = strstr(svg, "viewBox=\"");
        is_good = box != NULL && box < at;
    }
    if (is_good)
        vb_text_append(&out, "<svg viewBox=\"%.*s\">",
                       (int)strspn(box + strlen("viewBox=\""), "0123456789 ."),
                       box + strlen("viewBox=\""));
    while (is_good && *at != '\0') {
        const size_t text = strcspn(at, "<");
        vb_text_append(&out, "%.*s", (int)text, at);
        at += text;
        const char *behind = pass_over(at), *end = *at == '<' ? end_of(at) : NULL;
        if (*at == '\0' || behind != at) {
            at = behind;
            continue;
        }
        is_good = end != NULL && is_harmless(at, end);
        if (is_good)
            append_tag(at, end, prefix, &out);
        at = is_good ? end : at;
    }
    char *kept = is_good && !out.failed ? vb_arena_copy(arena, vb_text_data(&out)) : NULL;
    vb_text_clear(&out);
    return kept;
}
