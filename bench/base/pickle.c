/* SPDX-License-Identifier: Apache-2.0 */
/* One table of opcodes: how long the argument is and what is done. Those that Python calls or looks
 * something up for have no function, so that nothing can be done for them but to refuse. */

#include "base/pickle.h"

#include <inttypes.h>
#include <string.h>

#include "base/pickle_reader.h"

enum { MAX_PROTOCOL = 5, MIN_PROTOCOL = 2 };

const struct vb_pickle_limits vb_pickle_usual_limits = { UINT64_C(4) << 30, 1000 };

struct opcode {
    const char *name;
    size_t bytes; /* of the argument, little-endian */
    enum vb_status (*run)(struct vb_pickle_reader *reader, uint64_t argument); /* NULL: code */
};

static struct vb_pickle_value value_of(const struct vb_pickle_reader *reader,
                                       enum vb_pickle_kind kind, uint64_t number)
{
    return (struct vb_pickle_value){ .at = reader->at & 0xffffffffffff,
                                     .kind = kind & 0xff,
                                     .number = number };
}

static enum vb_status push_int(struct vb_pickle_reader *reader, int64_t number)
{
    return vb_pickle_push(
        reader,
        value_of(reader, number < 0 ? VB_PICKLE_NEGATIVE : VB_PICKLE_NATURAL, (uint64_t)number));
}

static enum vb_status run_protocol(struct vb_pickle_reader *reader, uint64_t protocol)
{
    if (reader->at != 0)
        return vb_pickle_bad(reader, "a second pickle begins within the first");
    if (protocol < MIN_PROTOCOL || protocol > MAX_PROTOCOL)
        return vb_pickle_bad(reader, "protocol %" PRIu64 ", expected %d to %d", protocol,
                             MIN_PROTOCOL, MAX_PROTOCOL);
    return VB_OK;
}

/* Frames only tell how far to read ahead. */
static enum vb_status run_frame(struct vb_pickle_reader *reader, uint64_t bytes)
{
    if (reader->at < reader->frame_end)
        return vb_pickle_bad(reader, "a frame begins within another, which ends at %" PRIu64,
                             reader->frame_end);
    if (__builtin_add_overflow(reader->position, bytes, &reader->frame_end))
        return vb_pickle_bad(reader, "a frame of %" PRIu64 " bytes", bytes);
    return VB_OK;
}

static enum vb_status run_stop(struct vb_pickle_reader *reader, uint64_t argument)
{
    (void)argument;
    if (reader->n_marks > 0 || reader->n_stack != 1)
        return vb_pickle_bad(reader, "ends with %zu values and %zu marks, expected 1 value",
                             reader->n_stack, reader->n_marks);
    if (reader->position < reader->frame_end)
        return vb_pickle_bad(reader, "ends before its frame, which goes on to byte %" PRIu64,
                             reader->frame_end);
    reader->has_stopped = true;
    return VB_OK;
}

static enum vb_status run_mark(struct vb_pickle_reader *reader, uint64_t argument)
{
    (void)argument;
    return vb_pickle_mark(reader);
}

static enum vb_status run_none(struct vb_pickle_reader *reader, uint64_t argument)
{
    return vb_pickle_push(reader, value_of(reader, VB_PICKLE_NONE, argument));
}

static enum vb_status run_bool(struct vb_pickle_reader *reader, uint64_t argument)
{
    (void)argument;
    return vb_pickle_push(reader, value_of(reader, VB_PICKLE_BOOL, reader->opcode == 0x88));
}

static enum vb_status run_int4(struct vb_pickle_reader *reader, uint64_t argument)
{
    return push_int(reader, (int32_t)(uint32_t)argument);
}

static enum vb_status run_natural(struct vb_pickle_reader *reader, uint64_t argument)
{
    return vb_pickle_push(reader, value_of(reader, VB_PICKLE_NATURAL, argument));
}

/* Little-endian two's complement of any length. Nine bytes may still be below 2^64. */
static enum vb_status run_long(struct vb_pickle_reader *reader, uint64_t bytes)
{
    unsigned char text[9] = { 0 };
    uint64_t number = 0;
    if (bytes > sizeof text) {
        enum vb_status status = vb_pickle_skip(reader, bytes);
        return status != VB_OK ? status
                               : vb_pickle_push(reader, value_of(reader, VB_PICKLE_BIG, 0));
    }
    enum vb_status status = vb_pickle_take(reader, (size_t)bytes, text);
    if (status != VB_OK)
        return status;
    bool is_negative = bytes > 0 && text[bytes - 1] >= 0x80;
    for (size_t i = 0; i < 8; i++)
        number |= (uint64_t)(i < bytes ? text[i] : is_negative ? 0xff : 0) << 8 * i;
    bool is_big = bytes == sizeof text &&
                  (is_negative ? text[8] != 0xff || number < (uint64_t)1 << 63 : text[8] != 0);
    enum vb_pickle_kind kind = is_big        ? VB_PICKLE_BIG
                               : is_negative ? VB_PICKLE_NEGATIVE
                                             : VB_PICKLE_NATURAL;
    return vb_pickle_push(reader, value_of(reader, kind, number));
}

/* The only number that is big-endian. */
static enum vb_status run_float(struct vb_pickle_reader *reader, uint64_t argument)
{
    struct vb_pickle_value value = value_of(reader, VB_PICKLE_FLOAT, 0);
    uint64_t bits = __builtin_bswap64(argument);
    memcpy(&value.real, &bits, sizeof value.real);
    return vb_pickle_push(reader, value);
}

static enum vb_status run_str(struct vb_pickle_reader *reader, uint64_t bytes)
{
    char text[VB_PICKLE_MAX_WORD + 1];
    if (bytes > VB_PICKLE_MAX_WORD) {
        enum vb_status status = vb_pickle_skip(reader, bytes);
        return status != VB_OK ? status
                               : vb_pickle_push(reader, value_of(reader, VB_PICKLE_STR, 0));
    }
    enum vb_status status = vb_pickle_take(reader, (size_t)bytes, (unsigned char *)text);
    if (status != VB_OK)
        return status;
    for (size_t i = 0; i < reader->n_words; i++) {
        if (strlen(reader->words[i]) == bytes && memcmp(reader->words[i], text, bytes) == 0)
            return vb_pickle_push(reader, value_of(reader, VB_PICKLE_WORD, i));
    }
    return vb_pickle_push(reader, value_of(reader, VB_PICKLE_STR, 0));
}

static enum vb_status run_bytes(struct vb_pickle_reader *reader, uint64_t bytes)
{
    enum vb_status status = vb_pickle_skip(reader, bytes);
    return status != VB_OK ? status : vb_pickle_push(reader, value_of(reader, VB_PICKLE_BYTES, 0));
}

static enum vb_status run_list(struct vb_pickle_reader *reader, uint64_t argument)
{
    (void)argument;
    return vb_pickle_push_node(reader, VB_PICKLE_LIST);
}

static enum vb_status run_dict(struct vb_pickle_reader *reader, uint64_t argument)
{
    (void)argument;
    return vb_pickle_push_node(reader, VB_PICKLE_DICT);
}

/* EMPTY_TUPLE, TUPLE1 to TUPLE3. */
static enum vb_status run_small_tuple(struct vb_pickle_reader *reader, uint64_t argument)
{
    struct vb_pickle_value *items = NULL;
    size_t n = reader->opcode == ')' ? 0 : (size_t)(reader->opcode - 0x84);
    (void)argument;
    enum vb_status status = n > 0 ? vb_pickle_pop(reader, n, &items) : VB_OK;
    return status != VB_OK ? status : vb_pickle_push_tuple(reader, items, n);
}

static enum vb_status run_tuple(struct vb_pickle_reader *reader, uint64_t argument)
{
    struct vb_pickle_value *items;
    size_t n;
    (void)argument;
    enum vb_status status = vb_pickle_pop_mark(reader, &items, &n);
    return status != VB_OK ? status : vb_pickle_push_tuple(reader, items, n);
}

static enum vb_status run_append(struct vb_pickle_reader *reader, uint64_t argument)
{
    struct vb_pickle_value *items, *list;
    size_t n = 1;
    (void)argument;
    enum vb_status status = reader->opcode == 'a' ? vb_pickle_pop(reader, n, &items)
                                                  : vb_pickle_pop_mark(reader, &items, &n);
    if (status == VB_OK)
        status = vb_pickle_top(reader, VB_PICKLE_LIST, &list);
    return status != VB_OK ? status : vb_pickle_append(reader, list->node, items, n);
}

static enum vb_status run_set(struct vb_pickle_reader *reader, uint64_t argument)
{
    struct vb_pickle_value *items, *dict;
    size_t n = 2;
    (void)argument;
    enum vb_status status = reader->opcode == 's' ? vb_pickle_pop(reader, n, &items)
                                                  : vb_pickle_pop_mark(reader, &items, &n);
    if (status == VB_OK)
        status = vb_pickle_top(reader, VB_PICKLE_DICT, &dict);
    return status != VB_OK ? status : vb_pickle_set(reader, dict->node, items, n);
}

static enum vb_status run_put(struct vb_pickle_reader *reader, uint64_t index)
{
    return vb_pickle_put(reader, index);
}

static enum vb_status run_memoize(struct vb_pickle_reader *reader, uint64_t argument)
{
    (void)argument;
    return vb_pickle_put(reader, reader->n_memoized);
}

static enum vb_status run_get(struct vb_pickle_reader *reader, uint64_t index)
{
    return vb_pickle_push_memo(reader, index);
}

static const struct opcode opcodes[256] = {
    [0x80] = { "PROTO", 1, run_protocol },
    [0x95] = { "FRAME", 8, run_frame },
    ['.'] = { "STOP", 0, run_stop },
    ['('] = { "MARK", 0, run_mark },
    ['N'] = { "NONE", 0, run_none },
    [0x88] = { "NEWTRUE", 0, run_bool },
    [0x89] = { "NEWFALSE", 0, run_bool },
    ['J'] = { "BININT", 4, run_int4 },
    ['K'] = { "BININT1", 1, run_natural },
    ['M'] = { "BININT2", 2, run_natural },
    [0x8a] = { "LONG1", 1, run_long },
    [0x8b] = { "LONG4", 4, run_long },
    ['G'] = { "BINFLOAT", 8, run_float },
    ['U'] = { "SHORT_BINSTRING", 1, run_str },
    ['T'] = { "BINSTRING", 4, run_str },
    [0x8c] = { "SHORT_BINUNICODE", 1, run_str },
    ['X'] = { "BINUNICODE", 4, run_str },
    [0x8d] = { "BINUNICODE8", 8, run_str },
    ['C'] = { "SHORT_BINBYTES", 1, run_bytes },
    ['B'] = { "BINBYTES", 4, run_bytes },
    [0x8e] = { "BINBYTES8", 8, run_bytes },
    [0x96] = { "BYTEARRAY8", 8, run_bytes },
    [']'] = { "EMPTY_LIST", 0, run_list },
    ['a'] = { "APPEND", 0, run_append },
    ['e'] = { "APPENDS", 0, run_append },
    [')'] = { "EMPTY_TUPLE", 0, run_small_tuple },
    [0x85] = { "TUPLE1", 0, run_small_tuple },
    [0x86] = { "TUPLE2", 0, run_small_tuple },
    [0x87] = { "TUPLE3", 0, run_small_tuple },
    ['t'] = { "TUPLE", 0, run_tuple },
    ['}'] = { "EMPTY_DICT", 0, run_dict },
    ['s'] = { "SETITEM", 0, run_set },
    ['u'] = { "SETITEMS", 0, run_set },
    ['q'] = { "BINPUT", 1, run_put },
    ['r'] = { "LONG_BINPUT", 4, run_put },
    [0x94] = { "MEMOIZE", 0, run_memoize },
    ['h'] = { "BINGET", 1, run_get },
    ['j'] = { "LONG_BINGET", 4, run_get },
    ['c'] = { "GLOBAL", 0, NULL },
    [0x93] = { "STACK_GLOBAL", 0, NULL },
    ['R'] = { "REDUCE", 0, NULL },
    ['b'] = { "BUILD", 0, NULL },
    ['i'] = { "INST", 0, NULL },
    ['o'] = { "OBJ", 0, NULL },
    [0x81] = { "NEWOBJ", 0, NULL },
    [0x92] = { "NEWOBJ_EX", 0, NULL },
    ['P'] = { "PERSID", 0, NULL },
    ['Q'] = { "BINPERSID", 0, NULL },
    [0x82] = { "EXT1", 0, NULL },
    [0x83] = { "EXT2", 0, NULL },
    [0x84] = { "EXT4", 0, NULL },
    [0x97] = { "NEXT_BUFFER", 0, NULL },
    [0x98] = { "READONLY_BUFFER", 0, NULL },
};

static enum vb_status run_opcode(struct vb_pickle_reader *reader)
{
    unsigned char argument[8] = { 0 };
    uint64_t number = 0;
    const struct opcode *opcode = &opcodes[reader->opcode];
    if (opcode->name == NULL)
        return vb_pickle_bad(reader, "0x%02x is no opcode of plain data in protocols %d to %d",
                             reader->opcode, MIN_PROTOCOL, MAX_PROTOCOL);
    if (opcode->run == NULL)
        return vb_pickle_bad(reader,
                             "opcode %s asks for an object to be made by code; only plain data is "
                             "read, and nothing was run",
                             opcode->name);
    enum vb_status status = vb_pickle_take(reader, opcode->bytes, argument);
    for (size_t i = 0; i < opcode->bytes; i++)
        number |= (uint64_t)argument[i] << 8 * i;
    return status != VB_OK ? status : opcode->run(reader, number);
}

static enum vb_status run_all(struct vb_pickle_reader *reader)
{
    unsigned char after;
    while (!reader->has_stopped) {
        reader->at = reader->position;
        if (!vb_pickle_next(reader, &reader->opcode))
            return vb_pickle_bad(reader, "the file ends within the pickle: it was cut off");
        if (reader->at == 0 && reader->opcode != 0x80)
            return vb_pickle_bad(reader, "no pickle of protocol %d to %d begins here", MIN_PROTOCOL,
                                 MAX_PROTOCOL);
        enum vb_status status = run_opcode(reader);
        if (status != VB_OK)
            return status;
    }
    reader->at = reader->position;
    if (vb_pickle_next(reader, &after))
        return vb_pickle_bad(reader, "the pickle ends here, and more bytes follow");
    return VB_OK;
}

enum vb_status vb_pickle_read(const char *name, FILE *file, const char *const *words,
                              size_t n_words, const struct vb_pickle_limits *limits,
                              struct vb_arena *arena, struct vb_pickle_value *out,
                              struct vb_error *err)
{
    struct vb_pickle_reader reader = { .name = name,
                                       .file = file,
                                       .words = words,
                                       .n_words = n_words,
                                       .limits = *limits,
                                       .arena = arena,
                                       .err = err };
    enum vb_status status = VB_OK;
    reader.buffer = vb_arena_alloc(&reader.scratch, VB_PICKLE_BUFFER_BYTES, 1);
    if (reader.buffer == NULL)
        status = vb_fail(err, VB_E_SYSTEM, "%s: no host memory left to read it", name);
    if (status == VB_OK)
        status = run_all(&reader);
    if (status == VB_OK)
        *out = reader.stack[0];
    vb_arena_clear(&reader.scratch);
    return status;
}

const struct vb_pickle_value *vb_pickle_get(const struct vb_pickle_value *dict, size_t word)
{
    for (uint32_t i = 0; dict->kind == VB_PICKLE_DICT && i < dict->node->n; i++) {
        if (dict->node->items[i].key == word)
            return &dict->node->items[i];
    }
    return NULL;
}

const char *vb_pickle_kind_name(enum vb_pickle_kind kind)
{
    static const char *const names[] = {
        [VB_PICKLE_ABSENT] = "nothing",
        [VB_PICKLE_NONE] = "None",
        [VB_PICKLE_BOOL] = "a bool",
        [VB_PICKLE_NATURAL] = "an int",
        [VB_PICKLE_NEGATIVE] = "a negative int",
        [VB_PICKLE_BIG] = "an int beyond 64 bits",
        [VB_PICKLE_FLOAT] = "a float",
        [VB_PICKLE_STR] = "a str",
        [VB_PICKLE_WORD] = "a str",
        [VB_PICKLE_BYTES] = "bytes",
        [VB_PICKLE_TUPLE] = "a tuple",
        [VB_PICKLE_LIST] = "a list",
        [VB_PICKLE_DICT] = "a dict",
    };
    return names[kind];
}
