/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WORD = 64 };

static bool make_room(struct vb_text *text, size_t more)
{
    if (text->room - text->length > more)
        return true;

    size_t room = (text->length + more + 1) * 2;
    char *data = realloc(text->data, room);
    if (data == NULL) {
        text->failed = true;
        return false;
    }
    text->data = data;
    text->room = room;
    return true;
}

void vb_text_append(struct vb_text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (text->failed || length < 0 || !make_room(text, (size_t)length))
        return;

    va_start(arguments, format);
    (void)vsnprintf(text->data + text->length, (size_t)length + 1, format, arguments);
    va_end(arguments);
    text->length += (size_t)length;
}

void vb_text_clear(struct vb_text *text)
{
    free(text->data);
    *text = (struct vb_text){ 0 };
}

const char *vb_text_data(const struct vb_text *text)
{
    return text->data != NULL ? text->data : "";
}

static size_t least(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Levenshtein's distance, one row at a time. */
static size_t distance(const char *a, const char *b)
{
    size_t n_b = strlen(b);
    size_t row[MAX_WORD + 1];
    for (size_t j = 0; j <= n_b; j++)
        row[j] = j;

    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < n_b; j++) {
            size_t cost = tolower((unsigned char)a[i]) != tolower((unsigned char)b[j]);
            size_t next = least(row[j] + 1, row[j + 1] + 1, diagonal + cost);
            diagonal = row[j + 1];
            row[j + 1] = next;
        }
    }
    return row[n_b];
}

const char *vb_text_nearest(const char *word, const char *const *list, size_t n_list)
{
    size_t length = strlen(word);
    if (length > MAX_WORD)
        return NULL;

    const char *nearest = NULL;
    size_t limit = length / 3 > 2 ? length / 3 : 2;
    for (size_t i = 0; i < n_list; i++) {
        if (strlen(list[i]) > MAX_WORD)
            continue;
        size_t far = distance(word, list[i]);
        if (far <= limit && far < strlen(list[i])) {
            nearest = list[i];
            limit = far > 0 ? far - 1 : 0;
        }
        if (far == 0)
            break;
    }
    return nearest;
}

char *vb_text_trim(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t length = strlen(text);
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        length--;
    text[length] = '\0';
    return text;
}
