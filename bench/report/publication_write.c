/* SPDX-License-Identifier: Apache-2.0 */
/* What a table's folder holds, and the list of all such folders. */

#include <dirent.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/file.h"
#include "report/publication.h"

enum { MOST_COLUMNS = 12, MAX_TABLES = 256, MOST_FILE_BYTES = 64 << 20 };

static const char begins[] = "<!-- tables: begin -->\n", ends[] = "<!-- tables: end -->\n";

/* Batches that a table has a column for: all, or evenly some of them and the largest. */
struct columns {
    uint32_t batches[MOST_COLUMNS];
    size_t n;
};

static int by_value(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static bool pick_columns(const struct vb_published_row *rows, size_t n, struct columns *out)
{
    uint32_t *all = malloc((n + 1) * sizeof *all);
    size_t n_all = 0;
    if (all == NULL)
        return false;
    for (size_t i = 0; i < n; i++)
        all[i] = rows[i].batch;
    qsort(all, n, sizeof *all, by_value);
    for (size_t i = 0; i < n; i++) {
        if (n_all == 0 || all[n_all - 1] != all[i])
            all[n_all++] = all[i];
    }
    out->n = n_all < MOST_COLUMNS ? n_all : MOST_COLUMNS;
    for (size_t i = 0; i < out->n; i++)
        out->batches[i] = all[out->n > 1 ? i * (n_all - 1) / (out->n - 1) : 0];
    free(all);
    return true;
}

/* Of rows of one image size, the one of that batch. */
static const struct vb_published_row *at_batch(const struct vb_published_row *rows, size_t n,
                                               uint32_t batch)
{
    for (size_t i = 0; i < n; i++) {
        if (rows[i].batch == batch)
            return &rows[i];
    }
    return NULL;
}

static uint64_t bytes_of(const struct vb_published_row *row)
{
    return row->device_bytes > 0 ? row->device_bytes : row->reserved_bytes;
}

static void append_cell(const struct vb_published_row *row, bool is_rate, struct vb_text *out)
{
    if (row == NULL)
        vb_text_append(out, " |");
    else if (row->reserved_bytes == 0)
        vb_text_append(out, is_rate ? " |" : " oom |");
    else if (!is_rate)
        vb_text_append(out, " %.2f |", vb_to_gib(bytes_of(row)));
    else if (row->images_per_second > 0)
        vb_text_append(out, " %.0f |", row->images_per_second);
    else
        vb_text_append(out, " |");
}

static void append_header(const struct columns *columns, const char *what, struct vb_text *out)
{
    vb_text_append(out, "\n| imgsz |");
    for (size_t i = 0; i < columns->n; i++)
        vb_text_append(out, " %" PRIu32 " |", columns->batches[i]);
    vb_text_append(out, " %s |\n| ---: |", what);
    for (size_t i = 0; i <= columns->n; i++)
        vb_text_append(out, " ---: |");
    vb_text_append(out, "\n");
}

/* Memory, then speed; `n` rows of one kind. */
static bool append_tables(const struct vb_published_row *rows, size_t n, struct vb_text *out)
{
    struct columns columns;
    if (!pick_columns(rows, n, &columns))
        return false;
    for (int is_rate = 0; is_rate < 2; is_rate++) {
        append_header(&columns, is_rate ? "images/s at most" : "largest that fits", out);
        for (size_t i = 0, next; i < n; i = next) {
            uint32_t largest = 0;
            double fastest = 0;
            for (next = i; next < n && rows[next].imgsz == rows[i].imgsz; next++) {
                largest = rows[next].reserved_bytes > 0 ? rows[next].batch : largest;
                fastest =
                    rows[next].images_per_second > fastest ? rows[next].images_per_second : fastest;
            }
            vb_text_append(out, "| %" PRIu32 " |", rows[i].imgsz);
            for (size_t c = 0; c < columns.n; c++)
                append_cell(at_batch(&rows[i], next - i, columns.batches[c]), is_rate != 0, out);
            if (is_rate != 0)
                vb_text_append(out, " %.0f |\n", fastest);
            else
                vb_text_append(out, largest > 0 ? " %" PRIu32 " |\n" : " none |\n", largest);
        }
    }
    return true;
}

static void append_identity(const struct vb_publication *p, struct vb_text *out)
{
    vb_text_append(out, "# %s\n\n", p->gpu);
    vb_text_append(out, "%s on `%s`", p->provenance == VB_MEASURED ? "Measured" : "Planned",
                   p->device);
    if (p->driver[0] != '\0')
        vb_text_append(out, ", driver %s, CUDA %s", p->driver, p->cuda);
    if (p->cudnn[0] != '\0')
        vb_text_append(out, ", cuDNN %s", p->cudnn);
    vb_text_append(out, "; %.2f GiB usable of %.2f.\n", vb_to_gib(p->usable_bytes),
                   vb_to_gib(p->capacity_bytes));
    vb_text_append(
        out,
        "Peak memory in GiB, of the pool and the context where both are known, by image size "
        "and batch; then images a\nsecond%s. `vrambench publish` writes this; the points are "
        "in table.csv and table.json.\n",
        p->provenance == VB_MEASURED ? "" : ", which are modelled");
}

static bool write_readme(const struct vb_publication *p, bool has_charts, struct vb_text *out)
{
    append_identity(p, out);
    if (has_charts)
        vb_text_append(out, "\n![Peak memory against batch](charts/memory.svg)\n");
    for (size_t i = 0, next; i < p->n_rows; i = next) {
        const struct vb_point *kind = &p->kinds[p->rows[i].kind].point;
        for (next = i; next < p->n_rows && p->rows[next].kind == p->rows[i].kind;)
            next++;
        vb_text_append(out, "\n## %s, %s, mosaic %s, %s, %" PRIu32 " boxes an image\n", kind->model,
                       vb_precision_names[kind->precision], vb_mosaic_names[kind->mosaic],
                       vb_optimizer_names[kind->optimizer], kind->targets);
        if (!append_tables(&p->rows[i], next - i, out))
            return false;
    }
    return true;
}

static void write_csv(const struct vb_publication *p, struct vb_text *out)
{
    vb_text_append(out,
                   "model,precision,mosaic,optimizer,targets,imgsz,batch,state,peak_reserved_bytes,"
                   "peak_device_bytes,images_per_second\n");
    for (size_t i = 0; i < p->n_rows; i++) {
        const struct vb_published_row *row = &p->rows[i];
        const struct vb_point *kind = &p->kinds[row->kind].point;
        vb_text_append(out, "%s,%s,%s,%s,%" PRIu32 ",%" PRIu32 ",%" PRIu32 ",%s,", kind->model,
                       vb_precision_names[kind->precision], vb_mosaic_names[kind->mosaic],
                       vb_optimizer_names[kind->optimizer], kind->targets, row->imgsz, row->batch,
                       vb_state_names[row->state]);
        if (row->reserved_bytes > 0)
            vb_text_append(out, "%" PRIu64, row->reserved_bytes);
        vb_text_append(out, ",");
        if (row->device_bytes > 0)
            vb_text_append(out, "%" PRIu64, row->device_bytes);
        if (row->images_per_second > 0)
            vb_text_append(out, ",%.6g\n", row->images_per_second);
        else
            vb_text_append(out, ",\n");
    }
}

/* A row a line: [kind, imgsz, batch, state, reserved, device, images/s]; 0 where nothing is known.
 */
static void write_json(const struct vb_publication *p, struct vb_text *out)
{
    vb_text_append(out, "{\"schema\":1,\"kinds\":[");
    for (size_t i = 0; i < p->n_kinds; i++) {
        json_t *model = json_string(p->kinds[i].point.model);
        char *text = json_dumps(model, JSON_ENCODE_ANY);
        vb_text_append(out,
                       "%s\n "
                       "{\"model\":%s,\"precision\":\"%s\",\"mosaic\":\"%s\",\"optimizer\":\"%s\","
                       "\"targets\":%" PRIu32 "}",
                       i > 0 ? "," : "", text != NULL ? text : "\"\"",
                       vb_precision_names[p->kinds[i].point.precision],
                       vb_mosaic_names[p->kinds[i].point.mosaic],
                       vb_optimizer_names[p->kinds[i].point.optimizer], p->kinds[i].point.targets);
        free(text);
        json_decref(model);
    }
    vb_text_append(
        out, "],\n\"columns\":[\"kind\",\"imgsz\",\"batch\",\"state\",\"peak_reserved_bytes\","
             "\"peak_device_bytes\",\"images_per_second\"],\n\"rows\":[");
    for (size_t i = 0; i < p->n_rows; i++) {
        const struct vb_published_row *row = &p->rows[i];
        vb_text_append(
            out, "%s\n[%" PRIu32 ",%" PRIu32 ",%" PRIu32 ",\"%s\",%" PRIu64 ",%" PRIu64 ",%.6g]",
            i > 0 ? "," : "", row->kind, row->imgsz, row->batch, vb_state_names[row->state],
            row->reserved_bytes, row->device_bytes, row->images_per_second);
    }
    vb_text_append(out, "]}\n");
}

static void write_identity(const struct vb_publication *p, struct vb_text *out)
{
    json_t *root =
        json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I}", "schema", 1, "gpu", p->gpu,
                  "provenance", vb_provenance_names[p->provenance], "driver", p->driver, "cuda",
                  p->cuda, "cudnn", p->cudnn, "points", (json_int_t)p->n_rows, "models",
                  (json_int_t)p->n_kinds, "capacity_bytes", (json_int_t)p->capacity_bytes);
    char hash[17];
    (void)snprintf(hash, sizeof hash, "%016" PRIx64, p->hash);
    (void)json_object_set_new(root, "journal", json_string(hash));
    char *text = json_dumps(root, JSON_INDENT(1));
    vb_text_append(out, "%s\n", text != NULL ? text : "");
    out->failed = out->failed || text == NULL;
    free(text);
    json_decref(root);
}

/* Writes the file unless it holds just that. */
static enum vb_status put(const char *folder, const char *name, struct vb_text *text,
                          struct vb_error *err)
{
    char path[PATH_MAX];
    char *before = NULL;
    size_t bytes = 0;
    (void)snprintf(path, sizeof path, "%.4000s/%s", folder, name);
    enum vb_status status = VB_OK;
    const bool is_same = !text->failed &&
                         vb_file_read(path, MOST_FILE_BYTES, &before, &bytes, NULL) == VB_OK &&
                         bytes == text->length && memcmp(before, vb_text_data(text), bytes) == 0;
    free(before);
    if (text->failed)
        status = vb_fail(err, VB_E_SYSTEM, "%s: no host memory left to write it", path);
    else if (!is_same)
        status = vb_file_write(path, vb_text_data(text), text->length, err);
    vb_text_clear(text);
    return status;
}

/* VB_E_INPUT: the folder has the table of another journal. */
static enum vb_status check_folder(const char *folder, const struct vb_text *identity,
                                   struct vb_error *err)
{
    char path[PATH_MAX];
    char *before = NULL;
    size_t bytes = 0;
    (void)snprintf(path, sizeof path, "%.4000s/published.json", folder);
    if (vb_file_read(path, MOST_FILE_BYTES, &before, &bytes, NULL) != VB_OK)
        return VB_OK;
    const bool is_same =
        bytes == identity->length && memcmp(before, vb_text_data(identity), bytes) == 0;
    free(before);
    if (is_same)
        return VB_OK;
    return vb_fail(err, VB_E_INPUT,
                   "%s: is the table of another journal; give --force to replace it", folder);
}

enum vb_status vb_publication_write(const struct vb_publication *publication, const char *folder,
                                    bool has_charts, bool force, struct vb_error *err)
{
    char path[PATH_MAX];
    struct vb_text identity = { 0 }, readme = { 0 }, csv = { 0 }, json = { 0 };
    (void)snprintf(path, sizeof path, "%.4000s/%s", folder, publication->slug);
    write_identity(publication, &identity);
    enum vb_status status = force ? VB_OK : check_folder(path, &identity, err);
    if (status == VB_OK)
        status = vb_file_make_folder(path, err);
    if (status == VB_OK && !write_readme(publication, has_charts, &readme))
        status = vb_fail(err, VB_E_SYSTEM, "no host memory left for a table");
    if (status == VB_OK)
        status = put(path, "README.md", &readme, err);
    write_csv(publication, &csv);
    if (status == VB_OK)
        status = put(path, "table.csv", &csv, err);
    write_json(publication, &json);
    if (status == VB_OK)
        status = put(path, "table.json", &json, err);
    if (status == VB_OK) /* last: what it names is there */
        status = put(path, "published.json", &identity, err);
    vb_text_clear(&identity);
    vb_text_clear(&readme);
    vb_text_clear(&csv);
    vb_text_clear(&json);
    return status;
}

struct entry {
    char line[512];
};

static int by_line(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->line, ((const struct entry *)b)->line);
}

static const char *text_of(const json_t *root, const char *key)
{
    const char *text = json_string_value(json_object_get(root, key));
    return text != NULL ? text : "";
}

/* False: the folder has no table. */
static enum vb_status read_entry(const char *folder, const char *name, struct entry *out,
                                 bool *is_there, struct vb_error *err)
{
    char path[PATH_MAX];
    json_error_t fault;
    FILE *file = NULL;
    (void)snprintf(path, sizeof path, "%.3800s/%.255s/published.json", folder, name);
    *is_there = (file = fopen(path, "re")) != NULL;
    if (!*is_there)
        return VB_OK;
    json_t *root = json_loadf(file, 0, &fault);
    (void)fclose(file);
    if (!json_is_object(root) || json_integer_value(json_object_get(root, "schema")) != 1) {
        json_decref(root);
        return vb_fail(err, VB_E_INPUT, "%s: is not what this version publishes", path);
    }
    (void)snprintf(out->line, sizeof out->line,
                   "| [%.64s](%.100s/README.md) | %.16s | %.32s | %.32s | %" JSON_INTEGER_FORMAT
                   " |\n",
                   text_of(root, "gpu"), name, text_of(root, "provenance"), text_of(root, "driver"),
                   text_of(root, "cudnn"), json_integer_value(json_object_get(root, "points")));
    json_decref(root);
    return VB_OK;
}

/* The whole README with the list in its place. */
static void compose(const char *before, const struct entry *entries, size_t n, struct vb_text *out)
{
    const char *begin = strstr(before, begins);
    const char *end = begin != NULL ? strstr(begin, ends) : NULL;
    vb_text_append(out, "%.*s", (int)(begin != NULL ? begin - before : (long)strlen(before)),
                   before);
    vb_text_append(out, "%s%s", begin == NULL ? "\n" : "", begins);
    vb_text_append(out, "| GPU | | driver | cuDNN | points |\n| :-- | :-- | :-- | :-- | --: |\n");
    for (size_t i = 0; i < n; i++)
        vb_text_append(out, "%s", entries[i].line);
    vb_text_append(out, "%s%s", ends, end != NULL ? end + strlen(ends) : "");
}

enum vb_status vb_publication_index(const char *folder, struct vb_error *err)
{
    char path[PATH_MAX];
    char *before = NULL;
    size_t bytes = 0, n = 0;
    struct vb_text text = { 0 };
    struct entry *entries = calloc(MAX_TABLES, sizeof *entries);
    DIR *open = opendir(folder);
    enum vb_status status = VB_OK;
    if (entries == NULL || open == NULL)
        status = vb_fail(err, VB_E_SYSTEM, "%s: its tables cannot be listed", folder);
    for (const struct dirent *item = open != NULL ? readdir(open) : NULL;
         item != NULL && status == VB_OK && n < MAX_TABLES; item = readdir(open)) {
        bool is_there = false;
        if (item->d_name[0] != '.')
            status = read_entry(folder, item->d_name, &entries[n], &is_there, err);
        n += is_there;
    }
    if (open != NULL)
        (void)closedir(open);
    (void)snprintf(path, sizeof path, "%.4000s/README.md", folder);
    if (status == VB_OK) {
        qsort(entries, n, sizeof *entries, by_line);
        const bool has_readme = vb_file_read(path, MOST_FILE_BYTES, &before, &bytes, NULL) == VB_OK;
        compose(has_readme ? before : "# Results\n", entries, n, &text);
        status = put(folder, "README.md", &text, err);
    }
    free(before);
    free(entries);
    return status;
}
