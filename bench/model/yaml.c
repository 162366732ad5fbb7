/* SPDX-License-Identifier: Apache-2.0 */
#include "model/yaml.h"

#include <stdbool.h>
#include <string.h>
#include <yaml.h>

enum { MAX_DEPTH = 12, MAX_NODES = 60000 };

struct parse {
    yaml_parser_t parser;
    const char *file;
    struct vb_arena *arena;
    size_t n_nodes;
    struct vb_error *err;
};

static enum vb_status no_memory(struct parse *parse)
{
    return vb_fail(parse->err, VB_E_SYSTEM, "%s: no host memory left to read it", parse->file);
}

static enum vb_status next_event(struct parse *parse, yaml_event_t *event)
{
    if (yaml_parser_parse(&parse->parser, event))
        return VB_OK;
    const char *problem = parse->parser.problem != NULL ? parse->parser.problem : "cannot be read";
    return vb_fail(parse->err, VB_E_INPUT, "%s:%zu: not YAML: %s", parse->file,
                   parse->parser.problem_mark.line + 1, problem);
}

static enum vb_status parse_node(struct parse *parse, const yaml_event_t *event, int depth,
                                 struct vb_yaml **out);

/* Items until the end of the list or map that has just begun. */
static enum vb_status parse_items(struct parse *parse, yaml_event_type_t end, int depth,
                                  struct vb_yaml *node)
{
    size_t room = 0;
    for (;;) {
        yaml_event_t event;
        enum vb_status status = next_event(parse, &event);
        if (status != VB_OK)
            return status;
        bool is_end = event.type == end;
        struct vb_yaml *item = NULL;
        if (!is_end)
            status = parse_node(parse, &event, depth + 1, &item);
        yaml_event_delete(&event);
        if (status != VB_OK || is_end)
            return status;

        struct vb_yaml **items =
            vb_arena_grow(parse->arena, node->items, node->n, &room, sizeof(struct vb_yaml *));
        if (items == NULL)
            return no_memory(parse);
        node->items = items;
        node->items[node->n++] = item;
    }
}

static enum vb_status parse_node(struct parse *parse, const yaml_event_t *event, int depth,
                                 struct vb_yaml **out)
{
    size_t line = event->start_mark.line + 1;
    struct vb_yaml *node = vb_arena_alloc(parse->arena, 1, sizeof *node);
    if (node == NULL)
        return no_memory(parse);
    if (depth > MAX_DEPTH || ++parse->n_nodes > MAX_NODES)
        return vb_fail(parse->err, VB_E_INPUT, "%s:%zu: more than a model description holds",
                       parse->file, line);
    node->line = (uint32_t)line;
    node->text = "";
    *out = node;

    if (event->type == YAML_SCALAR_EVENT) {
        const char *value = (const char *)event->data.scalar.value;
        node->kind = VB_YAML_SCALAR;
        node->text = vb_arena_copy(parse->arena, value);
        return node->text != NULL ? VB_OK : no_memory(parse);
    }
    if (event->type == YAML_SEQUENCE_START_EVENT) {
        node->kind = VB_YAML_LIST;
        return parse_items(parse, YAML_SEQUENCE_END_EVENT, depth, node);
    }
    if (event->type == YAML_MAPPING_START_EVENT) {
        node->kind = VB_YAML_MAP;
        return parse_items(parse, YAML_MAPPING_END_EVENT, depth, node);
    }
    return vb_fail(parse->err, VB_E_INPUT, "%s:%zu: expected a value, a list or a map", parse->file,
                   line);
}

/* Past the starts of the stream and of the document. */
static enum vb_status parse_document(struct parse *parse, struct vb_yaml **out)
{
    for (;;) {
        yaml_event_t event;
        enum vb_status status = next_event(parse, &event);
        if (status != VB_OK)
            return status;
        yaml_event_type_t type = event.type;
        if (type == YAML_STREAM_END_EVENT || type == YAML_NO_EVENT)
            status = vb_fail(parse->err, VB_E_INPUT, "%s:1: the file is empty", parse->file);
        else if (type != YAML_STREAM_START_EVENT && type != YAML_DOCUMENT_START_EVENT)
            status = parse_node(parse, &event, 0, out);
        yaml_event_delete(&event);
        if (status != VB_OK ||
            (type != YAML_STREAM_START_EVENT && type != YAML_DOCUMENT_START_EVENT))
            return status;
    }
}

enum vb_status vb_yaml_parse(const char *file, const char *data, size_t bytes,
                             struct vb_arena *arena, struct vb_yaml **out, struct vb_error *err)
{
    struct parse parse = { .file = file, .arena = arena, .err = err };
    if (!yaml_parser_initialize(&parse.parser))
        return vb_fail(err, VB_E_SYSTEM, "%s: no host memory left to read it", file);
    yaml_parser_set_input_string(&parse.parser, (const unsigned char *)data, bytes);
    enum vb_status status = parse_document(&parse, out);
    yaml_parser_delete(&parse.parser);
    return status;
}

const struct vb_yaml *vb_yaml_find(const struct vb_yaml *map, const char *key)
{
    for (size_t i = 0; map->kind == VB_YAML_MAP && i + 1 < map->n; i += 2) {
        if (strcmp(map->items[i]->text, key) == 0)
            return map->items[i + 1];
    }
    return NULL;
}
