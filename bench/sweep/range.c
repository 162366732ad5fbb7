/* SPDX-License-Identifier: Apache-2.0 */
#include "sweep/range.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

struct list {
    struct vb_arena *arena;
    struct vb_values *out;
    size_t room;
    struct vb_error *err;
};

static enum vb_status add(struct list *list, const char *text)
{
    if (list->out->n == VB_MAX_RANGE)
        return vb_fail(list->err, VB_E_INPUT, "more than %d values", VB_MAX_RANGE);
    const char **items = vb_arena_grow(list->arena, list->out->items, list->out->n, &list->room,
                                       sizeof(const char *));
    const char *copy = vb_arena_copy(list->arena, text);
    if (items == NULL || copy == NULL)
        return vb_fail(list->err, VB_E_SYSTEM, "no host memory left for a list of values");
    list->out->items = items;
    items[list->out->n++] = copy;
    return VB_OK;
}

static enum vb_status add_number(struct list *list, uint64_t value)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    return add(list, text);
}

/* A whole number of at most nine digits at *text, which is moved behind it. */
static bool read_number(const char **text, uint64_t *out)
{
    size_t digits = strspn(*text, "0123456789");
    if (digits == 0 || digits > 9)
        return false;
    *out = strtoull(*text, NULL, 10);
    *text += digits;
    return true;
}

static enum vb_status add_linear(struct list *list, const char *item, uint64_t start,
                                 const char *rest)
{
    uint64_t stop = 0, step = 1;
    bool is_good = read_number(&rest, &stop);
    if (is_good && *rest == ':') {
        rest++;
        is_good = read_number(&rest, &step);
    }
    if (!is_good || *rest != '\0')
        return vb_fail(list->err, VB_E_INPUT,
                       "'%s' is no range; write start:stop:step, as 320:1280:160", item);
    if (step == 0)
        return vb_fail(list->err, VB_E_INPUT, "'%s' has a step of 0; write one of at least 1",
                       item);
    if (stop < start)
        return vb_fail(list->err, VB_E_INPUT, "'%s' runs backwards; write the smaller end first",
                       item);
    enum vb_status status = VB_OK;
    for (uint64_t value = start; status == VB_OK && value <= stop; value += step)
        status = add_number(list, value);
    return status;
}

static enum vb_status add_geometric(struct list *list, const char *item, uint64_t start,
                                    const char *rest)
{
    uint64_t stop = 0, factor = 0;
    bool is_good = read_number(&rest, &stop) && *rest++ == '*' && read_number(&rest, &factor);
    if (!is_good || *rest != '\0')
        return vb_fail(list->err, VB_E_INPUT,
                       "'%s' is no range; write first-last*factor, as 1-64*2", item);
    if (factor < 2 || start == 0)
        return vb_fail(list->err, VB_E_INPUT,
                       "'%s' never ends; start at 1 or more, multiply by 2 or more", item);
    if (stop < start)
        return vb_fail(list->err, VB_E_INPUT, "'%s' runs backwards; write the smaller end first",
                       item);
    enum vb_status status = VB_OK;
    for (uint64_t value = start; status == VB_OK && value <= stop; value *= factor)
        status = add_number(list, value);
    return status;
}

static enum vb_status add_item(struct list *list, const char *item, bool is_number)
{
    const char *rest = item;
    uint64_t start = 0;
    if (!is_number || !read_number(&rest, &start))
        return add(list, item);
    if (*rest == ':')
        return add_linear(list, item, start, rest + 1);
    if (*rest == '-')
        return add_geometric(list, item, start, rest + 1);
    return add(list, item);
}

enum vb_status vb_range_parse(const char *text, bool is_number, struct vb_arena *arena,
                              struct vb_values *out, struct vb_error *err)
{
    struct list list = { .arena = arena, .out = out, .err = err };
    *out = (struct vb_values){ 0 };
    char *copy = vb_arena_copy(arena, text);
    if (copy == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for a list of values");
    for (char *item = strsep(&copy, ","); item != NULL; item = strsep(&copy, ",")) {
        item = vb_text_trim(item);
        if (item[0] == '\0')
            return vb_fail(err, VB_E_INPUT,
                           "a value is missing; give at least one, with commas between");
        enum vb_status status = add_item(&list, item, is_number);
        if (status != VB_OK)
            return status;
    }
    return VB_OK;
}
