/* SPDX-License-Identifier: Apache-2.0 */
/* A line is one convolution with a cell for each type and direction, because the shape is longer
 * than the answer. A cell is `engine:workspace`, with `:low:high` where the ten that could be timed
 * differ from it; after a `/` the answer where nondeterministic engines are allowed, if that is
 * another one. An empty cell was not asked.
 */
#include "device/plan_table.h"

#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"

enum { N_TYPES = 3, N_DIRECTIONS = 3, N_SHAPE = 12, MAX_TABLE_BYTES = 64 << 20 };

#define TABLE_HEADER "# cuDNN %" SCNu64 ", %63s (identity %" SCNx64

/* The answer to the cell's question with nondeterministic engines left out, or not. */
static struct vb_plan_key cell_key(const uint32_t *shape, uint32_t type, uint32_t direction,
                                   bool deterministic)
{
    return (struct vb_plan_key){
        .direction = direction,
        .type = type,
        .n = shape[0],
        .c = shape[1],
        .h = shape[2],
        .w = shape[3],
        .k = shape[4],
        .kernel_h = shape[5],
        .kernel_w = shape[6],
        .stride = shape[7],
        .pad = shape[8],
        .dilation = shape[9],
        .groups = shape[10],
        .channels_last = shape[11],
        .deterministic = deterministic,
        .tf32 = 1,
    };
}

static const char *read_answer(const char *at, struct vb_plan_answer *answer)
{
    char *end = NULL;
    *answer = (struct vb_plan_answer){ .engine = strtoll(at, &end, 10) };
    if (end == at || *end != ':')
        return NULL;
    answer->workspace_bytes = strtoull(end + 1, &end, 10);
    answer->low_bytes = answer->high_bytes = answer->workspace_bytes;
    if (*end == ':') {
        answer->low_bytes = strtoull(end + 1, &end, 10);
        if (*end != ':')
            return NULL;
        answer->high_bytes = strtoull(end + 1, &end, 10);
    }
    return end;
}

/* Reads the cell at `at`; NULL where it is damaged, else what follows it. */
static const char *read_cell(const char *at, const uint32_t *shape, uint32_t type,
                             uint32_t direction, struct vb_plan_map *map)
{
    if (*at == ',' || *at == '\0')
        return at;

    struct vb_plan_answer strict;
    at = read_answer(at, &strict);
    if (at == NULL)
        return NULL;
    struct vb_plan_answer any = strict;
    if (*at == '/')
        at = read_answer(at + 1, &any);
    if (at == NULL)
        return NULL;

    struct vb_plan_key strict_key = cell_key(shape, type, direction, true);
    struct vb_plan_key any_key = cell_key(shape, type, direction, false);
    if (vb_plan_map_put(map, &strict_key, &strict, NULL) != VB_OK ||
        vb_plan_map_put(map, &any_key, &any, NULL) != VB_OK)
        return NULL;
    return at;
}

static void read_line(const char *line, struct vb_plan_map *map)
{
    uint32_t shape[N_SHAPE];
    const char *at = line;
    for (size_t i = 0; i < N_SHAPE; i++) {
        char *end = NULL;
        shape[i] = (uint32_t)strtoul(at, &end, 10);
        if (end == at || *end != ',')
            return;
        at = end + 1;
    }
    for (uint32_t type = 0; type < N_TYPES; type++) {
        for (uint32_t direction = 0; direction < N_DIRECTIONS; direction++) {
            at = read_cell(at, shape, type, direction, map);
            if (at == NULL || *at == '\0')
                return;
            at++;
        }
    }
}

/* What a table's first line says. */
static bool read_header(const char *line, uint64_t *version, uint64_t *identity)
{
    char name[64];
    return sscanf(line, TABLE_HEADER, version, name, identity) == 3;
}

/* Whether the file is that GPU's, by its first line. */
static bool is_of(const char *path, uint64_t identity, uint64_t *version)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;

    char line[256] = "";
    uint64_t found = 0;
    bool is_table = fgets(line, sizeof line, file) != NULL && read_header(line, version, &found);
    (void)fclose(file);
    return is_table && found == identity;
}

enum vb_status vb_plan_table_read(const char *path, struct vb_plan_table *out, struct vb_error *err)
{
    char *data = NULL;
    size_t bytes = 0;
    uint64_t identity = 0;
    *out = (struct vb_plan_table){ 0 };
    enum vb_status status = vb_file_read(path, MAX_TABLE_BYTES, &data, &bytes, err);
    if (status != VB_OK)
        return status;
    if (!read_header(data, &out->version, &identity)) {
        free(data);
        return vb_fail(err, VB_E_INPUT,
                       "%s:1: no table of workspaces; expected '# cuDNN VERSION, GPU "
                       "(identity ...)'",
                       path);
    }
    (void)snprintf(out->path, sizeof out->path, "%s", path);
    for (char *line = data; *line != '\0';) {
        size_t length = strcspn(line, "\n");
        char *next = line + length + (line[length] == '\n');
        line[length] = '\0';
        if (line[0] >= '0' && line[0] <= '9')
            read_line(line, &out->map);
        line = next;
    }
    free(data);
    return VB_OK;
}

/* The newest table of the GPU: its path, of `room` bytes, and version; 0 where there is none. */
static uint64_t newest_of(uint64_t identity, char *path, size_t room)
{
    char pattern[4096];
    glob_t files = { 0 };
    uint64_t newest = 0;
    vb_file_shipped("sweeps/workspaces/cudnn-*.csv", pattern, sizeof pattern);
    if (glob(pattern, 0, NULL, &files) == 0) {
        for (size_t i = 0; i < files.gl_pathc; i++) {
            uint64_t version = 0;
            if (!is_of(files.gl_pathv[i], identity, &version) || version <= newest)
                continue;
            newest = version;
            (void)snprintf(path, room, "%s", files.gl_pathv[i]);
        }
    }
    globfree(&files);
    return newest;
}

uint64_t vb_plan_table_version(uint64_t identity)
{
    char path[4096];
    return newest_of(identity, path, sizeof path);
}

bool vb_plan_table_find(uint64_t identity, struct vb_plan_table *out)
{
    char path[4096];
    *out = (struct vb_plan_table){ 0 };
    return newest_of(identity, path, sizeof path) > 0 &&
           vb_plan_table_read(path, out, NULL) == VB_OK;
}

void vb_plan_table_clear(struct vb_plan_table *table)
{
    vb_plan_map_clear(&table->map);
    *table = (struct vb_plan_table){ 0 };
}

static bool same(const struct vb_plan_answer *a, const struct vb_plan_answer *b)
{
    return a->engine == b->engine && a->workspace_bytes == b->workspace_bytes &&
           a->low_bytes == b->low_bytes && a->high_bytes == b->high_bytes;
}

static void write_answer(struct vb_text *text, const struct vb_plan_answer *answer)
{
    vb_text_append(text, "%" PRId64 ":%" PRIu64, answer->engine, answer->workspace_bytes);
    if (answer->low_bytes != answer->workspace_bytes ||
        answer->high_bytes != answer->workspace_bytes)
        vb_text_append(text, ":%" PRIu64 ":%" PRIu64, answer->low_bytes, answer->high_bytes);
}

static void write_line(struct vb_text *text, const uint32_t *shape, const struct vb_plan_map *map)
{
    for (size_t i = 0; i < N_SHAPE; i++)
        vb_text_append(text, "%" PRIu32 "%s", shape[i], i + 1 < N_SHAPE ? "," : "");
    for (uint32_t type = 0; type < N_TYPES; type++) {
        for (uint32_t direction = 0; direction < N_DIRECTIONS; direction++) {
            struct vb_plan_key strict_key = cell_key(shape, type, direction, true);
            struct vb_plan_key any_key = cell_key(shape, type, direction, false);
            const struct vb_plan_answer *strict = vb_plan_map_find(map, &strict_key);
            const struct vb_plan_answer *any = vb_plan_map_find(map, &any_key);
            vb_text_append(text, ",");
            if (strict == NULL || any == NULL)
                continue;
            write_answer(text, strict);
            if (!same(strict, any)) {
                vb_text_append(text, "/");
                write_answer(text, any);
            }
        }
    }
    vb_text_append(text, "\n");
}

static int by_numbers(const void *a, const void *b)
{
    const uint32_t *x = a;
    const uint32_t *y = b;
    for (size_t i = 0; i < N_SHAPE; i++) {
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    }
    return 0;
}

/* The shapes of all entries, each once, in order. NULL: no host memory. */
static uint32_t (*shapes_of(const struct vb_plan_map *map, size_t *n))[N_SHAPE]
{
    uint32_t(*shapes)[N_SHAPE] = calloc(map->n + 1, sizeof *shapes);
    if (shapes == NULL)
        return NULL;
    for (size_t i = 0; i < map->n; i++) {
        const struct vb_plan_key *key = &map->entries[i].key;
        const uint32_t shape[N_SHAPE] = {
            key->n,        key->c,      key->h,   key->w,        key->k,      key->kernel_h,
            key->kernel_w, key->stride, key->pad, key->dilation, key->groups, key->channels_last
        };
        memcpy(shapes[i], shape, sizeof shape);
    }
    qsort(shapes, map->n, sizeof *shapes, by_numbers);
    *n = 0;
    for (size_t i = 0; i < map->n; i++) {
        if (*n == 0 || by_numbers(shapes[*n - 1], shapes[i]) != 0)
            memmove(shapes[(*n)++], shapes[i], sizeof *shapes);
    }
    return shapes;
}

enum vb_status vb_plan_table_write(const char *path, const struct vb_gpu_spec *gpu,
                                   uint64_t version, const char *command,
                                   const struct vb_plan_map *map, struct vb_error *err)
{
    size_t n = 0;
    uint32_t(*shapes)[N_SHAPE] = shapes_of(map, &n);
    if (shapes == NULL)
        return vb_fail(err, VB_E_SYSTEM, "%s: no host memory left", path);

    struct vb_text text = { 0 };
    vb_text_append(
        &text,
        "# cuDNN %" PRIu64 ", %s (identity %016" PRIx64 ", compute capability %" PRIu32 ")\n"
        "# made by: %s\n"
        "# a cell: engine:workspace bytes[:least:most of the ten that benchmark would time], "
        "then / and the\n# same with nondeterministic engines allowed where that differs; "
        "TF32 allowed; engine -1 is PyTorch's own\n"
        "n,c,h,w,k,kernel_h,kernel_w,stride,pad,dilation,groups,channels_last,"
        "fp32_forward,fp32_backward_data,fp32_backward_filter,"
        "fp16_forward,fp16_backward_data,fp16_backward_filter,"
        "bf16_forward,bf16_backward_data,bf16_backward_filter\n",
        version, gpu->name, gpu->identity, gpu->compute_capability, command);
    for (size_t i = 0; i < n; i++)
        write_line(&text, shapes[i], map);
    free(shapes);

    enum vb_status status = text.failed ? vb_fail(err, VB_E_SYSTEM, "%s: no host memory left", path)
                                        : vb_file_write(path, text.data, text.length, err);
    vb_text_clear(&text);
    return status;
}
