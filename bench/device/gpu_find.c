/* SPDX-License-Identifier: Apache-2.0 */
/* GPUs by name, and by the product's name that drivers and training logs print. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "device/gpu_spec.h"

#define GPU_FOLDER "sweeps/gpus"
#define GPU_SUFFIX ".json"

enum { MAX_FILE_BYTES = 1 << 20, MAX_KEY = 64 };

static bool ends_in_json(const char *text)
{
    size_t length = strlen(text);
    size_t suffix = strlen(GPU_SUFFIX);
    return length > suffix && strcmp(text + length - suffix, GPU_SUFFIX) == 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

enum vb_status vb_gpu_spec_names(struct vb_arena *arena, const char ***names, size_t *n_names,
                                 struct vb_error *err)
{
    char folder[4096];
    vb_file_shipped(GPU_FOLDER, folder, sizeof folder);
    DIR *open = opendir(folder);
    if (open == NULL)
        return vb_fail(err, VB_E_INPUT,
                       "%s: %s; VRAMBENCH_HOME must name a copy of the project's tree", folder,
                       strerror(errno));

    enum vb_status status = VB_OK;
    const char **list = NULL;
    size_t n = 0;
    size_t room = 0;
    for (const struct dirent *entry = readdir(open); entry != NULL; entry = readdir(open)) {
        if (!ends_in_json(entry->d_name))
            continue;
        list = vb_arena_grow(arena, list, n, &room, sizeof *list);
        char *name = vb_arena_copy(arena, entry->d_name);
        if (list == NULL || name == NULL) {
            status = vb_fail(err, VB_E_SYSTEM, "%s: no host memory left", folder);
            goto out;
        }
        name[strlen(name) - strlen(GPU_SUFFIX)] = '\0';
        list[n++] = name;
    }
    if (n > 0)
        qsort(list, n, sizeof *list, by_name);
    *names = list;
    *n_names = n;

out:
    (void)closedir(open);
    return status;
}

/* Reads a file; `name` becomes the GPU's name. */
static enum vb_status read_file(const char *path, const char *name, struct vb_gpu_spec *out,
                                struct vb_error *err)
{
    char *text = NULL;
    size_t bytes = 0;
    enum vb_status status = vb_file_read(path, MAX_FILE_BYTES, &text, &bytes, err);
    if (status != VB_OK)
        return status;
    status = vb_gpu_spec_parse(name, path, text, bytes, out, err);
    free(text);
    return status;
}

static void shipped_path(const char *name, char *path, size_t room)
{
    char relative[128];
    (void)snprintf(relative, sizeof relative, GPU_FOLDER "/%.64s" GPU_SUFFIX, name);
    vb_file_shipped(relative, path, room);
}

/* What stays of a product's name to compare: "NVIDIA GeForce RTX 3080 Ti" and "GeForce RTX 3080 TI"
 * are both "rtx3080ti". Drivers before 2021 leave the vendor out, people the brand. */
static void make_key(const char *product, char key[MAX_KEY])
{
    static const char *const prefixes[] = { "nvidia", "tesla", "quadro", "geforce" };
    size_t n = 0;
    for (const char *at = product; *at != '\0' && n < MAX_KEY - 1; at++) {
        if (!isspace((unsigned char)*at))
            key[n++] = (char)tolower((unsigned char)*at);
    }
    key[n] = '\0';
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        size_t length = strlen(prefixes[i]);
        if (strncmp(key, prefixes[i], length) == 0)
            memmove(key, key + length, strlen(key + length) + 1);
    }
}

static int by_architecture(const void *a, const void *b)
{
    const struct vb_gpu_product *x = a;
    const struct vb_gpu_product *y = b;
    if (x->compute_capability != y->compute_capability)
        return x->compute_capability < y->compute_capability ? -1 : 1;
    if (x->capacity_bytes != y->capacity_bytes)
        return x->capacity_bytes < y->capacity_bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

static enum vb_status read_product(struct vb_arena *arena, const char *name,
                                   struct vb_gpu_product *out, struct vb_error *err)
{
    char path[4096];
    char key[MAX_KEY];
    struct vb_gpu_spec gpu = { 0 };
    shipped_path(name, path, sizeof path);
    enum vb_status status = read_file(path, name, &gpu, err);
    if (status != VB_OK)
        return status;

    make_key(gpu.product, key);
    *out = (struct vb_gpu_product){
        .name = name,
        .key = vb_arena_copy(arena, key),
        .compute_capability = gpu.compute_capability,
        .capacity_bytes = gpu.capacity_bytes,
    };
    vb_gpu_spec_clear(&gpu);
    if (out->key == NULL)
        return vb_fail(err, VB_E_SYSTEM, "%s: no host memory left", path);
    return VB_OK;
}

enum vb_status vb_gpu_index_read(struct vb_arena *arena, struct vb_gpu_index *out,
                                 struct vb_error *err)
{
    const char **names = NULL;
    size_t n = 0;
    enum vb_status status = vb_gpu_spec_names(arena, &names, &n, err);
    if (status != VB_OK)
        return status;

    struct vb_gpu_product *products = vb_arena_alloc(arena, n + 1, sizeof *products);
    if (products == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for %zu GPUs", n);
    for (size_t i = 0; i < n; i++) {
        status = read_product(arena, names[i], &products[i], err);
        if (status != VB_OK)
            return status;
    }
    qsort(products, n, sizeof *products, by_architecture);
    *out = (struct vb_gpu_index){ .products = products, .n = n };
    return VB_OK;
}

/* No GPU has this name: says which may have been meant. */
static enum vb_status unknown_gpu(const struct vb_gpu_index *index, const char *gpu,
                                  const char *key, struct vb_error *err)
{
    const char *near = NULL;
    const char **words = calloc(2 * index->n + 1, sizeof *words);
    if (words == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for %zu GPUs", index->n);

    for (size_t i = 0; i < index->n; i++) {
        words[i] = index->products[i].name;
        words[index->n + i] = index->products[i].key;
    }
    const char *word = vb_text_nearest(key, words, 2 * index->n);
    for (size_t i = 0; i < 2 * index->n && near == NULL && word != NULL; i++) {
        if (words[i] == word)
            near = index->products[i % index->n].name;
    }
    free(words);
    return vb_fail(err, VB_E_INPUT,
                   "no GPU is called '%.64s'%s%s%s; 'vrambench devices' lists the %zu that are, "
                   "and the path of a GPU's own file does as well",
                   gpu, near != NULL ? "; did you mean '" : "", near != NULL ? near : "",
                   near != NULL ? "'?" : "", index->n);
}

/* Whether `a` is the better answer: nearer in capacity; where that is not known the one that is
 * named as the product is, or the smaller, so that what is planned fits either. */
static bool is_better(const struct vb_gpu_product *a, const struct vb_gpu_product *b,
                      uint64_t total_bytes)
{
    if (total_bytes == 0) {
        bool a_is_plain = strcmp(a->name, a->key) == 0;
        bool b_is_plain = strcmp(b->name, b->key) == 0;
        return a_is_plain != b_is_plain ? a_is_plain : a->capacity_bytes < b->capacity_bytes;
    }
    uint64_t far_a = a->capacity_bytes > total_bytes ? a->capacity_bytes - total_bytes
                                                     : total_bytes - a->capacity_bytes;
    uint64_t far_b = b->capacity_bytes > total_bytes ? b->capacity_bytes - total_bytes
                                                     : total_bytes - b->capacity_bytes;
    return far_a < far_b;
}

enum vb_status vb_gpu_index_find(const struct vb_gpu_index *index, const char *product,
                                 uint64_t total_bytes, const char **name, struct vb_error *err)
{
    char key[MAX_KEY];
    const struct vb_gpu_product *best = NULL;
    make_key(product, key);
    for (size_t i = 0; i < index->n; i++) {
        const struct vb_gpu_product *one = &index->products[i];
        if (strcmp(one->key, key) == 0 && (best == NULL || is_better(one, best, total_bytes)))
            best = one;
    }
    if (best == NULL)
        return unknown_gpu(index, product, key, err);
    *name = best->name;
    return VB_OK;
}

enum vb_status vb_gpu_spec_find_product(const char *product, uint64_t total_bytes,
                                        struct vb_gpu_spec *out, struct vb_error *err)
{
    char path[4096];
    const char *name = NULL;
    struct vb_arena arena = { 0 };
    struct vb_gpu_index index = { 0 };
    enum vb_status status = vb_gpu_index_read(&arena, &index, err);
    if (status == VB_OK)
        status = vb_gpu_index_find(&index, product, total_bytes, &name, err);
    if (status == VB_OK) {
        shipped_path(name, path, sizeof path);
        status = read_file(path, name, out, err);
    }
    vb_arena_clear(&arena);
    return status;
}

enum vb_status vb_gpu_spec_find(const char *gpu, struct vb_gpu_spec *out, struct vb_error *err)
{
    char path[4096];
    char name[64];
    if (strchr(gpu, '/') != NULL || ends_in_json(gpu)) {
        const char *slash = strrchr(gpu, '/');
        const char *base = slash != NULL ? slash + 1 : gpu;
        size_t length = strlen(base) - (ends_in_json(base) ? strlen(GPU_SUFFIX) : 0);
        (void)snprintf(name, sizeof name, "%.*s", (int)length, base);
        return read_file(gpu, name, out, err);
    }

    shipped_path(gpu, path, sizeof path);
    FILE *there = fopen(path, "rb");
    if (there == NULL)
        return vb_gpu_spec_find_product(gpu, 0, out, err);
    (void)fclose(there);
    return read_file(path, gpu, out, err);
}
