/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_TESTS_JSON_PICKLE_H
#define VB_TESTS_JSON_PICKLE_H

/* JSON written as a pickle of protocol 2, so that tests can show what is in one. {"tuple": [..]} is
 * a tuple, {"float": "nan"} a float, {"raw": "R"} an opcode. */

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct pickle_bytes {
    unsigned char *data; /* to be freed */
    size_t n, room;
};

static inline void pickle_put(struct pickle_bytes *out, const void *data, size_t n)
{
    while (out->n + n > out->room) {
        out->room = 2 * out->room + 64;
        out->data = realloc(out->data, out->room);
        cr_assert_not_null(out->data);
    }
    memcpy(out->data + out->n, data, n);
    out->n += n;
}

/* Little-endian, as this machine is. */
static inline void pickle_put_opcode(struct pickle_bytes *out, char opcode, const void *argument,
                                     size_t n)
{
    pickle_put(out, &opcode, 1);
    pickle_put(out, argument, n);
}

static inline void pickle_put_text(struct pickle_bytes *out, const char *text)
{
    uint32_t n = (uint32_t)strlen(text);
    pickle_put_opcode(out, 'X', &n, sizeof n);
    pickle_put(out, text, n);
}

static inline void pickle_put_float(struct pickle_bytes *out, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits = __builtin_bswap64(bits);
    pickle_put_opcode(out, 'G', &bits, sizeof bits);
}

static inline void pickle_put_int(struct pickle_bytes *out, int64_t value)
{
    pickle_put(out, "\x8a\x08", 2);
    pickle_put(out, &value, sizeof value);
}

static inline void pickle_put_json(struct pickle_bytes *out, json_t *value)
{
    const char *key;
    json_t *item;
    size_t i;
    if (json_is_object(value) && json_object_get(value, "float") != NULL) {
        pickle_put_float(out, strtod(json_string_value(json_object_get(value, "float")), NULL));
    } else if (json_is_object(value) && json_object_get(value, "raw") != NULL) {
        const char *raw = json_string_value(json_object_get(value, "raw"));
        pickle_put(out, raw, strlen(raw));
    } else if (json_is_object(value) && json_object_get(value, "tuple") != NULL) {
        pickle_put(out, "(", 1);
        json_array_foreach(json_object_get(value, "tuple"), i, item) pickle_put_json(out, item);
        pickle_put(out, "t", 1);
    } else if (json_is_object(value)) {
        pickle_put(out, "}(", 2);
        json_object_foreach(value, key, item)
        {
            pickle_put_text(out, key);
            pickle_put_json(out, item);
        }
        pickle_put(out, "u", 1);
    } else if (json_is_array(value)) {
        pickle_put(out, "](", 2);
        json_array_foreach(value, i, item) pickle_put_json(out, item);
        pickle_put(out, "e", 1);
    } else if (json_is_string(value)) {
        pickle_put_text(out, json_string_value(value));
    } else if (json_is_integer(value)) {
        pickle_put_int(out, json_integer_value(value));
    } else if (json_is_real(value)) {
        pickle_put_float(out, json_real_value(value));
    } else {
        pickle_put(out, json_is_true(value) ? "\x88" : json_is_false(value) ? "\x89" : "N", 1);
    }
}

static inline struct pickle_bytes pickle_of_json(const char *text)
{
    struct pickle_bytes out = { 0 };
    json_error_t fault;
    json_t *root = json_loads(text, JSON_DECODE_ANY, &fault);
    cr_assert_not_null(root, "%s in %s", fault.text, text);
    pickle_put(&out, "\x80\x02", 2);
    pickle_put_json(&out, root);
    pickle_put(&out, ".", 1);
    json_decref(root);
    return out;
}

#endif
