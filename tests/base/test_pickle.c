/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/pickle.h"
#include "base/text.h"
#include "pickle_cases.h"

static const char *const words[] = { "a", "b", "c" };

static void show(const struct vb_pickle_value *value, struct vb_text *out);

static void show_items(const struct vb_pickle_value *value, const char *ends, struct vb_text *out)
{
    vb_text_append(out, "%c", ends[0]);
    for (uint32_t i = 0; i < value->node->n; i++) {
        if (value->kind == VB_PICKLE_DICT)
            vb_text_append(out, "%s:", words[value->node->items[i].key]);
        show(&value->node->items[i], out);
        vb_text_append(out, ",");
    }
    if (value->node->n_forgotten > 0)
        vb_text_append(out, "+%" PRIu64, value->node->n_forgotten);
    vb_text_append(out, "%c", ends[1]);
}

static void show(const struct vb_pickle_value *value, struct vb_text *out)
{
    static const char *const named[] = { [VB_PICKLE_NONE] = "None",
                                         [VB_PICKLE_BIG] = "big",
                                         [VB_PICKLE_STR] = "str",
                                         [VB_PICKLE_BYTES] = "bytes" };
    if (value->kind == VB_PICKLE_BOOL)
        vb_text_append(out, "%s", value->number == 1 ? "True" : "False");
    else if (value->kind == VB_PICKLE_NATURAL)
        vb_text_append(out, "%" PRIu64, value->number);
    else if (value->kind == VB_PICKLE_NEGATIVE)
        vb_text_append(out, "%" PRId64, (int64_t)value->number);
    else if (value->kind == VB_PICKLE_FLOAT)
        vb_text_append(out, "%g", value->real);
    else if (value->kind == VB_PICKLE_WORD)
        vb_text_append(out, "'%s'", words[value->word]);
    else if (value->kind == VB_PICKLE_TUPLE)
        show_items(value, "()", out);
    else if (value->kind == VB_PICKLE_LIST)
        show_items(value, "[]", out);
    else if (value->kind == VB_PICKLE_DICT)
        show_items(value, "{}", out);
    else
        vb_text_append(out, "%s", named[value->kind]);
}

/* The bytes of hexadecimal digits, blanks among them, to be freed. */
static unsigned char *bytes_of(const char *digits, size_t *n)
{
    unsigned char *bytes = malloc(strlen(digits) / 2 + 1);
    *n = 0;
    for (; *digits != '\0'; digits++) {
        unsigned byte;
        if (*digits != ' ' && sscanf(digits++, "%2x", &byte) == 1)
            bytes[(*n)++] = (unsigned char)byte;
    }
    return bytes;
}

static enum vb_status read_bytes(const unsigned char *bytes, size_t n,
                                 const struct vb_pickle_limits *limits, struct vb_arena *arena,
                                 struct vb_pickle_value *value, struct vb_error *err)
{
    /* A file of no bytes is none to fmemopen(). */
    FILE *file = n > 0 ? fmemopen((void *)(uintptr_t)bytes, n, "rb") : fopen("/dev/null", "rb");
    cr_assert_not_null(file);
    enum vb_status status = vb_pickle_read("x", file, words, 3, limits, arena, value, err);
    (void)fclose(file);
    return status;
}

Test(pickle, opcodes_mean_what_python_means)
{
    for (size_t i = 0; i < sizeof pickle_cases / sizeof *pickle_cases; i++) {
        struct vb_arena arena = { 0 };
        struct vb_error err = { 0 };
        struct vb_pickle_value value;
        struct vb_text text = { 0 };
        size_t n;
        unsigned char *bytes = bytes_of(pickle_cases[i].pickle, &n);
        cr_assert_eq(read_bytes(bytes, n, &vb_pickle_usual_limits, &arena, &value, &err), VB_OK,
                     "%s %s: %s", pickle_cases[i].label, pickle_cases[i].pickle, err.text);
        show(&value, &text);
        cr_expect_str_eq(vb_text_data(&text), pickle_cases[i].shown, "%s %s", pickle_cases[i].label,
                         pickle_cases[i].pickle);
        vb_text_clear(&text);
        vb_arena_clear(&arena);
        free(bytes);
    }
}

Test(pickle, cut_off_at_any_byte_it_is_refused)
{
    for (size_t i = 0; i < sizeof pickle_cases / sizeof *pickle_cases; i++) {
        size_t n;
        unsigned char *bytes = bytes_of(pickle_cases[i].pickle, &n);
        for (size_t cut = 0; cut < n; cut++) {
            struct vb_arena arena = { 0 };
            struct vb_error err = { 0 };
            struct vb_pickle_value value;
            cr_expect_eq(read_bytes(bytes, cut, &vb_pickle_usual_limits, &arena, &value, &err),
                         VB_E_INPUT, "%s up to %zu", pickle_cases[i].pickle, cut);
            cr_expect_eq(strncmp(err.text, "x: byte ", 8), 0, "%s", err.text);
            cr_expect_not_null(strstr(err.text, "cut off"), "%s", err.text);
            vb_arena_clear(&arena);
        }
        free(bytes);
    }
}

/* Opcodes that Python does not write in these places, and still understands. */
Test(pickle, opcodes_that_are_seldom_written)
{
    static const struct {
        const char *label, *pickle, *shown;
    } cases[] = {
        { "LONG4", "8002 8b02000000ff7f 2e", "32767" },
        { "LONG1 of no bytes", "8002 8a00 2e", "0" },
        { "a negative of nine bytes", "8002 8a09feffffffffffffffff 2e", "-2" },
        { "BINUNICODE8", "8004 8d010000000000000061 2e", "'a'" },
        { "BINBYTES8", "8004 8e010000000000000061 2e", "bytes" },
        { "SHORT_BINSTRING", "8002 550161 2e", "'a'" },
        { "BINSTRING", "8002 540100000062 2e", "'b'" },
        { "APPENDS of nothing", "8002 5d 28 65 2e", "[]" },
        { "SETITEMS of nothing", "8002 7d 28 75 2e", "{}" },
        { "a tuple of a mark and nothing", "8002 28 74 2e", "()" },
        { "LONG_BINPUT, LONG_BINGET", "8002 5d 7203000000 6a03000000 61 2e", "[[" },
        { "BINPUT with gaps", "8002 4b09 7103 85 6803 86 2e", "((9,),9,)" },
        { "MEMOIZE counts what was put", "8004 4b07 94 4b08 94 6801 87 2e", "(7,8,8,)" },
        { "what is put again replaces", "8002 4b07 7100 4b08 7100 6800 87 2e", "(7,8,8,)" },
        { "an empty frame", "8004 950000000000000000 4b01 2e", "1" },
        { "a frame for each opcode", "8004 950200000000000000 4b01 950100000000000000 2e", "1" },
        { "a frame that ends within the pickle", "8004 950100000000000000 4b01 2e", "1" },
        { "a key of 64 letters is no word",
          "8002 7d 8c40 61616161616161616161616161616161616161616161616161616161616161616161616161"
          "616161616161616161616161616161616161616161616161616161 4b01 73 2e",
          "{}" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vb_arena arena = { 0 };
        struct vb_error err = { 0 };
        struct vb_pickle_value value;
        struct vb_text text = { 0 };
        size_t n;
        unsigned char *bytes = bytes_of(cases[i].pickle, &n);
        cr_assert_eq(read_bytes(bytes, n, &vb_pickle_usual_limits, &arena, &value, &err), VB_OK,
                     "%s: %s", cases[i].label, err.text);
        if (strcmp(cases[i].shown, "[[") == 0) { /* it holds itself: showing would not end */
            cr_expect_eq(value.node->n, 1);
            cr_expect_eq(value.node->items[0].node, value.node);
        } else {
            show(&value, &text);
            cr_expect_str_eq(vb_text_data(&text), cases[i].shown, "%s", cases[i].label);
        }
        vb_text_clear(&text);
        vb_arena_clear(&arena);
        free(bytes);
    }
}

Test(pickle, what_is_wrong_is_told_with_its_byte)
{
    static const struct {
        const char *label, *pickle, *text;
    } cases[] = {
        { "no pickle", "61", "x: byte 0: no pickle of protocol 2 to 5 begins here" },
        { "protocol 1", "8001 4e 2e", "x: byte 0: protocol 1, expected 2 to 5" },
        { "protocol 6", "8006 4e 2e", "x: byte 0: protocol 6, expected 2 to 5" },
        { "a second beginning", "8002 8002 4e 2e", "x: byte 2: a second pickle begins" },
        { "more behind it", "8002 4e 2e 8002 4e 2e", "x: byte 4: the pickle ends here, and more" },
        { "nothing on the stack", "8002 2e", "x: byte 2: ends with 0 values and 0 marks" },
        { "two values", "8002 4e 4e 2e", "x: byte 4: ends with 2 values and 0 marks" },
        { "a mark is left", "8002 4e 28 2e", "x: byte 4: ends with 1 values and 1 marks" },
        { "no such opcode", "8002 ff", "x: byte 2: 0xff is no opcode of plain data" },
        { "text of protocol 0", "8002 49310a 2e", "x: byte 2: 0x49 is no opcode of plain data" },
        { "a set", "8004 8f 2e", "x: byte 2: 0x8f is no opcode of plain data" },
        { "APPEND alone", "8002 61", "x: byte 2: opcode 0x61 takes 1 values, there are 0" },
        { "APPEND to nothing", "8002 4e 61", "x: byte 3: opcode 0x61 takes 1 value, there are 0" },
        { "APPEND to a dict", "8002 7d 4e 61",
          "x: byte 4: opcode 0x61 is for a list, not for a dict" },
        { "SETITEM to a list", "8002 5d 4e 4e 73", "x: byte 5: opcode 0x73 is for a dict, not" },
        { "SETITEM below a mark", "8002 7d 4e 28 4e 73", "x: byte 6: opcode 0x73 takes 2 values" },
        { "APPENDS without a mark", "8002 5d 4e 65", "x: byte 4: opcode 0x65 needs a mark" },
        { "TUPLE without a mark", "8002 4e 74", "x: byte 3: opcode 0x74 needs a mark" },
        { "TUPLE2 of one", "8002 4e 86", "x: byte 3: opcode 0x86 takes 2 values, there are 1" },
        { "a key without a value", "8002 7d 28 4e 75", "x: byte 5: a dict is given a key without" },
        { "a list as a key", "8002 7d 5d 4e 73", "x: byte 5: a list cannot be a key of a dict" },
        { "a dict as a key", "8002 7d 7d 4e 73", "x: byte 5: a dict cannot be a key of a dict" },
        { "a key twice", "8002 7d 28 580100000061 4e 580100000061 4e 75",
          "x: byte 18: a dict has 'a' twice" },
        { "a key twice, one by one", "8002 7d 580100000061 4e 73 580100000061 4e 73",
          "x: byte 18: a dict has 'a' twice" },
        { "a memo that is not there", "8002 6800",
          "x: byte 2: memo 0 is asked for, and was never" },
        { "a memo in a gap", "8002 4e 7103 6802", "x: byte 5: memo 2 is asked for, and was never" },
        { "a memo of nothing", "8002 7100", "x: byte 2: opcode 0x71 takes 1 value, there are 0" },
        { "a memo of a mark", "8002 4e 28 94",
          "x: byte 4: opcode 0x94 takes 1 value, there are 0" },
        { "an absurd memo", "8002 4e 72ffffffff", "x: byte 3: memo 4294967295 after 8 bytes" },
        { "an absurd str", "8002 58ffffffff 61", "x: byte 2: the file ends in what begins here" },
        { "an absurd str of protocol 4", "8004 8dffffffffffffffff 61", "x: byte 2: the file ends" },
        { "an absurd int", "8002 8bffffffff 61", "x: byte 2: the file ends in what begins here" },
        { "an absurd bytes", "8005 96ffffffffffffff7f 61", "x: byte 2: the file ends in what" },
        { "an absurd frame", "8004 95ffffffffffffffff 4e 2e", "x: byte 2: a frame of 18446744073" },
        { "a frame beyond the file", "8004 950300000000000000 4e 2e",
          "x: byte 12: ends before its frame, which goes on to byte 14" },
        { "a frame within one", "8004 950a00000000000000 950000000000000000 4e 2e",
          "x: byte 11: a frame begins within another, which ends at 21" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vb_arena arena = { 0 };
        struct vb_error err = { 0 };
        struct vb_pickle_value value;
        size_t n;
        unsigned char *bytes = bytes_of(cases[i].pickle, &n);
        cr_expect_eq(read_bytes(bytes, n, &vb_pickle_usual_limits, &arena, &value, &err),
                     VB_E_INPUT, "%s", cases[i].label);
        cr_expect_eq(strncmp(err.text, cases[i].text, strlen(cases[i].text)), 0, "%s: %s",
                     cases[i].label, err.text);
        vb_arena_clear(&arena);
        free(bytes);
    }
}

/* Of each that could make Python run something: refused where it stands, its arguments unread. */
Test(pickle, code_is_refused_and_not_looked_at)
{
    static const struct {
        unsigned char opcode;
        const char *name;
    } cases[] = {
        { 'c', "GLOBAL" },    { 0x93, "STACK_GLOBAL" }, { 'R', "REDUCE" },
        { 'b', "BUILD" },     { 'i', "INST" },          { 'o', "OBJ" },
        { 0x81, "NEWOBJ" },   { 0x92, "NEWOBJ_EX" },    { 'P', "PERSID" },
        { 'Q', "BINPERSID" }, { 0x82, "EXT1" },         { 0x83, "EXT2" },
        { 0x84, "EXT4" },     { 0x97, "NEXT_BUFFER" },  { 0x98, "READONLY_BUFFER" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned char bytes[] = { 0x80, 4, '}', 0, 'o', 's', '\n', 'f', '\n', '.' };
        char expected[64];
        struct vb_arena arena = { 0 };
        struct vb_error err = { 0 };
        struct vb_pickle_value value;
        bytes[3] = cases[i].opcode;
        (void)snprintf(expected, sizeof expected, "x: byte 3: opcode %s asks for", cases[i].name);
        cr_expect_eq(read_bytes(bytes, sizeof bytes, &vb_pickle_usual_limits, &arena, &value, &err),
                     VB_E_INPUT, "%s", cases[i].name);
        cr_expect_eq(strncmp(err.text, expected, strlen(expected)), 0, "%s", err.text);
        cr_expect_null(strstr(err.text, "os"), "%s", err.text);
        vb_arena_clear(&arena);
    }
}

/* Every byte that is no opcode of the table is refused, also right after the beginning. */
Test(pickle, each_single_opcode_ends_in_a_status)
{
    for (unsigned opcode = 0; opcode < 256; opcode++) {
        unsigned char bytes[16] = { 0x80, 4, (unsigned char)opcode };
        struct vb_arena arena = { 0 };
        struct vb_error err = { 0 };
        struct vb_pickle_value value;
        enum vb_status status =
            read_bytes(bytes, sizeof bytes, &vb_pickle_usual_limits, &arena, &value, &err);
        cr_expect_eq(status, VB_E_INPUT, "0x%02x", opcode);
        vb_arena_clear(&arena);
    }
}

Test(pickle, limits_say_themselves)
{
    static const struct {
        const char *label;
        unsigned char opcode;
        struct vb_pickle_limits limits;
        const char *text;
    } cases[] = {
        { "marks", '(', { 1 << 20, 100 }, "deeper than the 100 levels that are read" },
        { "values", 'N', { 1 << 20, 100 }, "more than the 1 MiB of memory allowed for it" },
        { "containers", ']', { 1 << 20, 100 }, "more than the 1 MiB of memory allowed for it" },
        { "marks by memory", '(', { 1 << 20, 1 << 24 }, "more than the 1 MiB of memory" },
    };
    static unsigned char bytes[1 << 18];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vb_arena arena = { 0 };
        struct vb_error err = { 0 };
        struct vb_pickle_value value;
        memset(bytes, cases[i].opcode, sizeof bytes);
        bytes[0] = 0x80;
        bytes[1] = 4;
        cr_expect_eq(read_bytes(bytes, sizeof bytes, &cases[i].limits, &arena, &value, &err),
                     VB_E_INPUT, "%s", cases[i].label);
        cr_expect_not_null(strstr(err.text, cases[i].text), "%s: %s", cases[i].label, err.text);
        vb_arena_clear(&arena);
    }
}

/* One level below the limit is read, one more is not. */
Test(pickle, depth_is_counted_in_marks)
{
    for (size_t depth = 10; depth <= 11; depth++) {
        unsigned char bytes[64] = { 0x80, 4 };
        struct vb_pickle_limits limits = { 1 << 20, 10 };
        struct vb_arena arena = { 0 };
        struct vb_error err = { 0 };
        struct vb_pickle_value value;
        memset(bytes + 2, '(', depth);
        memset(bytes + 2 + depth, 't', depth);
        bytes[2 + 2 * depth] = '.';
        cr_expect_eq(read_bytes(bytes, 3 + 2 * depth, &limits, &arena, &value, &err),
                     depth == 10 ? VB_OK : VB_E_INPUT, "%s", err.text);
        vb_arena_clear(&arena);
    }
}

/* Stack frames of any size cost what their lists cost, not what is in them. */
Test(pickle, what_nobody_asks_for_is_not_kept)
{
    static unsigned char bytes[1 << 20];
    struct vb_pickle_limits limits = { 1 << 18, 100 };
    struct vb_arena arena = { 0 };
    struct vb_error err = { 0 };
    struct vb_pickle_value value;
    size_t n = 0;
    static const unsigned char first[] = { 0x80, 4, '}', '(', 'X', 1, 0, 0, 0, 'z', ']', '(' };
    memcpy(bytes, first, sizeof first);
    for (n = sizeof first; n + 200 < sizeof bytes && n < sizeof first + 70 * 1000;) {
        bytes[n++] = 0x8c; /* a str of 68 letters */
        bytes[n++] = 68;
        memset(bytes + n, 'f', 68);
        n += 68;
    }
    static const unsigned char last[] = { 'e', 'u', '.' };
    memcpy(bytes + n, last, sizeof last);
    cr_assert_eq(read_bytes(bytes, n + sizeof last, &limits, &arena, &value, &err), VB_OK, "%s",
                 err.text);
    cr_expect_eq(value.node->n, 0);
    vb_arena_clear(&arena);
}

Test(pickle, a_dict_gives_what_it_keeps)
{
    struct vb_arena arena = { 0 };
    struct vb_error err = { 0 };
    struct vb_pickle_value value;
    size_t n;
    unsigned char *bytes = bytes_of("8004 7d 28 8c0162 4b05 8c0161 4b06 75 2e", &n);
    cr_assert_eq(read_bytes(bytes, n, &vb_pickle_usual_limits, &arena, &value, &err), VB_OK);
    cr_expect_eq(vb_pickle_get(&value, 0)->number, 6);
    cr_expect_eq(vb_pickle_get(&value, 1)->number, 5);
    cr_expect_null(vb_pickle_get(&value, 2));
    cr_expect_null(vb_pickle_get(vb_pickle_get(&value, 0), 0));
    vb_arena_clear(&arena);
    free(bytes);
}
