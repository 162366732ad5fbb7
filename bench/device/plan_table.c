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
#include "device/plan_rows.h"

enum { N_TYPES = 3, N_DIRECTIONS = 3, N_SHAPE = 12, MAX_TABLE_BYTES = 64 << 20 };

#define TABLE_HEADER                                                                               \
    "# cuDNN %" SCNu64 ", %63[^(](identity %" SCNx64 ", compute capability %" SCNu32
#define PACKED_COLUMNS "n,c,h,w,"

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
    if (answer->engine < VB_PLAN_NONE || answer->workspace_bytes > INT64_MAX ||
        answer->low_bytes > INT64_MAX || answer->high_bytes > INT64_MAX)
        return NULL;
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

/* A line of the packed form; false where it is damaged, with the cells before the damage read. */
static bool read_packed(const char *line, struct vb_plan_map *map)
{
    uint32_t shape[N_SHAPE];
    const char *at = line;
    for (size_t i = 0; i < N_SHAPE; i++) {
        char *end = NULL;
        shape[i] = (uint32_t)strtoul(at, &end, 10);
        if (end == at || *end != ',')
            return false;
        at = end + 1;
    }
    const struct vb_plan_key key = cell_key(shape, 0, 0, true);
    if (!vb_plan_key_is_sane(&key))
        return false;
    for (uint32_t cell = 0; cell < N_TYPES * N_DIRECTIONS; cell++) {
        at = read_cell(at, shape, cell / N_DIRECTIONS, cell % N_DIRECTIONS, map);
        if (at == NULL)
            return false;
        if (*at == '\0')
            return cell + 1 == N_TYPES * N_DIRECTIONS;
        if (*at != ',')
            return false;
        at++;
    }
    return false;
}

static bool read_row(const char *line, struct vb_plan_map *map)
{
    struct vb_plan_entry entry;
    return vb_plan_row_read(line, &entry) &&
           vb_plan_map_put(map, &entry.key, &entry.answer, NULL) == VB_OK;
}

/* What a table's first line says. */
static bool read_header(const char *line, struct vb_plan_table *out)
{
    if (sscanf(line, TABLE_HEADER, &out->version, out->gpu, &out->identity,
               &out->compute_capability) != 4)
        return false;
    (void)vb_text_trim(out->gpu); /* the blank before the bracket; a name begins with none */
    return true;
}

/* Reads the lines after the first; the first damaged one's number, 0 where there is none. */
static size_t read_lines(char *text, struct vb_plan_map *map)
{
    bool (*read)(const char *, struct vb_plan_map *) = NULL;
    size_t damaged = 0;
    size_t number = 1;
    for (char *line = text; *line != '\0'; number++) {
        size_t length = strcspn(line, "\n");
        char *next = line + length + (line[length] == '\n');
        line[length] = '\0';
        if (number > 1 && read == NULL && strcmp(line, VB_PLAN_ROWS_COLUMNS) == 0)
            read = read_row;
        else if (number > 1 && read == NULL &&
                 strncmp(line, PACKED_COLUMNS, strlen(PACKED_COLUMNS)) == 0)
            read = read_packed;
        else if (line[0] != '\0' &&
                 (line[0] != '#' || (number > 1 && strncmp(line, "# cuDNN", 7) == 0)) &&
                 (read == NULL || !read(line, map)) && damaged == 0)
            damaged = number;
        line = next;
    }
    return damaged;
}

enum vb_status vb_plan_table_parse(const char *where, char *text, struct vb_plan_table *out,
                                   size_t *damaged, struct vb_error *err)
{
    *out = (struct vb_plan_table){ 0 };
    if (!read_header(text, out)) {
        *out = (struct vb_plan_table){ 0 };
        return vb_fail(err, VB_E_INPUT,
                       "%.300s:1: no table of workspaces; expected '# cuDNN VERSION, GPU (identity "
                       "...)' as 'oracle --format csv' and 'oracle --pack' write it",
                       where);
    }
    (void)snprintf(out->path, sizeof out->path, "%s", where);
    *damaged = read_lines(text, &out->map);
    return VB_OK;
}

static enum vb_status read_file(const char *path, struct vb_plan_table *out, size_t *damaged,
                                struct vb_error *err)
{
    char *data = NULL;
    size_t bytes = 0;
    *out = (struct vb_plan_table){ 0 };
    enum vb_status status = vb_file_read(path, MAX_TABLE_BYTES, &data, &bytes, err);
    if (status == VB_OK)
        status = vb_plan_table_parse(path, data, out, damaged, err);
    free(data);
    return status;
}

enum vb_status vb_plan_table_read(const char *path, struct vb_plan_table *out, struct vb_error *err)
{
    size_t damaged = 0;
    enum vb_status status = read_file(path, out, &damaged, err);
    if (status != VB_OK || damaged == 0)
        return status;
    vb_plan_table_clear(out);
    return vb_fail(err, VB_E_INPUT,
                   "%.300s:%zu: no line of such a table; expected one GPU's answers as they were "
                   "written",
                   path, damaged);
}

/* What a file's first line says, where it is a table's. */
static bool peek(const char *path, struct vb_plan_table *out)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;

    char line[256] = "";
    bool is_table = fgets(line, sizeof line, file) != NULL && read_header(line, out);
    (void)fclose(file);
    return is_table;
}

/* Whether cuDNN answers for the one as for the other: for GPUs before Turing nothing counts but the
 * generation. (9.10.2, 2,464 questions: the same for 6.0 and 6.1; for 6.0, 6.1 and 7.0 the same
 * with other clocks, memory, caches, shared memory and numbers of multiprocessors.) */
static bool is_same_generation(uint32_t a, uint32_t b)
{
    return a < VB_TURING && b < VB_TURING && a / 100 == b / 100;
}

/* Whether the table serves the GPU: 0 no, 1 as one of its generation, 2 as its own. */
static int serves(const struct vb_plan_table *table, const struct vb_gpu_spec *gpu)
{
    if (!vb_conv_is_supported(table->version, table->compute_capability))
        return 0;
    if (table->identity == gpu->identity)
        return 2;
    return is_same_generation(table->compute_capability, gpu->compute_capability) ? 1 : 0;
}

/* The newest table that serves the GPU, its own first: its path, of `room` bytes, and version; 0
 * where there is none. */
static uint64_t best_of(const struct vb_gpu_spec *gpu, char *path, size_t room)
{
    char pattern[4096];
    glob_t files = { 0 };
    uint64_t newest = 0;
    int best = 0;
    vb_file_shipped("sweeps/workspaces/cudnn-*.csv", pattern, sizeof pattern);
    if (glob(pattern, 0, NULL, &files) == 0) {
        for (size_t i = 0; i < files.gl_pathc; i++) {
            struct vb_plan_table table = { 0 };
            int how = peek(files.gl_pathv[i], &table) ? serves(&table, gpu) : 0;
            if (how < best || how == 0 || (how == best && table.version <= newest))
                continue;
            best = how;
            newest = table.version;
            (void)snprintf(path, room, "%s", files.gl_pathv[i]);
        }
    }
    globfree(&files);
    return newest;
}

uint64_t vb_plan_table_version(const struct vb_gpu_spec *gpu)
{
    char path[4096];
    return best_of(gpu, path, sizeof path);
}

bool vb_plan_table_find(const struct vb_gpu_spec *gpu, struct vb_plan_table *out)
{
    char path[4096];
    size_t damaged = 0;
    *out = (struct vb_plan_table){ 0 };
    return best_of(gpu, path, sizeof path) > 0 && read_file(path, out, &damaged, NULL) == VB_OK;
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

void vb_plan_table_write_header(struct vb_text *text, const struct vb_gpu_spec *gpu,
                                uint64_t version)
{
    vb_text_append(
        text, "# cuDNN %" PRIu64 ", %s (identity %016" PRIx64 ", compute capability %" PRIu32 ")\n",
        version, gpu->name, gpu->identity, gpu->compute_capability);
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
    vb_plan_table_write_header(&text, gpu, version);
    vb_text_append(
        &text,
        "# made by: %s\n"
        "# a cell: engine:workspace bytes[:least:most of the ten that benchmark would time], "
        "then / and the\n# same with nondeterministic engines allowed where that differs; "
        "TF32 allowed; engine -1 is PyTorch's own\n"
        "n,c,h,w,k,kernel_h,kernel_w,stride,pad,dilation,groups,channels_last,"
        "fp32_forward,fp32_backward_data,fp32_backward_filter,"
        "fp16_forward,fp16_backward_data,fp16_backward_filter,"
        "bf16_forward,bf16_backward_data,bf16_backward_filter\n",
        command);
    for (size_t i = 0; i < n; i++)
        write_line(&text, shapes[i], map);
    free(shapes);

    enum vb_status status = text.failed ? vb_fail(err, VB_E_SYSTEM, "%s: no host memory left", path)
                                        : vb_file_write(path, text.data, text.length, err);
    vb_text_clear(&text);
    return status;
}
