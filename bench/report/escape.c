/* SPDX-License-Identifier: Apache-2.0 */
#include "report/escape.h"

#include <stdint.h>
#include <string.h>

enum { REPLACEMENT = 0xfffd, MOST = 0x10ffff };

/* The character at `*at`, which is moved behind it; what is no UTF-8 is replaced byte by byte.
 * Source: The Unicode Standard, table 3-7. */
static uint32_t next_character(const unsigned char **at)
{
    const unsigned char *text = *at;
    const uint32_t first = text[0];
    const int more = first < 0x80 ? 0 : first < 0xc2 ? -1 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
    uint32_t value = more > 0 ? first & (0x3fu >> more) : first;
    *at = text + 1;
    if (more < 0 || first > 0xf4)
        return REPLACEMENT;
    for (int i = 1; i <= more; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return REPLACEMENT;
        value = value << 6 | (text[i] & 0x3fu);
    }
    if (value < least[more] || value > MOST || (value >= 0xd800 && value <= 0xdfff))
        return REPLACEMENT;
    *at = text + 1 + more;
    return value;
}

static bool is_turning(uint32_t character)
{
    return (character >= 0x202a && character <= 0x202e) ||
           (character >= 0x2066 && character <= 0x2069) || character == 0x200e ||
           character == 0x200f || character == 0x061c;
}

static uint32_t shown(uint32_t character)
{
    const bool is_control = character < 0x20 || (character >= 0x7f && character < 0xa0);
    const bool is_blank = character == '\t' || character == '\n';
    return (is_control && !is_blank) || is_turning(character) ? REPLACEMENT : character;
}

/* How each language writes a character that it would take for its own; NULL: as it is. */
typedef const char *write_special(uint32_t character);

static void append(struct vb_text *out, const char *text, write_special *special)
{
    const unsigned char *at = (const unsigned char *)text;
    while (*at != '\0') {
        const unsigned char *begin = at, *end = at;
        const char *instead = NULL;
        /* As many as stay what they are go at once. */
        while (*at != '\0' && instead == NULL) {
            const uint32_t character = next_character(&at), as = shown(character);
            const bool is_replaced = as == REPLACEMENT && (at - end != 3 || character != as);
            instead = is_replaced ? "\xef\xbf\xbd" : special(as);
            end = instead == NULL ? at : end;
        }
        vb_text_append(out, "%.*s%s", (int)(end - begin), (const char *)begin,
                       instead != NULL ? instead : "");
    }
}

static const char *special_html(uint32_t character)
{
    switch (character) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

void vb_escape_html(struct vb_text *out, const char *text)
{
    append(out, text, special_html);
}

static const char *special_json(uint32_t character)
{
    switch (character) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\t':
        return "\\t";
    case '<':
        return "\\u003c";
    case '>':
        return "\\u003e";
    case '&':
        return "\\u0026";
    case 0x2028:
        return "\\u2028";
    case 0x2029:
        return "\\u2029";
    default:
        return NULL;
    }
}

void vb_escape_json(struct vb_text *out, const char *text)
{
    vb_text_append(out, "\"");
    append(out, text, special_json);
    vb_text_append(out, "\"");
}

/* In single quotes a quote is two; what marks up "enhanced" texts stands behind a backslash. */
static const char *special_gnuplot(uint32_t character)
{
    switch (character) {
    case '\'':
        return "''";
    case '\n':
    case '\t':
        return " ";
    case '\\':
        return "\\\\";
    case '{':
        return "\\{";
    case '}':
        return "\\}";
    case '@':
        return "\\@";
    case '^':
        return "\\^";
    case '_':
        return "\\_";
    case '&':
        return "\\&";
    case '~':
        return "\\~";
    default:
        return NULL;
    }
}

void vb_escape_gnuplot(struct vb_text *out, const char *text)
{
    vb_text_append(out, "'");
    append(out, text, special_gnuplot);
    vb_text_append(out, "'");
}
