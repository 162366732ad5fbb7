/* SPDX-License-Identifier: Apache-2.0 */
/* The stack that a pickle's opcodes work on, its marks and its memo; and containers, which keep
 * what was asked for. Nothing here recurses: what holds itself is only a value that occurs twice.
 */

#include <inttypes.h>
#include <string.h>

#include "base/pickle_reader.h"

/* What the opcodes up to the last mark have left is not theirs who come after it. */
static size_t floor_of(const struct vb_pickle_reader *reader)
{
    return reader->n_marks > 0 ? reader->marks[reader->n_marks - 1] : 0;
}

enum vb_status vb_pickle_push(struct vb_pickle_reader *reader, struct vb_pickle_value value)
{
    void *stack = reader->stack;
    enum vb_status status = vb_pickle_grow(reader, &reader->scratch, &stack, reader->n_stack,
                                           &reader->stack_room, sizeof value);
    if (status != VB_OK)
        return status;
    reader->stack = stack;
    reader->stack[reader->n_stack++] = value;
    return VB_OK;
}

enum vb_status vb_pickle_mark(struct vb_pickle_reader *reader)
{
    void *marks = reader->marks;
    if (reader->n_marks == reader->limits.depth)
        return vb_pickle_bad(reader, "deeper than the %" PRIu64 " levels that are read",
                             reader->limits.depth);
    enum vb_status status = vb_pickle_grow(reader, &reader->scratch, &marks, reader->n_marks,
                                           &reader->marks_room, sizeof *reader->marks);
    if (status != VB_OK)
        return status;
    reader->marks = marks;
    reader->marks[reader->n_marks++] = reader->n_stack;
    return VB_OK;
}

enum vb_status vb_pickle_pop_mark(struct vb_pickle_reader *reader, struct vb_pickle_value **out,
                                  size_t *n)
{
    if (reader->n_marks == 0)
        return vb_pickle_bad(reader, "opcode 0x%02x needs a mark, and there is none",
                             reader->opcode);
    size_t from = reader->marks[--reader->n_marks];
    *out = reader->stack == NULL ? NULL : &reader->stack[from];
    *n = reader->n_stack - from;
    reader->n_stack = from;
    return VB_OK;
}

enum vb_status vb_pickle_pop(struct vb_pickle_reader *reader, size_t n,
                             struct vb_pickle_value **out)
{
    size_t has = reader->n_stack - floor_of(reader);
    if (has < n)
        return vb_pickle_bad(reader, "opcode 0x%02x takes %zu values, there are %zu",
                             reader->opcode, n, has);
    reader->n_stack -= n;
    *out = &reader->stack[reader->n_stack];
    return VB_OK;
}

enum vb_status vb_pickle_top(struct vb_pickle_reader *reader, enum vb_pickle_kind kind,
                             struct vb_pickle_value **out)
{
    if (reader->n_stack == floor_of(reader))
        return vb_pickle_bad(reader, "opcode 0x%02x takes 1 value, there are 0", reader->opcode);
    *out = &reader->stack[reader->n_stack - 1];
    enum vb_pickle_kind found = (enum vb_pickle_kind)(*out)->kind;
    if (kind != VB_PICKLE_ABSENT && found != kind)
        return vb_pickle_bad(reader, "opcode 0x%02x is for %s, not for %s", reader->opcode,
                             vb_pickle_kind_name(kind), vb_pickle_kind_name(found));
    return VB_OK;
}

/* Python numbers what it puts from 0 on: a number beyond the bytes read so far is none of its. */
enum vb_status vb_pickle_put(struct vb_pickle_reader *reader, uint64_t index)
{
    struct vb_pickle_value *top;
    enum vb_status status = vb_pickle_top(reader, VB_PICKLE_ABSENT, &top);
    if (status != VB_OK)
        return status;
    if (index >= reader->position)
        return vb_pickle_bad(reader, "memo %" PRIu64 " after %" PRIu64 " bytes", index,
                             reader->position);
    void *memo = reader->memo;
    while (reader->n_memo <= index) {
        status = vb_pickle_grow(reader, &reader->scratch, &memo, reader->n_memo, &reader->memo_room,
                                sizeof *top);
        if (status != VB_OK)
            return status;
        reader->memo = memo;
        reader->memo[reader->n_memo++].kind = VB_PICKLE_ABSENT;
    }
    reader->n_memoized += reader->memo[index].kind == VB_PICKLE_ABSENT;
    reader->memo[index] = *top;
    return VB_OK;
}

enum vb_status vb_pickle_push_memo(struct vb_pickle_reader *reader, uint64_t index)
{
    if (index >= reader->n_memo || reader->memo[index].kind == VB_PICKLE_ABSENT)
        return vb_pickle_bad(reader, "memo %" PRIu64 " is asked for, and was never put", index);
    struct vb_pickle_value value = reader->memo[index];
    value.at = reader->at & 0xffffffffffff;
    return vb_pickle_push(reader, value);
}

enum vb_status vb_pickle_push_node(struct vb_pickle_reader *reader, enum vb_pickle_kind kind)
{
    struct vb_pickle_value value = { .at = reader->at & 0xffffffffffff, .kind = kind & 0xff };
    void *node = NULL;
    enum vb_status status = vb_pickle_keep(reader, 1, sizeof *value.node, &node);
    if (status != VB_OK)
        return status;
    value.node = node;
    return vb_pickle_push(reader, value);
}

enum vb_status vb_pickle_push_tuple(struct vb_pickle_reader *reader,
                                    const struct vb_pickle_value *items, size_t n)
{
    void *copy = NULL;
    enum vb_status status = VB_OK;
    if (n > UINT32_MAX)
        return vb_pickle_bad(reader, "a tuple of %zu elements", n);
    if (n > 0)
        status = vb_pickle_keep(reader, n, sizeof *items, &copy);
    if (status == VB_OK && n > 0)
        memcpy(copy, items, n * sizeof *items);
    if (status == VB_OK)
        status = vb_pickle_push_node(reader, VB_PICKLE_TUPLE);
    if (status != VB_OK)
        return status;
    struct vb_pickle_node *node = reader->stack[reader->n_stack - 1].node;
    node->items = copy;
    node->n = node->room = (uint32_t)n;
    return VB_OK;
}

/* Whether anything of a list's element is worth keeping: a dict is where it has words. */
static bool is_kept(const struct vb_pickle_value *value)
{
    return value->kind == VB_PICKLE_LIST || value->kind == VB_PICKLE_TUPLE ||
           (value->kind == VB_PICKLE_DICT && value->node->n > 0);
}

enum vb_status vb_pickle_append(struct vb_pickle_reader *reader, struct vb_pickle_node *list,
                                const struct vb_pickle_value *items, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        void *kept = list->items;
        size_t room = list->room;
        if (!is_kept(&items[i])) {
            list->n_forgotten++;
            continue;
        }
        if (list->n == UINT32_MAX / 2)
            return vb_pickle_bad(reader, "a list of more than %" PRIu32 " elements", list->n);
        enum vb_status status =
            vb_pickle_grow(reader, reader->arena, &kept, list->n, &room, sizeof *items);
        if (status != VB_OK)
            return status;
        list->items = kept;
        list->room = (uint32_t)room;
        list->items[list->n++] = items[i];
    }
    return VB_OK;
}

static enum vb_status add_entry(struct vb_pickle_reader *reader, struct vb_pickle_node *dict,
                                const struct vb_pickle_value *key,
                                const struct vb_pickle_value *value)
{
    for (uint32_t i = 0; i < dict->n; i++) {
        if (dict->items[i].key == key->word)
            return vb_pickle_bad(reader, "a dict has '%s' twice", reader->words[key->word]);
    }
    dict->items[dict->n] = *value;
    dict->items[dict->n++].key = key->word & 0xff;
    return VB_OK;
}

/* Room for what comes, exactly: most dicts are filled once. */
static enum vb_status make_room(struct vb_pickle_reader *reader, struct vb_pickle_node *dict,
                                size_t n)
{
    void *items = NULL;
    if (dict->n + n <= dict->room)
        return VB_OK;
    enum vb_status status = vb_pickle_keep(reader, dict->n + n, sizeof *dict->items, &items);
    if (status != VB_OK)
        return status;
    if (dict->n > 0)
        memcpy(items, dict->items, dict->n * sizeof *dict->items);
    dict->items = items;
    dict->room = (uint32_t)(dict->n + n);
    return VB_OK;
}

enum vb_status vb_pickle_set(struct vb_pickle_reader *reader, struct vb_pickle_node *dict,
                             const struct vb_pickle_value *items, size_t n)
{
    size_t n_words = 0;
    if (n % 2 != 0)
        return vb_pickle_bad(reader, "a dict is given a key without a value");
    for (size_t i = 0; i < n; i += 2) {
        if (items[i].kind == VB_PICKLE_LIST || items[i].kind == VB_PICKLE_DICT)
            return vb_pickle_bad(reader, "%s cannot be a key of a dict",
                                 vb_pickle_kind_name((enum vb_pickle_kind)items[i].kind));
        n_words += items[i].kind == VB_PICKLE_WORD;
    }
    if (n_words > reader->n_words)
        return vb_pickle_bad(reader, "a dict has a key twice");
    enum vb_status status = make_room(reader, dict, n_words);
    for (size_t i = 0; i < n && status == VB_OK; i += 2) {
        if (items[i].kind == VB_PICKLE_WORD)
            status = add_entry(reader, dict, &items[i], &items[i + 1]);
    }
    return status;
}
