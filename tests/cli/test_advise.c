/* SPDX-License-Identifier: Apache-2.0 */
/* 'vrambench advise' on random trainings that do not fit, held to brute force: what it says first
 * fits, and no cheaper single change does. The grid and the costs are written down here once more,
 * from what --help says of them; the check whether a point fits is made of a plan and a band. */

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "judge.h"
#include "sweep/keys.h"

#ifdef __SANITIZE_ADDRESS__
enum { SITUATIONS = 3 }; /* ten times as slow */
#else
enum { SITUATIONS = 50 };
#endif
enum { MAX_CHANGES = 512, MAX_GPUS = 256, MAX_DRAWS = 100000, NOMINAL = 64 };
#define SAME 1ull
#define NUMERICS 1000ull
#define TRAINING 1000000ull
#define MONEY 1000000000ull

static const char *const ladders[][5] = {
    { "yolov5n", "yolov5s", "yolov5m", "yolov5l", "yolov5x" },
    { "yolov5n6", "yolov5s6", "yolov5m6", "yolov5l6", "yolov5x6" },
    { "yolov5nu", "yolov5su", "yolov5mu", "yolov5lu", "yolov5xu" },
    { "yolov8n", "yolov8s", "yolov8m", "yolov8l", "yolov8x" },
};

struct gpu {
    char name[64];
    uint64_t capacity_bytes;
    struct vb_device *device;
};

static struct gpu gpus[MAX_GPUS]; /* by memory, then name */
static size_t n_gpus;
static struct vb_arena kept;

struct situation {
    struct vb_point point;
    size_t gpu, ladder, rung;
    const char *keep;
};

struct change {
    const char *key; /* of the point, or gpu; "host" for mosaic=cpu */
    char value[128];
    uint64_t cost;
};

static uint64_t next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int by_memory(const void *a, const void *b)
{
    const struct gpu *x = a, *y = b;
    if (x->capacity_bytes != y->capacity_bytes)
        return x->capacity_bytes < y->capacity_bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

static void set_up(void)
{
    const char **names = NULL;
    struct vb_error err;
    judge_set_up(&kept);
    cr_assert_eq(vb_gpu_spec_names(&kept, &names, &n_gpus, &err), VB_OK);
    cr_assert(n_gpus > 100 && n_gpus <= MAX_GPUS);
    for (size_t i = 0; i < n_gpus; i++) {
        struct vb_gpu_spec spec;
        cr_assert_eq(vb_gpu_spec_find(names[i], &spec, &err), VB_OK, "%s", err.text);
        (void)snprintf(gpus[i].name, sizeof gpus[i].name, "%s", names[i]);
        gpus[i].capacity_bytes = spec.capacity_bytes;
        vb_gpu_spec_clear(&spec);
    }
    qsort(gpus, n_gpus, sizeof *gpus, by_memory);
}

static bool fits(const struct vb_point *point, size_t gpu)
{
    struct vb_error err;
    char name[80];
    (void)snprintf(name, sizeof name, "virtual:%s", gpus[gpu].name);
    if (gpus[gpu].device == NULL)
        cr_assert_eq(vb_device_open(name, &gpus[gpu].device, &err), VB_OK, "%s", err.text);
    return judge(point, gpus[gpu].device);
}

static struct situation draw(uint64_t *state)
{
    static const uint32_t batches[] = { 4, 8, 12, 16, 24, 32, 48, 64, 96, 128 };
    static const char *const keeps[] = {
        NULL,
        NULL,
        NULL,
        "batch,imgsz",
        "batch",
        "imgsz,model",
        "gpu",
        "batch,gpu",
        "batch,imgsz,model,precision",
        "batch,gpu,gpus",
        "batch,imgsz,model,gpu",
    };
    static const size_t rungs[] = { 0, 0, 0, 0, 1, 1, 1, 2, 3, 4 };
    struct situation s = { .point = vb_point_default() };
    struct vb_point *point = &s.point;
    s.ladder = next(state) % 4;
    s.rung = rungs[next(state) % 10]; /* the small ones are planned quicker */
    s.gpu = next(state) % n_gpus;
    s.keep = keeps[next(state) % 11];
    (void)snprintf(point->model, sizeof point->model, "%s", ladders[s.ladder][s.rung]);
    point->workload = VB_WHOLE_RUN;
    point->batch = batches[next(state) % 10];
    point->imgsz = 320 + 64 * (uint32_t)(next(state) % 19);
    point->precision = next(state) % 2 == 0 ? VB_FP32 : VB_FP16;
    point->mosaic = (enum vb_mosaic)(next(state) % 3);
    point->mixup = point->mosaic == VB_MOSAIC_ON && next(state) % 2 == 0;
    point->copy_paste = point->mosaic == VB_MOSAIC_ON && next(state) % 4 == 0;
    point->optimizer = (enum vb_optimizer)(next(state) % 3);
    point->accumulate = next(state) % 4 == 0 ? 2 : 0;
    point->channels_last = next(state) % 4 == 0;
    return s;
}

static bool is_kept(const struct situation *s, const char *key)
{
    size_t length = strlen(key);
    for (const char *at = s->keep; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, key, length) == 0 && (at[length] == ',' || at[length] == '\0'))
            return true;
    }
    return false;
}

/* Python's round(64 / batch), at least 1: halves to the even neighbour. */
static uint32_t usual_sums(uint32_t batch)
{
    uint32_t whole = NOMINAL / batch, twice = 2 * (NOMINAL % batch);
    if (twice > batch || (twice == batch && whole % 2 == 1))
        whole++;
    return whole > 1 ? whole : 1;
}

static uint32_t images_a_step(const struct vb_point *point)
{
    return point->batch * (point->accumulate > 0 ? point->accumulate : usual_sums(point->batch));
}

static struct change *add(struct change *changes, size_t *n, const char *key, uint64_t cost)
{
    cr_assert(*n < MAX_CHANGES);
    changes[*n].key = key;
    changes[*n].cost = cost;
    return &changes[(*n)++];
}

#define VALUE(change, ...) (void)snprintf((change)->value, sizeof(change)->value, __VA_ARGS__)

static void list_batches(const struct situation *s, struct change *changes, size_t *n)
{
    uint32_t all = images_a_step(&s->point), rank = 0;
    for (uint32_t batch = s->point.batch - 1; batch >= 1; batch--) {
        if (all % batch != 0)
            continue;
        uint64_t cost = batch >= 16  ? SAME * (4 + rank++)
                        : batch >= 8 ? TRAINING * 3
                        : batch >= 4 ? TRAINING * 7
                        : batch >= 2 ? TRAINING * 8
                                     : TRAINING * 9;
        VALUE(add(changes, n, "batch", cost), "%u", batch);
    }
}

/* Every single change that --help lists. */
static size_t list_changes(const struct situation *s, struct change *changes)
{
    const struct vb_point *point = &s->point;
    const bool composes = point->mosaic == VB_MOSAIC_ON;
    const uint32_t stride = s->ladder == 1 ? 64 : 32;
    size_t n = 0;
    VALUE(add(changes, &n, "alloc_conf", SAME * 1), "expandable_segments:True");
    VALUE(add(changes, &n, "alloc_conf", SAME * 2), "max_split_size_mb:128");
    if (composes) {
        VALUE(add(changes, &n, "host", SAME * 3), "cpu");
        VALUE(add(changes, &n, "mosaic", TRAINING * 6), "off");
    }
    if (point->mixup)
        VALUE(add(changes, &n, "mixup", TRAINING * 2), "off");
    if (point->copy_paste)
        VALUE(add(changes, &n, "copy_paste", TRAINING * 1), "off");
    if (point->precision == VB_FP32 && !is_kept(s, "precision"))
        VALUE(add(changes, &n, "precision", NUMERICS * 1), "fp16");
    if (!point->channels_last)
        VALUE(add(changes, &n, "channels_last", NUMERICS * 2), "on");
    if (point->optimizer != VB_SGD)
        VALUE(add(changes, &n, "optimizer", TRAINING * 4), "sgd");
    VALUE(add(changes, &n, "freeze", TRAINING * 5), "10");
    if (!is_kept(s, "batch"))
        list_batches(s, changes, &n);
    for (uint32_t size = 320 / stride * stride; size < point->imgsz && !is_kept(s, "imgsz");
         size += stride) {
        uint32_t percent = (100 * (point->imgsz - size) + point->imgsz - 1) / point->imgsz;
        VALUE(add(changes, &n, "imgsz", TRAINING * (10 + percent)), "%u", size);
    }
    for (size_t i = s->rung; i > 0 && !is_kept(s, "model"); i--)
        VALUE(add(changes, &n, "model", TRAINING * (100 + 10 * (s->rung - i + 1))), "%s",
              ladders[s->ladder][i - 1]);
    for (size_t i = 0, rank = 0; i < n_gpus && !is_kept(s, "gpu"); i++) {
        if (gpus[i].capacity_bytes > gpus[s->gpu].capacity_bytes)
            VALUE(add(changes, &n, "gpu", MONEY * ++rank), "%.60s", gpus[i].name);
    }
    for (uint32_t i = 2; i <= 8 && !is_kept(s, "gpus"); i *= 2) {
        if (point->batch % i == 0)
            VALUE(add(changes, &n, "gpus", MONEY * (300 + i)), "%u", i);
    }
    return n;
}

static size_t find_gpu(const char *name)
{
    size_t i = 0;
    while (i < n_gpus && strcmp(gpus[i].name, name) != 0)
        i++;
    cr_assert(i < n_gpus, "no GPU %s", name);
    return i;
}

static void set(struct vb_point *point, const char *key, const char *value)
{
    struct vb_error err;
    const struct vb_option *option = vb_key_find(key);
    cr_assert_not_null(option, "no key %s", key);
    cr_assert_eq(vb_option_set(option, value, point, &err), VB_OK, "%s", err.text);
}

static void apply(const struct change *change, struct vb_point *point, size_t *gpu)
{
    uint32_t all = images_a_step(point);
    if (strcmp(change->key, "gpu") == 0) {
        *gpu = find_gpu(change->value);
        return;
    }
    set(point, strcmp(change->key, "host") == 0 ? "mosaic" : change->key, change->value);
    if (point->mosaic != VB_MOSAIC_ON)
        point->mixup = point->copy_paste = false;
    if (strcmp(change->key, "batch") == 0) {
        uint32_t sums = all / point->batch;
        point->accumulate = usual_sums(point->batch) == sums ? 0 : sums;
    }
}

/* The command's answer. */
static json_t *ask(const struct situation *s)
{
    char command[2048];
    size_t n = (size_t)snprintf(command, sizeof command, "%s advise --format json --gpu %s",
                                VB_PROGRAM, gpus[s->gpu].name);
    static const char *const keys[] = { "model",      "batch",        "imgsz",      "precision",
                                        "mosaic",     "mixup",        "copy_paste", "optimizer",
                                        "accumulate", "channels_last" };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char value[256];
        vb_option_get(vb_key_find(keys[i]), &s->point, value, sizeof value);
        n += (size_t)snprintf(command + n, sizeof command - n, " --%s %s", keys[i], value);
    }
    if (s->keep != NULL)
        (void)snprintf(command + n, sizeof command - n, " --keep %s", s->keep);
    FILE *pipe = popen(command, "r");
    cr_assert_not_null(pipe);
    json_error_t error;
    json_t *root = json_loadf(pipe, 0, &error);
    int status = pclose(pipe);
    cr_assert_not_null(root, "%s: %s", command, error.text);
    const char *kind = json_string_value(
        json_object_get(json_array_get(json_object_get(root, "rows"), 0), "kind"));
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == (strcmp(kind, "fits") == 0 ? 0 : 1),
              "%s: exit status %d", command, WEXITSTATUS(status));
    return root;
}

/* Reads "batch=2 accumulate=32 gpu=t4" into a point and a GPU, and adds up what it costs. */
static uint64_t read_changes(const struct situation *s, const char *text,
                             const struct change *changes, size_t n, struct vb_point *point,
                             size_t *gpu)
{
    char copy[1024], *rest = copy;
    uint64_t cost = 0;
    const bool to_host = strstr(text, "mosaic=cpu") != NULL,
               none = strstr(text, "mosaic=off") != NULL;
    *point = s->point;
    *gpu = s->gpu;
    (void)snprintf(copy, sizeof copy, "%s", text);
    for (char *key = strsep(&rest, " "); key != NULL; key = strsep(&rest, " ")) {
        char *value = strchr(key, '=');
        size_t found = 0;
        *value++ = '\0';
        if (strcmp(key, "gpu") == 0)
            *gpu = find_gpu(value);
        else
            set(point, key, value);
        if (strcmp(key, "accumulate") == 0 ||
            ((to_host || none) && (strcmp(key, "mixup") == 0 || strcmp(key, "copy_paste") == 0)))
            continue; /* goes with another */
        const char *name = to_host && strcmp(key, "mosaic") == 0 ? "host" : key;
        while (found < n &&
               (strcmp(changes[found].key, name) != 0 || strcmp(changes[found].value, value) != 0))
            found++;
        cr_assert(found < n, "%s=%s is none of the changes", key, value);
        cost += changes[found].cost;
    }
    return cost;
}

static void check(const struct situation *s)
{
    static struct change changes[MAX_CHANGES];
    size_t n = list_changes(s, changes), gpu;
    struct vb_point point;
    uint64_t cost = UINT64_MAX;
    json_t *root = ask(s);
    const json_t *rows = json_object_get(root, "rows"), *row;
    size_t i, n_fit = 0, n_nearest = 0;
    json_array_foreach(rows, i, row)
    {
        const char *kind = json_string_value(json_object_get(row, "kind"));
        n_fit += strcmp(kind, "fits") == 0;
        n_nearest += strcmp(kind, "nearest") == 0;
    }
    cr_assert_eq(n_nearest, n_fit == 0, "either something fits or something comes nearest");
    if (n_fit > 0) {
        const char *first = json_string_value(json_object_get(json_array_get(rows, 0), "changes"));
        cost = read_changes(s, first, changes, n, &point, &gpu);
        cr_assert(fits(&point, gpu), "%s batch %u imgsz %u on %s, keep %s: '%s' does not fit",
                  s->point.model, s->point.batch, s->point.imgsz, gpus[s->gpu].name, s->keep,
                  first);
    }
    for (i = 0; i < n; i++) {
        point = s->point;
        gpu = s->gpu;
        if (changes[i].cost >= cost)
            continue;
        apply(&changes[i], &point, &gpu);
        cr_expect_not(fits(&point, gpu),
                      "%s batch %u imgsz %u on %s, keep %s: %s=%s fits and was passed over",
                      s->point.model, s->point.batch, s->point.imgsz, gpus[s->gpu].name, s->keep,
                      changes[i].key, changes[i].value);
    }
    json_decref(root);
}

static void check_many(uint64_t seed)
{
    size_t n = 0;
    for (int draws = 0; n < SITUATIONS && draws < MAX_DRAWS; draws++) {
        const struct situation s = draw(&seed);
        if (fits(&s.point, s.gpu))
            continue;
        check(&s);
        n++;
    }
    cr_assert_eq(n, SITUATIONS);
}

/* Four, so that they run side by side. */
Test(advise, first_fits_and_nothing_cheaper_was_passed_over_1, .init = set_up)
{
    check_many(1);
}

Test(advise, first_fits_and_nothing_cheaper_was_passed_over_2, .init = set_up)
{
    check_many(2);
}

Test(advise, first_fits_and_nothing_cheaper_was_passed_over_3, .init = set_up)
{
    check_many(3);
}

Test(advise, first_fits_and_nothing_cheaper_was_passed_over_4, .init = set_up)
{
    check_many(4);
}
